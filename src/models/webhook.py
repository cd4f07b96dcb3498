"""The record of `flex.session.updated`: its value, and what travels in its headers."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from models.ids import ChargingEventId, SessionId, UserId, VehicleId
from models.session import Session

EVENT_TYPE: Final = "flex:session:updated"
SOURCE: Final = "/flex-sessions"

# The same on every update.
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_TYPE: Final = ("ce_type", EVENT_TYPE.encode())
_SOURCE: Final = ("ce_source", SOURCE.encode())
_CONTENT_TYPE: Final = ("content-type", b"application/json")


class SessionUpdated(Struct, frozen=True, rename="camel", kw_only=True):
    """The webhook body. `created_at` is the event time of what caused the change."""

    event: str = EVENT_TYPE
    user_id: UserId
    created_at: datetime
    session: Session


class UpdateHeaders(Struct, frozen=True, kw_only=True):
    """What the headers of an update say. `version` counts 1, 2, 3 ... within its session.

    `charging_event_id` names the part of a visit that the session stands for (while UPCOMING: the one awaited).
    """

    session_id: SessionId
    version: int
    created_at: datetime
    charging_event_id: ChargingEventId
    represents_charging_event: bool
    vehicle_id: VehicleId


def ce_id(session_id: SessionId, version: int) -> str:
    """The id of an update: a relay can copy it into its own `webhook-id`."""
    return f"{session_id}:{version}"


def encode_headers(headers: UpdateHeaders) -> list[tuple[str, bytes]]:
    """Headers of the CloudEvents 1.0 Kafka binding (binary mode), and ours."""
    session_id = headers.session_id.encode()
    return [
        _SPEC_VERSION,
        ("ce_id", ce_id(headers.session_id, headers.version).encode()),
        _TYPE,
        _SOURCE,
        ("ce_subject", session_id),
        ("ce_time", headers.created_at.isoformat().replace("+00:00", "Z").encode()),
        _CONTENT_TYPE,
        ("session-version", str(headers.version).encode()),
        ("charging-event-id", headers.charging_event_id.encode()),
        ("represents-charging-event", b"true" if headers.represents_charging_event else b"false"),
        ("vehicle-id", headers.vehicle_id.encode()),
    ]


def decode_headers(raw: Iterable[tuple[str, bytes | None]]) -> UpdateHeaders:
    """Read an update's headers back. Raises KeyError or ValueError where one is missing or wrong."""
    found: Mapping[str, bytes | None] = dict(raw)

    def text(name: str) -> str:
        value = found[name]
        if value is None:
            raise ValueError(f"header {name} is null")
        return value.decode()

    version = int(text("session-version"))
    return UpdateHeaders(
        session_id=SessionId(text("ce_subject")),
        version=version,
        created_at=datetime.fromisoformat(text("ce_time")),
        charging_event_id=ChargingEventId(text("charging-event-id")),
        represents_charging_event=text("represents-charging-event") == "true",
        vehicle_id=VehicleId(text("vehicle-id")),
    )
