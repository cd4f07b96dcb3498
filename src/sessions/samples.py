"""A vehicle's messages into its statistics: `take` with every message, `begin` where a part of a visit begins.

Most messages are the newest of their vehicle and walk one quarter-hour again; one that comes late walks all that is
remembered. Either way the totals are what a walk over the remembered readings gives, and nothing else.
"""

from math import inf

from msgspec import structs

from sessions.counters import STEP_LIMIT_W
from sessions.energy import RATE_HOLDS_US, Energy, Frame, continued, walk
from sessions.events import Counted
from sessions.evidence import Observation
from sessions.grid import QUARTER_US, micros
from sessions.power import power_by_counter, power_by_rate
from sessions.readings import Quarter, Readings, forget, is_told, oldest_needed, remember
from sessions.totals import BASELINE_US, FULL_PERCENT, Context, Totals, with_level, with_level_from


def begin(readings: Readings, context: Context, before: Totals | None = None) -> Totals:
    """A part begins, with what was told already. `before`: the part of the same visit that ends with it."""
    started_us = micros(context.started_at)
    if before is not None:
        base = continued(before.tip, started_us)
        quarters = readings.quarters
        baseline_us = open_us = 0
        walked_from = quarters[-1].index if quarters else started_us // QUARTER_US
    else:
        baseline_us, open_us = micros(context.plugged_in_at) - BASELINE_US, started_us
        base = Energy(started_us // QUARTER_US, started_us)
        walked_from = max(baseline_us // QUARTER_US, readings.kept_from)
    totals = Totals(
        started_us=started_us,
        baseline_us=baseline_us,
        open_us=open_us,
        walked_from=walked_from,
        base=base,
        tail=base,
        tip=base,
    )
    for quarter in readings.quarters:
        for at_us, percent in quarter.levels:
            totals = with_level(totals, quarter, at_us, percent)
    return _rewalked(totals, readings, _frame(totals, context))


def take(
    readings: Readings, totals: Totals | None, seen: Observation, context: Context | None
) -> tuple[Readings, Totals | None, tuple[Counted, ...]]:
    """Take a message: what is remembered, the totals of the open part, and what is to be counted.

    A message that tells nothing new changes neither, and both are the same objects then.
    """
    known = remember(readings, seen)
    counted = _counted_at_once(readings, known, seen)
    if known is readings:
        return readings, totals, counted
    oldest = oldest_needed(known.newest_us, is_visit_open=totals is not None)
    is_over = bool(known.quarters) and known.quarters[0].index < oldest
    if totals is None or context is None:
        return forget(known, oldest) if is_over else known, None, counted
    new = _with_seen(totals, known, seen)
    frame = _frame(new, context)
    newest = known.quarters[-1].index if known.quarters else 0
    index = micros(seen.at) // QUARTER_US
    if index < newest and known.quarters is not readings.quarters:
        if index >= totals.walked_from:
            new = _rewalked(new, known, frame, index)
    else:
        new = _walked_on(new, readings, known, frame)
    if is_over:
        new = _settled(new, known, frame, oldest)
        known = forget(known, oldest)
    if micros(seen.at) > readings.newest_us:
        new = _with_power(new, seen)
    return known, new, (*counted, *_counted_since(totals.tip, new.tip))


def moved_back(readings: Readings, totals: Totals, context: Context) -> Totals:
    """The part with an earlier start; its quarter-hours keep their places in time."""
    if totals.walked_from <= max(totals.baseline_us // QUARTER_US, readings.kept_from) and not totals.base.sum_wh:
        moved = begin(readings, context)
        moved = with_level_from(moved, totals.level_from_us, totals.level_from)
        return structs.replace(moved, power=totals.power)
    started_us = micros(context.started_at)
    shift = totals.started_us // QUARTER_US - started_us // QUARTER_US
    return structs.replace(
        totals,
        started_us=started_us,
        energy_wh=(0,) * shift + totals.energy_wh if totals.energy_wh else (),
        levels=(None,) * shift + totals.levels if totals.levels else (),
        changed_from=0,
    )


def _frame(totals: Totals, context: Context) -> Frame:
    capacity_wh = context.capacity_wh
    return Frame(
        totals.started_us,
        totals.baseline_us,
        totals.open_us,
        None if context.unplugged_at is None else micros(context.unplugged_at),
        inf if capacity_wh is None else capacity_wh / context.efficiency,
        (capacity_wh or context.default_capacity_wh) / context.efficiency / FULL_PERCENT,
        context.planned,
        None if totals.level_from is None else (totals.level_from_us, totals.level_from),
    )


def _walked_on(totals: Totals, before: Readings, known: Readings, frame: Frame) -> Totals:
    """Walk the newest quarter-hour again; the one before it is over once another begins."""
    tail, quarters = totals.tail, known.quarters
    if quarters:
        newest, over = quarters[-1], before.quarters[-1] if before.quarters else None
        if over is not None and totals.walked_from <= over.index < newest.index:
            tail, _ = walk(tail, over, frame)
    else:
        newest = Quarter(known.newest_us // QUARTER_US)
    tip, tail_wh = walk(tail, newest, frame, known.newest_us)
    first = totals.started_us // QUARTER_US
    energy_wh = _joined(totals.energy_wh, tail.tail_from - first, tail_wh)
    return structs.replace(totals, tail=tail, tip=tip, energy_wh=energy_wh, changed_from=tail.tail_from - first)


def _rewalked(totals: Totals, known: Readings, frame: Frame, index: int = 0) -> Totals:
    """Walk all that is remembered. `index`: the quarter-hour of what came late."""
    first, tail = totals.started_us // QUARTER_US, totals.base
    energy_wh = totals.energy_wh
    quarters = [quarter for quarter in known.quarters if quarter.index >= totals.walked_from]
    for quarter in quarters[:-1]:
        following, tail_wh = walk(tail, quarter, frame)
        energy_wh = _joined(energy_wh, tail.tail_from - first, tail_wh)
        tail = following
    newest = quarters[-1] if quarters else Quarter(known.newest_us // QUARTER_US)
    tip, tail_wh = walk(tail, newest, frame, known.newest_us)
    energy_wh = _joined(energy_wh, tail.tail_from - first, tail_wh)
    differs = (place for place, (old, new) in enumerate(zip(totals.energy_wh, energy_wh, strict=False)) if old != new)
    changed_from = min(max(index - first, 0), next(differs, len(totals.energy_wh)))
    return structs.replace(totals, tail=tail, tip=tip, energy_wh=energy_wh, changed_from=changed_from)


def _settled(totals: Totals, known: Readings, frame: Frame, before: int) -> Totals:
    """Let go of the quarter-hours before that one: what was walked of them is final."""
    base = totals.base
    for quarter in known.quarters:
        if totals.walked_from <= quarter.index < before:
            base, _ = walk(base, quarter, frame)
    tail = base if known.quarters[-1].index < before else totals.tail
    return structs.replace(totals, base=base, tail=tail, walked_from=max(totals.walked_from, before))


def _joined(energy_wh: tuple[int, ...], place: int, tail_wh: list[int]) -> tuple[int, ...]:
    missing = place - len(energy_wh)
    if not tail_wh:
        joined = energy_wh[:place]
        while joined and not joined[-1]:
            joined = joined[:-1]
        return joined
    if missing > 0:
        return (*energy_wh, *(0,) * missing, *tail_wh)
    return (*energy_wh[:place], *tail_wh)


def _with_seen(totals: Totals, known: Readings, seen: Observation) -> Totals:
    if seen.level_percent is None:
        return totals
    at_us = micros(seen.at)
    index = at_us // QUARTER_US
    quarter = next((quarter for quarter in reversed(known.quarters) if quarter.index <= index), None)
    if quarter is None or quarter.index != index:
        return totals
    return with_level(totals, quarter, at_us, seen.level_percent)


def _with_power(totals: Totals, seen: Observation) -> Totals:
    power, run, at_us = totals.power, totals.tip.run, micros(seen.at)
    if run is not None:
        if seen.counter_wh is None or run.read_us != at_us:
            return totals
        power = power_by_counter(power, run)
    elif seen.charge_rate_w is not None and seen.charge_rate_w <= STEP_LIMIT_W:
        rate_w = 0 if totals.tip.charging.is_on is False else max(seen.charge_rate_w, 0)
        power = power_by_rate(power, at_us, rate_w, RATE_HOLDS_US)
    return totals if power is totals.power else structs.replace(totals, power=power)


def _counted_at_once(readings: Readings, known: Readings, seen: Observation) -> tuple[Counted, ...]:
    counted: tuple[Counted, ...] = ()
    if seen.charge_rate_w is not None and seen.charge_rate_w > STEP_LIMIT_W:
        counted = (Counted.IMPLAUSIBLE_ENERGY_STEP,)
    if seen.counter_wh is not None and known.quarters is readings.quarters and not is_told(readings, seen):
        counted = (*counted, Counted.LATE_READING_IGNORED)
    return counted


def _counted_since(before: Energy, after: Energy) -> tuple[Counted, ...]:
    implausible_steps = max(after.implausible_steps - before.implausible_steps, 0)
    restarts = max(after.restarts - before.restarts, 0)
    return (Counted.IMPLAUSIBLE_ENERGY_STEP,) * implausible_steps + (Counted.COUNTER_RESTARTED,) * restarts
