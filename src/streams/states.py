"""States as bytes: what stands in the worker's tables and on their changelogs.

The charging events of a vehicle lie in a table of their own, so that a state that changes with every sample does not
carry them each time. Knows no table.
"""

from typing import Final

import msgspec

from sessions.state import ChargingEvent, Vehicle

_ENCODER: Final = msgspec.msgpack.Encoder()
_VEHICLE: Final = msgspec.msgpack.Decoder(Vehicle)
_EVENTS: Final = msgspec.msgpack.Decoder(tuple[ChargingEvent, ...])


def encode_vehicle(vehicle: Vehicle) -> bytes:
    """A vehicle without its charging events."""
    if vehicle.charging_events:
        vehicle = msgspec.structs.replace(vehicle, charging_events=())
    return _ENCODER.encode(vehicle)


def encode_charging_events(vehicle: Vehicle) -> bytes | None:
    """A vehicle's charging events; None where it has none."""
    return _ENCODER.encode(vehicle.charging_events) if vehicle.charging_events else None


def decode_vehicle(raw: bytes, raw_events: bytes | None) -> Vehicle:
    """A vehicle from both of its parts."""
    vehicle = _VEHICLE.decode(raw)
    if raw_events is None:
        return vehicle
    return msgspec.structs.replace(vehicle, charging_events=_EVENTS.decode(raw_events))
