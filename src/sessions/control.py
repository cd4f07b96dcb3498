"""What the system does with a plugged-in vehicle that a policy manages: target, plan, blocks, commands, errors.

`follow` brings all of it up to date after anything has happened; the functions below it do what only time brings about.
A plan is made anew only for a cause: a new target, other prices or another policy, a level told for the first time, or
a vehicle that does otherwise than planned.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.policy import VehiclePolicy
from models.session import ImmediateStartTarget, RegularTarget, SessionState
from models.target import ImmediateStartOverride
from sessions.battery import Battery, battery_of, power_w
from sessions.blocks import (
    PAUSE,
    end_running,
    kind_of,
    next_boundary,
    overrun_ends_at,
    track_blocks,
    wanted_block,
)
from sessions.calm import goes_on
from sessions.deviation import OFF_PLAN_PAUSE, is_off_plan, is_plan_over, still_missing_wh
from sessions.faults import (
    Fault,
    clear_fault,
    raise_fault,
    take_disobedience,
    take_limit,
    take_power_state,
)
from sessions.grid import MOMENT, quarter_number
from sessions.outcome import forecast
from sessions.planner import BlockType, Plan, PlanRequest, horizon_quarters, make_plan
from sessions.schedule import next_deadline
from sessions.state import Control, CurrentSession, Heard, Judged, Target
from sessions.steering import steer
from sessions.step import Step
from sessions.targets import FROM_POLICY, ready_by, with_target

# Left at the reserve, entered again only so far below it, and so long after.
RESERVE_HYSTERESIS_PERCENT: Final = 2.0
RESERVE_PAUSE: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)

_SUBSTATES: Final = {
    BlockType.IMMEDIATE_START: SessionState.ACTIVE_IMMEDIATE_START,
    BlockType.BATTERY_RESERVE: SessionState.ACTIVE_BATTERY_RESERVE,
    BlockType.REGULAR: SessionState.ACTIVE_REGULAR,
}


def begin_control(step: Step, at: datetime, *, is_leaving: bool = False) -> None:
    """A policy takes over the open visit. `is_leaving`: by a message that tells of the unplug as well."""
    part = step.visit.part
    # A part may begin ahead of the telemetry.
    now = max(step.now(at), part.started_at)
    part.control = Control(planned_at=now, prices_at=now, checked_at=now)
    managed, session = step.managed(part.policy_id)
    step.keep_session(managed.policy.id, with_target(session, managed.policy, now))
    follow(step, at, must_plan=True, is_leaving=is_leaving)


def follow(
    step: Step, at: datetime, *, must_plan: bool = False, is_heard: bool = False, is_leaving: bool = False
) -> bool:
    """Bring everything up to date; tell whether it plainly was. `is_heard`: the vehicle has just told something, not
    time or a user.

    `is_leaving`: that it is unplugged. What it tells with that still belongs to the visit, but nothing is asked of it.
    """
    told_at, visit = step.now(at), step.visit
    control = visit.part.control
    assert control is not None
    managed, session = step.managed(visit.part.policy_id)
    battery = battery_of(step.vehicle, visit, managed.policy, step.rules)
    if is_heard and not must_plan and goes_on(step.vehicle, visit, session.target, battery, told_at):
        return True
    if visit.unplugged_at is not None:
        _follow_unplugged(control, session.target, battery, told_at, visit.unplugged_at)
        return False
    now = _not_before(control, told_at)
    boundary_at = next_boundary(control.plan, control.checked_at)
    if boundary_at is not None and boundary_at <= now:
        control.checked_at = now
    before = control.plan, control.reached_at, control.judged
    session = _take_reached(step, session, managed.policy, battery, told_at, now)
    target = session.target
    assert target is not None
    is_off_reserve = _take_reserve(control, target, battery, now)
    if is_heard:
        control.heard = None
        clear_fault(control, Fault.UNREACHABLE)
    take_power_state(step.vehicle.power_state, visit.plugged_in_at, control)
    take_limit(control, target, battery.limit_percent, now)
    if not is_leaving:
        # What charges beyond a reserve that is full charges for the plan that is still to be made, if at all.
        is_interrupted = not (is_off_reserve and not control.is_in_reserve) and _track(step, target, now)
        if must_plan or is_off_reserve or is_interrupted or is_off_plan(step, target, battery, now, is_heard=is_heard):
            _plan(step, managed.policy, target, battery, now)
            _track(step, target, now)
        steer(step, now)
        take_disobedience(control, step.charging)
    elif must_plan:
        # Should the plug be back within the debounce, there is a plan to go on with.
        _plan(step, managed.policy, target, battery, now)
    known = control.outcome
    if known is None or known.target_id != target.id or (control.plan, control.reached_at, control.judged) != before:
        control.outcome = forecast(control, target, battery, now)
    return False


def _follow_unplugged(
    control: Control, target: Target | None, battery: Battery, told_at: datetime, unplugged_at: datetime
) -> None:
    """What is told after the unplug may still say that the target was reached; nothing can be done any more."""
    if target is None:
        return
    if control.reached_at is None and battery.has_reached(target.minimum_charge_target):
        control.reached_at = min(told_at, unplugged_at)
        control.reached_percent = battery.goal(target.minimum_charge_target)
    stood = control.heard
    if stood is not None and stood.reached_at is None and battery.has_reached(stood.target.minimum_charge_target):
        control.heard = structs.replace(stood, reached_at=min(told_at, unplugged_at))
    if control.outcome is None:
        # A policy that takes over only now says how it stands, all the same.
        control.outcome = forecast(control, target, battery, told_at)


def take_override(step: Step, at: datetime) -> None:
    """The override of the session that the open visit belongs to has changed."""
    managed, session = step.managed(step.visit.part.policy_id)
    battery = battery_of(step.vehicle, step.visit, managed.policy, step.rules)
    wish = session.override
    if isinstance(wish, ImmediateStartOverride) and battery.is_done(wish.minimum_charge_target):
        # Over before it began: no target comes of it.
        step.keep_session(managed.policy.id, structs.replace(session, override=None))
    _set_wanted_target(step, at)
    follow(step, at)


def take_policy(step: Step, at: datetime) -> None:
    """The policy that manages the open visit says something else."""
    _set_wanted_target(step, at)
    follow(step, at, must_plan=True)


def take_prices(step: Step, at: datetime) -> None:
    """Prices of the policy's zone have become known."""
    step.control.prices_at = at
    follow(step, at, must_plan=True)


