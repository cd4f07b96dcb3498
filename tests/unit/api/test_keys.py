"""Keys sort as the list does, and no list's entries lie among another's."""

from hypothesis import example, given
from hypothesis import strategies as st

from api.view.keys import NEWEST, OLDEST, Index, Position, index_prefix, position_key, position_of
from tests.support.updates import session_id

IDS = st.from_regex(r"\A[A-Za-z0-9._:-]{1,64}\Z")
POSITIONS = st.builds(
    Position,
    st.integers(OLDEST.plugged_in_us, NEWEST.plugged_in_us - 1),
    st.integers(0, 2**60).map(session_id),
)
LISTS = st.one_of(
    st.just((Index.ALL, ())),
    st.tuples(st.sampled_from([Index.USER, Index.VEHICLE, Index.LOCATION]), st.tuples(IDS)),
    st.tuples(st.sampled_from([Index.POLICY_USER, Index.VEHICLE_USER, Index.LOCATION_USER]), st.tuples(IDS, IDS)),
)


@given(POSITIONS, POSITIONS)
def test_bytes_sort_as_positions(one: Position, other: Position) -> None:
    """Two index keys compare as pluggedInAt, then id, the newest first."""
    assert (position_key(one) < position_key(other)) == (one > other)


@given(POSITIONS)
@example(Position(OLDEST.plugged_in_us, session_id(0)))
@example(Position(NEWEST.plugged_in_us - 1, session_id(2**60)))
def test_every_position_lies_between_the_ends(position: Position) -> None:
    """No session lies outside the whole range."""
    assert position_key(NEWEST) < position_key(position) < position_key(OLDEST)


@given(LISTS, POSITIONS)
def test_a_position_can_be_read_back(entry_list: tuple[Index, tuple[str, ...]], position: Position) -> None:
    """An index key holds its position, whole."""
    prefix = index_prefix(*entry_list)
    assert position_of(prefix, prefix + position_key(position)) == position


@given(LISTS, LISTS, POSITIONS)
def test_lists_do_not_mix(
    one: tuple[Index, tuple[str, ...]], other: tuple[Index, tuple[str, ...]], position: Position
) -> None:
    """The entries of one list start with its prefix, and those of no other list do."""
    key = index_prefix(*one) + position_key(position)
    assert key.startswith(index_prefix(*other)) == (one == other)
