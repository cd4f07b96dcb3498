"""The session logic as one pure function: `apply(vehicle, event, rules, prices)` gives the next state and the outputs.

It reads no clock and does no I/O: every time is in the event. Before an event of a later time is applied, the vehicle's
timers that are due before it fire, each at its due time; so what comes out depends on this vehicle's own events, and on
the prices known by then, alone.
"""

from datetime import datetime
from typing import Final, assert_never

from msgspec import structs

from models.telemetry import PowerDeliveryState
from sessions.arrival import delay_s, refusal_by_lateness, refusal_by_time
from sessions.blocks import stands_after
from sessions.control import follow, take_override
from sessions.counters import Run
from sessions.events import (
    Counted,
    Decision,
    Event,
    PolicyDeleted,
    PolicyShown,
    PolicyWritten,
    Rules,
    TargetWritten,
    TelemetryReceived,
    TimerDue,
)
from sessions.evidence import Observation, observe
from sessions.inferred import infer_charge
from sessions.parts import await_visit, context_of, manage_visit, update_visit
from sessions.policies import (
    delete_policy,
    effective_at,
    is_inheritable,
    refusal_by_rules,
    refuse_policy,
    restore_policy,
    write_policy,
)
from sessions.prices import PriceBook
from sessions.public import has_news, shown, totals_differ
from sessions.samples import take
from sessions.state import Capacity, ChargeLimit, Charging, Level, PowerState, Vehicle, Visit, managed_by
from sessions.step import NO_PRICES, Step
from sessions.targets import with_target
from sessions.timers import fire_before, fire_until
from sessions.visits import take_missed_unplug, take_place, take_plug_evidence, take_user

_UNKNOWN: Final = PowerDeliveryState.UNKNOWN


def apply(vehicle: Vehicle, event: Event, rules: Rules, prices: PriceBook = NO_PRICES) -> Decision:
    """Decide what an event changes. A refused event changes nothing."""
    match event:
        case TelemetryReceived():
            return _apply_telemetry(vehicle, event, rules, prices)
        case PolicyWritten():
            return _apply_policy(vehicle, event, rules, prices)
        case PolicyDeleted():
            return _apply_deletion(vehicle, event, rules, prices)
        case PolicyShown():
            return restore_policy(vehicle, event)
        case TargetWritten():
            return _apply_target(vehicle, event, rules, prices)
        case TimerDue():
            step = Step(vehicle, rules, prices)
            fire_until(step, event.now, is_wall=event.is_wall)
            return step.decision()
        case _:
            assert_never(event)


def _apply_policy(vehicle: Vehicle, event: PolicyWritten, rules: Rules, prices: PriceBook) -> Decision:
    if event.is_inherited and not is_inheritable(vehicle, event):
        return restore_policy(vehicle, PolicyShown(event.policy.id, event.policy, is_readable=True))
    refused = refusal_by_time(event.policy.at, event.logged_at) or refusal_by_rules(vehicle, event)
    if refused is not None:
        return refuse_policy(vehicle, event.policy.id, refused)
    known = managed_by(vehicle, event.policy.id)
    if known is not None and known.policy == event.policy:
        return Decision(vehicle=vehicle)
    step = Step(vehicle, rules, prices)
    at = effective_at(vehicle, event.policy.at, known)
    fire_before(step, at, event.logged_at)
    step.decided_at = event.logged_at
    write_policy(step, event, at)
    fire_before(step, at, event.logged_at)
    return step.decision()


def _apply_deletion(vehicle: Vehicle, event: PolicyDeleted, rules: Rules, prices: PriceBook) -> Decision:
    if event.is_inherited and not is_inheritable(vehicle, event):
        return restore_policy(vehicle, PolicyShown(event.policy_id, None, is_readable=True))
    refused = refusal_by_rules(vehicle, event)
    if refused is not None:
        return refuse_policy(vehicle, event.policy_id, refused)
    step = Step(vehicle, rules, prices)
    at = effective_at(vehicle, event.logged_at, managed_by(vehicle, event.policy_id))
    fire_before(step, at, event.logged_at)
    step.decided_at = event.logged_at
    delete_policy(step, event, at)
    return step.decision()


