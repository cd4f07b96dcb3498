"""What energy costs: day-ahead prices of each zone, for every day that ever was or will be.

A day's prices follow from (seed, zone, date) alone: dear mornings and evenings, cheap nights, a cheap noon that the sun
takes below zero on some days, and some windy nights that do the same. They become public at 13:00 of the day before.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from random import Random
from typing import Final

from msgspec import Struct

from ingest.records import InputRecord
from models.ids import Zone
from models.prices import PriceRecord, Resolution
from models.topics import ENERGY_PRICES

CURRENCY: Final = "EUR"
QUARTER_S: Final = 900
# The auction of the next day closes at noon; its prices are told an hour later (hours before the day begins).
_PUBLIC_BEFORE: Final = timedelta(hours=11)
# How far back a fleet that begins anew tells prices: the visits that are open at its start began within this time.
TOLD_BEFORE_START: Final = timedelta(days=3)
_DAY: Final = timedelta(days=1)

# Hours of the day at which a peak (or a hollow) has its middle, its half width in hours, and its height in EUR/kWh.
_BASE: Final = 0.11
_MORNING: Final = (7.5, 1.6, 0.08)
_EVENING: Final = (19.0, 2.0, 0.12)
_NIGHT: Final = (2.5, 3.0, -0.06)
_NOON: Final = (13.0, 2.2, -0.08)
# Shares of days: a hollow then is deeper than the base is high.
_SUNNY: Final = 0.3
_WINDY_NIGHT: Final = 0.15
_DEEP: Final = 1.9
# From one interval to the next prices also jitter, by this much in EUR/kWh.
_JITTER: Final = 0.006


class PriceZone(Struct, frozen=True, kw_only=True):
    """A market of its own, with its own clock and its own length of interval."""

    name: Zone
    utc_offset_h: int
    resolution: Resolution

    def day_of(self, at_s: float) -> date:
        """The market day that holds this moment."""
        return datetime.fromtimestamp(at_s, self._clock).date()

    def start_of(self, day: date) -> datetime:
        """When this market day begins, in UTC."""
        return datetime.combine(day, time(), tzinfo=self._clock).astimezone(UTC)

    def public_from(self, day: date) -> datetime:
        """When the prices of this day become known."""
        return self.start_of(day) - _PUBLIC_BEFORE

    @property
    def _clock(self) -> timezone:
        return timezone(timedelta(hours=self.utc_offset_h))


# West to east, four hours of the world each: a night is a night for everybody in the zone.
ZONES: Final = (
    PriceZone(name=Zone("SIM-POLYNESIA"), utc_offset_h=-10, resolution=Resolution.HOUR),
    PriceZone(name=Zone("SIM-AMERICA"), utc_offset_h=-6, resolution=Resolution.QUARTER_HOUR),
    PriceZone(name=Zone("SIM-ATLANTIC"), utc_offset_h=-2, resolution=Resolution.QUARTER_HOUR),
    PriceZone(name=Zone("SIM-AFRICA"), utc_offset_h=2, resolution=Resolution.HOUR),
    PriceZone(name=Zone("SIM-ASIA"), utc_offset_h=6, resolution=Resolution.QUARTER_HOUR),
    PriceZone(name=Zone("SIM-OCEANIA"), utc_offset_h=10, resolution=Resolution.HOUR),
)


# A fleet asks for two days of each zone at a time; the memory is bounded whatever it asks for.
@lru_cache(maxsize=64)
def day_prices(seed: int, zone: PriceZone, day: date) -> tuple[float, ...]:
    """The prices of a day in EUR/kWh, one per interval."""
    chance = Random(f"{seed}/{zone.name}/prices/{day}")
    level = chance.uniform(0.85, 1.15)
    noon = _NOON[2] * (_DEEP if chance.random() < _SUNNY else chance.uniform(0.3, 1.0))
    night = _NIGHT[2] * (_DEEP if chance.random() < _WINDY_NIGHT else chance.uniform(0.7, 1.2))
    interval_h = zone.resolution.quarters / 4
    prices = []
    for index in range(int(24 / interval_h)):
        hour = (index + 0.5) * interval_h
        shape = _BASE + _bump(hour, *_MORNING) + _bump(hour, *_EVENING)
        hollow = _bump(hour, *_NIGHT[:2], night) + _bump(hour, *_NOON[:2], noon)
        prices.append(round(level * (shape + hollow) + chance.uniform(-_JITTER, _JITTER), 4))
    return tuple(prices)


def price_at(seed: int, zone: PriceZone, at_s: int) -> float:
    """What a kWh costs at this moment."""
    day = zone.day_of(at_s)
    into_day_s = at_s - int(zone.start_of(day).timestamp())
    return day_prices(seed, zone, day)[into_day_s // (zone.resolution.quarters * QUARTER_S)]


def announcements(seed: int, after: datetime, up_to: datetime) -> list[InputRecord]:
    """The price records that become public later than `after`, up to and including `up_to`, in that order."""
    records = [
        InputRecord(at, ENERGY_PRICES, zone.name, _record(seed, zone, day, at))
        for zone in ZONES
        for day, at in _public_days(zone, after, up_to)
    ]
    return sorted(records, key=lambda record: (record.at, record.key))


def _public_days(zone: PriceZone, after: datetime, up_to: datetime) -> Iterator[tuple[date, datetime]]:
    day = zone.day_of(after.timestamp())
    while (public := zone.public_from(day)) <= up_to:
        if public > after:
            yield day, public
        day += _DAY


def _record(seed: int, zone: PriceZone, day: date, at: datetime) -> PriceRecord:
    return PriceRecord(
        zone=zone.name,
        currency=CURRENCY,
        resolution=zone.resolution,
        start_at=zone.start_of(day),
        prices=day_prices(seed, zone, day),
        at=at,
    )


def _bump(hour: float, middle: float, width: float, height: float) -> float:
    """A bell over the hours of the day, which has no edge at midnight."""
    away = min(abs(hour - middle), 24 - abs(hour - middle))
    return height * math.exp(-((away / width) ** 2))
