"""A vehicle's messages into its statistics: `take` with every message, `begin` where a part of a visit begins.

Most messages are the newest of their vehicle and walk one quarter-hour again; one that comes late walks all that is
remembered. Either way the totals are what a walk over the remembered readings gives, and nothing else.
"""

from msgspec import structs

from sessions.counters import STEP_LIMIT_W, Run
from sessions.energy import Energy, Frame, continued, first_difference, joined
from sessions.events import Counted
from sessions.evidence import Observation
from sessions.grid import QUARTER_US, micros
from sessions.power import power_by_counter, power_by_rate
from sessions.readings import (
    Quarter,
    Readings,
    forget,
    has_before,
    is_told,
    oldest_needed,
    quarter_at,
    quarters_of,
    remember,
)
from sessions.steady import taken_steadily
from sessions.totals import BASELINE_US, Context, Totals, frame_of, with_level, with_level_from
from sessions.walk import walk, walk_newest
from sessions.walker import RATE_HOLDS_US


def begin(
    readings: Readings, context: Context, before: Totals | None = None, *, level_percent: float | None = None
) -> Totals:
    """A part begins, with what was told already. `before`: the part of the same visit that ends with it.

    `level_percent`: what the plug-in itself tells. Where that comes late, nothing of its message may be kept: of a
    quarter-hour only the first and the last level are.
    """
    started_us = micros(context.started_at)
    if before is not None:
        base = continued(before.tip, started_us)
        baseline_us = open_us = 0
        walked_from = (
            readings.newest_us if readings.newest is None else readings.newest.index * QUARTER_US
        ) // QUARTER_US
    else:
        baseline_us, open_us = micros(context.plugged_in_at) - BASELINE_US, started_us
        run = _baseline(readings, baseline_us, started_us)
        base = Energy(started_us // QUARTER_US, started_us, run=run)
        walked_from = max(baseline_us // QUARTER_US, readings.kept_from)
    totals = Totals(
        started_us=started_us,
        baseline_us=baseline_us,
        open_us=open_us,
        states_after_us=0 if before is None else readings.newest_us,
        walked_from=walked_from,
        base=base,
        tail=base,
        tip=base,
    )
    for quarter in quarters_of(readings, (started_us - BASELINE_US) // QUARTER_US):
        for at_us, percent in quarter.levels:
            totals = with_level(totals, quarter, at_us, percent)
    totals = with_level_from(totals, started_us, level_percent)
    return rewalked(totals, readings, frame_of(totals, context))


def take(
    readings: Readings, totals: Totals | None, seen: Observation, context: Context | None
) -> tuple[Readings, Totals | None, tuple[Counted, ...]]:
    """Take a message: what is remembered, the totals of the open part, and what is to be counted.

    A message that tells nothing new changes neither, and both are the same objects then.
    """
    at_us = micros(seen.at)
    if totals is not None and context is not None and context.unplugged_at is None:
        steadily = taken_steadily(readings, totals, at_us, seen, context)
        if steadily is not None:
            return *steadily, ()
    known = remember(readings, at_us, seen)
    counted = _counted_at_once(readings, known, at_us, seen)
    if known is readings:
        return readings, totals, counted
    oldest = oldest_needed(known.newest_us, is_visit_open=totals is not None)
    is_over = has_before(known, oldest)
    if totals is None or context is None:
        return forget(known, oldest) if is_over else known, None, counted
    told = totals if seen.level_percent is None else _with_told_level(totals, known, at_us, seen.level_percent)
    new = _walked(told, totals, (readings, known), at_us, context)
    if is_over:
        new = _settled(new, known, frame_of(new, context), oldest)
        known = forget(known, oldest)
    if at_us > readings.newest_us:
        new = _with_power(new, at_us, seen)
    return known, new, (*counted, *_counted_since(totals.tip, new.tip))


def moved_back(readings: Readings, totals: Totals, context: Context, *, level_percent: float | None = None) -> Totals:
    """The part with an earlier start, and what the plug-in tells there; its quarter-hours keep their places in time."""
    started_us = micros(context.started_at)
    if totals.base.passed_us == totals.started_us:
        moved = begin(readings, context, level_percent=level_percent)
        moved = with_level_from(moved, totals.level_from_us, totals.level_from)
        return structs.replace(rewalked(moved, readings, frame_of(moved, context)), power=totals.power)
    shift = totals.started_us // QUARTER_US - started_us // QUARTER_US
    totals = with_level_from(structs.replace(totals, started_us=started_us), started_us, level_percent)
    totals = structs.replace(
        totals,
        energy_wh=(0,) * shift + totals.energy_wh if totals.energy_wh else (),
        levels=(None,) * shift + totals.levels if totals.levels else (),
    )
    return rewalked(totals, readings, frame_of(totals, context))


def _walked(told: Totals, before: Totals, readings: tuple[Readings, Readings], at_us: int, context: Context) -> Totals:
    """The totals after a message; `told` has its level already. `readings`: those before it, and those with it."""
    were, known = readings
    index = at_us // QUARTER_US
    is_late = known.older is not were.older and were.newest is not None and index < were.newest.index
    is_first_level = (told.level_from_us, told.level_from) != (before.level_from_us, before.level_from)
    if is_first_level or (is_late and index >= told.walked_from):
        return rewalked(told, known, frame_of(told, context), index)
    if is_late:
        # It comes from before what this part walks: but for its level it tells nothing.
        place = max(index - told.started_us // QUARTER_US, 0)
        return told if told is before else structs.replace(told, changed_from=place)
    return _walked_on(told, were, known, frame_of(told, context))


def _walked_on(totals: Totals, before: Readings, known: Readings, frame: Frame) -> Totals:
    """Walk the newest quarter-hour again; the one before it is over once another begins."""
    first, tail, energy_wh = totals.started_us // QUARTER_US, totals.tail, totals.energy_wh
    over, newest = before.newest, _newest(totals, known)
    changed_from = tail.tail_from - first
    if over is not None and totals.walked_from <= over.index < newest.index:
        following, tail_wh = walk(tail, over, frame)
        # Plans and capacity may have changed since it was walked: what it gives now is what holds.
        energy_wh = joined(energy_wh, changed_from, tail_wh)
        tail = following
    tip, tail_wh, unlevelled = walk_newest(tail, newest, frame, known.newest_us)
    energy_wh = joined(energy_wh, tail.tail_from - first, tail_wh)
    return structs.replace(
        totals, tail=tail, tip=tip, unlevelled=unlevelled, energy_wh=energy_wh, changed_from=changed_from
    )


def rewalked(totals: Totals, known: Readings, frame: Frame, index: int = 0) -> Totals:
    """Walk all that is remembered. `index`: the quarter-hour of what came late."""
    first, tail, newest = totals.started_us // QUARTER_US, totals.base, _newest(totals, known)
    energy_wh = totals.energy_wh
    for quarter in quarters_of(known, totals.walked_from):
        if quarter.index < newest.index:
            following, tail_wh = walk(tail, quarter, frame)
            energy_wh = joined(energy_wh, tail.tail_from - first, tail_wh)
            tail = following
    tip, tail_wh, unlevelled = walk_newest(tail, newest, frame, known.newest_us)
    energy_wh = joined(energy_wh, tail.tail_from - first, tail_wh)
    pairs = enumerate(zip(totals.energy_wh, energy_wh, strict=False))
    # A series that became shorter has lost what it had beyond its new end.
    same = min(len(totals.energy_wh), len(energy_wh))
    changed_from = min(max(index - first, 0), next((place for place, (old, new) in pairs if old != new), same))
    return structs.replace(
        totals, tail=tail, tip=tip, unlevelled=unlevelled, energy_wh=energy_wh, changed_from=changed_from
    )


def _newest(totals: Totals, readings: Readings) -> Quarter:
    """The newest quarter-hour that something is known of, if it matters to the part."""
    newest = readings.newest
    if newest is None or newest.index < totals.walked_from:
        return Quarter(max(readings.newest_us // QUARTER_US, totals.walked_from))
    return newest


def _baseline(readings: Readings, from_us: int, started_us: int) -> Run | None:
    """The newest counter reading from before the start, if it is not too old."""
    for quarter in reversed(quarters_of(readings, from_us // QUARTER_US)):
        for at_us, counter_wh, _ in reversed(quarter.counters):
            if at_us < started_us:
                return Run(at_us, at_us, counter_wh) if at_us >= from_us else None
    return None


def _settled(totals: Totals, known: Readings, frame: Frame, before: int) -> Totals:
    """Let go of the quarter-hours before that one: what was walked of them is final."""
    first, base, energy_wh = totals.started_us // QUARTER_US, totals.base, totals.energy_wh
    for quarter in quarters_of(known, totals.walked_from):
        if quarter.index < before:
            following, tail_wh = walk(base, quarter, frame)
            energy_wh = joined(energy_wh, base.tail_from - first, tail_wh)
            base = following
    walked_from = max(totals.walked_from, before)
    final = max(base.tail_from - first, 0)
    changed = first_difference(energy_wh[:final], totals.energy_wh[:final])
    if changed is not None:
        # The plan has changed since they were walked, and with it how their energy is spread: all goes on from there.
        settled = structs.replace(totals, base=base, energy_wh=energy_wh, walked_from=walked_from)
        again = rewalked(settled, known, frame)
        return structs.replace(again, changed_from=min(again.changed_from, totals.changed_from, changed))
    tail = base if known.newest is not None and known.newest.index < before else totals.tail
    return structs.replace(totals, base=base, tail=tail, walked_from=walked_from)


def _with_told_level(totals: Totals, known: Readings, at_us: int, percent: float) -> Totals:
    quarter = quarter_at(known, at_us // QUARTER_US)
    # A level that is not kept must not count either, or it would when it comes again after the part has begun.
    is_kept = quarter is not None and (at_us, percent) in quarter.levels
    return with_level(totals, quarter, at_us, percent) if quarter is not None and is_kept else totals


def _with_power(totals: Totals, at_us: int, seen: Observation) -> Totals:
    power, run = totals.power, totals.tip.run
    if run is not None:
        if seen.counter_wh is None or run.read_us != at_us:
            return totals
        power = power_by_counter(power, run, totals.tip.charging)
    elif seen.charge_rate_w is not None and seen.charge_rate_w <= STEP_LIMIT_W:
        charging = totals.tip.charging
        rate_w = 0 if charging.is_on is False else max(seen.charge_rate_w, 0)
        power = power_by_rate(power, at_us, rate_w, RATE_HOLDS_US, charging)
    return totals if power is totals.power else structs.replace(totals, power=power)


def _counted_at_once(readings: Readings, known: Readings, at_us: int, seen: Observation) -> tuple[Counted, ...]:
    counted: tuple[Counted, ...] = ()
    if seen.charge_rate_w is not None and seen.charge_rate_w > STEP_LIMIT_W:
        counted = (Counted.IMPLAUSIBLE_ENERGY_STEP,)
    if (
        known.older is readings.older
        and known.newest is readings.newest
        and seen.counter_wh is not None
        and not is_told(readings, at_us, seen.counter_wh)
    ):
        counted = (*counted, Counted.LATE_READING_IGNORED)
    return counted


def _counted_since(before: Energy, after: Energy) -> tuple[Counted, ...]:
    if before.implausible_steps == after.implausible_steps and before.restarts == after.restarts:
        return ()
    implausible_steps = max(after.implausible_steps - before.implausible_steps, 0)
    restarts = max(after.restarts - before.restarts, 0)
    return (Counted.IMPLAUSIBLE_ENERGY_STEP,) * implausible_steps + (Counted.COUNTER_RESTARTED,) * restarts