def _apply_target(vehicle: Vehicle, event: TargetWritten, rules: Rules, prices: PriceBook) -> Decision:
    record = event.record
    refused = refusal_by_time(record.at, event.logged_at)
    if refused is not None:
        return Decision(vehicle=vehicle, refused=refused)
    step = Step(vehicle, rules, prices)
    at = step.now(record.at)
    fire_before(step, at, event.logged_at)
    step.decided_at = event.logged_at
    for managed in step.vehicle.policies:
        session = managed.session
        if session is None or session.id != record.session_id:
            continue
        if session.override_at is not None and record.at <= session.override_at:
            # What the user said before, once more or late.
            return step.decision()
        session = structs.replace(session, override=record.target, override_at=record.at)
        step.keep_session(managed.policy.id, session)
        visit = step.vehicle.visit
        if visit is not None and visit.part.policy_id == managed.policy.id:
            before = shown(step.vehicle)
            take_override(step, at)
            if has_news(before, step.vehicle):
                update_visit(step, at)
        elif with_target(session, managed.policy, at) != session:
            await_visit(step, managed.policy.id, at)
        fire_before(step, at, event.logged_at)
        return step.decision()
    step.counted.append(Counted.TARGET_TOO_LATE)
    return step.decision()


def _apply_telemetry(vehicle: Vehicle, event: TelemetryReceived, rules: Rules, prices: PriceBook) -> Decision:
    at = event.message.at
    refused = refusal_by_time(at, event.logged_at) or refusal_by_lateness(vehicle, at, rules)
    if refused is not None:
        return Decision(vehicle=vehicle, refused=refused)
    step = Step(vehicle, rules, prices)
    has_fired = fire_before(step, at, event.logged_at)
    step.decided_at = event.logged_at
    _take_message(step, observe(event.message), has_fired=has_fired)
    newest_at = step.vehicle.newest_at
    if newest_at is None or at > newest_at:
        newest_at = step.vehicle.newest_at = at
        step.vehicle.user_id = event.message.user_id
        step.vehicle.delay_s = delay_s(at, event.logged_at)
    if _may_be_overdue(step):
        # What comes next, news or not, must not matter to it.
        fire_before(step, newest_at, event.logged_at)
    return step.decision()


def _may_be_overdue(step: Step) -> bool:
    """Whether a timer may be due in the past: an unplug or a plug-in came late, or an override's time has passed."""
    visit, known = step.vehicle.visit, step.before.visit
    if visit is None:
        return False
    if visit.unplugged_at is not None or known is None or known.part.control is None:
        return True
    return visit.part.started_at != known.part.started_at


def _take_message(step: Step, seen: Observation, *, has_fired: bool) -> None:
    if not take_user(step, seen):
        return
    take_missed_unplug(step, seen)
    known = step.before
    if has_fired or (known.visit is not None and step.vehicle.visit is None):
        # It is no more as it came in: what the message changes is held against how things stand now.
        known = step.renewed()
    # What comes once more is no sign of life.
    is_heard = step.vehicle.newest_at is None or seen.at > step.vehicle.newest_at
    is_leaving = seen.is_plugged_in is False
    if not is_leaving:
        take_plug_evidence(step, seen)
    take_place(step, seen)
    _take_sample(step, seen)
    visit = step.vehicle.visit
    if (
        visit is not None
        and not (visit.part.policy_id is None and manage_visit(step, seen.at, is_leaving=is_leaving))
        and visit.part.control is not None
        and not _is_known(step, seen)
    ):
        is_calm = follow(step, seen.at, is_heard=is_heard, is_leaving=is_leaving)
        if _is_news(known, visit, step.vehicle, is_calm=is_calm):
            update_visit(step, seen.at)
    if is_leaving:
        # Last, so that what the unplugging message itself tells still belongs to the visit.
        take_plug_evidence(step, seen)


