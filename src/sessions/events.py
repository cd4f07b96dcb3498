"""What goes into the session logic and what comes out of it. Closed unions; every time is in the event itself."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from models.codec import Refusal
from models.command import ChargeCommand
from models.ids import ChargingEventId, PolicyId, SessionId, VehicleId
from models.policy import VehiclePolicy
from models.session import Session
from models.target import SessionTarget
from models.telemetry import ChargeSample, PlugEvent
from sessions.series import Series, points
from sessions.state import Vehicle


class Rules(Struct, frozen=True, kw_only=True):
    """The settings that decide. `unplug_debounce` 0 settles at the unplug itself.

    `visit_timeout`: silence after which a visit is over. `visit_max`: no part of a visit, and so no session, is longer.
    `efficiency`: the share of the counted energy that reaches the battery. `default_capacity_wh`: of a vehicle of which
    neither it nor its policy tells the capacity. `forget_after`: silence after which a vehicle without policy and open
    visit is as one that was never heard of. `is_wall`: commands reach vehicles; false: the event clock, on which
    nothing may depend on whether time or a message fires a timer.
    """

    unplug_debounce: timedelta = timedelta(seconds=60)
    visit_timeout: timedelta = timedelta(hours=72)
    visit_max: timedelta = timedelta(days=90)
    late_limit: timedelta = timedelta(hours=24)
    efficiency: float = 0.9
    default_capacity_wh: int = 60_000
    forget_after: timedelta = timedelta(days=7)
    is_wall: bool = True


class TelemetryReceived(Struct, frozen=True):
    """A message of the vehicle, and when the log took it."""

    message: PlugEvent | ChargeSample
    logged_at: datetime


class PolicyWritten(Struct, frozen=True):
    """A policy was created or changed. `replaces`: what must stand for that (sessions.policy_rules); None: anything.

    `fingerprint`: what it was first asked to be, in short, where the record says. `is_inherited`: an earlier worker,
    whose state is lost, put it back on the topic.
    """

    policy: VehiclePolicy
    logged_at: datetime
    replaces: str | None = None
    fingerprint: str | None = None
    is_inherited: bool = False


class PolicyDeleted(Struct, frozen=True):
    """A policy is gone; its time is when the log took the deletion. `replaces`, `is_inherited`: as in PolicyWritten."""

    policy_id: PolicyId
    logged_at: datetime
    replaces: str | None = None
    is_inherited: bool = False


class TargetWritten(Struct, frozen=True):
    """A user overrides the target of a session, or takes the override back."""

    record: SessionTarget
    logged_at: datetime


class TimerDue(Struct, frozen=True):
    """Time has passed: every timer that is due by `now` fires, each with its own due time.

    `is_wall`: `now` is the wall's; a vehicle's own time is behind it by as much as its newest message came late.
    """

    now: datetime
    is_wall: bool = False


class PolicyShown(Struct, frozen=True):
    """The topic shows a policy without anybody having decided it: our own restored record, or one nobody can read.

    `policy`: what a reader of the topic sees (None: nothing); `is_readable` false: something that is no policy.
    """

    policy_id: PolicyId
    policy: VehiclePolicy | None
    is_readable: bool


Event = TelemetryReceived | PolicyWritten | PolicyDeleted | PolicyShown | TargetWritten | TimerDue


class SessionChanged(Struct, frozen=True, kw_only=True):
    """One update to publish. `created_at`: the event time of what caused it.

    `head` is the session without its timeseries, which stands in `series` (null: there is none).
    """

    head: Session
    series: Series | None
    version: int
    created_at: datetime
    charging_event_id: ChargingEventId
    represents_charging_event: bool = True

    @property
    def session(self) -> Session:
        """The whole session."""
        if self.series is None:
            return self.head
        statistics = structs.replace(self.head.statistics, timeseries=points(self.series))
        return structs.replace(self.head, statistics=statistics)


class SessionErased(Struct, frozen=True):
    """A session that is no more: a tombstone to publish."""

    session_id: SessionId


class PolicyRestored(Struct, frozen=True):
    """A refused policy record is overwritten by what stands (None: nothing), so that the topic ends as we see it."""

    policy_id: PolicyId
    policy: VehiclePolicy | None
    fingerprint: str | None = None


class CommandIssued(Struct, frozen=True):
    """What the plan asks of the vehicle. With the event clock nobody writes it; the rules count it as sent."""

    command: ChargeCommand


Output = SessionChanged | SessionErased | PolicyRestored | CommandIssued


class Counted(StrEnum):
    """Facts that change nothing by themselves but must not pass unseen."""

    IMPLAUSIBLE_ENERGY_STEP = "implausible_energy_step"
    COUNTER_RESTARTED = "counter_restarted"
    LATE_READING_IGNORED = "late_reading_ignored"
    UNKNOWN_POLICY_DELETED = "unknown_policy_deleted"
    TARGET_TOO_LATE = "target_too_late"
    VEHICLE_FORGOTTEN = "vehicle_forgotten"


class Refused(Struct, frozen=True):
    """Why an event was not taken: `reason` for machines, `detail` for people."""

    reason: Refusal
    detail: str


class Decision(Struct, frozen=True, kw_only=True):
    """The next state, what to publish in this order, what to count; `refused`: the state is the one before."""

    vehicle: Vehicle
    outputs: tuple[Output, ...] = ()
    counted: tuple[Counted, ...] = ()
    refused: Refused | None = None


def new_vehicle(vehicle_id: VehicleId) -> Vehicle:
    """A vehicle of which nothing is known yet."""
    return Vehicle(id=vehicle_id)
