"""Where things lie in the view's store: keys whose byte order is the order of the list, newest first.

Knows ids, times and bytes only. Ids hold no zero byte (models.ids), so a zero byte ends each of them and no prefix
can run into its neighbour's rows. Times are signed microseconds since 1970, shifted so that their bytes sort; in the
place of a session every bit of time and id is turned over, so that a list is read forwards, as the store does it best.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from struct import Struct as Layout
from typing import Final, NamedTuple

# Raised by one whenever a key or a row changes its meaning: a store of another number is rebuilt.
LAYOUT_VERSION: Final = 7

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIME: Final = Layout(">Q")
_PARTITION: Final = Layout(">I")
_SHIFT: Final = 1 << 63
_END: Final = b"\x00"
_PAST_ANY_ID: Final = b"\xff"
_TURN_OVER: Final = bytes(range(256))[::-1]


class Index(bytes, Enum):
    """The orders in which settled sessions are kept, each by what it starts with; then pluggedInAt, then id.

    Who is limited to one user is served from a list of that user's own: other users' sessions are never even met.
    """

    ALL = b"A"
    USER = b"U"
    POLICY_USER = b"P"
    VEHICLE = b"V"
    VEHICLE_USER = b"W"
    LOCATION = b"L"
    LOCATION_USER = b"M"


class Position(NamedTuple):
    """A place in the list: microseconds of pluggedInAt, then the session's id. Tuples compare as the list does."""

    plugged_in_us: int
    session_id: str


OLDEST: Final = Position(-_SHIFT, "")
# No id follows the last microsecond of the scale, which lies 292,000 years ahead.
NEWEST: Final = Position(_SHIFT - 1, "")


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware time, without the rounding of a float."""
    return (moment - _EPOCH) // _MICROSECOND


def head_key(session_id: str) -> bytes:
    return b"h" + session_id.encode()


def body_key(vehicle_id: str, place: bytes) -> bytes:
    """Bodies of one vehicle lie side by side, as they stand in lists: most are of one, and a page reads few blocks."""
    return b"b%b\0%b" % (vehicle_id.encode(), place)


def current_key(policy_id: str) -> bytes:
    return b"c" + policy_id.encode()


def policy_key(policy_id: str) -> bytes:
    return b"p" + policy_id.encode()


def event_key(charging_event_id: str) -> bytes:
    return b"e" + charging_event_id.encode()


def meta_key(name: str) -> bytes:
    return b"m" + name.encode()


def offset_key(topic: str, partition: int) -> bytes:
    """Where the next offset of a partition is kept. Topic names hold no zero byte either."""
    return b"o" + topic.encode() + _END + _PARTITION.pack(partition)


def index_prefix(index: Index, ids: Sequence[str]) -> bytes:
    """What all entries of one list start with, and no entry of any other does."""
    return index + "\0".join((*ids, "")).encode()


def position_key(position: Position) -> bytes:
    """The part of an index key behind its prefix; its bytes compare as positions do, the newest first."""
    place = place_of(position.plugged_in_us, position.session_id)
    # Without an id it is behind all that have one, as it is before them in a position's own order.
    return place if position.session_id else place + _PAST_ANY_ID


def place_of(plugged_in_us: int, session_id: str) -> bytes:
    """The same, from the parts of a session's position."""
    return _TIME.pack(_SHIFT - 1 - plugged_in_us) + session_id.encode().translate(_TURN_OVER)


def position_of(prefix: bytes, key: bytes) -> Position:
    """The position that an index key under `prefix` holds."""
    start = len(prefix)
    (turned,) = _TIME.unpack_from(key, start)
    return Position(_SHIFT - 1 - turned, key[start + _TIME.size :].translate(_TURN_OVER).decode())
