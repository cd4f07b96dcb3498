"""The rows of the view: what is kept beside a session's stored body so that filters never open it.

A head travels as a MessagePack array (position is meaning: adding a field raises keys.LAYOUT_VERSION).
"""

from typing import Final

import msgspec
from msgspec import Struct

from api.view.keys import Index, Position, index_prefix, position_key


class SessionHead(Struct, frozen=True, array_like=True):
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


_PACK: Final = msgspec.msgpack.Encoder()
_HEAD: Final = msgspec.msgpack.Decoder(SessionHead)
_POLICY: Final = msgspec.msgpack.Decoder(PolicyHead)
_IDS: Final = msgspec.msgpack.Decoder(tuple[str, ...])


def pack(row: Struct | tuple[str, ...]) -> bytes:
    return _PACK.encode(row)


def unpack_head(raw: bytes) -> SessionHead:
    return _HEAD.decode(raw)


def unpack_policy(raw: bytes) -> PolicyHead:
    return _POLICY.decode(raw)


def unpack_ids(raw: bytes | None) -> tuple[str, ...]:
    return () if raw is None else _IDS.decode(raw)


def index_keys(head: SessionHead) -> list[bytes]:
    """Every index entry that this session has. Only settled sessions stand in lists."""
    if not head.is_settled or head.plugged_in_us is None:
        return []
    prefixes = [index_prefix(Index.ALL, ()), index_prefix(Index.USER, (head.user_id,))]
    if head.policy_id is not None:
        prefixes.append(index_prefix(Index.POLICY, (head.policy_id,)))
    if head.listed:
        prefixes.append(index_prefix(Index.VEHICLE, (head.vehicle_id,)))
        prefixes.append(index_prefix(Index.VEHICLE_USER, (head.vehicle_id, head.user_id)))
        if head.location_id is not None:
            prefixes.append(index_prefix(Index.LOCATION, (head.location_id,)))
            prefixes.append(index_prefix(Index.LOCATION_USER, (head.location_id, head.user_id)))
    position = position_key(Position(head.plugged_in_us, head.id))
    return [prefix + position for prefix in prefixes]
