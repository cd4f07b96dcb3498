"""Cursors come back as they went out, and nothing else is taken for one."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import TEXT_LIMIT, CursorError, read_cursor, write_cursor
from api.view.keys import NEWEST, OLDEST, Position
from api.view.paging import Cursor, Direction, Selection
from tests.support.updates import session_id

POSITIONS = st.one_of(
    st.sampled_from([OLDEST, NEWEST]),
    st.builds(Position, st.integers(OLDEST.plugged_in_us, NEWEST.plugged_in_us), st.integers(0, 2**60).map(session_id)),
)
ANY_ID = st.none() | st.sampled_from(["a", "b"])
SELECTIONS = st.builds(
    Selection,
    policy_id=ANY_ID,
    vehicle_id=ANY_ID,
    location_id=ANY_ID,
    user_id=ANY_ID,
    from_us=st.none() | st.integers(0, 2),
    to_us=st.none() | st.integers(0, 2),
)
HERE = Position(1_000, session_id(7))


@given(st.sampled_from(Direction), POSITIONS, SELECTIONS)
def test_round_trip(direction: Direction, position: Position, selection: Selection) -> None:
    """A cursor that was handed out is read as what it was, and fits its length limit."""
    text = write_cursor(direction, position, selection)
    assert read_cursor(text, direction, selection) == Cursor(direction, position)
    assert len(text) <= TEXT_LIMIT
    assert text.isascii()


@given(SELECTIONS, SELECTIONS)
def test_bound_to_its_filters(one: Selection, other: Selection) -> None:
    """A cursor of one list is refused in a list with any other filters, or for a caller with another limit."""
    text = write_cursor(Direction.AFTER, HERE, one)
    if one == other:
        assert read_cursor(text, Direction.AFTER, other).position == HERE
    else:
        with pytest.raises(CursorError, match="other filters"):
            read_cursor(text, Direction.AFTER, other)


def test_bound_to_its_direction() -> None:
    """An `after` cursor is not taken as `before`."""
    text = write_cursor(Direction.AFTER, HERE, Selection())
    with pytest.raises(CursorError, match="`after`"):
        read_cursor(text, Direction.BEFORE, Selection())


@given(st.text() | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_rubbish_is_refused(text: str) -> None:
    """Whatever text arrives, it is a cursor or a CursorError."""
    with pytest.raises(CursorError):
        read_cursor(text, Direction.AFTER, Selection())


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"d": "sideways"}, {"t": "1"}, {"t": 2**70}, {"i": "\x00"}, {"i": 5}, {"x": 1}, {"f": None}]
)
def test_altered_fields_are_refused(change: dict[str, object]) -> None:
    """A cursor with one field of another kind, or of an older layout, is refused."""
    text = write_cursor(Direction.AFTER, HERE, Selection())
    fields = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    altered = base64.urlsafe_b64encode(json.dumps(fields | change).encode()).decode().rstrip("=")
    with pytest.raises(CursorError):
        read_cursor(altered, Direction.AFTER, Selection())
