"""Which policy records may be taken beside what stands. Log order decides: what came first stands.

The worker and every API process judge by these functions, over the same records in the same order: so they agree
without asking each other. Their topic is compacted: of what is older than 7 d a reader meets the newest record of each
policy only. So a record that replaces a version nobody knows counts, unless the policy is known to have been deleted.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from models.codec import Refusal
from models.ids import PolicyId
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.events import Refused
from sessions.state import DeletedPolicy

# For how long a deletion is remembered, by the stamps of the log: as long as nothing is compacted (models.topics), so
# that a reader who begins anew remembers what the others do.
DELETION_KEPT: Final = timedelta(days=7)
# Deletions remembered of one vehicle: the newest. A change that is too late follows its deletion within seconds.
DELETIONS_LIMIT: Final = 32


def refusal_to_write(
    standing: Iterable[VehiclePolicy], policy: VehiclePolicy, replaces: str | None, *, is_deleted: bool
) -> Refused | None:
    """Why a policy cannot be taken beside its vehicle's standing policies (its own version among them), or None.

    `replaces`: the tag of the version that its writer saw, models.policy.NOTHING where there was none, None: no matter.
    `is_deleted`: where the policy does not stand, it is known to have been deleted.
    """
    others = []
    known = None
    for each in standing:
        if each.id == policy.id:
            known = each
        else:
            others.append(each)
    if known == policy:
        return None  # the same record once more
    if known is not None and (known.user_id, known.vehicle_id) != (policy.user_id, policy.vehicle_id):
        return Refused(Refusal.POLICY_IMMUTABLE, "a policy's userId and vehicleId never change")
    # Where nothing stands and no deletion is known, what it replaces may have been compacted away.
    stale = _refusal_as_stale(known, replaces) if known is not None or is_deleted else None
    if stale is not None or not policy.is_enabled:
        return stale
    place = (policy.user_id, policy.vehicle_id, policy.location_id)
    for other in others:
        if other.is_enabled and (other.user_id, other.vehicle_id, other.location_id) == place:
            return Refused(Refusal.POLICY_CONFLICT, f"policy {other.id} is enabled for this user, vehicle and location")
    return None


def refusal_to_delete(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    """Why the version that stands cannot be deleted, or None. Where nothing stands, either answer changes nothing."""
    return _refusal_as_stale(known, replaces)


def was_deleted(deleted: Iterable[DeletedPolicy], policy_id: PolicyId, at: datetime) -> bool:
    """Tell whether a deletion of this policy is remembered when the log takes a record at `at`."""
    return any(each.id == policy_id for each in still_known(deleted, at))


def with_deletion(deleted: Iterable[DeletedPolicy], policy_id: PolicyId, at: datetime) -> tuple[DeletedPolicy, ...]:
    """What is remembered once the log has taken the deletion of a policy that stood."""
    return (*without_deletion(deleted, policy_id, at), DeletedPolicy(policy_id, at))[-DELETIONS_LIMIT:]


def without_deletion(deleted: Iterable[DeletedPolicy], policy_id: PolicyId, at: datetime) -> tuple[DeletedPolicy, ...]:
    """What is remembered once the log has taken a record of this policy, by which it stands."""
    return tuple(each for each in still_known(deleted, at) if each.id != policy_id)


def still_known(deleted: Iterable[DeletedPolicy], at: datetime) -> tuple[DeletedPolicy, ...]:
    """What is remembered beyond `at`."""
    return tuple(each for each in deleted if at - each.at < DELETION_KEPT)


def _refusal_as_stale(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    if replaces is None or replaces == (NOTHING if known is None else policy_tag(known)):
        return None
    return Refused(Refusal.POLICY_STALE, "the policy is not as it was when this was written")
