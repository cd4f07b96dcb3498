"""What is remembered of one vehicle: its policies, its open visit, and the newest of what it told.

Encodes to bytes as it is, so a state can be kept in any table. Times are aware UTC, energies whole watt-hours, levels
unrounded percents. Vehicle, Visit, Part and Control change within a step, which works on copies of its own (step.py);
everything else is frozen.
"""

from datetime import datetime

from msgspec import Struct

from models.command import Action
from models.ids import ChargerId, ChargingEventId, LocationId, PolicyId, SessionId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.session import ImmediateStartTarget, Outcome, RegularTarget, SessionError, SessionState
from models.target import ImmediateStartOverride, RegularOverride
from models.telemetry import PowerDeliveryState
from sessions.block_energy import BlockEnergies
from sessions.planner import BlockType, Plan
from sessions.readings import Readings
from sessions.totals import Totals

Target = RegularTarget | ImmediateStartTarget
Override = RegularOverride | ImmediateStartOverride


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


class ChargeLimit(Struct, frozen=True):
    """The newest limit told up to which the vehicle lets itself be charged, in %."""

    at: datetime
    percent: float


class PowerState(Struct, frozen=True):
    """The newest power delivery state told that is not UNKNOWN."""

    at: datetime
    state: PowerDeliveryState


class Charging(Struct, frozen=True):
    """Whether the vehicle charges, told at `at`, and since when that has been so.

    `is_told` false: it never says, but its energy counter grew at `at`, or has not grown for long.
    """

    at: datetime
    is_charging: bool
    since: datetime
    is_told: bool = True


class PeakPower(Struct, frozen=True):
    """The highest 5-minute mean of the last visit at a place, in W."""

    location_id: LocationId
    power_w: int


class Evidence(Struct, frozen=True):
    """The newest plug evidence applied.

    `was_plugged_in`, `charger_id`: whether a visit was open before that moment, and at which charger. `is_in_told`,
    `is_out_told`: which of the two was told for that very moment, a plug-in by a plug event.
    """

    at: datetime
    is_plugged_in: bool
    was_plugged_in: bool = False
    charger_id: ChargerId | None = None
    is_in_told: bool = False
    is_out_told: bool = False


class StartedBlock(Struct, frozen=True):
    """A block of charging that really began. `end_at` null: it runs."""

    type: BlockType
    start_at: datetime
    end_at: datetime | None = None


class Sent(Struct, frozen=True):
    """The newest command: the vehicle could hear of it from `given_at` on, and since `first_at` of the same one.

    The same was asked `attempts` times. `is_open`: it was not followed yet. `is_lapsed`: nor will it be, since what it
    asked for is not wanted any more; the next of its kind goes on with its count.
    """

    action: Action
    first_at: datetime
    at: datetime
    given_at: datetime
    attempts: int = 1
    is_open: bool = True
    is_lapsed: bool = False


class Judged(Struct, frozen=True):
    """How a target stood when its `ready_by` passed. `percent`: the level then, null where nobody told one."""

    target: Target
    reached_at: datetime | None
    percent: float | None


class Heard(Struct, frozen=True):
    """How things stood at the newest message, kept while deadlines pass over a silent vehicle, or users want others."""

    target: Target
    reached_at: datetime | None
    judged: Judged | None


class Control(Struct):
    """What the system does with a plugged-in vehicle that a policy manages.

    The plan: `planned_at` when it was made, prices known by `prices_at` are in it as far as they could be read by
    `prices_read_at`, boundaries up to `checked_at` were acted on; `plan_target_id`, `goal_percent`: what it is for, and
    how far it goes; `is_level_told`: the level that it began with was told, not assumed; `energy_at_plan_wh`: of the
    part, then; `planned_w`: the power that it counts on; `off_plan_at`: the newest re-plan because the vehicle did
    otherwise.

    The blocks: `started` are over, one is `running`, its vehicle does not charge since `paused_at`; `energies`: what
    they delivered. The target: `reserve_left`, the reserve that was filled in this session, if one was, and when
    (`reserve_left_at`); `reserve_again_at`, when it may be entered again, if the battery is below it now; `reached_at`,
    when the target in force was, at its level or at the vehicle's limit (`reached_percent`); `gives_way_at`, when one
    whose time has passed gives way though it is not reached.
    The vehicle: the newest command `sent`, when to ask again (`asks_at`), and the `errors` that stand, oldest first.
    """

    planned_at: datetime
    prices_at: datetime
    checked_at: datetime
    prices_read_at: datetime | None = None
    plan: Plan = Plan(())
    plan_target_id: int | None = None
    goal_percent: float | None = None
    is_level_told: bool = False
    energy_at_plan_wh: int = 0
    planned_w: int = 0
    started: tuple[StartedBlock, ...] = ()
    running: StartedBlock | None = None
    paused_at: datetime | None = None
    off_plan_at: datetime | None = None
    is_in_reserve: bool = False
    reserve_left: float | None = None
    reserve_left_at: datetime | None = None
    reserve_again_at: datetime | None = None
    reached_at: datetime | None = None
    reached_percent: float | None = None
    judged: Judged | None = None
    heard: Heard | None = None
    gives_way_at: datetime | None = None
    sent: Sent | None = None
    asks_at: datetime | None = None
    errors: tuple[SessionError, ...] = ()
    energies: BlockEnergies = BlockEnergies()
    outcome: Outcome | None = None


