"""The judge of walked lists: it must see what it is there to see."""

import pytest

from tests.support.walking import READERS, Row, Walk, check, initial

START = [initial(number) for number in range(300)]
ROWS = [
    Row(update.id, f"{int(update.in_h):05d}")
    for update in sorted(START, key=lambda update: (update.in_h, update.id), reverse=True)
]
BACK = ROWS[:-100]


def test_a_right_walk_is_right() -> None:
    """A walk that saw every row once, forward and back, stands."""
    check(READERS[0], Walk(ROWS, BACK, 100, 3), START)


@pytest.mark.parametrize(
    "walk",
    [
        pytest.param(Walk([*ROWS[:150], *ROWS[151:]], BACK, 100, 3), id="one skipped"),
        pytest.param(Walk([*ROWS[:150], *ROWS[149:]], BACK, 100, 3), id="one twice"),
        pytest.param(Walk(ROWS, [*ROWS[:50], *ROWS[51:-100]], 100, 3), id="one skipped on the way back"),
        pytest.param(Walk(ROWS, ROWS[:-105], 100, 3), id="the edge skipped on the way back"),
    ],
)
def test_a_wrong_walk_is_seen(walk: Walk) -> None:
    """A row that is skipped, or comes twice, in either direction, fails."""
    with pytest.raises(AssertionError):
        check(READERS[0], walk, START)
