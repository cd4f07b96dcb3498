"""Plug visits: when one begins, what keeps it open, and when it is over.

Plug evidence is ordered by its event time; of two that share a moment, the unplug stands. So evidence that comes again,
or late, changes nothing, but for one thing: late news that the plug was in before we knew moves the plug-in back.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.ids import LocationId
from sessions.events import Rules
from sessions.evidence import Observation
from sessions.identity import charging_event_id
from sessions.state import Evidence, Part, Place, Vehicle, Visit
from sessions.statistics import begin_part, moved_back
from sessions.step import OPENING_STEP, Step
from sessions.transitions import Cause

# A location told so shortly before a plug-in is where the vehicle was plugged in.
PLACE_WINDOW: Final = timedelta(minutes=10)


def next_timer_at(vehicle: Vehicle, rules: Rules) -> datetime | None:
    """When the timer is due that fires while the vehicle is silent, too; null: it has none."""
    visit = vehicle.visit
    if visit is None or visit.unplugged_at is None:
        return None
    return visit.unplugged_at + rules.unplug_debounce


def fire_next_timer(step: Step, rules: Rules, before: datetime) -> bool:
    """Let the earliest timer that is due before an event fire, at its due time. Tells whether there was one.

    Beside the debounce these are silence, which ends a visit at its last evidence, and the longest time of a part: a
    session must not grow without bound.
    """
    visit = step.vehicle.visit
    if visit is None:
        return False
    silent_at = visit.newest_at + rules.visit_timeout
    too_long_at = visit.part.started_at + rules.visit_max
    due_at = min(next_timer_at(step.vehicle, rules) or silent_at, silent_at, too_long_at)
    if due_at >= before:
        return False
    if visit.unplugged_at is not None and due_at == visit.unplugged_at + rules.unplug_debounce:
        confirm_unplug(step, rules)
    elif due_at == silent_at:
        end_visit(step, visit.unplugged_at or visit.newest_at, due_at)
    else:
        _begin_next_part(step, due_at)
    return True


def confirm_unplug(step: Step, rules: Rules) -> None:
    """The debounce is over: the visit ends at the first evidence of its unplug, at the time its timer was due."""
    visit = step.vehicle.visit
    assert visit is not None
    assert visit.unplugged_at is not None
    end_visit(step, visit.unplugged_at, visit.unplugged_at + rules.unplug_debounce)


def end_visit(step: Step, ended_at: datetime, at: datetime) -> None:
    """The visit is over: its session settles and, in the same step, its policy awaits the next one."""
    visit = step.vehicle.visit
    assert visit is not None
    policy_id = visit.part.policy_id
    step.settle_part(ended_at, at, Cause.UNPLUGGED)
    left_at = _later(step.vehicle.left_at, ended_at)
    evidence = step.vehicle.evidence
    if evidence is not None and not evidence.is_plugged_in:
        # The last unplug may be later than the first, at which the visit ends.
        left_at = _later(left_at, evidence.at)
    step.vehicle = structs.replace(step.vehicle, visit=None, left_at=left_at)
    if policy_id is not None:
        step.open_session(policy_id, at)


def take_user(step: Step, seen: Observation) -> bool:
    """A message of another user ends the open visit at its last evidence.

    Tells whether the message may say more: one of another user that is older than the vehicle's newest may not, nor
    one that is older than the present user's time.
    """
    vehicle = step.vehicle
    if vehicle.user_id is None:
        return True
    if vehicle.user_id == seen.user_id:
        return vehicle.other_user_at is None or seen.at > vehicle.other_user_at
    if vehicle.newest_at is not None and seen.at <= vehicle.newest_at:
        return False
    visit = vehicle.visit
    if visit is not None:
        end_visit(step, visit.unplugged_at or visit.newest_at, seen.at)
    step.vehicle = structs.replace(step.vehicle, other_user_at=vehicle.newest_at)
    return True


def take_plug_evidence(step: Step, seen: Observation, rules: Rules) -> bool:
    """Apply what a message says of the plug. Tells whether the open visit's start has moved."""
    if seen.is_plugged_in is None or _is_last_of_charge(step.vehicle, seen):
        return False
    if _is_news(step.vehicle.evidence, seen):
        if seen.is_plugged_in:
            _take_plug_in(step, seen)
        else:
            _take_plug_out(step, seen, rules)
        return False
    return seen.is_plugged_in and _move_plug_in_back(step, seen)


def take_place(step: Step, seen: Observation) -> None:
    """Learn where the vehicle is, and by it where the open visit is, if nobody knew."""
    if seen.location_id is None:
        return
    vehicle = step.vehicle
    if vehicle.place is None or seen.at > vehicle.place.at:
        vehicle = structs.replace(vehicle, place=Place(seen.at, seen.location_id))
    visit = vehicle.visit
    if visit is not None and visit.location_id is None and seen.at >= visit.plugged_in_at - PLACE_WINDOW:
        vehicle = structs.replace(vehicle, visit=structs.replace(visit, location_id=seen.location_id))
    step.vehicle = vehicle


