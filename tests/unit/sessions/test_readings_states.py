"""States of charging: which of them are kept, and how long they hold."""

import pytest

from sessions.states import QUARTER_LIMIT_ROWS, State, flipped_us, put_state

MINUTE_US = 60_000_000


def _put(*told: tuple[float, bool]) -> list[tuple[float, float, bool]]:
    rows: tuple[State, ...] = ()
    for at_min, is_charging in told:
        rows = put_state(rows, round(at_min * MINUTE_US), is_charging=is_charging)
    return [(first / MINUTE_US, last / MINUTE_US, is_on) for first, last, is_on in rows]


ROWS: dict[str, tuple[list[tuple[float, bool]], list[tuple[float, float, bool]]]] = {
    "alike": ([(1, True), (2, True), (4, True)], [(1, 4, True)]),
    "alike, but far apart": ([(1, True), (3.01, True)], [(1, 1, True), (3.01, 3.01, True)]),
    "changes": ([(1, True), (2, False), (3, True)], [(1, 1, True), (2, 2, False), (3, 3, True)]),
    "again": ([(1, True), (2, True), (1, True), (1.5, True), (2, True)], [(1, 2, True)]),
    "late, between": ([(1, True), (3, True), (2, True)], [(1, 3, True)]),
    "late, joins two rows": ([(1, True), (4, True), (2.5, True)], [(1, 4, True)]),
    "late, begins a row": ([(5, True), (6, True), (7, True), (3.5, True)], [(3.5, 7, True)]),
    "late, between changes": (
        [(1, True), (6, False), (8, True), (7, False)],
        [(1, 1, True), (6, 7, False), (8, 8, True)],
    ),
    "late, parts nothing": ([(1, True), (2, True), (1.5, False)], [(1, 2, True)]),
    "late, between two rows": ([(1, True), (5, True), (3, False)], [(1, 1, True), (3, 3, False), (5, 5, True)]),
    "late, before all": ([(2, True), (1, True)], [(1, 2, True)]),
    "both for one moment": ([(1, False), (1, True)], [(1, 1, True)]),
    "both for one moment, reversed": ([(1, True), (1, False)], [(1, 1, True)]),
    "both for one moment, of a row": ([(1, False), (2, False), (2, True)], [(1, 2, False)]),
    "both for one moment, at the start of a row": ([(1, False), (2, False), (1, True)], [(1, 2, False)]),
}


@pytest.mark.parametrize(("told", "rows"), ROWS.values(), ids=ROWS)
def test_rows(told: list[tuple[float, bool]], rows: list[tuple[float, float, bool]]) -> None:
    """States told alike within 2 min of each other are one row, of which the ends are kept."""
    assert _put(*told) == rows


def test_rows_of_a_quarter_hour_are_limited() -> None:
    """Of a vehicle that begins and stops all the time the oldest changes are lost, and it charged meanwhile."""
    rows = _put(*((number / 10, number % 2 == 1) for number in range(100)))
    assert len(rows) == QUARTER_LIMIT_ROWS
    assert rows[:2] == [(0, 8.4, True), (8.5, 8.5, True)]


@pytest.mark.parametrize(
    ("told", "flipped_min"),
    [
        ([], 0),
        ([(1, True), (2, True)], 1),
        ([(1, True), (6, True), (11, True)], 1),
        ([(1, True), (2, False), (3, False)], 2),
        ([(1, True), (2, False), (3, True), (6, True)], 3),
    ],
)
def test_when_the_newest_state_began(told: list[tuple[float, bool]], flipped_min: float) -> None:
    """The newest state holds since the row in which it began, not since it was last told."""
    rows: tuple[State, ...] = ()
    for at_min, is_charging in told:
        rows = put_state(rows, round(at_min * MINUTE_US), is_charging=is_charging)
    assert flipped_us(rows) == flipped_min * MINUTE_US
