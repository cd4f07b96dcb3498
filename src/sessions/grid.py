"""The UTC quarter-hour grid: where a moment lies on it, and how an amount of energy spreads over it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

QUARTER: Final = timedelta(minutes=15)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Span = tuple[datetime, datetime]


def quarter_start(moment: datetime) -> datetime:
    """The beginning of the quarter-hour that holds `moment`."""
    return moment - (moment - _EPOCH) % QUARTER


def quarter_index(origin: datetime, moment: datetime) -> int:
    """How many quarter-hours lie between the one that holds `origin` and the one that holds `moment`."""
    return (moment - quarter_start(origin)) // QUARTER


def quarters(start: datetime, end: datetime) -> Iterator[Span]:
    """The stretches of the grid from `start` to `end`: the first and the last clipped, none where they are equal."""
    while start < end:
        stop = min(quarter_start(start) + QUARTER, end)
        yield start, stop
        start = stop


def clipped(spans: Iterable[Span], start: datetime, end: datetime) -> list[Span]:
    """What of the spans lies between `start` and `end`."""
    return [(max(a, start), min(b, end)) for a, b in spans if a < end and start < b]


def spread(energy_wh: int, spans: Iterable[Span], origin: datetime) -> dict[int, int]:
    """Whole Wh by quarter index, evenly over the spans' time, rounded cumulatively: the sum is exact.

    `spans` hold some time. Nothing is rounded twice: each share is the difference of two rounded running totals.
    """
    pieces = [(quarter_index(origin, a), (b - a) // _MICROSECOND) for span in spans for a, b in quarters(*span)]
    total_us = sum(length_us for _, length_us in pieces)
    shares: dict[int, int] = {}
    passed_us = given_wh = 0
    for index, length_us in pieces:
        passed_us += length_us
        running_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us)
        shares[index] = shares.get(index, 0) + running_wh - given_wh
        given_wh = running_wh
    return shares
