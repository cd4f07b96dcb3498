"""The intervals of a session: where they lie, what they hold, and how far they go."""

import pytest

from sessions.series import Series, points, series_until
from tests.builders import minute
from tests.support.controls import minutes


def series(start: float, until: float, *energy_wh: int, levels: tuple[int | None, ...] = ()) -> Series:
    return series_until(minute(start), minute(until), energy_wh, levels)


def spans(found: Series, first: int = 0, end: int | None = None) -> list[tuple[float | None, float | None]]:
    return [(minutes(point.start_at), minutes(point.end_at)) for point in points(found, first, end)]


@pytest.mark.parametrize(
    ("start", "until", "found"),
    [
        (0, 15, [(0, 15)]),
        (0, 15.1, [(0, 15), (15, 15.1)]),
        (0, 14.9, [(0, 14.9)]),
        (7, 31, [(7, 15), (15, 30), (30, 31)]),
        (14.9, 15, [(14.9, 15)]),
        (15, 30, [(15, 30)]),
        (7, 8, [(7, 8)]),
        (7, 7, []),
        (7, 5, []),
    ],
)
def test_intervals_lie_on_the_grid(start: float, until: float, found: list[tuple[float, float]]) -> None:
    """The first is clipped to the start, the last to the end; none is empty."""
    assert spans(series(start, until)) == found
    assert series(start, until).count == len(found)


def test_a_part_of_no_length_shows_its_energy() -> None:
    """In an interval of no length; without energy there is none."""
    assert spans(series(7, 7, 5)) == [(7, 7)]
    assert spans(series(7, 7, 0)) == []


def test_what_is_not_known_is_nothing() -> None:
    """Beyond the end of what is remembered an interval has no energy and no level."""
    found = points(series(0, 60, 1_500, 25, levels=(40,)))
    assert [(point.kwh, point.battery_level) for point in found] == [(1.5, 40), (0.025, None), (0.0, None), (0.0, None)]


@pytest.mark.parametrize(
    ("first", "end", "found"),
    [(0, 1, [(7, 15)]), (1, 3, [(15, 30), (30, 45)]), (3, None, [(45, 50)]), (1, 1, []), (4, None, [])],
)
def test_a_part_of_the_intervals(first: int, end: int | None, found: list[tuple[float, float]]) -> None:
    """From the first up to, not including, the end."""
    assert spans(series(7, 50), first, end) == found
