"""Sessions over the parts of a visit: opened, updated and settled here alone, each by the table of transitions."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from msgspec import structs

from models.ids import LocationId, PolicyId, UserId
from models.session import Session, SessionError, SessionState
from sessions.battery import battery_of, known_capacity_wh, power_w, remember_peak
from sessions.control import begin_control, end_control, substate
from sessions.dedup import event_id_at, settle_event
from sessions.events import SessionChanged, SessionErased
from sessions.faults import newest_fault, timed_out
from sessions.grid import Span
from sessions.identity import awaited_charging_event_id, managed_session_id, unmanaged_session_id
from sessions.outcome import verdict
from sessions.public import awaited_session, refresh_block_energies, series_of, visit_session
from sessions.samples import begin
from sessions.series import Series
from sessions.state import ChargingEvent, CurrentSession, ManagedBy, Part, Vehicle, Visit, managed_by
from sessions.steering import release
from sessions.step import Step
from sessions.targets import with_target
from sessions.totals import Context, Totals, cut_off
from sessions.transitions import Cause, next_state
from sessions.valuation import tariff_cost

# Less is a measuring error, not a charge.
OBSERVED_ENERGY_WH: Final = 50
OBSERVED_RISE_PERCENT: Final = 2.0
# Two sessions of one vehicle never open at the same time, or they would share an id.
OPENING_STEP: Final = timedelta(milliseconds=1)

_SUBSTATE_CAUSES: Final = {
    SessionState.ACTIVE_IMMEDIATE_START: Cause.WANTED_NOW,
    SessionState.ACTIVE_BATTERY_RESERVE: Cause.BELOW_RESERVE,
    SessionState.ACTIVE_REGULAR: Cause.BY_PLAN,
}

_CHANGED: Final = Cause.CHANGED


def open_session(step: Step, policy_id: PolicyId, at: datetime) -> None:
    """Give an enabled policy its next session: UPCOMING, or ACTIVE where its vehicle is already plugged in."""
    vehicle = step.vehicle
    last = vehicle.session_opened_at
    opened_at = vehicle.session_opened_at = at if last is None else max(at, last + OPENING_STEP)
    name = (policy_id, vehicle.id, opened_at)
    step.keep_session(policy_id, CurrentSession(managed_session_id(*name), awaited_charging_event_id(*name)))
    if not manage_visit(step, at):
        await_visit(step, policy_id, at)


def await_visit(step: Step, policy_id: PolicyId, at: datetime) -> None:
    """Publish a policy's UPCOMING session, if it has anything new to say."""
    managed, session = step.managed(policy_id)
    changed = with_target(session, managed.policy, step.now(at))
    cause = Cause.AWAITED if session.state is None else Cause.CHANGED
    state = next_state(session.state, cause)
    _publish(step, managed, changed, state, awaited_session(step.vehicle.id, managed, changed), None, at)


def manage_visit(step: Step, at: datetime, *, is_leaving: bool = False) -> bool:
    """Let a policy take over the open visit, if one stands for its place and user. Tells whether one did.

    `is_leaving`: what told of the place tells of the unplug as well, so nothing is asked of the vehicle.
    """
    visit = step.vehicle.visit
    if visit is None or visit.part.policy_id is not None:
        return False
    managed = policy_for(step.vehicle, visit.location_id, visit.user_id)
    if managed is None:
        return False
    visit.part.policy_id = managed.policy.id
    begin_control(step, at, is_leaving=is_leaving)
    update_visit(step, at, Cause.PLUGGED_IN)
    return True


def update_visit(step: Step, at: datetime, cause: Cause = _CHANGED) -> None:
    """Publish the ACTIVE session of the open visit. `at`: when the cause happened."""
    visit = step.visit
    part = visit.part
    control = part.control
    managed, session = step.managed(part.policy_id)
    assert control is not None
    assert session.target is not None
    state, wanted = session.state, substate(control, session.target)
    if state is not wanted or cause is not _CHANGED:
        state = next_state(state, cause)
        if state is not wanted:
            state = next_state(state, _SUBSTATE_CAUSES[wanted])
    assert state is not None
    if session.charging_event_id != part.charging_event_id:
        session = structs.replace(session, charging_event_id=part.charging_event_id)
    until = max(at, visit.newest_at)
    until = max(until, part.started_at)
    refresh_block_energies(part, until)
    head = visit_session(step.vehicle, visit, session, state, until, error=newest_fault(control))
    series = series_of(part, until)
    _publish(step, managed, session, state, head, series, at)
    # All but the last, which still grows.
    part.kept = series.count - 1 if series.count else 0


