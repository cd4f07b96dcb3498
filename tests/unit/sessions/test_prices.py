"""Prices as known at a moment, and what stands in for a missing one. Quarter-hours count from 08:00 UTC."""

import tracemalloc
from datetime import datetime, timedelta
from statistics import fmean

import pytest

from models.ids import Zone
from models.prices import PriceRecord, Resolution
from sessions.prices import STRIDE_RECORDS, PriceBook
from tests.builders import ZERO, minute
from tests.support.price_records import FIRST, NORTH, Told, price_book, price_record, read_off

SOUTH = Zone("SOUTH")
DAY = 96
TICK = timedelta(microseconds=1)
LATE = 10**6


def known(book: PriceBook, first: int, count: int, at: float = LATE) -> list[float | None]:
    return book.known(NORTH, FIRST + first, count, minute(at))


def planning(book: PriceBook, first: int, count: int, at: float = LATE) -> list[float] | None:
    return book.planning(NORTH, FIRST + first, count, minute(at))


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        (Resolution.QUARTER_HOUR, [1, 2, None, None, None, None, None, None, None]),
        (Resolution.HALF_HOUR, [1, 1, 2, 2, None, None, None, None, None]),
        (Resolution.HOUR, [1, 1, 1, 1, 2, 2, 2, 2, None]),
    ],
)
def test_resolutions(resolution: Resolution, expected: list[float | None]) -> None:
    """A price holds for all quarter-hours of its interval, and for none outside of the record."""
    book = price_book(Told(3, [1, 2], 0, resolution))
    assert known(book, 3, 9) == expected
    assert known(book, 2, 1) == [None]


REPLACED: dict[str, tuple[list[Told], list[float | None]]] = {
    "a later one replaces what overlaps": ([Told(0, [1, 1, 1], 0), Told(1, [2], 5)], [1, 2, 1, None]),
    "it may reach further": ([Told(0, [1, 1], 0), Told(1, [2, 2, 2], 5)], [1, 2, 2, 2]),
    "whatever the order of arrival": ([Told(1, [2], 5), Told(0, [1, 1, 1], 0)], [1, 2, 1, None]),
    "known at once, the later to arrive": ([Told(0, [1, 1], 5), Told(1, [2, 2], 5)], [1, 2, 2, None]),
    "known at once, the other way round": ([Told(1, [2, 2], 5), Told(0, [1, 1], 5)], [1, 1, 2, None]),
    "coarse over fine": ([Told(0, [1, 2, 3, 4], 0), Told(0, [9], 1, Resolution.HALF_HOUR)], [9, 9, 3, 4]),
    "another zone": ([Told(0, [1], 0), Told(0, [2], 1, zone=SOUTH)], [1, None, None, None]),
}


@pytest.mark.parametrize("name", REPLACED)
def test_later_records_replace(name: str) -> None:
    """Of the records that hold a quarter-hour the one counts that was known last, of such the last to arrive."""
    records, expected = REPLACED[name]
    assert known(price_book(*records), 0, 4) == expected


def test_known_from_its_moment_on() -> None:
    """A record counts from the very moment at which it is known, and never before."""
    book = price_book(Told(0, [1], 10), Told(0, [2], 20))
    moments = [minute(10) - TICK, minute(10), minute(20) - TICK, minute(20)]
    assert [book.known(NORTH, FIRST, 1, moment) for moment in moments] == [[None], [1], [1], [2]]


def test_known_later_than_told() -> None:
    """What counts is when a record is known to us, not the time that it names."""
    book = PriceBook()
    book.add(price_record(Told(0, [1], 10)), minute(12))
    assert (known(book, 0, 1, 11), known(book, 0, 1, 12)) == ([None], [1])
    assert book.around(NORTH, minute(0))[1] == minute(12)


@pytest.mark.parametrize("count", [1, STRIDE_RECORDS - 1, STRIDE_RECORDS, STRIDE_RECORDS + 1, 3 * STRIDE_RECORDS + 5])
def test_many_records_of_one_day(count: int) -> None:
    """However often a day's prices were told, each moment sees those of the last time before it."""
    book = price_book(*(Told(0, [number], number) for number in range(count)))
    assert [known(book, 0, 1, at)[0] for at in range(count)] == list(range(count))
    assert known(book, 0, 1) == [count - 1]


