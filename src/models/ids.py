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
WireEventId = Annotated[str, Meta(pattern=ID_PATTERN)]


def is_id(text: str) -> bool:
    """Tell whether `text` may name something: 1 to 64 of the characters A-Z a-z 0-9 . _ : -"""
    return _ID.match(text) is not None
