"""The UTC quarter-hour grid: where a moment lies on it, and how an amount of energy spreads over it.

What is remembered in series is kept in whole microseconds since 1970 (`_us`), and its quarter-hours are counted from
there: integers compare, subtract and store far more cheaply than datetimes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

QUARTER: Final = timedelta(minutes=15)
MINUTE_US: Final = 60_000_000
QUARTER_US: Final = 15 * MINUTE_US
HOUR_US: Final = 60 * MINUTE_US
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The shortest time: a moment on the grid belongs to the quarter-hour that it ends.
MOMENT: Final = timedelta(microseconds=1)
_SECONDS_PER_DAY: Final = 86_400
_US_PER_SECOND: Final = 1_000_000

Span = tuple[datetime, datetime]
SpanUs = tuple[int, int]
_Time = TypeVar("_Time", datetime, int)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970. `moment` must be aware."""
    since = moment - _EPOCH
    return (since.days * _SECONDS_PER_DAY + since.seconds) * _US_PER_SECOND + since.microseconds


def quarter_start(moment: datetime) -> datetime:
    """The beginning of the quarter-hour that holds `moment`, which is in UTC."""
    return _EPOCH + (moment - _EPOCH) // QUARTER * QUARTER


def quarter_number(moment: datetime) -> int:
    """The quarter-hour that holds `moment`, counted from 1970."""
    return (moment - _EPOCH) // QUARTER


def quarter_index(origin: datetime, moment: datetime) -> int:
    """How many quarter-hours lie between the one that holds `origin` and the one that holds `moment`."""
    return (moment - quarter_start(origin)) // QUARTER


def quarters(start: datetime, end: datetime) -> Iterator[Span]:
    """The stretches of the grid from `start` to `end`: the first and the last clipped, none where they are equal."""
    while start < end:
        stop = min(quarter_start(start) + QUARTER, end)
        yield start, stop
        start = stop


def clipped(spans: Iterable[tuple[_Time, _Time]], start: _Time, end: _Time) -> list[tuple[_Time, _Time]]:
    """What of the spans lies between `start` and `end`; a span of no length holds no time, and is left out."""
    return [(max(a, start), min(b, end)) for a, b in spans if max(a, start) < min(b, end)]


def spread(energy_wh: int, spans: Iterable[Span], origin: datetime) -> dict[int, int]:
    """Whole Wh by quarter index, evenly over the spans' time, rounded cumulatively: the sum is exact.

    `spans` hold some time. Nothing is rounded twice: each share is the difference of two rounded running totals.
    """
    pieces = [(quarter_index(origin, a), (b - a) // MOMENT) for span in spans for a, b in quarters(*span)]
    total_us = sum(length_us for _, length_us in pieces)
    shares: dict[int, int] = {}
    passed_us = given_wh = 0
    for index, length_us in pieces:
        passed_us += length_us
        running_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us)
        shares[index] = shares.get(index, 0) + running_wh - given_wh
        given_wh = running_wh
    return shares


def shares_wh(energy_wh: int, spans: Sequence[SpanUs]) -> dict[int, int]:
    """Whole Wh by quarter-hour since 1970, evenly over the spans' time, rounded cumulatively: the sum is exact.

    `spans` hold some time.
    """
    total_us = sum(end_us - start_us for start_us, end_us in spans)
    shares: dict[int, int] = {}
    passed_us = given_wh = 0
    for start_us, end_us in spans:
        for quarter in range(start_us // QUARTER_US, -(-end_us // QUARTER_US)):
            passed_us += min(end_us, (quarter + 1) * QUARTER_US) - max(start_us, quarter * QUARTER_US)
            running_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us)
            shares[quarter] = shares.get(quarter, 0) + running_wh - given_wh
            given_wh = running_wh
    return shares
