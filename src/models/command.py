"""Charge commands as they stand on their topic: what the plan asks of a vehicle, for its vendor's gateway."""

from datetime import datetime
from enum import Enum

from msgspec import Struct

from models.ids import CommandId, PolicyId, SessionId, UserId, VehicleId


class Action(Enum):
    START = "START"
    STOP = "STOP"


class Reason(Enum):
    """Why: the kind of block that a START begins; what a STOP waits for; or that our control ends."""

    BATTERY_RESERVE = "BATTERY_RESERVE"
    IMMEDIATE_START = "IMMEDIATE_START"
    REGULAR = "REGULAR"
    WAITING = "WAITING"
    TARGET_REACHED = "TARGET_REACHED"
    RELEASED = "RELEASED"


class ChargeCommand(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `vehicle.charge-commands`. After `valid_until` it must not be obeyed any more."""

    command_id: CommandId
    vehicle_id: VehicleId
    user_id: UserId
    policy_id: PolicyId
    session_id: SessionId
    action: Action
    reason: Reason
    at: datetime
    valid_until: datetime