class Part(Struct):
    """A part of a visit, from `started_at`: the whole visit, unless a policy ended within it.

    `policy_id` and `control` are null while nobody manages the part. `kept`: how many of its intervals are as the
    newest update told them.
    """

    started_at: datetime
    charging_event_id: ChargingEventId
    totals: Totals
    policy_id: PolicyId | None = None
    control: Control | None = None
    kept: int = 0


class Elsewhere(Struct, frozen=True):
    """Another place than the visit's, named from `at` to `named_at`; `last_here_at`: the newest evidence before."""

    location_id: LocationId
    at: datetime
    named_at: datetime
    last_here_at: datetime


class Visit(Struct):
    """An open plug visit. `unplugged_at`: the first evidence of an unplug that is not confirmed yet.

    `here_at`: up to then nothing says that it is over: the newest message when it began, or that named its place since.
    `elsewhere`: another place that was named since. `counter_stands_since`: where only a counter tells whether the
    vehicle charges, when that grew last, or was read first; `has_counter_risen`: it has grown.
    """

    plugged_in_at: datetime
    user_id: UserId
    newest_at: datetime
    part: Part
    location_id: LocationId | None = None
    charger_id: ChargerId | None = None
    unplugged_at: datetime | None = None
    here_at: datetime | None = None
    elsewhere: Elsewhere | None = None
    counter_stands_since: datetime | None = None
    has_counter_risen: bool = False


class CurrentSession(Struct, frozen=True):
    """The one current session of an enabled policy; `version` is that of its newest update (0: none yet).

    `target`: the one in force. `override`: what the user asked for instead of the policy's; `override_at`: the newest
    word of the user on it.
    """

    id: SessionId
    charging_event_id: ChargingEventId
    state: SessionState | None = None
    version: int = 0
    target: Target | None = None
    override: Override | None = None
    override_at: datetime | None = None


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
    """A policy as the worker has it. `session` is null while the policy is disabled.

    `fingerprint`: what it was first asked to be, in short. `is_first`: of the first record of it that was taken; what
    that replaced, if anything, nobody knows any more.
    """

    policy: VehiclePolicy
    effective_at: datetime
    session: CurrentSession | None = None
    fingerprint: str | None = None
    is_first: bool = False


class DeletedPolicy(Struct, frozen=True):
    """A policy that is no more, when the log took its deletion, and whose it was (None: noted before that was kept)."""

    id: PolicyId
    at: datetime
    user_id: UserId | None = None


class Vehicle(Struct):
    """Everything remembered of one vehicle.

    `newest_at`, `user_id`: when its newest message was, and whose. `delay_s`: how long that one took from `at` to the
    log. `other_user_at`: the newest message from before this user. `left_at`: the newest moment known to lie outside of
    a visit, or in a settled session. `charge_heard_after`: up to then a charge says nothing of the plug.
    `session_opened_at`: the time that names the newest session. `command_until`: how long the newest command holds.
    `visit_over_at`: until when the newest visit that is over may have told levels. `counter_step_wh`: the smallest rise
    of its counter in the newest visit in which that alone told whether it charges, and rose. `charging_events`: those
    of the last 7 d. `deleted`: the newest of its policies that are no more, of the last 7 d too.
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
    charge_limit: ChargeLimit | None = None
    power_state: PowerState | None = None
    charging: Charging | None = None
    counter_step_wh: int | None = None
    peaks: tuple[PeakPower, ...] = ()
    readings: Readings = Readings()
    visit: Visit | None = None
    policies: tuple[ManagedBy, ...] = ()
    session_opened_at: datetime | None = None
    visit_over_at: datetime | None = None
    command_until: datetime | None = None
    charging_events: tuple[ChargingEvent, ...] = ()
    deleted: tuple[DeletedPolicy, ...] = ()


def managed_by(vehicle: Vehicle, policy_id: PolicyId) -> ManagedBy | None:
    """The policy of this id, if the vehicle has it."""
    for managed in vehicle.policies:
        if managed.policy.id == policy_id:
            return managed
    return None
