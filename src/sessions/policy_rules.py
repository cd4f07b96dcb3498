"""Which policy records may be taken beside what stands. Log order decides: what came first stands.

The worker and every API process judge by these functions, over the same records in the same order: so they agree
without asking each other.
"""

from collections.abc import Iterable

from models.codec import Refusal
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.events import Refused


def refusal_to_write(standing: Iterable[VehiclePolicy], policy: VehiclePolicy, replaces: str | None) -> Refused | None:
    """Why a policy cannot be taken beside its vehicle's standing policies (its own version among them), or None.

    `replaces`: the tag of the version that its writer saw, models.policy.NOTHING where there was none, None: no matter.
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
    stale = _refusal_as_stale(known, replaces)
    if stale is not None or not policy.is_enabled:
        return stale
    place = (policy.user_id, policy.vehicle_id, policy.location_id)
    for other in others:
        if other.is_enabled and (other.user_id, other.vehicle_id, other.location_id) == place:
            return Refused(Refusal.POLICY_CONFLICT, f"policy {other.id} is enabled for this user, vehicle and location")
    return None


def refusal_to_delete(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    """Why the version that stands cannot be deleted, or None."""
    return _refusal_as_stale(known, replaces)


def _refusal_as_stale(known: VehiclePolicy | None, replaces: str | None) -> Refused | None:
    if replaces is None or replaces == (NOTHING if known is None else policy_tag(known)):
        return None
    return Refused(Refusal.POLICY_STALE, "the policy is not as it was when this was written")
