"""The message that nearly every message is: the newest of its vehicle, and its counter goes on as before.

What a walk over the quarter-hour gives for it can be told at once. Nothing else is decided here: whatever is not plain
is left to the walk.
"""

from sessions.counters import PLACEHOLDER_LEAST_WH, STEP_LIMIT_W, Run, is_step_steep
from sessions.energy import Energy
from sessions.evidence import Observation
from sessions.grid import QUARTER_US
from sessions.levels import Rise, next_highest


def steady(
    tail: Energy, tip: Energy, at_us: int, seen: Observation, *, limit_wh: float, first_level: tuple[int, float]
) -> tuple[Energy, int] | None:
    """The end of the walk with that message, and what its quarter-hour gains; null where only a walk can tell.

    `tail`, `tip`: where that quarter-hour begins, and the end of the walk up to the message before, which lies in it.
    `first_level`: when and with which level the part begins, if it has one. The vehicle is plugged in.
    """
    counter_wh, rate_w, percent = seen.counter_wh, seen.charge_rate_w, seen.level_percent
    is_broken = tip.restarts != tail.restarts or tip.implausible_steps != tail.implausible_steps
    if counter_wh is None or is_broken or tip.bare or tip.given_wh or (rate_w is not None and rate_w > STEP_LIMIT_W):
        return None
    run = _risen(tip.run, at_us, counter_wh, limit_wh)
    if tip.run is None or run is None or seen.is_charging not in {None, tip.charging.is_on}:
        return None
    highest_percent = _highest_before(tail, tip.run, first_level)
    if (tip.rise is None) is not (percent is None) or (percent is not None and highest_percent is None):
        return None
    gain_wh = counter_wh - tip.run.highest_wh
    if tip.worse:
        gain_wh -= sum(worse_wh for _, worse_wh in tip.worse)
    tail_from = max((at_us - 1) // QUARTER_US, tip.tail_from)
    tail_wh = tip.tail_wh[tail_from - tip.tail_from :]
    if gain_wh:
        place = at_us // QUARTER_US - tail_from
        tail_wh = gained(tail_wh, place, gain_wh)
        if not tail_wh[-1]:
            return None
    rate = tip.rate if rate_w is None else (at_us, max(rate_w, 0))
    counts = tip.implausible_steps, tip.restarts
    sum_wh = tip.sum_wh + gain_wh
    rise = None
    if percent is not None and highest_percent is not None:
        rise = Rise(at_us, percent, at_us, next_highest(highest_percent, percent), sum_wh)
    return Energy(
        tail_from, at_us, tail_wh, sum_wh, run, tip.charging, rate, 0, (), (), rise, 0, True, *counts
    ), gain_wh


def gained(energy_wh: tuple[int, ...], place: int, gain_wh: int) -> tuple[int, ...]:
    """Energies with more in their last place, which may be new."""
    if place < len(energy_wh):
        return (*energy_wh[:place], energy_wh[place] + gain_wh)
    return (*energy_wh, *(0,) * (place - len(energy_wh)), gain_wh)


def _risen(run: Run | None, at_us: int, counter_wh: int, limit_wh: float) -> Run | None:
    """The run with a reading that is plainly its next one, in the same quarter-hour."""
    if run is None or run.before_zero_wh or run.read_us // QUARTER_US != at_us // QUARTER_US:
        return None
    if counter_wh >= PLACEHOLDER_LEAST_WH and not run.highest_wh and run.began_us == run.read_us:
        # A single zero before it: the levels tell whether that meant anything.
        return None
    gain_wh = counter_wh - run.highest_wh
    if not 0 <= gain_wh <= limit_wh or is_step_steep(gain_wh, at_us - run.read_us):
        return None
    return Run(run.began_us, at_us, counter_wh)


def _highest_before(tail: Energy, run: Run, first_level: tuple[int, float]) -> float | None:
    """The highest level before this quarter-hour, if its counter leaves no gap for a level to fill."""
    if tail.rise is None:
        return first_level[1] if run.began_us <= first_level[0] else None
    if tail.run is None or (tail.bare and tail.bare[0][0] < tail.run.read_us):
        return None
    return next_highest(tail.rise.highest_percent, tail.rise.percent)