def pass_boundary(step: Step, at: datetime) -> None:
    """A block of the plan begins or ends."""
    follow(step, at)


def pass_deadline(step: Step, at: datetime) -> None:
    """The time of the target in force has come: how it stands now is what it will be judged by."""
    control, visit = step.control, step.visit
    managed, session = step.managed(visit.part.policy_id)
    target = session.target
    assert target is not None
    battery = battery_of(step.vehicle, visit, managed.policy, step.rules)
    if control.heard is None and at > visit.newest_at:
        # Should the vehicle stay silent until the visit is over, this is how it stood at its end.
        control.heard = Heard(target, control.reached_at, control.judged)
    control.judged = Judged(target, control.reached_at, battery.percent if battery.is_told else None)
    if isinstance(target, RegularTarget) and target.source == FROM_POLICY and control.reached_at is None:
        control.gives_way_at = _deadline_after(managed.policy, at)
    follow(step, at)


def give_way(step: Step, at: datetime) -> None:
    """A target whose time passed long ago makes room for the next deadline's."""
    managed, session = step.managed(step.visit.part.policy_id)
    step.control.gives_way_at = None
    _set_target(step, session, managed.policy, step.now(at))
    follow(step, at)


def lose_contact(step: Step, at: datetime) -> None:
    """The vehicle is silent though something is expected of it."""
    raise_fault(step.control, Fault.UNREACHABLE, "no message for 60 min while the vehicle should charge or stop", at)


def deadline_at(control: Control, session: CurrentSession) -> datetime | None:
    """When the target in force is to be judged; null: never by time, or it was already."""
    target = session.target
    if control.judged is not None and target is not None and control.judged.target.id == target.id:
        return None
    return ready_by(target)


