"""The message that nearly every message is: the newest of its vehicle, and its counter goes on as before.

What a walk over the quarter-hour gives for it can be told at once. Nothing else is decided here: whatever is not plain
is left to the walk.
"""

from math import floor

from msgspec import structs

from sessions.counters import PLACEHOLDER_LEAST_WH, QUARTER_LIMIT_READINGS, STEP_LIMIT_W, Run, is_step_steep
from sessions.energy import Energy, joined
from sessions.evidence import Observation
from sessions.grid import QUARTER_US
from sessions.levels import Rise, next_highest
from sessions.power import power_by_counter
from sessions.readings import Quarter, Readings, has_before, oldest_needed, told
from sessions.totals import Context, Totals, frame_of, limit_wh, with_last_level
from sessions.walk import walk_on


def taken_steadily(
    readings: Readings, totals: Totals, at_us: int, seen: Observation, context: Context
) -> tuple[Readings, Totals] | None:
    """What is remembered, and the totals, with a message that goes on in the newest quarter-hour as the one before did.

    Null where only a walk can tell. The vehicle is plugged in.
    """
    newest, percent = readings.newest, seen.level_percent
    if newest is None or at_us // QUARTER_US != newest.index or at_us < totals.started_us:
        return None
    if at_us <= max(readings.newest_us, totals.tip.passed_us) or has_before(
        readings, oldest_needed(at_us, is_visit_open=True)
    ):
        return None
    if percent is not None and (totals.level_from is None or at_us <= totals.level_to_us):
        # The first level of a part may be the one that it begins with.
        return None
    found = (_risen_steadily if totals.unlevelled is None else _lifted_steadily)(totals, newest, at_us, seen, context)
    if found is None:
        return None
    quarter = told(newest, at_us, seen)
    if len(quarter.counters) == QUARTER_LIMIT_READINGS:
        return None
    tip, unlevelled, energy_wh, changed_from = found
    place = newest.index - totals.started_us // QUARTER_US
    assert tip.run is not None
    changed = structs.replace(
        totals,
        tip=tip,
        unlevelled=unlevelled,
        energy_wh=energy_wh,
        levels=totals.levels if percent is None else with_last_level(totals.levels, place, floor(percent)),
        level_to=totals.level_to if percent is None else percent,
        level_to_us=totals.level_to_us if percent is None else at_us,
        power=power_by_counter(totals.power, tip.run, tip.charging),
        changed_from=changed_from,
    )
    return Readings(readings.older, quarter, at_us, readings.kept_from), changed


# The end of the walk, the same without its last level, the energies of the part, and from where on they changed.
_Found = tuple[Energy, Energy | None, tuple[int, ...], int]


def _lifted_steadily(totals: Totals, newest: Quarter, at_us: int, seen: Observation, context: Context) -> _Found | None:
    """The next level takes the place of the one before: what it finds bare lies before the counter was first read."""
    tip, unlevelled, percent, counter_wh = totals.tip, totals.unlevelled, seen.level_percent, seen.counter_wh
    if unlevelled is None or percent is None or counter_wh is None or not _goes_on(unlevelled, seen):
        return None
    if _risen(unlevelled.run, at_us, counter_wh, limit_wh(context)) is None or not newest.counters[0][1]:
        # What a zero meant, the newest level tells.
        return None
    frame, rate_w = frame_of(totals, context), seen.charge_rate_w
    rate_w = None if rate_w is None else max(rate_w, 0)
    following, tail_wh, before = walk_on(unlevelled, at_us, counter_wh, rate_w, percent, frame)
    if following.implausible_steps != tip.implausible_steps or following.restarts != tip.restarts:
        return None
    place = unlevelled.tail_from - totals.started_us // QUARTER_US
    return following, before, joined(totals.energy_wh, place, tail_wh), place


def _risen_steadily(totals: Totals, newest: Quarter, at_us: int, seen: Observation, context: Context) -> _Found | None:
    """Nothing but the counter tells of energy, and all of it belongs to this quarter-hour.

    `totals.tail`, `totals.tip`: where that quarter-hour begins, and the end of the walk up to the message before, which
    lies in it.
    """
    tail, tip = totals.tail, totals.tip
    counter_wh, rate_w, percent, known = seen.counter_wh, seen.charge_rate_w, seen.level_percent, tip.run
    if counter_wh is None or known is None or not _goes_on(tip, seen) or (tip.rise is None) is not (percent is None):
        return None
    if tip.bare or tip.given_wh or tip.restarts != tail.restarts or tip.implausible_steps != tail.implausible_steps:
        return None
    run = _risen(known, at_us, counter_wh, limit_wh(context))
    if run is None:
        return None
    gain_wh = counter_wh - known.highest_wh
    if tip.worse:
        gain_wh -= sum(worse_wh for _, worse_wh in tip.worse)
    sum_wh, rise = tip.sum_wh + gain_wh, None
    if percent is not None:
        first_level = (max(totals.level_from_us, totals.started_us), totals.level_from or 0.0)
        highest_percent = _highest_before(tail, known, first_level)
        if highest_percent is None:
            return None
        rise = Rise(at_us, percent, at_us, next_highest(highest_percent, percent), sum_wh)
    tail_from = max((at_us - 1) // QUARTER_US, tip.tail_from)
    tail_wh = tip.tail_wh[tail_from - tip.tail_from :]
    if gain_wh:
        tail_wh = gained(tail_wh, newest.index - tail_from, gain_wh)
        if not tail_wh[-1]:
            return None
    rate = tip.rate if rate_w is None else (at_us, max(rate_w, 0))
    counts = tip.implausible_steps, tip.restarts
    energy = Energy(tail_from, at_us, tail_wh, sum_wh, run, tip.charging, rate, 0, (), (), rise, 0, True, *counts)
    place = newest.index - totals.started_us // QUARTER_US
    return energy, None, gained(totals.energy_wh, place, gain_wh) if gain_wh else totals.energy_wh, place


def _goes_on(tip: Energy, seen: Observation) -> bool:
    """Whether the vehicle goes on as it did, and its rate is one that there may be."""
    if seen.charge_rate_w is not None and seen.charge_rate_w > STEP_LIMIT_W:
        return False
    return seen.is_charging is None or seen.is_charging is tip.charging.is_on


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