def settle_part(
    step: Step, ended_at: datetime, at: datetime, cause: Cause, *, is_silent: bool = False, is_too_long: bool = False
) -> None:
    """End the open visit's part at `ended_at`, and its session with it. The visit itself stays open.

    `is_silent`: for want of any message; `is_too_long`: it has lasted its longest time. Both make an error.
    """
    vehicle, visit = step.vehicle, step.visit
    part = visit.part
    ended_at = max(ended_at, part.started_at)
    part.totals = cut_off(part.totals, ended_at)
    remember_peak(vehicle, visit)
    if part.policy_id is not None:
        _settle_managed(step, ended_at, at, cause, is_timed_out=is_silent or is_too_long)
    elif charging_was_observed(part.totals):
        error = timed_out(at) if is_silent or is_too_long else None
        publish_observed(step, visit, (part.started_at, ended_at), at, error=error, is_guess=is_silent)


def release_part(step: Step, at: datetime) -> None:
    """The policy of the open visit lets go of it: its session settles now, and an unmanaged part begins."""
    visit = step.visit
    # Two parts never begin at the same time, or they would share an id.
    started_at = max(at, visit.part.started_at + OPENING_STEP)
    release(step, step.now(at))
    settle_part(step, visit.unplugged_at or started_at, at, Cause.RELEASED)
    begin_part(step, started_at)


def begin_part(step: Step, started_at: datetime) -> None:
    """The open visit goes on with its next part, which nobody manages yet."""
    visit = step.visit
    before = visit.part.totals
    visit.part = new_part(step, started_at, visit.plugged_in_at, before=before)


def new_part(
    step: Step,
    started_at: datetime,
    plugged_in_at: datetime,
    before: Totals | None = None,
    *,
    level_percent: float | None = None,
) -> Part:
    """A part of a visit from this moment on. `before`: the totals of the one that ends with it.

    `level_percent`: what the plug-in itself tells, if the part begins with it.
    """
    vehicle = step.vehicle
    context = Context(
        started_at=started_at,
        plugged_in_at=plugged_in_at,
        capacity_wh=known_capacity_wh(vehicle, None),
        default_capacity_wh=step.rules.default_capacity_wh,
        efficiency=step.rules.efficiency,
    )
    totals = begin(vehicle.readings, context, before, level_percent=level_percent)
    return Part(started_at, event_id_at(vehicle, started_at), totals)


def context_of(step: Step, visit: Visit) -> Context:
    """What the statistics have to know of the open part."""
    vehicle, part = step.vehicle, visit.part
    managed = None if part.policy_id is None else managed_by(vehicle, part.policy_id)
    return Context(
        started_at=part.started_at,
        plugged_in_at=visit.plugged_in_at,
        unplugged_at=visit.unplugged_at,
        capacity_wh=known_capacity_wh(vehicle, None if managed is None else managed.policy),
        default_capacity_wh=step.rules.default_capacity_wh,
        efficiency=step.rules.efficiency,
        planned=partial(_planned_spans, visit),
    )


def erase_session(step: Step, policy_id: PolicyId) -> None:
    """Withdraw the UPCOMING session of a policy."""
    _, session = step.managed(policy_id)
    next_state(session.state, Cause.WITHDRAWN)
    step.outputs.append(SessionErased(session.id))
    step.keep_session(policy_id, None)


def charging_was_observed(totals: Totals) -> bool:
    """Whether a visit that nobody manages is worth a session."""
    if totals.is_energy_known:
        return totals.energy_sum_wh >= OBSERVED_ENERGY_WH
    if totals.level_from is None or totals.level_to is None:
        return False
    return totals.level_to - totals.level_from >= OBSERVED_RISE_PERCENT


