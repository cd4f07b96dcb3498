"""Deterministic ids: UUIDv5 of (owner, kind, time of what created it), so that a replay yields the same ones.

Never of a counter or a batch: those depend on how the log was read.
"""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from models.ids import ChargingEventId, CommandId, PolicyId, SessionId, VehicleId

# Drawn once for this product; changing it renames every session.
_NAMESPACE: Final = UUID("5b0d8c0e-3f67-4a52-9a0b-6f2f1d6c7e41")


def managed_session_id(policy_id: PolicyId, vehicle_id: VehicleId, opened_at: datetime) -> SessionId:
    """The id of the session that `policy_id` opened for its vehicle at that moment.

    The vehicle is part of the name: where a policy's id is used for two vehicles on different partitions, nobody can
    refuse the second, and their sessions must not become one.
    """
    return SessionId(_named(f"{policy_id}|{vehicle_id}", "managed-session", opened_at))


def unmanaged_session_id(vehicle_id: VehicleId, started_at: datetime, *, is_guess: bool) -> SessionId:
    """The id of a session that was only observed; of a guess another, for late telemetry may show the same time."""
    kind = "guessed-session" if is_guess else "unmanaged-session"
    return SessionId(_named(vehicle_id, kind, started_at))


def awaited_charging_event_id(policy_id: PolicyId, vehicle_id: VehicleId, opened_at: datetime) -> ChargingEventId:
    """The id of the visit part that a policy's session waits for."""
    return ChargingEventId(_named(f"{policy_id}|{vehicle_id}", "charging-event", opened_at))


def charging_event_id(vehicle_id: VehicleId, started_at: datetime) -> ChargingEventId:
    """The id of a visit part that nobody awaited."""
    return ChargingEventId(_named(vehicle_id, "charging-event", started_at))


def command_id(vehicle_id: VehicleId, at: datetime) -> CommandId:
    """The id of the command that was issued at that moment: there is one at a time."""
    return CommandId(_named(vehicle_id, "command", at))


def _named(owner: str, kind: str, moment: datetime) -> str:
    return str(uuid5(_NAMESPACE, f"{owner}|{kind}|{moment.isoformat()}"))
