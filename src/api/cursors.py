"""Cursors as clients carry them: opaque text that holds a position, a direction, and which list it belongs to.

Nothing in one is secret or trusted: it names a place in a list that the caller may read anyway, so it is not signed.
"""

import base64
import binascii
import hashlib
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from api.view.keys import NEWEST, OLDEST, Position
from api.view.paging import Cursor, Direction, Selection

# Longest text that `write_cursor` makes is some 180 characters.
TEXT_LIMIT: Final = 512
# Raised when a position changes its meaning: older cursors are then refused, not misread.
VERSION: Final = 1
_HASH_CHARACTERS: Final = 16


class CursorError(ValueError):
    """A cursor that is not one of this list's; the message says in what way."""


class Wire(Struct, frozen=True, forbid_unknown_fields=True):
    """What every cursor holds: `v` the version, `d` the direction, `f` the digest of its list's filters."""

    v: int
    d: Direction
    f: str


AnyWire = TypeVar("AnyWire", bound=Wire)


class _Wire(Wire, frozen=True, forbid_unknown_fields=True):
    t: Annotated[int, Meta(ge=OLDEST.plugged_in_us, le=NEWEST.plugged_in_us)]
    i: Annotated[str, Meta(pattern=r"\A[0-9a-f-]{0,36}\Z")]


_DECODER: Final = msgspec.json.Decoder(_Wire)


def write_cursor(direction: Direction, position: Position, selection: Selection) -> str:
    """The text of a cursor that goes on from `position` within this selection."""
    return text_of(_Wire(v=VERSION, d=direction, t=position.plugged_in_us, i=position.session_id, f=digest(selection)))


def read_cursor(text: str, direction: Direction, selection: Selection | None) -> Cursor:
    """The cursor that was given as the parameter of this direction. Raises CursorError.

    `selection` None: nobody knows of which list it should be, so that alone is not looked at.
    """
    wire = read_wire(text, _DECODER, direction, selection)
    return Cursor(direction, Position(wire.t, wire.i))


def text_of(wire: Struct) -> str:
    """What a cursor holds, as clients carry it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(wire)).rstrip(b"=").decode()


def read_wire(
    text: str, decoder: msgspec.json.Decoder[AnyWire], direction: Direction, selection: Struct | None
) -> AnyWire:
    """What the cursor of a list holds, given as the parameter of this direction. Raises CursorError."""
    if len(text) > TEXT_LIMIT:
        raise CursorError("is not a cursor of this list")
    try:
        raw = text.encode("ascii")
        wire = decoder.decode(base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CursorError("is not a cursor of this list") from error
    if wire.v != VERSION:
        raise CursorError("is of another version of this API; start again from the first page")
    if wire.d is not direction:
        raise CursorError(f"goes the other way; give it as `{wire.d}`")
    if selection is not None and wire.f != digest(selection):
        raise CursorError("belongs to a list with other filters")
    return wire


def digest(selection: Struct) -> str:
    """By which a cursor knows its list's filters again."""
    return hashlib.sha256(msgspec.json.encode(selection)).hexdigest()[:_HASH_CHARACTERS]
