"""The highest power at which a vehicle charged, as a mean over at least five minutes.

Only what comes in order tells it. One wrong sample must not: so a mean counts as far as the next one bears it out.
"""

from typing import Final

from msgspec import Struct

from sessions.counters import Run
from sessions.grid import HOUR_US, MINUTE_US

# Shorter means are those of a moment.
MEAN_US: Final = 5 * MINUTE_US


class Power(Struct, frozen=True, array_like=True):
    """The window under way, from `from_us`; the mean of the one before; and the highest that two in a row reached.

    `run_us`: the run of the counter that tells it; null: rates tell it. `from_wh`: what the counter showed then;
    `energy`: what the rates gave since then, in W·µs. `rate`: the newest one, and when. `is_counted`: a counter told
    the peak.
    """

    run_us: int | None = None
    from_us: int = 0
    from_wh: int = 0
    energy: int = 0
    rate: tuple[int, int] | None = None
    mean_w: int = 0
    peak_w: int | None = None
    is_counted: bool = False


def power_by_counter(power: Power, run: Run) -> Power:
    """After a reading. Counters of few digits stand and jump: a window lasts from one rise to another."""
    mean_w, peak_w, is_counted = 0, power.peak_w, power.is_counted
    if power.run_us == run.began_us:
        passed_us = run.read_us - power.from_us
        if passed_us < MEAN_US or run.highest_wh == power.from_wh:
            return power
        mean_w = (run.highest_wh - power.from_wh) * HOUR_US // passed_us
        borne_out_w = min(power.mean_w, mean_w)
        if borne_out_w > (peak_w or 0) or (borne_out_w and not is_counted):
            peak_w, is_counted = borne_out_w, True
    return Power(run.began_us, run.read_us, run.highest_wh, mean_w=mean_w, peak_w=peak_w, is_counted=is_counted)


def power_by_rate(power: Power, at_us: int, rate_w: int, holds_us: int) -> Power:
    """After a rate, while no counter tells the power. A rate holds so long."""
    if power.rate is None:
        return Power(None, at_us, rate=(at_us, rate_w))
    told_us, held_w = power.rate
    energy = power.energy + held_w * min(at_us - told_us, holds_us)
    passed_us = at_us - power.from_us
    if passed_us < MEAN_US:
        return Power(None, power.from_us, 0, energy, (at_us, rate_w), power.mean_w, power.peak_w)
    mean_w = energy // passed_us
    borne_out_w = min(power.mean_w, mean_w)
    peak_w = borne_out_w if borne_out_w > (power.peak_w or 0) else power.peak_w
    return Power(None, at_us, rate=(at_us, rate_w), mean_w=mean_w, peak_w=peak_w)