def _is_news(known: Vehicle, visit: Visit, vehicle: Vehicle, *, is_calm: bool) -> bool:
    """Whether a client would see a difference to how things stood. `is_calm`: nothing was done about the message."""
    if is_calm and known.visit is not None and known.visit.part.control is not None:
        return totals_differ(known.visit.part.totals, visit.part.totals)
    return has_news(shown(known), vehicle)


def _is_known(step: Step, seen: Observation) -> bool:
    """Whether a message told nothing that had not been told: it may come again, whatever has changed meanwhile."""
    newest_at = step.before.newest_at
    return newest_at is not None and seen.at <= newest_at and step.vehicle == step.before


def _take_sample(step: Step, seen: Observation) -> None:
    vehicle, visit, at = step.vehicle, step.vehicle.visit, seen.at
    if seen.capacity_wh is not None and (vehicle.capacity is None or at > vehicle.capacity.at):
        vehicle.capacity = Capacity(at, seen.capacity_wh)
    if seen.charge_limit_percent is not None and (vehicle.charge_limit is None or at > vehicle.charge_limit.at):
        vehicle.charge_limit = ChargeLimit(at, seen.charge_limit_percent)
    if seen.power_state is not _UNKNOWN and (vehicle.power_state is None or at > vehicle.power_state.at):
        vehicle.power_state = PowerState(at, seen.power_state)
    if seen.is_charging is not None:
        _take_charging(vehicle, at, at, is_charging=seen.is_charging, is_told=True)
    level = vehicle.level
    if seen.level_percent is not None and (level is None or at > level.at):
        if visit is None:
            infer_charge(step, seen, level)
        vehicle.level = Level(at, seen.level_percent)
    _take_statistics(step, seen)
    if visit is not None and at > visit.newest_at:
        visit.newest_at = at


def _take_charging(vehicle: Vehicle, at: datetime, since: datetime, *, is_charging: bool, is_told: bool) -> None:
    known = vehicle.charging
    if known is not None and at <= known.at:
        return
    if known is not None and known.is_charging == is_charging:
        since = known.since
    vehicle.charging = Charging(at, is_charging, since, is_told)


def _take_statistics(step: Step, seen: Observation) -> None:
    vehicle, visit = step.vehicle, step.vehicle.visit
    if visit is None:
        vehicle.readings, _, counted = take(vehicle.readings, None, seen, None)
        step.counted.extend(counted)
        return
    part = visit.part
    known = part.totals
    vehicle.readings, totals, counted = take(vehicle.readings, known, seen, context_of(step, visit))
    step.counted.extend(counted)
    assert totals is not None
    if totals is not known:
        part.totals = totals
        part.kept = min(part.kept, totals.changed_from)
    if seen.is_charging is not None or seen.counter_wh is None or seen.at <= visit.newest_at:
        return
    charging = vehicle.charging
    if charging is None or not charging.is_told or charging.at < visit.plugged_in_at:
        _take_step(vehicle, visit, known.tip.run, totals.tip.run)
        _take_counter(vehicle, visit, seen.at, grew=totals.energy_sum_wh > known.energy_sum_wh)


def _take_step(vehicle: Vehicle, visit: Visit, before: Run | None, after: Run | None) -> None:
    """The smallest rise of a counter shows how coarse it is; each visit finds it anew."""
    if before is None or after is None or before.began_us != after.began_us:
        return
    step_wh = after.highest_wh - before.highest_wh
    if step_wh > 0:
        known_wh = vehicle.counter_step_wh if visit.has_counter_risen else None
        vehicle.counter_step_wh = step_wh if known_wh is None else min(known_wh, step_wh)
        visit.has_counter_risen = True


def _take_counter(vehicle: Vehicle, visit: Visit, at: datetime, *, grew: bool) -> None:
    """A feed that never says whether it charges shows it by its counter, once that grows or has stood for long."""
    stands_since = visit.counter_stands_since
    if grew or stands_since is None:
        visit.counter_stands_since = at
    if grew:
        _take_charging(vehicle, at, visit.newest_at, is_charging=True, is_told=False)
    elif stands_since is not None and at >= stands_since + stands_after(vehicle, visit):
        _take_charging(vehicle, at, stands_since, is_charging=False, is_told=False)
