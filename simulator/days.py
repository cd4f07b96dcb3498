"""One vehicle's day as legs, from its departure in the morning to that of the next day.

The day follows from (seed, vehicle, date) alone: every vehicle leaves home at its charge limit, so no day needs the
one before, and its state is known for any moment. Times are whole seconds since 1970.
"""

from datetime import date, datetime, time, timedelta
from enum import Enum
from random import Random
from typing import Final

from msgspec import Struct

from models.ids import LocationId
from simulator.battery import ChargeCurve, fast_charger
from simulator.households import Household

PUBLIC_CHARGER: Final = LocationId("public-dc-01")
# From plug to first power: handshake between vehicle and charger.
CHARGE_STARTS_AFTER_S: Final = 45
_ELSEWHERE_KW: Final = 3.5
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600


class Place(Enum):
    """What a leg is: driving, parked without a cable, or plugged in."""

    DRIVING = "driving"
    PARKED = "parked"
    PLUGGED = "plugged"


class Leg(Struct, frozen=True, kw_only=True):
    """A stretch of one kind, from `start_s` up to (not including) `end_s`.

    A visit has a `curve`, and charges from `charge_from_s` until its limit.
    """

    place: Place
    start_s: int
    end_s: int
    start_percent: float
    end_percent: float
    limit_percent: float
    location_id: LocationId | None = None
    curve: ChargeCurve | None = None
    charge_from_s: int = 0

    def level_at(self, at_s: float) -> float:
        """The level in % at a moment of this leg."""
        if self.curve is not None:
            return self.curve.level_after(self.start_percent, at_s - self.charge_from_s, self.limit_percent)
        share = (at_s - self.start_s) / (self.end_s - self.start_s)
        return self.start_percent + (self.end_percent - self.start_percent) * share


class Day(Struct, frozen=True):
    """The legs of a day without a gap, the last one at home with the cable in."""

    legs: tuple[Leg, ...]


def departure_s(owner: Household, day: date) -> int:
    """When the vehicle leaves home on this date: soon after seven, local time."""
    jitter_s = owner.random(f"departure/{day}").randrange(10 * _MINUTE_S)
    leaves = datetime.combine(day, time(7), tzinfo=owner.zone)
    return int(leaves.timestamp()) + owner.departs_after_min * _MINUTE_S + jitter_s


def day_of(owner: Household, at_s: int) -> date:
    """The date whose day (departure to departure) holds this moment."""
    day = datetime.fromtimestamp(at_s, owner.zone).date()
    return day if departure_s(owner, day) <= at_s else day - timedelta(days=1)


def plan_day(owner: Household, day: date) -> Day:
    """The day that begins with the departure on this date."""
    chance = owner.random(f"day/{day}")
    legs = _Legs(owner, departure_s(owner, day))
    home_s = legs.now_s + chance.randrange(10 * _HOUR_S, 12 * _HOUR_S)
    stop = chance.choices(("none", "public", "elsewhere"), (60, 25, 15))[0]
    legs.drive(
        chance.randrange(20, 50) * _MINUTE_S, chance.uniform(20, 35) if stop == "public" else chance.uniform(4, 14)
    )
    if stop != "none":
        _charge_away(legs, owner, chance, is_public=stop == "public")
    back_s = chance.randrange(20, 50) * _MINUTE_S
    legs.park(home_s - back_s - legs.now_s)
    legs.drive(back_s, chance.uniform(4, 14))
    legs.park(chance.randrange(5 * _MINUTE_S, 40 * _MINUTE_S), owner.home)
    next_s = departure_s(owner, day + timedelta(days=1))
    ready_before_s = chance.randrange(10, 40) * _MINUTE_S if owner.charges_late else None
    legs.plug_in(next_s - legs.now_s, owner.home, owner.curve, ready_before_s)
    return Day(tuple(legs.made))


def _charge_away(legs: "_Legs", owner: Household, chance: Random, *, is_public: bool) -> None:
    legs.park(chance.randrange(_HOUR_S // 2, 3 * _HOUR_S))
    if is_public:
        legs.plug_in(chance.randrange(18, 40) * _MINUTE_S, PUBLIC_CHARGER, fast_charger(owner.capacity_kwh))
    else:
        curve = ChargeCurve(rate_kw=_ELSEWHERE_KW, capacity_kwh=owner.capacity_kwh, knee_percent=92.0, end_share=0.3)
        legs.plug_in(chance.randrange(60, 180) * _MINUTE_S, None, curve)


class _Legs:
    """Legs laid end to end in time and level."""

    def __init__(self, owner: Household, start_s: int) -> None:
        self.made: list[Leg] = []
        self.now_s = start_s
        self._percent = owner.limit_percent
        self._limit_percent = owner.limit_percent

    def drive(self, duration_s: int, used_percent: float) -> None:
        self._add(Place.DRIVING, duration_s, end_percent=self._percent - used_percent)

    def park(self, duration_s: int, location_id: LocationId | None = None) -> None:
        self._add(Place.PARKED, duration_s, end_percent=self._percent, location_id=location_id)

    def plug_in(
        self, duration_s: int, location_id: LocationId | None, curve: ChargeCurve, ready_before_s: int | None = None
    ) -> None:
        """A visit that charges at once, or (with a timer) so late that it is ready this long before it ends."""
        wait_s = CHARGE_STARTS_AFTER_S
        if ready_before_s is not None:
            needed_s = int(curve.seconds_to(self._percent, self._limit_percent)) + 1
            wait_s = max(wait_s, duration_s - ready_before_s - needed_s)
        end_percent = curve.level_after(self._percent, duration_s - wait_s, self._limit_percent)
        self._add(
            Place.PLUGGED, duration_s, end_percent=end_percent, location_id=location_id, curve=curve, wait_s=wait_s
        )

    def _add(
        self,
        place: Place,
        duration_s: int,
        *,
        end_percent: float,
        location_id: LocationId | None = None,
        curve: ChargeCurve | None = None,
        wait_s: int = 0,
    ) -> None:
        leg = Leg(
            place=place,
            start_s=self.now_s,
            end_s=self.now_s + duration_s,
            start_percent=self._percent,
            end_percent=end_percent,
            limit_percent=self._limit_percent,
            location_id=location_id,
            curve=curve,
            charge_from_s=self.now_s + wait_s,
        )
        self.made.append(leg)
        self.now_s, self._percent = leg.end_s, end_percent
