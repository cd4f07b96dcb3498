"""Policies as they are written, changed and deleted, and what that does to their sessions.

Log order decides between the records of one policy. A record that breaks a rule is refused, and what stands is restored
on its topic.
"""

from datetime import datetime

from msgspec import structs

from models.codec import Refusal
from models.ids import PolicyId
from models.policy import VehiclePolicy
from sessions.control import take_policy
from sessions.events import Counted, Decision, PolicyDeleted, PolicyRestored, PolicyShown, PolicyWritten, Refused
from sessions.parts import (
    OPENING_STEP,
    await_visit,
    erase_session,
    manage_visit,
    open_session,
    release_part,
    update_visit,
)
from sessions.public import has_news, shown
from sessions.state import ManagedBy, Vehicle, managed_by
from sessions.step import Step
from sessions.targets import with_target


def effective_at(vehicle: Vehicle, written_at: datetime, known: ManagedBy | None) -> datetime:
    """From when a policy record counts: never before its predecessor, nor before what the vehicle has already told.

    Nor before the open part began: a policy's time may be ahead of the telemetry, and another's may have ended a part.
    """
    moments = [written_at]
    if known is not None:
        moments.append(known.effective_at + OPENING_STEP)
    if vehicle.newest_at is not None:
        moments.append(vehicle.newest_at)
    if vehicle.visit is not None:
        moments.append(vehicle.visit.part.started_at)
    return max(moments)


def refuse_policy(vehicle: Vehicle, policy_id: PolicyId, refused: Refused) -> Decision:
    """The decision to refuse a policy's record, whatever the reason: what stands goes back to the topic."""
    known = managed_by(vehicle, policy_id)
    restored = PolicyRestored(policy_id, None if known is None else known.policy)
    return Decision(vehicle=vehicle, outputs=(restored,), refused=refused)


def restore_policy(vehicle: Vehicle, event: PolicyShown) -> Decision:
    """Put what stands back on the topic, unless that is what it shows.

    So two records that cross (a valid one written between a refused one and its restoring) end in agreement.
    """
    known = managed_by(vehicle, event.policy_id)
    standing = None if known is None else known.policy
    if event.is_readable and event.policy == standing:
        return Decision(vehicle=vehicle)
    return Decision(vehicle=vehicle, outputs=(PolicyRestored(event.policy_id, standing),))


def refusal_by_rules(vehicle: Vehicle, policy: VehiclePolicy) -> Refused | None:
    """Why a policy cannot be taken beside what stands, or None."""
    known = managed_by(vehicle, policy.id)
    if known is not None and (known.policy.user_id, known.policy.vehicle_id) != (policy.user_id, policy.vehicle_id):
        return Refused(Refusal.POLICY_IMMUTABLE, "a policy's userId and vehicleId never change")
    rival = _rival(vehicle, policy)
    if rival is not None:
        return Refused(Refusal.POLICY_CONFLICT, f"policy {rival.id} is enabled for this user, vehicle and location")
    return None


def write_policy(step: Step, event: PolicyWritten, at: datetime) -> None:
    """Take a policy as it stands from `at` on."""
    policy = event.policy
    known = managed_by(step.vehicle, policy.id)
    if known is None:
        _keep(step, ManagedBy(policy, at))
    elif known.policy != policy:
        _end_hold(step, known, policy, at)
        _keep(step, structs.replace(_standing(step, policy.id), policy=policy, effective_at=at))
    else:
        return
    if not policy.is_enabled:
        return
    session = _standing(step, policy.id).session
    visit = step.vehicle.visit
    if session is None:
        open_session(step, policy.id, at)
    elif visit is not None and visit.part.policy_id == policy.id:
        before = shown(step.vehicle)
        take_policy(step, at)
        if has_news(before, step.vehicle):
            update_visit(step, at)
    elif known is not None and not (known.policy.location_id != policy.location_id and manage_visit(step, at)):
        has_moved = known.policy.location_id != policy.location_id
        if has_moved or with_target(session, policy, step.now(at)) != session:
            # The same session now waits at another place, or for another target.
            await_visit(step, policy.id, at)


def delete_policy(step: Step, event: PolicyDeleted, at: datetime) -> None:
    """Forget a policy; its current session settles, or is erased if it was only awaited."""
    known = managed_by(step.vehicle, event.policy_id)
    if known is None:
        step.counted.append(Counted.UNKNOWN_POLICY_DELETED)
        return
    _end_hold(step, known, None, at)
    vehicle = step.vehicle
    vehicle.policies = tuple(managed for managed in vehicle.policies if managed.policy.id != event.policy_id)


def _end_hold(step: Step, known: ManagedBy, policy: VehiclePolicy | None, at: datetime) -> None:
    """What a change ends: a hold on an open visit where the policy is gone or moved, a wait where it is gone."""
    stays_enabled = policy is not None and policy.is_enabled
    visit = step.vehicle.visit
    if visit is not None and visit.part.policy_id == known.policy.id:
        if not stays_enabled or (policy is not None and policy.location_id != known.policy.location_id):
            release_part(step, at)
    elif known.session is not None and not stays_enabled:
        erase_session(step, known.policy.id)


def _standing(step: Step, policy_id: PolicyId) -> ManagedBy:
    managed = managed_by(step.vehicle, policy_id)
    assert managed is not None
    return managed


def _keep(step: Step, managed: ManagedBy) -> None:
    others = tuple(other for other in step.vehicle.policies if other.policy.id != managed.policy.id)
    # In the order of their ids: which came first must not matter.
    step.vehicle.policies = tuple(sorted((*others, managed), key=lambda each: each.policy.id))


def _rival(vehicle: Vehicle, policy: VehiclePolicy) -> VehiclePolicy | None:
    if not policy.is_enabled:
        return None
    for managed in vehicle.policies:
        other = managed.policy
        if other.id == policy.id or not other.is_enabled:
            continue
        if (other.user_id, other.location_id) == (policy.user_id, policy.location_id):
            return other
    return None
