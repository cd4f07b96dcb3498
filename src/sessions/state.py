"""What is remembered of one vehicle: its policies, its open visit, and the newest of what it told.

Frozen values that encode to bytes as they are, so a state can be kept in any table. Times are aware UTC, energies whole
watt-hours, levels unrounded percents.
"""

from datetime import datetime

from msgspec import Struct

from models.ids import ChargerId, ChargingEventId, LocationId, PolicyId, SessionId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.session import SessionState


class Level(Struct, frozen=True):
    """The newest battery level told, in %."""

    at: datetime
    percent: float


class Place(Struct, frozen=True):
    """The newest location told."""

    at: datetime
    location_id: LocationId


class Capacity(Struct, frozen=True):
    """The newest battery capacity told, in Wh."""

    at: datetime
    capacity_wh: int


class CounterRun(Struct, frozen=True):
    """A cumulative energy counter since it last began anew: when it was last read, and the highest it has shown."""

    read_at: datetime
    highest_wh: int


class Charging(Struct, frozen=True):
    """Whether the vehicle charges, and since when; `spans`: when it did since the counter was last read."""

    at: datetime
    is_charging: bool
    spans: tuple[tuple[datetime, datetime], ...] = ()


class Evidence(Struct, frozen=True):
    """The newest plug evidence applied."""

    at: datetime
    is_plugged_in: bool


class Part(Struct, frozen=True):
    """A part of a visit, from `started_at`: the whole visit, unless a policy ended within it.

    `energy_wh` and `levels` run along the UTC quarter-hours from the one that holds `started_at`; a quarter-hour
    beyond their end carries nothing. `policy_id` is null while nobody manages the part. `is_energy_known`: two counter
    readings of one run have told it; one alone tells no energy.
    """

    started_at: datetime
    charging_event_id: ChargingEventId
    policy_id: PolicyId | None = None
    energy_wh: tuple[int, ...] = ()
    levels: tuple[float | None, ...] = ()
    level_from: float | None = None
    level_to: float | None = None
    is_energy_known: bool = False


class Visit(Struct, frozen=True):
    """An open plug visit. `unplugged_at`: the first evidence of an unplug that is not confirmed yet."""

    plugged_in_at: datetime
    user_id: UserId
    newest_at: datetime
    part: Part
    location_id: LocationId | None = None
    charger_id: ChargerId | None = None
    unplugged_at: datetime | None = None


class CurrentSession(Struct, frozen=True):
    """The one current session of an enabled policy; `version` is that of its newest update (0: none yet)."""

    id: SessionId
    charging_event_id: ChargingEventId
    state: SessionState | None = None
    version: int = 0


class ChargingEvent(Struct, frozen=True):
    """A settled part of a visit, and the session that represents it.

    `is_guess`: only silence or two levels tell of it, so telemetry that comes late may show the same time anew.
    """

    id: ChargingEventId
    session_id: SessionId
    started_at: datetime
    ended_at: datetime
    is_managed: bool
    is_guess: bool = False


class ManagedBy(Struct, frozen=True):
    """A policy as the worker has it. `session` is null while the policy is disabled."""

    policy: VehiclePolicy
    effective_at: datetime
    session: CurrentSession | None = None


class Vehicle(Struct, frozen=True):
    """Everything remembered of one vehicle.

    `newest_at`, `user_id`: when its newest message was, and whose. `delay_s`: how long that one took from `at` to the
    log (0 to 30 min). `other_user_at`: the newest message from before this user. `left_at`: the newest moment known to
    lie outside of a visit, or in a settled session. `charge_heard_after`: up to then a charge says nothing of the plug.
    `session_opened_at`: the time that names the newest session. `charging_events`: those of the last 7 d.
    """

    id: VehicleId
    newest_at: datetime | None = None
    user_id: UserId | None = None
    other_user_at: datetime | None = None
    delay_s: float = 0.0
    evidence: Evidence | None = None
    left_at: datetime | None = None
    charge_heard_after: datetime | None = None
    place: Place | None = None
    level: Level | None = None
    capacity: Capacity | None = None
    counter: CounterRun | None = None
    charging: Charging | None = None
    visit: Visit | None = None
    policies: tuple[ManagedBy, ...] = ()
    session_opened_at: datetime | None = None
    charging_events: tuple[ChargingEvent, ...] = ()


def managed_by(vehicle: Vehicle, policy_id: PolicyId) -> ManagedBy | None:
    """The policy of this id, if the vehicle has it."""
    return next((managed for managed in vehicle.policies if managed.policy.id == policy_id), None)
