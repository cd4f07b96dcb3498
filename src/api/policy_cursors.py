"""Cursors of the list of policies: like those of sessions (api.cursors), over ids instead of times."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from api.cursors import VERSION, Wire, digest, read_wire, text_of
from api.view.paging import Direction
from api.view.policies import PolicySelection
from models.ids import ID_PATTERN


class _Wire(Wire, frozen=True, forbid_unknown_fields=True):
    k: Literal["policies"]
    i: Annotated[str, Meta(pattern=ID_PATTERN)]


_DECODER: Final = msgspec.json.Decoder(_Wire)


def write_policy_cursor(direction: Direction, policy_id: str, selection: PolicySelection) -> str:
    """The text of a cursor that goes on from this policy within this selection."""
    return text_of(_Wire(k="policies", v=VERSION, d=direction, i=policy_id, f=digest(selection)))


def read_policy_cursor(text: str, direction: Direction, selection: PolicySelection | None) -> tuple[Direction, str]:
    """As api.cursors.read_cursor."""
    wire = read_wire(text, _DECODER, direction, selection)
    return wire.d, wire.i
