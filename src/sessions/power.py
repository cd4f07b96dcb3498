"""The highest power at which a vehicle charged, as a mean over at least five minutes.

Only what comes in order tells it. One wrong sample must not: so a mean counts as far as the next one bears it out. Nor
must a few seconds of charging: a mean over a time in which the vehicle also stood counts only if it is about the other.
"""

from typing import Final

from msgspec import Struct, structs

from sessions.counters import Run
from sessions.energy import Charging
from sessions.grid import HOUR_US, MINUTE_US

# Shorter means are those of a moment.
MEAN_US: Final = 5 * MINUTE_US
# A mean over a time in which the vehicle did not always charge tells its power if it is at least so much of the next.
ONE_POWER_SHARE: Final = 0.75


class Power(Struct, frozen=True, array_like=True):
    """The window under way, from `from_us`; the mean of the one before; and the highest that two in a row reached.

    `run_us`: the run of the counter that tells it; null: rates tell it. `from_wh`: what the counter showed then;
    `energy`: what the rates gave since then, in W·µs. `rate`: the newest one, and when. `is_counted`: a counter told
    the peak. `is_whole`: the vehicle is not known to have stood within the window before.
    """

    run_us: int | None = None
    from_us: int = 0
    from_wh: int = 0
    energy: int = 0
    rate: tuple[int, int] | None = None
    mean_w: int = 0
    peak_w: int | None = None
    is_counted: bool = False
    is_whole: bool = True


def power_by_counter(power: Power, run: Run, charging: Charging) -> Power:
    """After a reading. Counters of few digits stand and jump: a window lasts from one rise to another."""
    if power.run_us != run.began_us:
        return Power(run.began_us, run.read_us, run.highest_wh, peak_w=power.peak_w, is_counted=power.is_counted)
    passed_us, gained_wh = run.read_us - power.from_us, run.highest_wh - power.from_wh
    if not gained_wh and charging.is_on and charging.since_us > power.from_us:
        # It begins to charge: what came before is no part of a mean.
        return Power(run.began_us, run.read_us, run.highest_wh, peak_w=power.peak_w, is_counted=power.is_counted)
    if passed_us < MEAN_US or not gained_wh:
        return power
    mean_w, is_whole = gained_wh * HOUR_US // passed_us, _has_charged_since(power.from_us, charging)
    borne_out_w, peak_w, is_counted = _borne_out_w(power, mean_w, is_whole=is_whole), power.peak_w, power.is_counted
    if borne_out_w > (peak_w or 0) or (borne_out_w and not is_counted):
        peak_w, is_counted = borne_out_w, True
    return Power(
        run.began_us,
        run.read_us,
        run.highest_wh,
        mean_w=mean_w,
        peak_w=peak_w,
        is_counted=is_counted,
        is_whole=is_whole,
    )


def power_by_rate(power: Power, at_us: int, rate_w: int, holds_us: int, charging: Charging) -> Power:
    """After a rate, while no counter tells the power. A rate holds so long."""
    if power.rate is None:
        return Power(None, at_us, rate=(at_us, rate_w))
    told_us, held_w = power.rate
    energy = power.energy + held_w * min(at_us - told_us, holds_us)
    if not energy and charging.is_on and charging.since_us > power.from_us:
        return Power(None, at_us, rate=(at_us, rate_w), peak_w=power.peak_w)
    passed_us = at_us - power.from_us
    if passed_us < MEAN_US:
        return structs.replace(power, energy=energy, rate=(at_us, rate_w))
    mean_w, is_whole = energy // passed_us, _has_charged_since(power.from_us, charging)
    borne_out_w = _borne_out_w(power, mean_w, is_whole=is_whole)
    peak_w = borne_out_w if borne_out_w > (power.peak_w or 0) else power.peak_w
    return Power(None, at_us, rate=(at_us, rate_w), mean_w=mean_w, peak_w=peak_w, is_whole=is_whole)


def _borne_out_w(power: Power, mean_w: int, *, is_whole: bool) -> int:
    """The lower of the newest two means; 0 where that only tells that the vehicle did not charge all the time."""
    lower_w, higher_w = min(power.mean_w, mean_w), max(power.mean_w, mean_w)
    is_one_power = (is_whole and power.is_whole) or lower_w >= ONE_POWER_SHARE * higher_w
    return lower_w if is_one_power else 0


def _has_charged_since(from_us: int, charging: Charging) -> bool:
    """Whether the vehicle has charged all the time from then on; where it never says so, it may have."""
    return charging.is_on is None or (charging.is_on and charging.since_us <= from_us)
