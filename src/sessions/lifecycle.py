"""The session logic as one pure function: `apply(vehicle, event, rules)` gives the next state and what to publish.

It reads no clock and does no I/O: every time is in the event. Before an event of a later time is applied, the vehicle's
timers that are due before it fire, each at its due time; so what comes out depends on this vehicle's own events alone.
"""

from datetime import datetime
from typing import assert_never

from msgspec import structs

from sessions.arrival import delay_s, refusal_by_lateness, refusal_by_time
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
from sessions.policies import delete_policy, effective_at, refusal_by_rules, refuse_policy, restore_policy, write_policy
from sessions.prices import PriceBook
from sessions.public import shown
from sessions.state import Capacity, Vehicle, managed_by
from sessions.statistics import fold_charging, fold_counter, fold_level
from sessions.step import Step
from sessions.visits import confirm_unplug, fire_next_timer, next_timer_at, take_place, take_plug_evidence, take_user


def apply(vehicle: Vehicle, event: Event, rules: Rules, prices: PriceBook | None = None) -> Decision:
    """Decide what an event changes. A refused event changes nothing."""
    match event:
        case TelemetryReceived():
            return _apply_telemetry(vehicle, event, rules)
        case PolicyWritten():
            return _apply_policy(vehicle, event, rules)
        case PolicyDeleted():
            step = Step(vehicle)
            at = effective_at(vehicle, event.logged_at, managed_by(vehicle, event.policy_id))
            _fire_timers(step, rules, before=at)
            delete_policy(step, event, at)
            return step.decision()
        case PolicyShown():
            return restore_policy(vehicle, event)
        case TargetWritten():
            return Decision(vehicle=vehicle, counted=(Counted.TARGET_TOO_LATE,))
        case TimerDue():
            step = Step(vehicle)
            _fire_timers(step, rules, until=event.now)
            return step.decision()
        case _:
            assert_never(event)


def _apply_policy(vehicle: Vehicle, event: PolicyWritten, rules: Rules) -> Decision:
    refused = refusal_by_time(event.policy.at, event.logged_at) or refusal_by_rules(vehicle, event.policy)
    if refused is not None:
        return refuse_policy(vehicle, event.policy.id, refused)
    known = managed_by(vehicle, event.policy.id)
    if known is not None and known.policy == event.policy:
        return Decision(vehicle=vehicle)
    step = Step(vehicle)
    at = effective_at(vehicle, event.policy.at, known)
    _fire_timers(step, rules, before=at)
    write_policy(step, event, at)
    return step.decision()


def _apply_telemetry(vehicle: Vehicle, event: TelemetryReceived, rules: Rules) -> Decision:
    at = event.message.at
    refused = refusal_by_time(at, event.logged_at) or refusal_by_lateness(vehicle, at, rules)
    if refused is not None:
        return Decision(vehicle=vehicle, refused=refused)
    step = Step(vehicle)
    _fire_timers(step, rules, before=at)
    _take_message(step, observe(event.message), rules)
    newest_at = step.vehicle.newest_at
    if newest_at is None or at > newest_at:
        step.vehicle = structs.replace(
            step.vehicle, newest_at=at, user_id=event.message.user_id, delay_s=delay_s(at, event.logged_at)
        )
    # An unplug that comes late may be overdue already: what comes next, news or not, must not matter to it.
    _fire_timers(step, rules, before=step.vehicle.newest_at)
    return step.decision()


def _take_message(step: Step, seen: Observation, rules: Rules) -> None:
    if not take_user(step, seen):
        return
    before = shown(step.vehicle.visit)
    has_moved = False
    if seen.is_plugged_in is not False:
        has_moved = take_plug_evidence(step, seen, rules)
    take_place(step, seen)
    _take_sample(step, seen)
    visit = step.vehicle.visit
    if visit is not None and not step.manage_visit(seen.at) and (has_moved or shown(step.vehicle.visit) != before):
        step.update_visit(seen.at)
    if seen.is_plugged_in is False:
        # Last, so that what the unplugging message itself tells still belongs to the visit.
        take_plug_evidence(step, seen, rules)


def _take_sample(step: Step, seen: Observation) -> None:
    vehicle = step.vehicle
    visit = vehicle.visit
    if visit is not None and seen.at > visit.newest_at:
        vehicle = structs.replace(vehicle, visit=structs.replace(visit, newest_at=seen.at))
    if seen.capacity_wh is not None and (vehicle.capacity is None or seen.at > vehicle.capacity.at):
        vehicle = structs.replace(vehicle, capacity=Capacity(seen.at, seen.capacity_wh))
    vehicle = fold_level(fold_charging(vehicle, seen), seen)
    step.vehicle, counted = fold_counter(vehicle, seen)
    if counted is not None:
        step.counted.append(counted)


def _fire_timers(step: Step, rules: Rules, *, before: datetime | None = None, until: datetime | None = None) -> None:
    """Fire what is due, each at its due time. A message at the very due time comes first: `before` excludes it."""
    if before is not None:
        while fire_next_timer(step, rules, before):
            pass
    due_at = next_timer_at(step.vehicle, rules)
    if until is not None and due_at is not None and due_at <= until:
        confirm_unplug(step, rules)
