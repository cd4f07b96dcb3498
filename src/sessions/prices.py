"""Energy prices as they were known at any moment: reference data that a shell fills and the session logic asks.

Decides which of several records counts for a quarter-hour, and what stands in for a price that nobody knows yet. It
must not know what the prices are for. Quarter-hours are counted from the epoch: number = epoch seconds // 900.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from math import fsum, isnan, nan
from typing import Final, NamedTuple

from models.ids import Zone
from models.prices import PriceRecord
from sessions.grid import quarter_index, quarter_start

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What stands in for a missing price is that of the same time on an earlier day, and no older than a week.
DAY_QUARTERS: Final = 96
STAND_IN_QUARTERS: Final = 7 * DAY_QUARTERS
# Every so many records on one day its prices are kept as they stood: no look back lays more records than this.
STRIDE_RECORDS: Final = 64

_BLANK: Final = array("d", [nan]) * DAY_QUARTERS


class PriceBook:
    """All that was ever told of prices, by zone. It grows with the topic it is read from, and forgets nothing.

    Prices lie in pages of one UTC day, 8 bytes a quarter-hour for each time it was told: a year of daily records of 50
    zones takes some 50 MB. A question about the past lays the records of few days, so no view of it has to be kept.
    """

    def __init__(self) -> None:
        self._zones: dict[Zone, _ZonePrices] = {}

    def add(self, record: PriceRecord, known_at: datetime, read_at: datetime | None = None) -> None:
        """Take a record that counts from `known_at` on: it replaces what overlaps of those that count from earlier.

        `read_at`: when it could be read, if that was later.
        """
        start = record.start_at
        assert start == quarter_start(start), f"{start} is not on the quarter-hour grid"
        assert known_at >= record.at, f"{known_at} is before {record.at}, when the prices became known"
        zone = self._zones.setdefault(record.zone, _ZonePrices())
        zone.add(record, quarter_index(EPOCH, start), known_at, read_at or known_at)

    def around(self, zone: Zone | None, moment: datetime) -> tuple[datetime | None, datetime | None]:
        """When the last of the records that count by that moment could be read, and when the next one counts.

        None: there is none.
        """
        if zone not in self._zones:
            return None, None
        prices = self._zones[zone]
        place = bisect_right(prices.known_at, moment)
        next_at = prices.known_at[place] if place < len(prices.known_at) else None
        return (prices.read_at[place - 1] if place else None), next_at

    def read_by(self, zone: Zone | None, at: datetime) -> datetime | None:
        """When the last of the records that count by that moment could be read; None: there are none."""
        return self.around(zone, at)[0]

    def known(self, zone: Zone | None, first: int, count: int, at: datetime) -> list[float | None]:
        """The prices of `count` quarter-hours as known at that moment; None where none is."""
        return [None if isnan(price) else price for price in self._window(zone, first, count, at)]

    def planning(self, zone: Zone | None, first: int, count: int, at: datetime) -> list[float] | None:
        """The prices to plan with: as `known`, with stand-ins. None where nothing is known to stand in.

        A missing price is that of the same time 24 h earlier, if need be again, up to 7 d; else the mean of what is
        known of these quarter-hours, or where nothing is, of the 7 d before.
        """
        window = self._window(zone, first, count, at)
        if not isnan(sum(window)):
            return window.tolist()
        return _with_stand_ins(self._window(zone, first - STAND_IN_QUARTERS, count + STAND_IN_QUARTERS, at))

    def currencies(self, zone: Zone | None, quarters: Iterable[int], at: datetime) -> set[str]:
        """The currencies of the prices of these quarter-hours as known at that moment: one, where all is well."""
        if zone not in self._zones:
            return set()
        pages = self._zones[zone].pages
        found: set[str] = set()
        for number, wanted in groupby(sorted(quarters), key=lambda quarter: quarter // DAY_QUARTERS):
            if number in pages:
                found |= pages[number].currencies({quarter % DAY_QUARTERS for quarter in wanted}, at)
        return found

    def _window(self, zone: Zone | None, first: int, count: int, at: datetime) -> "array[float]":
        pages = self._zones[zone].pages if zone in self._zones else {}
        number, offset = divmod(first, DAY_QUARTERS)
        window = array("d")
        while (missing := count - len(window)) > 0:
            page = pages.get(number)
            window += (_BLANK if page is None else page.as_known(at))[offset : offset + missing]
            number, offset = number + 1, 0
        return window


class _Piece(NamedTuple):
    """What one record says of one day, from its quarter-hour `offset` on."""

    offset: int
    prices: "array[float]"
    currency: str


class _ZonePrices:
    """The pages of one zone by day; when each of its records counts from, and by when those up to it could be read."""

    __slots__ = ("known_at", "pages", "read_at")

    def __init__(self) -> None:
        self.known_at: list[datetime] = []
        self.read_at: list[datetime] = []
        self.pages: dict[int, _Page] = {}

    def add(self, record: PriceRecord, first: int, known_at: datetime, read_at: datetime) -> None:
        place = bisect_right(self.known_at, known_at)
        self.known_at.insert(place, known_at)
        self.read_at.insert(place, max(self.read_at[place - 1], read_at) if place else read_at)
        for later in range(place + 1, len(self.read_at)):
            self.read_at[later] = max(self.read_at[later], read_at)
        each = record.resolution.quarters
        prices = array("d", [price for price in record.prices for _ in range(each)])
        number, offset = divmod(first, DAY_QUARTERS)
        while prices:
            fitting = DAY_QUARTERS - offset
            page = self.pages.setdefault(number, _Page())
            page.add(known_at, _Piece(offset, prices[:fitting], record.currency))
            prices, number, offset = prices[fitting:], number + 1, 0


class _Page:
    """One UTC day of one zone: the pieces told of it, in the order in which they count.

    `newest` holds the first `laid` pieces laid over each other, `flats[k]` the first k x STRIDE_RECORDS of them.
    """

    __slots__ = ("flats", "known_at", "laid", "newest", "pieces")

    def __init__(self) -> None:
        self.known_at: list[datetime] = []
        self.pieces: list[_Piece] = []
        self.flats = [_BLANK]
        self.newest = _BLANK[:]
        self.laid = 0

    def add(self, known_at: datetime, piece: _Piece) -> None:
        place = bisect_right(self.known_at, known_at)
        self.known_at.insert(place, known_at)
        self.pieces.insert(place, piece)
        if place < self.laid:
            # It counts from before one that has been laid: go back to what stood before it.
            kept = place // STRIDE_RECORDS
            del self.flats[kept + 1 :]
            self.newest = self.flats[kept][:]
            self.laid = kept * STRIDE_RECORDS

    def as_known(self, at: datetime) -> "array[float]":
        """The day's prices as known at that moment, NaN where none is. To be read only."""
        while self.laid < len(self.pieces):
            _lay(self.newest, self.pieces[self.laid])
            self.laid += 1
            if self.laid % STRIDE_RECORDS == 0:
                self.flats.append(self.newest[:])
        if self.known_at[-1] <= at:
            return self.newest
        count = bisect_right(self.known_at, at)
        kept = count // STRIDE_RECORDS
        flat = self.flats[kept][:]
        for piece in self.pieces[kept * STRIDE_RECORDS : count]:
            _lay(flat, piece)
        return flat

    def currencies(self, wanted: set[int], at: datetime) -> set[str]:
        """The currencies of these quarter-hours of the day. Newest first: what a piece covers, no older one tells."""
        found: set[str] = set()
        for piece in reversed(self.pieces[: bisect_right(self.known_at, at)]):
            left = wanted.difference(range(piece.offset, piece.offset + len(piece.prices)))
            if left != wanted:
                found.add(piece.currency)
            if not left:
                break
            wanted = left
        return found


def _lay(flat: "array[float]", piece: _Piece) -> None:
    flat[piece.offset : piece.offset + len(piece.prices)] = piece.prices


def _with_stand_ins(prices: "array[float]") -> list[float] | None:
    """The prices after the first 7 d, with what stands in for those that are missing."""
    window = prices[STAND_IN_QUARTERS:].tolist()
    filled = window
    for back in range(DAY_QUARTERS, STAND_IN_QUARTERS + 1, DAY_QUARTERS):
        earlier = prices[STAND_IN_QUARTERS - back : len(prices) - back]
        filled = [stand_in if isnan(price) else price for price, stand_in in zip(filled, earlier, strict=True)]
        if not isnan(sum(filled)):
            return filled
    known = [price for price in window if not isnan(price)] or [price for price in prices if not isnan(price)]
    if not known:
        return None
    mean = fsum(known) / len(known)
    return [mean if isnan(price) else price for price in filled]
