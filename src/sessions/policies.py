"""Policies as they are written, changed and deleted, and what that does to their sessions.

Log order decides between the records of one policy. A record that breaks a rule is refused, and what stands is restored
on its topic.
"""

from datetime import datetime

from msgspec import structs

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
from sessions.policy_rules import (
    refusal_to_delete,
    refusal_to_write,
    was_deleted,
    with_deletion,
    without_deletion,
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
    return Decision(vehicle=vehicle, outputs=(_restored(vehicle, policy_id),), refused=refused)


def restore_policy(vehicle: Vehicle, event: PolicyShown) -> Decision:
    """Put what stands back on the topic, unless that is what it shows.

    So two records that cross (a valid one written between a refused one and its restoring) end in agreement.
    """
    restored = _restored(vehicle, event.policy_id)
    if event.is_readable and event.policy == restored.policy:
        return Decision(vehicle=vehicle)
    return Decision(vehicle=vehicle, outputs=(restored,))


def is_inheritable(vehicle: Vehicle, event: PolicyWritten | PolicyDeleted) -> bool:
    """Whether what an earlier worker put back holds: it knew the log from before it was compacted, and more than we do
    of a policy of which we know no deletion and one record at most, which it may have refused.
    """
    if isinstance(event, PolicyDeleted):
        known = managed_by(vehicle, event.policy_id)
        return known is not None and known.is_first
    policy = event.policy
    known = managed_by(vehicle, policy.id)
    if known is None:
        return not was_deleted(vehicle.deleted, policy.id, event.logged_at)
    return known.is_first and (known.policy.user_id, known.policy.vehicle_id) == (policy.user_id, policy.vehicle_id)


def refusal_by_rules(vehicle: Vehicle, event: PolicyWritten | PolicyDeleted) -> Refused | None:
    """Why a policy cannot be taken, or deleted, as things stand, or None."""
    if isinstance(event, PolicyDeleted):
        known = managed_by(vehicle, event.policy_id)
        return refusal_to_delete(None if known is None else known.policy, event.replaces)
    policy = event.policy
    is_deleted = was_deleted(vehicle.deleted, policy.id, event.logged_at)
    standing = (managed.policy for managed in vehicle.policies)
    return refusal_to_write(standing, policy, event.replaces, is_deleted=is_deleted)


def write_policy(step: Step, event: PolicyWritten, at: datetime) -> None:
    """Take a policy as it stands from `at` on."""
    policy = event.policy
    known = managed_by(step.vehicle, policy.id)
    if known is None:
        _keep(step, ManagedBy(policy, at, fingerprint=event.fingerprint, is_first=True))
    elif known.policy != policy:
        _end_hold(step, known, policy, at)
        changed = structs.replace(_standing(step, policy.id), policy=policy, effective_at=at)
        fingerprint, is_first = event.fingerprint or known.fingerprint, event.is_inherited
        _keep(step, structs.replace(changed, fingerprint=fingerprint, is_first=is_first))
    else:
        return
    if not event.is_inherited:
        step.vehicle.deleted = without_deletion(step.vehicle.deleted, policy.id, event.logged_at)
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
    if not event.is_inherited:
        vehicle.deleted = with_deletion(vehicle.deleted, event.policy_id, known.policy.user_id, event.logged_at)


def _restored(vehicle: Vehicle, policy_id: PolicyId) -> PolicyRestored:
    known = managed_by(vehicle, policy_id)
    if known is None:
        return PolicyRestored(policy_id, None)
    return PolicyRestored(policy_id, known.policy, known.fingerprint)


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
