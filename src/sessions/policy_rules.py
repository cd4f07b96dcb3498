"""Which policy records may be taken beside what stands. Log order decides: what came first stands.

The worker and every API process judge by these functions, over the same records in the same order: so they agree
without asking each other. Their topic is compacted: of what is older than 7 d a reader meets the newest record of each
policy only. So a record that replaces a version nobody knows counts, unless the policy is known to have been deleted.

One user's limits say nothing of another's, and are not reached by what another does. Those of the whole vehicle only
keep its state, which the worker reads and writes as one, within what a record of its changelog may hold.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from models.codec import Refusal
from models.ids import PolicyId, UserId
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.events import Refused
from sessions.state import DeletedPolicy

# For how long a deletion is remembered, by the stamps of the log: as long as nothing is compacted (models.topics), so
# that a reader who begins anew remembers what the others do.
DELETION_KEPT: Final = timedelta(days=7)
# Policies of one user for one vehicle, enabled or not. A policy is a place: nobody charges at a hundred.
POLICIES_PER_USER: Final = 100
# Policies of one vehicle, whoever's: at 1.5 KB each, under the longest ids, 0.75 MB of the 2 MiB that its state may be.
POLICIES_PER_VEHICLE: Final = 500
# Deletions remembered of one user's policies for one vehicle: the newest. A change that is too late follows its
# deletion within seconds.
DELETIONS_PER_USER: Final = 32
# Deletions remembered of one vehicle, at 0.2 KB each. Beyond it whoever has the most loses the oldest: who deletes
# little loses nothing by what others delete.
DELETIONS_PER_VEHICLE: Final = 256


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
    if stale is not None:
        return stale
    return _refusal_as_rival(others, policy) or (_refusal_as_one_too_many(others, policy) if known is None else None)


def refusal_to_delete(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    """Why the version that stands cannot be deleted, or None. Where nothing stands, either answer changes nothing."""
    return _refusal_as_stale(known, replaces)


def was_deleted(deleted: Iterable[DeletedPolicy], policy_id: PolicyId, at: datetime) -> bool:
    """Tell whether a deletion of this policy is remembered when the log takes a record at `at`."""
    return any(each.id == policy_id for each in still_known(deleted, at))


def with_deletion(
    deleted: Iterable[DeletedPolicy], policy_id: PolicyId, user_id: UserId, at: datetime
) -> tuple[DeletedPolicy, ...]:
    """What is remembered once the log has taken the deletion of this user's policy, which stood."""
    kept = [*without_deletion(deleted, policy_id, at), DeletedPolicy(policy_id, at, user_id)]
    if sum(each.user_id == user_id for each in kept) > DELETIONS_PER_USER:
        _drop_oldest(kept, user_id)
    while len(kept) > DELETIONS_PER_VEHICLE:
        # Of several who have as many, it is the one whose oldest deletion is the oldest.
        ((most, _),) = Counter(each.user_id for each in kept).most_common(1)
        _drop_oldest(kept, most)
    return tuple(kept)


def without_deletion(deleted: Iterable[DeletedPolicy], policy_id: PolicyId, at: datetime) -> tuple[DeletedPolicy, ...]:
    """What is remembered once the log has taken a record of this policy, by which it stands."""
    return tuple(each for each in still_known(deleted, at) if each.id != policy_id)


def still_known(deleted: Iterable[DeletedPolicy], at: datetime) -> tuple[DeletedPolicy, ...]:
    """What is remembered beyond `at`."""
    return tuple(each for each in deleted if at - each.at < DELETION_KEPT)


def _drop_oldest(kept: list[DeletedPolicy], user_id: UserId | None) -> None:
    del kept[next(place for place, each in enumerate(kept) if each.user_id == user_id)]


def _refusal_as_rival(others: Iterable[VehiclePolicy], policy: VehiclePolicy) -> Refused | None:
    if not policy.is_enabled:
        return None
    place = (policy.user_id, policy.vehicle_id, policy.location_id)
    for other in others:
        if other.is_enabled and (other.user_id, other.vehicle_id, other.location_id) == place:
            return Refused(Refusal.POLICY_CONFLICT, f"policy {other.id} is enabled for this user, vehicle and location")
    return None


def _refusal_as_one_too_many(others: Collection[VehiclePolicy], policy: VehiclePolicy) -> Refused | None:
    if sum(other.user_id == policy.user_id for other in others) >= POLICIES_PER_USER:
        return Refused(Refusal.POLICY_LIMIT, f"the user has {POLICIES_PER_USER} policies for this vehicle")
    if len(others) >= POLICIES_PER_VEHICLE:
        return Refused(Refusal.POLICY_LIMIT, f"the vehicle has {POLICIES_PER_VEHICLE} policies")
    return None


def _refusal_as_stale(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    if replaces is None or replaces == (NOTHING if known is None else policy_tag(known)):
        return None
    return Refused(Refusal.POLICY_STALE, "the policy is not as it was when this was written")
