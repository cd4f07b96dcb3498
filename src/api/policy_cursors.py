"""Cursors of the list of policies: like those of sessions (api.cursors), over ids instead of times."""

import base64
import binascii
import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from api.cursors import TEXT_LIMIT, CursorError
from api.view.paging import Direction
from api.view.policies import PolicySelection
from models.ids import ID_PATTERN

_VERSION: Final = 1
_HASH_CHARACTERS: Final = 16


class _Wire(Struct, frozen=True, forbid_unknown_fields=True):
    k: Literal["policies"]
    v: int
    d: Direction
    i: Annotated[str, Meta(pattern=ID_PATTERN)]
    f: str


_DECODER: Final = msgspec.json.Decoder(_Wire)


def write_policy_cursor(direction: Direction, policy_id: str, selection: PolicySelection) -> str:
    """The text of a cursor that goes on from this policy within this selection."""
    wire = _Wire(k="policies", v=_VERSION, d=direction, i=policy_id, f=_digest(selection))
    return base64.urlsafe_b64encode(msgspec.json.encode(wire)).rstrip(b"=").decode()


def read_policy_cursor(text: str, direction: Direction, selection: PolicySelection) -> tuple[Direction, str]:
    """The cursor that was given as the parameter of this direction. Raises CursorError."""
    if len(text) > TEXT_LIMIT:
        raise CursorError("is not a cursor of this list")
    try:
        raw = text.encode("ascii")
        wire = _DECODER.decode(base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CursorError("is not a cursor of this list") from error
    if wire.v != _VERSION:
        raise CursorError("is of another version of this API; start again from the first page")
    if wire.d is not direction:
        raise CursorError(f"goes the other way; give it as `{wire.d}`")
    if wire.f != _digest(selection):
        raise CursorError("belongs to a list with other filters")
    return wire.d, wire.i


def _digest(selection: PolicySelection) -> str:
    return hashlib.sha256(msgspec.json.encode(selection)).hexdigest()[:_HASH_CHARACTERS]