def pause_ends_at(control: Control) -> datetime | None:
    """When the running block ends unless the vehicle charges again, or stops at last; null: neither is the case."""
    if control.running is None:
        return None
    if control.paused_at is not None:
        return control.paused_at + PAUSE
    return None if wanted_block(control.plan, control.checked_at) else overrun_ends_at(control, control.checked_at)


def end_control(step: Step, ended_at: datetime) -> None:
    """The part is over: what runs ends, and nothing is planned any more."""
    control = step.control
    if control.running is not None:
        end_running(control, min(control.paused_at or ended_at, ended_at))
    control.started = tuple(
        structs.replace(block, end_at=min(block.end_at or ended_at, ended_at))
        for block in control.started
        if block.start_at < ended_at
    )
    control.plan = Plan(())


def substate(control: Control, target: Target) -> SessionState:
    """The state of the ACTIVE session."""
    return _SUBSTATES[kind_of(control, target)]


def _set_wanted_target(step: Step, at: datetime) -> None:
    """The user has said something else: the target follows."""
    control, now = step.control, step.now(at)
    managed, session = step.managed(step.visit.part.policy_id)
    due = ready_by(session.target)
    is_late = due is not None and due <= now and control.reached_at is None
    if due is not None and is_late and with_target(session, managed.policy, due - MOMENT) is session:
        # Still worked on though its time has passed: it stays in force, as the schedule still has it.
        if control.gives_way_at is not None:
            control.gives_way_at = _deadline_after(managed.policy, due)
        return
    visit, target = step.visit, session.target
    assert target is not None
    stood = Heard(target, control.reached_at, control.judged)
    is_after = visit.unplugged_at is not None or now > visit.newest_at
    if _set_target(step, session, managed.policy, now) is not session and is_after and control.heard is None:
        # Should nothing more be heard until the visit is over, it was over before this was said.
        control.heard = stood


def _deadline_after(policy: VehiclePolicy, moment: datetime) -> datetime | None:
    due = next_deadline(policy.schedule, policy.timezone_name, moment)
    return None if due is None else due.ready_by


def _not_before(control: Control, told_at: datetime) -> datetime:
    """The moment to act at: what is told late does not undo what a silent vehicle's timers have done."""
    acted_at = control.checked_at if control.sent is None else max(control.checked_at, control.sent.at)
    return max(told_at, acted_at)


def _set_target(step: Step, session: CurrentSession, policy: VehiclePolicy, now: datetime) -> CurrentSession:
    changed = with_target(session, policy, now)
    if changed is not session:
        control = step.control
        control.reached_at = control.gives_way_at = None
        step.keep_session(policy.id, changed)
    return changed


def _take_reached(
    step: Step, session: CurrentSession, policy: VehiclePolicy, battery: Battery, told_at: datetime, now: datetime
) -> CurrentSession:
    """Note that the target is reached; one that has done its work gives way to the policy's next."""
    control = step.control
    while session.target is not None:
        target = session.target
        if battery.has_reached(target.minimum_charge_target):
            if control.reached_at is None:
                control.reached_at = told_at
                control.reached_percent = battery.goal(target.minimum_charge_target)
        elif _may_go_on(control, target, battery):
            control.reached_at = None
        if control.reached_at is None and not _is_through(target, battery):
            break
        judged = control.judged
        if judged is not None and judged.target.id == target.id and judged.reached_at is None:
            control.judged = structs.replace(judged, reached_at=control.reached_at)
        if isinstance(target, ImmediateStartTarget):
            session = structs.replace(session, override=None)
        elif target.source != FROM_POLICY or control.judged is None or control.judged.target.id != target.id:
            break
        # Told late, the target may be reached before its time though that has passed; the next one is due after it.
        due = ready_by(target)
        following = _set_target(step, session, policy, now if due is None else max(now, due))
        if following is session:
            break
        session = following
    return session


def _may_go_on(control: Control, target: Target, battery: Battery) -> bool:
    """The vehicle stopped at a limit of its own that it has raised since; once judged, that comes too late."""
    if control.judged is not None and control.judged.target.id == target.id:
        return False
    return control.reached_percent is not None and battery.goal(target.minimum_charge_target) > control.reached_percent