def release_part(step: Step, at: datetime) -> None:
    """The policy of the open visit lets go of it: its session settles now, and an unmanaged part begins."""
    visit = step.vehicle.visit
    assert visit is not None
    # Two parts never begin at the same time, or they would share an id.
    started_at = max(at, visit.part.started_at + OPENING_STEP)
    step.settle_part(visit.unplugged_at or started_at, at, Cause.RELEASED)
    _begin_part(step, visit, started_at)


def _begin_next_part(step: Step, at: datetime) -> None:
    """A part has lasted its longest time: it settles at its last evidence, and its policy goes on with the next one."""
    visit = step.vehicle.visit
    assert visit is not None
    policy_id = visit.part.policy_id
    step.settle_part(visit.unplugged_at or min(visit.newest_at, at), at, Cause.UNPLUGGED)
    _begin_part(step, visit, at)
    if policy_id is not None:
        step.open_session(policy_id, at)


def _begin_part(step: Step, visit: Visit, started_at: datetime) -> None:
    part = Part(started_at=started_at, charging_event_id=charging_event_id(step.vehicle.id, started_at))
    part = begin_part(part, step.vehicle)
    step.vehicle = structs.replace(step.vehicle, visit=structs.replace(visit, part=part))


def _is_news(known: Evidence | None, seen: Observation) -> bool:
    if known is None or seen.at > known.at:
        return True
    return seen.at == known.at and known.is_plugged_in and not seen.is_plugged_in


def _is_last_of_charge(vehicle: Vehicle, seen: Observation) -> bool:
    """The last readings of a charge often come after the unplug; they do not plug the vehicle in again.

    That holds for the whole debounce, however it ends, so that such a reading says as little when it comes again.
    """
    heard_after = vehicle.charge_heard_after
    return not seen.is_decisive and heard_after is not None and seen.at <= heard_after


def _take_plug_in(step: Step, seen: Observation) -> None:
    visit = step.vehicle.visit
    if visit is not None and visit.unplugged_at is not None and _is_other_charger(visit, seen):
        end_visit(step, visit.unplugged_at, seen.at)
        visit = None
    if visit is None and _is_within_past(step.vehicle, seen.at):
        return
    step.vehicle = structs.replace(step.vehicle, evidence=Evidence(seen.at, is_plugged_in=True))
    if visit is None:
        _begin_visit(step, seen)
        return
    charger_id = visit.charger_id if seen.charger_id is None else seen.charger_id
    visit = structs.replace(visit, unplugged_at=None, charger_id=charger_id)
    step.vehicle = structs.replace(step.vehicle, visit=visit)


def _is_within_past(vehicle: Vehicle, at: datetime) -> bool:
    """No visit begins before what is over: visits never overlap."""
    return vehicle.left_at is not None and at <= vehicle.left_at


def _told_place(vehicle: Vehicle, plugged_in_at: datetime) -> LocationId | None:
    """Where the vehicle is, by what it told shortly before that plug-in or since."""
    place = vehicle.place
    return None if place is None or place.at < plugged_in_at - PLACE_WINDOW else place.location_id


def _begin_visit(step: Step, seen: Observation) -> None:
    vehicle = step.vehicle
    part = Part(started_at=seen.at, charging_event_id=charging_event_id(vehicle.id, seen.at))
    step.vehicle = structs.replace(
        vehicle,
        visit=Visit(
            plugged_in_at=seen.at,
            user_id=seen.user_id,
            # Not seen.at: a plug-in that comes late opens a visit of which later messages have already told.
            newest_at=max(seen.at, vehicle.newest_at or seen.at),
            part=begin_part(part, vehicle),
            location_id=seen.location_id or _told_place(vehicle, seen.at),
            charger_id=seen.charger_id,
        ),
    )


def _take_plug_out(step: Step, seen: Observation, rules: Rules) -> None:
    vehicle = structs.replace(step.vehicle, evidence=Evidence(seen.at, is_plugged_in=False))
    visit = vehicle.visit
    if visit is None:
        step.vehicle = structs.replace(vehicle, left_at=_later(vehicle.left_at, seen.at))
        return
    if visit.unplugged_at is None:
        heard_after = _later(vehicle.charge_heard_after, seen.at + rules.unplug_debounce)
        visit = structs.replace(visit, unplugged_at=seen.at)
        vehicle = structs.replace(vehicle, visit=visit, charge_heard_after=heard_after)
    step.vehicle = vehicle
    if not rules.unplug_debounce:
        confirm_unplug(step, rules)


def _move_plug_in_back(step: Step, seen: Observation) -> bool:
    visit, at = step.vehicle.visit, seen.at
    if visit is None or at >= visit.plugged_in_at or visit.part.started_at != visit.plugged_in_at:
        return False
    if _is_within_past(step.vehicle, at):
        return False
    location_id = visit.location_id or seen.location_id or _told_place(step.vehicle, at)
    part = moved_back(visit.part, at, seen.level_percent)
    visit = structs.replace(visit, plugged_in_at=at, part=part, location_id=location_id)
    step.vehicle = structs.replace(step.vehicle, visit=visit)
    return True


def _is_other_charger(visit: Visit, seen: Observation) -> bool:
    return None not in {visit.charger_id, seen.charger_id} and visit.charger_id != seen.charger_id


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    moments = [moment for moment in (one, other) if moment is not None]
    return max(moments, default=None)
