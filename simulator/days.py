"""Where a vehicle is on each day: legs from its departure in the morning to that of the next day.

They follow from (seed, vehicle, date) alone, so where a vehicle is is known for any moment. What its battery holds
meanwhile is not told here: that depends on what it was told to do. Times are whole seconds since 1970.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from random import Random
from typing import Final

from msgspec import Struct

from models.ids import LocationId
from simulator.battery import ChargeCurve, fast_charger
from simulator.households import READY_BY, Household

PUBLIC_CHARGER: Final = LocationId("public-dc-01")
_ELSEWHERE_KW: Final = 3.5
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
# Percent of the battery that one way takes: on most days, on days with a fast charge, and on one day in five.
_SHORT_PERCENT: Final = (8.0, 18.0)
_MIDDLE_PERCENT: Final = (20.0, 35.0)
_LONG_PERCENT: Final = (25.0, 32.0)
_LONG_DAYS: Final = 0.2


class Place(Enum):
    """What a leg is: driving, parked without a cable, or plugged in."""

    DRIVING = "driving"
    PARKED = "parked"
    PLUGGED = "plugged"


class Leg(Struct, frozen=True, kw_only=True):
    """A stretch of one kind, from `start_s` up to (not including) `end_s`.

    A drive takes `used_percent` of the battery; a visit charges along its `curve`.
    """

    place: Place
    start_s: int
    end_s: int
    location_id: LocationId | None = None
    used_percent: float = 0.0
    curve: ChargeCurve | None = None


def legs_from(owner: Household, at_s: int) -> Iterator[Leg]:
    """The legs from the one that holds this moment, for ever."""
    day = day_of(owner, at_s)
    while True:
        yield from (leg for leg in plan_day(owner, day) if leg.end_s > at_s)
        day += timedelta(days=1)


def departure_s(owner: Household, day: date) -> int:
    """When the vehicle leaves home on this date: soon after it wants to be ready, local time."""
    jitter_s = owner.random(f"departure/{day}").randrange(10 * _MINUTE_S)
    ready = datetime.combine(day, READY_BY, tzinfo=owner.zone)
    return int(ready.timestamp()) + owner.departs_after_min * _MINUTE_S + jitter_s


def day_of(owner: Household, at_s: int) -> date:
    """The date whose day (departure to departure) holds this moment."""
    day = datetime.fromtimestamp(at_s, owner.zone).date()
    return day if departure_s(owner, day) <= at_s else day - timedelta(days=1)


def plan_day(owner: Household, day: date) -> tuple[Leg, ...]:
    """The legs of the day that begins with the departure on this date, the last one at home with the cable in."""
    chance = owner.random(f"day/{day}")
    legs = _Legs(departure_s(owner, day))
    home_s = legs.now_s + chance.randrange(10 * _HOUR_S, 12 * _HOUR_S)
    stop = chance.choices(("none", "public", "elsewhere"), (60, 25, 15))[0]
    one_way = _LONG_PERCENT if chance.random() < _LONG_DAYS else _SHORT_PERCENT
    way_out = _MIDDLE_PERCENT if stop == "public" else one_way
    legs.add(Place.DRIVING, chance.randrange(20, 50) * _MINUTE_S, used_percent=chance.uniform(*way_out))
    if stop != "none":
        _charge_away(legs, owner, chance, is_public=stop == "public")
    back_s = chance.randrange(20, 50) * _MINUTE_S
    legs.add(Place.PARKED, home_s - back_s - legs.now_s)
    legs.add(Place.DRIVING, back_s, used_percent=chance.uniform(*one_way))
    legs.add(Place.PARKED, chance.randrange(5 * _MINUTE_S, 40 * _MINUTE_S), owner.home)
    next_s = departure_s(owner, day + timedelta(days=1))
    legs.add(Place.PLUGGED, next_s - legs.now_s, owner.home, curve=owner.curve)
    return tuple(legs.made)


def _charge_away(legs: "_Legs", owner: Household, chance: Random, *, is_public: bool) -> None:
    legs.add(Place.PARKED, chance.randrange(_HOUR_S // 2, 3 * _HOUR_S))
    if is_public:
        stay_s = chance.randrange(18, 40) * _MINUTE_S
        legs.add(Place.PLUGGED, stay_s, PUBLIC_CHARGER, curve=fast_charger(owner.capacity_kwh))
    else:
        curve = ChargeCurve(rate_kw=_ELSEWHERE_KW, capacity_kwh=owner.capacity_kwh, knee_percent=92.0, end_share=0.3)
        legs.add(Place.PLUGGED, chance.randrange(60, 180) * _MINUTE_S, curve=curve)


class _Legs:
    """Legs laid end to end."""

    def __init__(self, start_s: int) -> None:
        self.made: list[Leg] = []
        self.now_s = start_s

    def add(
        self,
        place: Place,
        duration_s: int,
        location_id: LocationId | None = None,
        *,
        used_percent: float = 0.0,
        curve: ChargeCurve | None = None,
    ) -> None:
        leg = Leg(
            place=place,
            start_s=self.now_s,
            end_s=self.now_s + duration_s,
            location_id=location_id,
            used_percent=used_percent,
            curve=curve,
        )
        self.made.append(leg)
        self.now_s = leg.end_s