def _settle_managed(step: Step, ended_at: datetime, at: datetime, cause: Cause, *, is_timed_out: bool) -> None:
    vehicle, visit = step.vehicle, step.visit
    control = step.control
    managed, session = step.managed(visit.part.policy_id)
    target = session.target
    assert target is not None
    battery = battery_of(vehicle, visit, managed.policy, step.rules)
    control.outcome = verdict(control, target, battery, ended_at)
    end_control(step, ended_at)
    visit.part.kept = 0
    refresh_block_energies(visit.part, ended_at)
    error = timed_out(at) if is_timed_out else newest_fault(control)
    state = next_state(session.state, cause)
    assert state is SessionState.SETTLED
    cost = tariff_cost(
        step.prices,
        managed.policy.zone,
        visit.part.started_at,
        visit.part.totals.energy_wh,
        power_w=power_w(vehicle, visit, managed.policy, battery),
        at=at,
    )
    settled = visit_session(vehicle, visit, session, state, ended_at, error=error, valuation=cost)
    event = ChargingEvent(session.charging_event_id, session.id, visit.part.started_at, ended_at, is_managed=True)
    represents = settle_event(vehicle, event)
    # A policy's time may be ahead of the telemetry: no later visit begins within what has settled.
    leave(vehicle, ended_at)
    _publish(step, managed, session, state, settled, series_of(visit.part, ended_at), at, represents=represents)
    step.keep_session(managed.policy.id, None)


def publish_observed(
    step: Step,
    visit: Visit,
    span: tuple[datetime, datetime],
    at: datetime,
    *,
    error: SessionError | None,
    is_guess: bool,
) -> None:
    """Publish the one update of a session that nobody managed."""
    vehicle, part = step.vehicle, visit.part
    state = next_state(None, Cause.OBSERVED)
    assert state is SessionState.SETTLED
    session_id = unmanaged_session_id(vehicle.id, part.started_at, is_guess=is_guess)
    event = ChargingEvent(part.charging_event_id, session_id, *span, is_managed=False, is_guess=is_guess)
    represents = settle_event(vehicle, event)
    # A guess may turn out to be wrong: what is told of its time later on still counts.
    leave(vehicle, span[0] if is_guess else span[1])
    session = CurrentSession(session_id, part.charging_event_id)
    step.outputs.append(
        SessionChanged(
            head=visit_session(vehicle, visit, session, state, span[1], error=error),
            series=series_of(part, span[1]),
            version=1,
            created_at=at,
            charging_event_id=part.charging_event_id,
            represents_charging_event=represents,
        )
    )


def leave(vehicle: Vehicle, at: datetime) -> None:
    """No later visit begins before this moment."""
    if vehicle.left_at is None or at > vehicle.left_at:
        vehicle.left_at = at


def _publish(
    step: Step,
    managed: ManagedBy,
    session: CurrentSession,
    state: SessionState | None,
    head: Session,
    series: Series | None,
    at: datetime,
    *,
    represents: bool = True,
) -> None:
    # Made field by field: structs.replace takes three times as long, and this happens for every update.
    session = CurrentSession(
        session.id,
        session.charging_event_id,
        state,
        session.version + 1,
        session.target,
        session.override,
        session.override_at,
    )
    step.keep_session(managed.policy.id, session)
    step.outputs.append(
        SessionChanged(
            head=head,
            series=series,
            version=session.version,
            created_at=at,
            charging_event_id=session.charging_event_id,
            represents_charging_event=represents,
        )
    )


def policy_for(vehicle: Vehicle, location_id: LocationId | None, user_id: UserId) -> ManagedBy | None:
    """The policy that manages a user's visits of that place."""
    if location_id is None:
        return None
    for managed in vehicle.policies:
        policy = managed.policy
        if policy.is_enabled and policy.location_id == location_id and policy.user_id == user_id:
            return managed
    return None


def _planned_spans(visit: Visit) -> tuple[Span, ...]:
    """When the vehicle was, or is, meant to charge: what has begun, and what of the plan does not overlap it.

    A message that tells that it charges says nothing of the time before: so they are always asked for.
    """
    control = visit.part.control
    if control is None:
        return ()
    spans = [(block.start_at, block.end_at) for block in control.started if block.end_at is not None]
    ended_at = spans[-1][1] if spans else visit.part.started_at
    running = control.running
    if running is not None and running.start_at < control.planned_at:
        # A plan that was made anew knows nothing of the time before.
        spans.append((running.start_at, control.planned_at))
        ended_at = control.planned_at
    ahead = [(max(block.start_at, ended_at), block.end_at) for block in control.plan.blocks if block.end_at > ended_at]
    return (*spans, *ahead)