@pytest.mark.parametrize("place", [0, 1, STRIDE_RECORDS - 1, STRIDE_RECORDS, 2 * STRIDE_RECORDS, 3 * STRIDE_RECORDS])
def test_a_record_that_comes_late(place: int) -> None:
    """A record that counts from before others is seen between them, also after the book has been asked."""
    records = [Told(number % 7, [number], number) for number in range(3 * STRIDE_RECORDS + 5)]
    book = price_book(*records)
    assert known(book, 0, 1) == [records[-1].known_at // 7 * 7]
    late = Told(0, [-1, -1], place - 0.5)
    book.add(price_record(late), minute(late.known_at))
    for at in [-1, place - 1, place - 0.5, place, place + 8, LATE]:
        found = read_off([*records, late], at)
        assert known(book, 0, 8, at) == [found[quarter][0] if quarter in found else None for quarter in range(8)]


def test_windows_across_days() -> None:
    """A window may begin and end anywhere in any day, a record as well."""
    book = price_book(Told(50, list(range(250)), 0))
    assert known(book, 49, 252) == [None, *range(250), None]
    assert known(book, 60, 5) == [10, 11, 12, 13, 14]
    assert known(book, 60, 0) == []


def test_no_zone() -> None:
    """Without a zone, or in one of which nothing was told, nothing is known."""
    book = price_book(Told(0, [1], 0))
    for zone in (None, SOUTH):
        assert book.known(zone, FIRST, 2, minute(LATE)) == [None, None]
        assert book.planning(zone, FIRST, 2, minute(LATE)) is None
        assert book.around(zone, minute(-9))[1] is None
        assert book.currencies(zone, [FIRST], minute(LATE)) == set()


@pytest.mark.parametrize(
    ("after", "expected"),
    [(minute(-1), 5), (minute(5) - TICK, 5), (minute(5), 10), (minute(9), 10), (minute(10), 20), (minute(20), None)],
)
def test_next_change(after: datetime, expected: float | None) -> None:
    """The next change is the first record that counts from strictly later on, in whatever order they came."""
    book = price_book(
        Told(0, [1], 10), Told(0, [1], 5), Told(DAY, [1], 20), Told(0, [1], 10), Told(0, [1], 7, zone=SOUTH)
    )
    assert book.around(NORTH, after)[1] == (None if expected is None else minute(expected))


def test_what_no_record_may_be() -> None:
    """A record off the grid, or known before the time that it names, is a mistake of the caller."""
    record = price_record(Told(0, [1], 0))
    off_grid = PriceRecord(
        zone=NORTH,
        currency="EUR",
        resolution=Resolution.HOUR,
        start_at=ZERO + TICK,
        prices=(1.0,),
        at=ZERO,
    )
    with pytest.raises(AssertionError, match="not on the quarter-hour grid"):
        PriceBook().add(off_grid, ZERO)
    with pytest.raises(AssertionError, match="when the prices became known"):
        PriceBook().add(record, ZERO - TICK)


STAND_INS: dict[str, tuple[list[Told], int, list[float] | None]] = {
    "all are known": ([Told(0, [1, 2, 3], 0)], 3, [1, 2, 3]),
    "of 24 h earlier": ([Told(-DAY, [7, 8, 9], 0), Told(0, [1], 0)], 3, [1, 8, 9]),
    "of 48 h earlier": ([Told(-2 * DAY, [7, 8, 9], 0), Told(-DAY, [6], 0)], 3, [6, 8, 9]),
    "of 7 d earlier": ([Told(-7 * DAY, [7, 8, 9], 0), Told(0, [1], 0)], 3, [1, 8, 9]),
    "not of 8 d earlier": ([Told(-8 * DAY, [7, 8, 9], 0), Told(0, [1, 3], 0)], 3, [1, 3, 2]),
    "the same time, not the one before": ([Told(-DAY - 1, [7], 0), Told(0, [1], 0)], 2, [1, 1]),
    "the mean of the known in the window": ([Told(-3, [50, 50, 50], 0), Told(1, [1, 5], 0)], 3, [3, 1, 5]),
    "stand-ins count for no mean": ([Told(-DAY, [50], 0), Told(1, [1, 5], 0)], 4, [50, 1, 5, 3]),
    "the mean of the 7 d before": ([Told(-5, [4, 6], 0)], 2, [5, 5]),
    "the mean of the 7 d before, and stand-ins": ([Told(-DAY, [4], 0), Told(-5, [6], 0)], 2, [4, 5]),
    "the 7 d before begin with the window": ([Told(-7 * DAY, [4], 0)], 2, [4, 4]),
    "nothing in 7 d": ([Told(-7 * DAY - 1, [4], 0)], 2, None),
    "only later ones": ([Told(2, [4], 0)], 2, None),
    "below zero and nothing are prices": ([Told(-DAY, [7, 7], 0), Told(0, [-1, 0], 0)], 2, [-1, 0]),
}


@pytest.mark.parametrize("name", STAND_INS)
def test_stand_ins(name: str) -> None:
    """A missing price is that of the same time up to 7 d earlier, the nearest, else the mean of the known."""
    records, count, expected = STAND_INS[name]
    assert planning(price_book(*records), 0, count) == expected


def test_stand_ins_within_a_long_window() -> None:
    """Each interval looks back from itself: for 7 d, into the window and beyond it."""
    book = price_book(Told(-DAY, list(range(DAY)), 0), Told(0, [1_000.0], 0))
    found = planning(book, 0, 8 * DAY)
    assert found is not None
    assert found[:3] == [1_000, 1, 2]
    assert [found[day * DAY] for day in range(8)] == [1_000] * 8
    assert [found[day * DAY + 1] for day in range(8)] == [1] * 6 + [1] + [1_000]


def test_stand_ins_are_those_known_then() -> None:
    """What stands in is what was known at that moment."""
    book = price_book(Told(-DAY, [1], 0), Told(-DAY, [2], 10), Told(0, [3], 20))
    assert [planning(book, 0, 1, at) for at in (-1, 0, 9, 10, 19, 20)] == [None, [1], [1], [2], [2], [3]]


def test_currencies() -> None:
    """Quarter-hours are priced in the currency of the record that counts for each, as known at that moment."""
    book = price_book(
        Told(0, [1, 1, 1, 1], 0),
        Told(1, [1, 1], 5, currency="DKK"),
        Told(DAY, [1], 5, currency="SEK"),
        Told(1, [1], 9),
    )

    def found(quarters: list[int], at: float = LATE) -> set[str]:
        return book.currencies(NORTH, [FIRST + quarter for quarter in quarters], minute(at))

    assert found([0, 1, 3]) == {"EUR"}
    assert found([2]) == {"DKK"}
    assert found([3, 2, 0]) == {"EUR", "DKK"}
    assert found([1, 2], 8.9) == {"DKK"}
    assert found([1, 2], 4.9) == {"EUR"}
    assert found([0], -1) == set()
    assert found([4, 5, 40, 5_000]) == set()
    assert found([DAY, 0]) == {"SEK", "EUR"}
    assert found([]) == set()


def test_memory() -> None:
    """A year and a month of 50 zones, a record a day in quarter-hours, would take less than 200 MB."""
    zones, days = 5, 40
    tracemalloc.start()
    try:
        book = PriceBook()
        for number in range(zones):
            for day in range(days):
                prices = [fmean((day, quarter)) for quarter in range(DAY)]
                # A local day is not one of UTC: its record lies on two of these.
                told = Told(DAY * day - 8, prices, DAY * 15 * (day - 1), zone=Zone(f"zone-{number}"))
                book.add(price_record(told), minute(told.known_at))
        for number in range(zones):
            assert book.planning(Zone(f"zone-{number}"), FIRST, DAY * (days - 2), minute(LATE)) is not None
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes / (zones * days) * (50 * 400) < 200e6


def test_when_they_could_be_read() -> None:
    """Of the records that count by a moment, the one that could be read last says by when all of them could be."""
    book = PriceBook()
    assert book.read_by(NORTH, minute(0)) is None
    book.add(price_record(Told(0, [1], 10)), minute(10))
    book.add(price_record(Told(0, [1], 30)), minute(30), minute(31))
    assert [book.read_by(NORTH, minute(at)) for at in (9, 10, 30)] == [None, minute(10), minute(31)]
    book.add(price_record(Told(0, [1], 20)), minute(20), minute(45))
    assert [book.read_by(NORTH, minute(at)) for at in (10, 20, 30)] == [minute(10), minute(45), minute(45)]
