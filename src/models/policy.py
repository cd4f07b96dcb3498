"""A vehicle policy: who charges which vehicle where, how far, and by when. As it stands on its topic."""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from models.ids import WireLocationId, WirePolicyId, WireUserId, WireVehicleId, WireZone
from models.units import BATTERY_CAPACITY_KWH, AwareTime, Percent

TimeOfDay = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
# The slowest chargers, of scooters, are beyond 0.1 kW: with less a plan would have no end to speak of.
PolicyKw = Annotated[float, Meta(ge=0.1, le=4_000)]
PolicyKwh = Annotated[float, Meta(ge=BATTERY_CAPACITY_KWH[0], le=BATTERY_CAPACITY_KWH[1])]


class Deadline(Struct, frozen=True, rename="camel", kw_only=True):
    """One weekday's wish: `minimum_charge_target` % by `deadline` (wall time HH:MM in the policy's zone)."""

    deadline: TimeOfDay
    minimum_charge_target: Percent


class Schedule(Struct, frozen=True, rename="camel", kw_only=True):
    """A deadline per weekday; None: no deadline on that day."""

    monday: Deadline | None = None
    tuesday: Deadline | None = None
    wednesday: Deadline | None = None
    thursday: Deadline | None = None
    friday: Deadline | None = None
    saturday: Deadline | None = None
    sunday: Deadline | None = None

    def by_weekday(self) -> tuple[Deadline | None, ...]:
        """Monday's first, as `date.weekday` counts."""
        return self.monday, self.tuesday, self.wednesday, self.thursday, self.friday, self.saturday, self.sunday


class VehiclePolicy(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `flex.vehicle-policies`. `at` is when this version was written."""

    id: WirePolicyId
    user_id: WireUserId
    vehicle_id: WireVehicleId
    location_id: WireLocationId
    is_enabled: bool
    at: AwareTime
    timezone_name: str = "UTC"
    zone: WireZone | None = None
    battery_reserve: Percent = 0.0
    schedule: Schedule = Schedule()
    max_charge_rate: PolicyKw | None = None
    battery_capacity: PolicyKwh | None = None


# Marks the records by which the worker restores a policy, and names the state that it had. A worker that goes on with
# that state knows more than they tell; to one that has lost it they are what stands.
RESTORED_HEADER: Final = "policy-restored"
# Goes with that: the offset of the record in answer to which the worker restored the policy. Who has taken a later one
# of it since knows more than the worker did then.
ANSWERS_HEADER: Final = "policy-restored-after"
# Names the version that a record replaces, by its tag: where another stands by then, the record is refused, so that
# two who change one policy at a time never overwrite each other unseen. Without it a record replaces whatever stands.
REPLACES_HEADER: Final = "policy-replaces"
# What a policy was first asked to be, in short; goes with every version of it, so that compaction cannot lose it.
FINGERPRINT_HEADER: Final = "policy-fingerprint"
# Said in that header where nothing may stand yet. No tag is spelt like this.
NOTHING: Final = "none"
_TAG_HEX_DIGITS: Final = 32


def policy_tag(policy: VehiclePolicy) -> str:
    """A name for exactly this version: 32 hex digits. Fields that hold their default do not count.

    So a field that is added later changes no tag of a policy that was written before.
    """
    said = {
        field.encode_name: value
        for field in msgspec.structs.fields(policy)
        if (value := getattr(policy, field.name)) != field.default
    }
    canonical = msgspec.json.encode(said, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:_TAG_HEX_DIGITS]
