"""Day-ahead prices that become known over time: late at times, missing for a day at times, corrected at times.

A local day has 23, 24 or 25 hours. All follows from (seed, zone, date); the market remembers what it has published, for
as long as the truth of an open visit may ask for it.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from msgspec import Struct

from models.ids import Zone
from models.prices import PriceRecord, Resolution
from models.zones import IanaZone, get_zone
from simulator.world.moments import DAY_MS, HOUR_MS, QUARTER_MS, millis, moment

CURRENCY: Final = "EUR"
# How long the market remembers what it has published: longer than a visit is open and its session waits to settle.
_REMEMBERED_QUARTERS: Final = 40 * 96
_PUBLIC_LOCAL: Final = time(13)

# Shares of the days.
_LATE_SHARE: Final = 0.06
_MISSING_SHARE: Final = 0.04
_CORRECTED_SHARE: Final = 0.03
_SUNNY_SHARE: Final = 0.3
_WINDY_SHARE: Final = 0.15
_LATE_LIMIT_H: Final = 20
_JITTER: Final = 0.006


class MarketZone(Struct, frozen=True):
    """A market of its own: its clock, and how long one price holds."""

    name: Zone
    clock: IanaZone
    resolution: Resolution


ZONES: Final = (
    MarketZone(Zone("TRUE-CENTRE"), get_zone("Europe/Berlin"), Resolution.QUARTER_HOUR),
    MarketZone(Zone("TRUE-WEST"), get_zone("Europe/Lisbon"), Resolution.HOUR),
    MarketZone(Zone("TRUE-NORTH"), get_zone("Europe/Helsinki"), Resolution.HALF_HOUR),
    MarketZone(Zone("TRUE-SOUTH"), get_zone("Australia/Sydney"), Resolution.QUARTER_HOUR),
)
# Around the world, for a fleet in the present: whenever one looks, somewhere a day begins, and a night elsewhere.
WORLD: Final = (
    ZONES[0],
    MarketZone(Zone("TRUE-PACIFIC"), get_zone("America/Los_Angeles"), Resolution.HOUR),
    ZONES[3],
    MarketZone(Zone("TRUE-ATLANTIC"), get_zone("America/New_York"), Resolution.HOUR),
    MarketZone(Zone("TRUE-ORIENT"), get_zone("Asia/Kolkata"), Resolution.HALF_HOUR),
    ZONES[1],
    MarketZone(Zone("TRUE-RISING-SUN"), get_zone("Asia/Tokyo"), Resolution.HALF_HOUR),
    MarketZone(Zone("TRUE-OCEAN"), get_zone("Pacific/Honolulu"), Resolution.QUARTER_HOUR),
)


class Market:
    """The publications of all zones, one after another. `is_calm`: every day is known at its usual hour."""

    def __init__(self, seed: int, start_ms: int, *, zones: Sequence[MarketZone] = ZONES, is_calm: bool = False) -> None:
        self._seed = seed
        self._is_calm = is_calm
        self._zones = zones
        self._days = {zone.name: _local_day(zone, start_ms) - timedelta(days=2) for zone in zones}
        self._waiting: list[PriceRecord] = []
        self._known: dict[Zone, dict[int, list[tuple[int, float]]]] = {zone.name: {} for zone in zones}

    def publish(self, until_ms: int) -> list[PriceRecord]:
        """The records that become known up to that moment and have not been given before, oldest first."""
        for zone in self._zones:
            # A day's record may be late, but is never known more than two days before the day begins.
            while millis(_start(zone, self._days[zone.name])) - 2 * DAY_MS <= until_ms:
                self._waiting.extend(self._records(zone, self._days[zone.name]))
                self._days[zone.name] += timedelta(days=1)
        self._waiting.sort(key=lambda record: (record.at, record.zone, record.start_at))
        due = [record for record in self._waiting if millis(record.at) <= until_ms]
        self._waiting = self._waiting[len(due) :]
        for record in due:
            self._remember(record)
        return due

    def price(self, zone: Zone, quarter: int, at_ms: int) -> float | None:
        """The price per kWh of a quarter-hour (counted from 1970) as known at that moment; None: nobody told one."""
        newest = None
        for known_ms, price in self._known[zone].get(quarter, ()):
            if known_ms <= at_ms:
                newest = price
        return newest

    def _remember(self, record: PriceRecord) -> None:
        known, known_ms = self._known[record.zone], millis(record.at)
        first, each = millis(record.start_at) // QUARTER_MS, record.resolution.quarters
        for place, price in enumerate(record.prices):
            for quarter in range(first + place * each, first + (place + 1) * each):
                known.setdefault(quarter, []).append((known_ms, price))
        for quarter in [quarter for quarter in known if quarter < first - _REMEMBERED_QUARTERS]:
            del known[quarter]

    def _records(self, zone: MarketZone, day: date) -> list[PriceRecord]:
        chance = Random(f"{self._seed}/{zone.name}/{day}")
        at = datetime.combine(day - timedelta(days=1), _PUBLIC_LOCAL, zone.clock).astimezone(UTC)
        prices = _day_prices(zone, day, chance)
        lot = 1.0 if self._is_calm else chance.random()
        if lot < _MISSING_SHARE:
            return []
        if lot < _MISSING_SHARE + _LATE_SHARE:
            at += timedelta(seconds=chance.randrange(60, _LATE_LIMIT_H * 3_600))
        start = _start(zone, day)
        records = [
            PriceRecord(
                zone=zone.name, currency=CURRENCY, resolution=zone.resolution, start_at=start, prices=prices, at=at
            )
        ]
        if not self._is_calm and chance.random() < _CORRECTED_SHARE:
            first = chance.randrange(len(prices))
            corrected = tuple(round(price * 1.1, 4) for price in prices[first:])
            records.append(
                PriceRecord(
                    zone=zone.name,
                    currency=CURRENCY,
                    resolution=zone.resolution,
                    start_at=start + first * zone.resolution.length,
                    prices=corrected,
                    at=at + timedelta(seconds=chance.randrange(60, 6 * 3_600)),
                )
            )
        return records


def _local_day(zone: MarketZone, at_ms: int) -> date:
    return moment(at_ms).astimezone(zone.clock).date()


def _start(zone: MarketZone, day: date) -> datetime:
    return datetime.combine(day, time(), zone.clock).astimezone(UTC)


def _day_prices(zone: MarketZone, day: date, chance: Random) -> tuple[float, ...]:
    """The prices of one local day, of as many intervals as it really has."""
    start_ms, end_ms = millis(_start(zone, day)), millis(_start(zone, day + timedelta(days=1)))
    level = chance.uniform(0.85, 1.15)
    noon = -0.16 if chance.random() < _SUNNY_SHARE else chance.uniform(-0.08, -0.02)
    night = -0.13 if chance.random() < _WINDY_SHARE else chance.uniform(-0.08, -0.04)
    prices = []
    length_ms = zone.resolution.quarters * QUARTER_MS
    for at_ms in range(start_ms, end_ms, length_ms):
        hour = (at_ms - start_ms + length_ms / 2) / HOUR_MS
        shape = 0.11 + _bell(hour, 7.5, 1.6, 0.08) + _bell(hour, 19, 2, 0.12)
        hollows = _bell(hour, 2.5, 3, night) + _bell(hour, 26.5, 3, night) + _bell(hour, 13, 2.2, noon)
        prices.append(round(level * (shape + hollows) + chance.uniform(-_JITTER, _JITTER), 4))
    return tuple(prices)


def _bell(hour: float, middle: float, width: float, height: float) -> float:
    return height * math.exp(-(((hour - middle) / width) ** 2))
