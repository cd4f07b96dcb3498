"""A vehicle policy: who charges which vehicle where, how far, and by when. As it stands on its topic."""

from typing import Annotated

from msgspec import Meta, Struct

from models.ids import WireLocationId, WirePolicyId, WireUserId, WireVehicleId, WireZone
from models.units import AwareTime, Percent

TimeOfDay = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
PositiveKw = Annotated[float, Meta(gt=0, le=4_000)]
PositiveKwh = Annotated[float, Meta(gt=0, le=2_000)]


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
    max_charge_rate: PositiveKw | None = None
    battery_capacity: PositiveKwh | None = None