def _is_through(target: Target, battery: Battery) -> bool:
    """A level that nobody tells reaches nothing, but what is to be done at once must end some time."""
    return isinstance(target, ImmediateStartTarget) and battery.is_done(target.minimum_charge_target)


def _take_reserve(control: Control, target: Target, battery: Battery, now: datetime) -> bool:
    """Note whether the battery is below the reserve; tell whether the plan is wrong for it."""
    control.reserve_again_at = None
    if isinstance(target, ImmediateStartTarget):
        return False
    was_low, reserve, left_at = control.is_in_reserve, battery.goal(target.battery_reserve), control.reserve_left_at
    is_again = not was_low and control.reserve_left == target.battery_reserve
    margin = RESERVE_HYSTERESIS_PERCENT if is_again else 0.0
    is_low = not battery.is_complete and battery.percent < reserve - margin
    if is_low and is_again and left_at is not None and now < left_at + RESERVE_PAUSE:
        control.reserve_again_at = left_at + RESERVE_PAUSE
        is_low = False
    control.is_in_reserve = is_low
    if not was_low or is_low:
        return is_low and not was_low
    if battery.is_told:
        control.reserve_left, control.reserve_left_at = target.battery_reserve, now
    # Filled sooner than planned: the rest of that time is no longer to be used at any price.
    return any(block.type is BlockType.BATTERY_RESERVE and block.end_at > now for block in control.plan.blocks)


def _track(step: Step, target: Target, now: datetime) -> bool:
    """Begin and end blocks; tell whether one broke off."""
    control, charging = step.control, step.charging
    is_done = control.reached_at is not None and not control.is_in_reserve
    is_interrupted = track_blocks(charging, control, now, kind_of(control, target), is_done=is_done)
    if is_interrupted:
        raise_fault(control, Fault.CHARGE_INTERRUPTED, "charging stopped in the middle of a block", now)
    elif control.errors and (
        control.reached_at is not None
        or wanted_block(control.plan, now) is None
        or (charging is not None and charging.is_charging)
    ):
        clear_fault(control, Fault.CHARGE_INTERRUPTED)
    return is_interrupted


def _plan(step: Step, policy: VehiclePolicy, target: Target, battery: Battery, now: datetime) -> None:
    control, due = step.control, ready_by(target)
    was_over = control.plan_target_id == target.id and is_plan_over(control, now)
    control.planned_at = control.checked_at = now
    control.prices_at = max(control.prices_at, now)
    control.prices_read_at = step.prices.read_by(policy.zone, control.prices_at)
    control.plan_target_id = target.id
    control.goal_percent = battery.goal(target.minimum_charge_target)
    control.is_level_told = battery.is_told
    control.energy_at_plan_wh = step.visit.part.totals.energy_sum_wh
    needed_wh, power = still_missing_wh(control, target, battery), power_w(step.vehicle, step.visit, policy, battery)
    control.planned_w = power if needed_wh else 0
    if not needed_wh:
        control.plan = Plan(())
        return
    reserve_wh = 0
    if control.is_in_reserve and isinstance(target, RegularTarget):
        reserve_wh = battery.missing_wh(target.battery_reserve)
    if was_over:
        # It took longer than planned. How much longer nobody knows: not by seconds, or it would stop and start.
        least_wh = round(power * (OFF_PLAN_PAUSE / _HOUR))
        needed_wh = max(needed_wh, least_wh)
        reserve_wh = max(reserve_wh, least_wh) if reserve_wh else 0
    count = horizon_quarters(now, due)
    running = control.running
    control.plan = make_plan(
        PlanRequest(
            now=now,
            power_w=power,
            reserve_wh=reserve_wh,
            needed_wh=needed_wh,
            is_immediate=isinstance(target, ImmediateStartTarget),
            ready_by=due,
            prices=step.prices.planning(policy.zone, quarter_number(now), count, now),
            is_running=running is not None,
            # One that begins only now, for another reason than the one before it, has no claim to a quarter-hour yet.
            running_since=None if running is None or running.start_at >= now else running.start_at,
        )
    )
