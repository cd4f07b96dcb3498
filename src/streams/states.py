"""States as bytes: what stands in the worker's store and, byte for byte the same, on its changelog. Knows no store.

The first byte of a key says what the record is: a vehicle, its charging events (kept apart, so that a state that
changes with every sample does not carry them each time), the vehicle of a policy, or the progress of the partition.

A vehicle's record begins with what is needed to set its timer, so that recovery does not decode whole vehicles.
"""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from models.ids import PolicyId, VehicleId, Zone
from sessions.events import Rules
from sessions.state import ChargingEvent, Vehicle
from sessions.timers import Wake

VEHICLE: Final = b"v"
EVENTS: Final = b"e"
POLICY: Final = b"p"
PROGRESS_KEY: Final = b"o"
# Who has the partition: committed before anything is read.
OWNER_KEY: Final = b"s"

_ENCODER: Final = msgspec.msgpack.Encoder()
_VEHICLE: Final = msgspec.msgpack.Decoder(Vehicle)
_EVENTS: Final = msgspec.msgpack.Decoder(tuple[ChargingEvent, ...])

# Hash of the rules, number of prices, when the timer is due (us), its delay (s), newest message (us), size of the zone
# and, in its highest bit, whether a visit is open.
_HEAD: Final = struct.Struct("<IIqdqB")
_IS_OPEN: Final = 0x80
_NONE: Final = -(2**63)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


class Summary(Struct, frozen=True):
    """What a vehicle's record begins with.

    `wake`: by the rules with this hash, and so many price records of the zone. `zone`: of its ACTIVE session.
    `is_open`: it has an open visit, whoever manages it.
    """

    rules_hash: int
    wake: Wake | None
    newest_at: datetime | None
    zone: Zone | None
    prices: int = 0
    is_open: bool = False


# Set by no rules.
NO_SUMMARY: Final = Summary(0, None, None, None)


def rules_hash(rules: Rules) -> int:
    """Tells rules from others: a timer that was set by other rules has to be set anew."""
    return zlib.crc32(repr(msgspec.structs.asdict(rules)).encode())


def vehicle_key(vehicle_id: VehicleId) -> bytes:
    """The key of a vehicle's record."""
    return VEHICLE + vehicle_id.encode()


def events_key(vehicle_id: VehicleId) -> bytes:
    """The key of the record of a vehicle's charging events."""
    return EVENTS + vehicle_id.encode()


def policy_key(policy_id: PolicyId) -> bytes:
    """The key of the record of a policy's vehicle."""
    return POLICY + policy_id.encode()


def encode_vehicle(vehicle: Vehicle, summary: Summary = NO_SUMMARY) -> bytes:
    """A vehicle without its charging events. Without a summary it is asked anew when to wake it."""
    if vehicle.charging_events:
        vehicle = msgspec.structs.replace(vehicle, charging_events=())
    wake, zone = summary.wake, (summary.zone or "").encode()
    head = _HEAD.pack(
        summary.rules_hash,
        summary.prices,
        _NONE if wake is None else _to_us(wake.due_at),
        0.0 if wake is None else wake.delay_s,
        _NONE if summary.newest_at is None else _to_us(summary.newest_at),
        len(zone) | (_IS_OPEN if summary.is_open else 0),
    )
    return b"".join((head, zone, _ENCODER.encode(vehicle)))


def encode_charging_events(vehicle: Vehicle) -> bytes | None:
    """A vehicle's charging events; None where it has none."""
    return _ENCODER.encode(vehicle.charging_events) if vehicle.charging_events else None


def decode_summary(raw: bytes) -> Summary:
    """What a vehicle's record begins with. Raises struct.error where it is no such record."""
    hashed, prices, due_us, delay_s, newest_us, flagged = _HEAD.unpack_from(raw)
    length = flagged & ~_IS_OPEN
    return Summary(
        rules_hash=hashed,
        wake=None if due_us == _NONE else Wake(_EPOCH + due_us * _US, delay_s),
        newest_at=None if newest_us == _NONE else _EPOCH + newest_us * _US,
        zone=Zone(raw[_HEAD.size : _HEAD.size + length].decode()) if length else None,
        prices=prices,
        is_open=bool(flagged & _IS_OPEN),
    )


def decode_vehicle(raw: bytes, raw_events: bytes | None) -> Vehicle:
    """A vehicle from both of its records. Raises msgspec.DecodeError."""
    if len(raw) < _HEAD.size:
        raise msgspec.DecodeError("shorter than what every vehicle's record begins with")
    vehicle = _VEHICLE.decode(memoryview(raw)[_HEAD.size + (raw[_HEAD.size - 1] & ~_IS_OPEN) :])
    if raw_events is None:
        return vehicle
    return msgspec.structs.replace(vehicle, charging_events=_EVENTS.decode(raw_events))


def _to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // _US
