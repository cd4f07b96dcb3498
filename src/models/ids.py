"""Identifiers as distinct types. Decides which strings are acceptable ids; knows nothing of what they name."""

import re
from typing import Annotated, Final, NewType

from msgspec import Meta

VehicleId = NewType("VehicleId", str)
UserId = NewType("UserId", str)
PolicyId = NewType("PolicyId", str)
LocationId = NewType("LocationId", str)
ChargerId = NewType("ChargerId", str)
SessionId = NewType("SessionId", str)
ChargingEventId = NewType("ChargingEventId", str)
CommandId = NewType("CommandId", str)
Zone = NewType("Zone", str)

ID_PATTERN: Final = r"\A[A-Za-z0-9._:-]{1,64}\Z"
_ID = re.compile(ID_PATTERN)

# On the wire an id is a string of 1 to 64 characters of this alphabet (docs/reference/topics.md).
WireVehicleId = Annotated[VehicleId, Meta(pattern=ID_PATTERN)]
WireUserId = Annotated[UserId, Meta(pattern=ID_PATTERN)]
WirePolicyId = Annotated[PolicyId, Meta(pattern=ID_PATTERN)]
WireLocationId = Annotated[LocationId, Meta(pattern=ID_PATTERN)]
WireChargerId = Annotated[ChargerId, Meta(pattern=ID_PATTERN)]
WireSessionId = Annotated[SessionId, Meta(pattern=ID_PATTERN)]
WireZone = Annotated[Zone, Meta(pattern=ID_PATTERN)]

# Messages of vehicles are many, and a pattern for each id takes longer than all the rest of their decoding: only the
# length is looked at there, and `has_foreign` at the characters of all their ids at once.
_LONG: Final = Meta(min_length=1, max_length=64, extra_json_schema={"pattern": ID_PATTERN})
ToldVehicleId = Annotated[VehicleId, _LONG]
ToldUserId = Annotated[UserId, _LONG]
ToldLocationId = Annotated[LocationId, _LONG]
ToldChargerId = Annotated[ChargerId, _LONG]
ToldEventId = Annotated[str, _LONG]
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"


def is_id(text: str) -> bool:
    """Tell whether `text` may name something: 1 to 64 of the characters A-Z a-z 0-9 . _ : -"""
    return _ID.match(text) is not None


def has_foreign(ids: str) -> bool:
    """Tell whether there is a character in `ids` that no id may have."""
    return ids.encode(errors="replace").translate(None, _ALPHABET) != b""
