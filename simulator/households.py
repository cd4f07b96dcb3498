"""Who is in the fleet: vehicle n of a seed, its battery, its wall box, its habits, and its policy.

Households live in all time zones, so that somewhere it is always morning: with 12 vehicles or more somebody
unplugs at home every two hours or so, whatever the time of day. Everything follows from (seed, n); nothing is stored.
"""

from datetime import datetime
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import Deadline, Schedule, VehiclePolicy
from simulator.battery import ChargeCurve, home_charger

# One zone per hour of offset, none with summer time: a local morning stays where it is all year.
_ZONES: Final = (
    "Pacific/Pago_Pago", "Pacific/Honolulu", "Pacific/Gambier", "Pacific/Pitcairn", "America/Phoenix",
    "America/Costa_Rica", "America/Bogota", "America/Puerto_Rico", "America/Sao_Paulo", "America/Noronha",
    "Atlantic/Cape_Verde", "Atlantic/Reykjavik", "Africa/Lagos", "Africa/Johannesburg", "Africa/Nairobi",
    "Asia/Dubai", "Asia/Karachi", "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo",
    "Australia/Brisbane", "Pacific/Guadalcanal", "Pacific/Tarawa",
)  # fmt: skip
# Every second hour first, then the hours between: a small fleet is spread evenly too.
_ORDER: Final = (*range(0, 24, 2), *range(1, 24, 2))
# Battery in kWh and wall box in kW. Each pair refills 55 % within 9 h, so every vehicle leaves home at its limit.
_MODELS: Final = ((28.0, 3.7), (42.0, 7.4), (52.0, 7.4), (60.0, 7.4), (64.0, 11.0), (75.0, 11.0), (82.0, 11.0))
_LIMITS_PERCENT: Final = (80.0, 80.0, 85.0, 90.0, 100.0)
# Share of energy that reaches the battery: wall boxes are rated on the grid side.
_EFFICIENCY: Final = 0.92


class Household(Struct, frozen=True, kw_only=True):
    """One vehicle with its owner, home and habits."""

    number: int
    seed: int
    zone: ZoneInfo
    capacity_kwh: float
    wall_box_kw: float
    limit_percent: float
    departs_after_min: int
    holds_counter: bool
    charges_late: bool

    @property
    def vehicle_id(self) -> VehicleId:
        return VehicleId(f"sim-vehicle-{self.number:04d}")

    @property
    def user_id(self) -> UserId:
        return UserId(f"sim-user-{self.number:04d}")

    @property
    def home(self) -> LocationId:
        return LocationId(f"sim-home-{self.number:04d}")

    @property
    def curve(self) -> ChargeCurve:
        """The home charge, as it reaches the battery."""
        return home_charger(self.wall_box_kw * _EFFICIENCY, self.capacity_kwh)

    def random(self, topic: str) -> Random:
        """A source of chance of its own for each topic (a day, a habit): the same in every run."""
        return Random(f"{self.seed}/{self.number}/{topic}")


def household(seed: int, number: int) -> Household:
    """Vehicle `number` (1, 2, 3 ...) of the fleet of this seed."""
    chance = Random(f"{seed}/{number}/household")
    capacity_kwh, wall_box_kw = chance.choice(_MODELS)
    return Household(
        number=number,
        seed=seed,
        zone=ZoneInfo(_ZONES[_ORDER[(number - 1) % len(_ORDER)]]),
        capacity_kwh=capacity_kwh,
        wall_box_kw=wall_box_kw,
        limit_percent=chance.choice(_LIMITS_PERCENT),
        departs_after_min=chance.randrange(10),
        holds_counter=chance.random() < 1 / 3,
        charges_late=chance.random() < 3 / 4,
    )


def policy(owner: Household, at: datetime) -> VehiclePolicy:
    """The policy that manages charging at the vehicle's home."""
    by_seven = Deadline(deadline="07:00", minimum_charge_target=min(80.0, owner.limit_percent))
    return VehiclePolicy(
        id=PolicyId(f"sim-policy-{owner.number:04d}"),
        user_id=owner.user_id,
        vehicle_id=owner.vehicle_id,
        location_id=owner.home,
        is_enabled=True,
        at=at,
        timezone_name=owner.zone.key,
        battery_reserve=20.0,
        schedule=Schedule(
            monday=by_seven, tuesday=by_seven, wednesday=by_seven, thursday=by_seven,
            friday=by_seven, saturday=by_seven, sunday=by_seven,
        ),
        max_charge_rate=owner.wall_box_kw,
        battery_capacity=owner.capacity_kwh,
    )  # fmt: skip
