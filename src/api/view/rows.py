"""The rows of the view: what is kept beside a session's stored body so that filters never open it.

A head travels as a MessagePack array (position is meaning: adding a field raises keys.LAYOUT_VERSION).
"""

from typing import Final

import msgspec
from msgspec import Struct

from api.view.keys import Index, body_key, place_of


class SessionHead(Struct, frozen=True, array_like=True, gc=False):
    """What lists and access rules ask of a session. Times are microseconds since 1970, null until settled.

    `represents` is what the update's header says; `listed` is whether it stands in its vehicle's and location's lists.
    """

    id: str
    version: int
    user_id: str
    vehicle_id: str
    policy_id: str | None
    location_id: str | None
    is_settled: bool
    plugged_in_us: int | None
    plugged_out_us: int | None
    charging_event_id: str
    represents: bool
    listed: bool = False


class PolicyHead(Struct, frozen=True, array_like=True):
    """What the three reads ask of a policy."""

    user_id: str
    vehicle_id: str
    is_enabled: bool


class CurrentSession(Struct, frozen=True, array_like=True, gc=False):
    """A policy's UPCOMING or ACTIVE session. `body`: the session as JSON, ready to send."""

    id: str
    user_id: str
    version: int
    body: bytes


class CurrentRow(Struct, frozen=True, array_like=True, gc=False):
    """All that the read of a policy's current session needs, in one look.

    `owner_id` is the user of the policy, None while there is no such policy or it is disabled.
    """

    owner_id: str | None = None
    session: CurrentSession | None = None


_PACK: Final = msgspec.msgpack.Encoder()
_HEAD: Final = msgspec.msgpack.Decoder(SessionHead)
_POLICY: Final = msgspec.msgpack.Decoder(PolicyHead)
_CURRENT: Final = msgspec.msgpack.Decoder(CurrentRow)
_IDS: Final = msgspec.msgpack.Decoder(tuple[str, ...])


_NOTHING: Final = CurrentRow()


def pack(row: Struct | tuple[str, ...] | tuple[Struct, ...]) -> bytes:
    return _PACK.encode(row)


def unpack_head(raw: bytes) -> SessionHead:
    return _HEAD.decode(raw)


def unpack_policy(raw: bytes) -> PolicyHead:
    return _POLICY.decode(raw)


def unpack_current(raw: bytes | None) -> CurrentRow:
    return _NOTHING if raw is None else _CURRENT.decode(raw)


def unpack_ids(raw: bytes | None) -> tuple[str, ...]:
    return () if raw is None else _IDS.decode(raw)


def body_place(head: SessionHead) -> bytes:
    """The key of a settled session's body."""
    return body_key(head.vehicle_id, place_of(head.plugged_in_us or 0, head.id))


def index_keys(head: SessionHead) -> list[bytes]:
    """Every index entry that this session has. Only settled sessions stand in lists."""
    if not head.is_settled or head.plugged_in_us is None:
        return []
    # Written out, since a rebuild makes ten million of them; keys.index_prefix says the same.
    position = place_of(head.plugged_in_us, head.id)
    user = head.user_id.encode() + b"\0"
    keys = [Index.ALL + position, Index.USER + user + position]
    if head.policy_id is not None:
        keys.append(b"%b%b\0%b%b" % (Index.POLICY_USER, head.policy_id.encode(), user, position))
    if head.listed:
        vehicle = head.vehicle_id.encode() + b"\0"
        keys += [Index.VEHICLE + vehicle + position, Index.VEHICLE_USER + vehicle + user + position]
        if head.location_id is not None:
            place = head.location_id.encode() + b"\0"
            keys += [Index.LOCATION + place + position, Index.LOCATION_USER + place + user + position]
    return keys
