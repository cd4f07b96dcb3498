"""Arithmetic of the quarter-hour grid, boundaries included."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from sessions.grid import (
    HOUR_US,
    MINUTE_US,
    QUARTER,
    QUARTER_US,
    Span,
    clipped,
    micros,
    quarter_index,
    quarter_start,
    quarters,
    shares_wh,
    spread,
)
from tests.builders import minute

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        (minute(15), minute(15)),
        (minute(15) - TICK, minute(0)),
        (minute(15) + TICK, minute(15)),
        (minute(0), minute(0)),
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), datetime(1969, 12, 31, 23, 45, tzinfo=UTC)),
        (
            datetime(2025, 1, 1, 5, 40, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            datetime(2024, 12, 31, 23, 45, tzinfo=UTC),
        ),
    ],
)
def test_quarter_start(moment: datetime, start: datetime) -> None:
    """A boundary belongs to the quarter-hour that it begins, and the grid is that of UTC."""
    assert quarter_start(moment) == start


@pytest.mark.parametrize(
    ("origin", "moment", "index"), [(0, 0, 0), (14, 15, 1), (15, 29.9, 0), (15, 30, 1), (20, 10, -1), (0, 1440, 96)]
)
def test_quarter_index(origin: float, moment: float, index: int) -> None:
    """Quarter-hours count from the one that holds the origin."""
    assert quarter_index(minute(origin), minute(moment)) == index


@pytest.mark.parametrize(
    ("start", "end", "bounds"),
    [(0, 30, [0, 15, 30]), (1, 2, [1, 2]), (14, 16, [14, 15, 16]), (5, 5, []), (6, 5, []), (15, 30, [15, 30])],
)
def test_quarters(start: float, end: float, bounds: list[float]) -> None:
    """Stretches of the grid follow each other without a gap or an empty one."""
    assert list(quarters(minute(start), minute(end))) == [(minute(a), minute(b)) for a, b in pairwise(bounds)]


@pytest.mark.parametrize(
    ("span", "inside"),
    [((0, 10), (5, 10)), ((5, 20), (5, 20)), ((6, 7), (6, 7)), ((0, 99), (5, 20)), ((0, 5), None), ((20, 30), None)],
)
def test_clipped(span: tuple[float, float], inside: tuple[float, float] | None) -> None:
    """Of a span remains what lies inside; one that only touches a bound is gone."""
    found = clipped([(minute(span[0]), minute(span[1]))], minute(5), minute(20))
    assert found == ([] if inside is None else [(minute(inside[0]), minute(inside[1]))])


@pytest.mark.parametrize(
    ("energy_wh", "spans", "shares"),
    [
        (30, [(0, 30)], {0: 15, 1: 15}),
        (3, [(0, 30)], {0: 2, 1: 1}),
        (1, [(0, 45)], {0: 0, 1: 1, 2: 0}),
        (10, [(0, 5), (10, 15), (40, 50)], {0: 5, 2: 3, 3: 2}),
        (0, [(0, 20)], {0: 0, 1: 0}),
    ],
)
def test_spread(energy_wh: int, spans: list[tuple[float, float]], shares: dict[int, int]) -> None:
    """Shares go by time, rounded by their running total, and sum to the whole."""
    found: list[Span] = [(minute(a), minute(b)) for a, b in spans]
    assert spread(energy_wh, found, minute(0)) == shares
    assert sum(shares.values()) == energy_wh


def test_a_quarter_is_15_minutes() -> None:
    """The grid has 96 intervals a day."""
    assert timedelta(days=1) / QUARTER == 96


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 2, 0, 0, 1, 5, tzinfo=UTC), 86_401_000_005),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(2025, 3, 4, 10, 0, tzinfo=timezone(timedelta(hours=2))), 1_741_075_200_000_000),
    ],
)
def test_micros(moment: datetime, microseconds: int) -> None:
    """Microseconds count from 1970 in UTC, exactly."""
    assert micros(moment) == microseconds


@pytest.mark.parametrize(
    ("energy_wh", "spans", "shares"),
    [
        (30, [(0, 30)], {0: 15, 1: 15}),
        (3, [(0, 30)], {0: 2, 1: 1}),
        (1, [(0, 45)], {0: 0, 1: 1, 2: 0}),
        (10, [(0, 5), (10, 15), (40, 50)], {0: 5, 2: 3, 3: 2}),
        (10, [(5, 10), (29, 30), (30, 34)], {0: 5, 1: 1, 2: 4}),
    ],
)
def test_shares(energy_wh: int, spans: list[tuple[int, int]], shares: dict[int, int]) -> None:
    """Shares by quarter-hour since 1970 go by time, rounded by their running total, and sum to the whole."""
    found = shares_wh(energy_wh, [(start * MINUTE_US, end * MINUTE_US) for start, end in spans])
    assert found == shares
    assert sum(found.values()) == energy_wh


def test_units_of_time() -> None:
    """A quarter-hour has 15 minutes in every unit."""
    assert (QUARTER_US, HOUR_US) == (QUARTER // TICK, 4 * QUARTER // TICK)
