"""Price records told in quarter-hours from a moment, and what they say, read off one by one."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from models.ids import Zone
from models.prices import PriceRecord, Resolution
from sessions.grid import quarter_index
from sessions.prices import EPOCH, PriceBook
from tests.builders import minute

NORTH: Final = Zone("NORTH")
# The quarter-hour of minute 0.
FIRST: Final = quarter_index(EPOCH, minute(0))


class Told(NamedTuple):
    """A record: prices from the quarter-hour `start` on (0: that of minute 0), known from the minute `known_at` on."""

    start: int
    prices: Sequence[float]
    known_at: float
    resolution: Resolution = Resolution.QUARTER_HOUR
    currency: str = "EUR"
    zone: Zone = NORTH


def price_record(told: Told) -> PriceRecord:
    """The record as it stands on the topic."""
    return PriceRecord(
        zone=told.zone,
        currency=told.currency,
        resolution=told.resolution,
        start_at=minute(15 * told.start),
        prices=tuple(told.prices),
        at=minute(told.known_at),
    )


def price_book(*records: Told) -> PriceBook:
    """A book that was told these, in this order."""
    book = PriceBook()
    for told in records:
        book.add(price_record(told), minute(told.known_at))
    return book


def read_off(records: Sequence[Told], at: float) -> dict[int, tuple[float, str]]:
    """Price and currency of every quarter-hour as known at a minute: record over record, in the order they count."""
    found = {}
    for told in sorted(records, key=lambda told: told.known_at):
        if told.known_at <= at:
            each = told.resolution.quarters
            for step in range(len(told.prices) * each):
                found[told.start + step] = (told.prices[step // each], told.currency)
    return found


def read_off_planning(records: Sequence[Told], first: int, count: int, at: float) -> list[float] | None:
    """The prices to plan with, by the words of the contract."""
    prices = {quarter: price for quarter, (price, _) in read_off(records, at).items()}
    before = [prices[quarter] for quarter in range(first - 672, first) if quarter in prices]
    known = [prices[quarter] for quarter in range(first, first + count) if quarter in prices] or before
    if not known:
        return None
    mean = sum(known) / len(known)
    return [
        next((prices[back] for back in range(quarter, quarter - 673, -96) if back in prices), mean)
        for quarter in range(first, first + count)
    ]
