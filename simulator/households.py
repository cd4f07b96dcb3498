"""Who is in the fleet: vehicle n of a seed, its battery, its wall box, its habits, and its policy.

Households live in all time zones, so that somewhere it is always morning: with 12 vehicles or more somebody
unplugs at home every two hours or so, whatever the time of day. Everything follows from (seed, n); nothing is stored.
"""

from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import Deadline, Schedule, VehiclePolicy
from simulator.battery import ChargeCurve, home_charger
from simulator.prices import ZONES, PriceZone

# One zone per hour of offset, none with summer time: a local morning stays where it is all year. From west to east,
# four of them to each price zone.
_TIME_ZONES: Final = (
    "Pacific/Pago_Pago", "Pacific/Honolulu", "Pacific/Gambier", "Pacific/Pitcairn", "America/Phoenix",
    "America/Costa_Rica", "America/Bogota", "America/Puerto_Rico", "America/Sao_Paulo", "America/Noronha",
    "Atlantic/Cape_Verde", "Atlantic/Reykjavik", "Africa/Lagos", "Africa/Johannesburg", "Africa/Nairobi",
    "Asia/Dubai", "Asia/Karachi", "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo",
    "Australia/Brisbane", "Pacific/Guadalcanal", "Pacific/Tarawa",
)  # fmt: skip
_TIME_ZONES_PER_PRICE_ZONE: Final = 4
# Every second hour first, then the hours between: a small fleet is spread evenly too.
_ORDER: Final = (*range(0, 24, 2), *range(1, 24, 2))
# Battery in kWh and wall box in kW. Each pair refills 95 % within 9 h: a night is long enough, and leaves a choice.
_MODELS: Final = ((28.0, 3.7), (42.0, 7.4), (52.0, 7.4), (60.0, 7.4), (64.0, 11.0), (75.0, 11.0), (82.0, 11.0))
_LIMITS_PERCENT: Final = (80.0, 80.0, 85.0, 90.0, 100.0)
_BELOW_LIMIT_PERCENT: Final = (0.0, 0.0, 5.0, 10.0)
_RESERVES_PERCENT: Final = (10.0, 15.0, 20.0, 25.0, 30.0)
# Share of energy that reaches the battery: wall boxes are rated on the grid side.
_EFFICIENCY: Final = 0.92
# The wish: ready by this time of day. The vehicle leaves soon after.
READY_BY: Final = time(7)
_VEHICLE_PREFIX: Final = "sim-vehicle-"


class Household(Struct, frozen=True, kw_only=True):
    """One vehicle with its owner, home and habits."""

    number: int
    seed: int
    zone: ZoneInfo
    price_zone: PriceZone
    capacity_kwh: float
    wall_box_kw: float
    limit_percent: float
    target_percent: float
    reserve_percent: float
    departs_after_min: int
    holds_counter: bool
    has_smart_box: bool
    policy_has_capacity: bool

    @property
    def vehicle_id(self) -> VehicleId:
        return VehicleId(f"{_VEHICLE_PREFIX}{self.number:04d}")

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

    @property
    def usual_percent(self) -> float:
        """The level that the vehicle is charged to without any command: with a smart box the target, else the limit."""
        return self.target_percent if self.has_smart_box else self.limit_percent

    def ready_by_s(self, after_s: int) -> int:
        """The next deadline of its schedule."""
        day = datetime.fromtimestamp(after_s, self.zone).date()
        return next(
            ready_s
            for ready_s in (self._ready_by_s(day), self._ready_by_s(day + timedelta(days=1)))
            if ready_s > after_s
        )

    def random(self, topic: str) -> Random:
        """A source of chance of its own for each topic (a day, a habit): the same in every run."""
        return Random(f"{self.seed}/{self.number}/{topic}")

    def _ready_by_s(self, day: date) -> int:
        return int(datetime.combine(day, READY_BY, tzinfo=self.zone).timestamp())


def household(seed: int, number: int) -> Household:
    """Vehicle `number` (1, 2, 3 ...) of the fleet of this seed."""
    chance = Random(f"{seed}/{number}/household")
    capacity_kwh, wall_box_kw = chance.choice(_MODELS)
    limit_percent = chance.choice(_LIMITS_PERCENT)
    place = _ORDER[(number - 1) % len(_ORDER)]
    return Household(
        number=number,
        seed=seed,
        zone=ZoneInfo(_TIME_ZONES[place]),
        price_zone=ZONES[place // _TIME_ZONES_PER_PRICE_ZONE],
        capacity_kwh=capacity_kwh,
        wall_box_kw=wall_box_kw,
        limit_percent=limit_percent,
        target_percent=limit_percent - chance.choice(_BELOW_LIMIT_PERCENT),
        reserve_percent=chance.choice(_RESERVES_PERCENT),
        departs_after_min=chance.randrange(5, 15),
        holds_counter=chance.random() < 1 / 3,
        has_smart_box=chance.random() < 3 / 4,
        policy_has_capacity=chance.random() < 2 / 3,
    )


def number_of(vehicle_id: str) -> int | None:
    """Which vehicle has this id; None: none of any fleet."""
    digits = vehicle_id.removeprefix(_VEHICLE_PREFIX)
    # An id has at most 64 characters, but whoever wrote it may not know.
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        return None
    number = int(digits)
    return number if number > 0 and vehicle_id == f"{_VEHICLE_PREFIX}{number:04d}" else None


def policy(owner: Household, at: datetime) -> VehiclePolicy:
    """The policy that manages charging at the vehicle's home."""
    wish = Deadline(deadline=f"{READY_BY:%H:%M}", minimum_charge_target=owner.target_percent)
    return VehiclePolicy(
        id=PolicyId(f"sim-policy-{owner.number:04d}"),
        user_id=owner.user_id,
        vehicle_id=owner.vehicle_id,
        location_id=owner.home,
        is_enabled=True,
        at=at,
        timezone_name=owner.zone.key,
        zone=owner.price_zone.name,
        battery_reserve=owner.reserve_percent,
        schedule=Schedule(
            monday=wish, tuesday=wish, wednesday=wish, thursday=wish, friday=wish, saturday=wish, sunday=wish
        ),
        max_charge_rate=owner.wall_box_kw,
        battery_capacity=owner.capacity_kwh if owner.policy_has_capacity else None,
    )
