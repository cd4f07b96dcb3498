"""The public Session, drawn from what is remembered. Nothing is decided here; what nobody knows yet is null or empty."""

from datetime import datetime
from math import floor
from typing import NamedTuple

from models.ids import LocationId, VehicleId
from models.session import (
    Aggregated,
    Block,
    LatestError,
    LatestOutcome,
    LatestTarget,
    Outcome,
    Session,
    SessionError,
    SessionState,
    Statistics,
    Valuation,
)
from models.units import kwh_from_wh
from sessions.block_energy import block_energies_wh
from sessions.blocks import running_ends_at, upcoming_blocks
from sessions.faults import newest_fault
from sessions.planner import Plan
from sessions.series import Series
from sessions.state import Control, CurrentSession, ManagedBy, Part, StartedBlock, Target, Vehicle, Visit
from sessions.totals import Totals


def awaited_session(vehicle_id: VehicleId, managed: ManagedBy, session: CurrentSession) -> Session:
    """The UPCOMING session of a policy: nobody is plugged in, and nothing is known yet but what is wanted."""
    return Session(
        id=session.id,
        policy_id=managed.policy.id,
        vehicle_id=vehicle_id,
        user_id=managed.policy.user_id,
        location_id=managed.policy.location_id,
        state=SessionState.UPCOMING,
        plugged_in_at=None,
        plugged_out_at=None,
        target=LatestTarget(latest=session.target),
    )


def visit_session(
    vehicle: Vehicle,
    visit: Visit,
    session: CurrentSession,
    state: SessionState,
    until: datetime,
    *,
    error: SessionError | None = None,
    valuation: Valuation | None = None,
) -> Session:
    """The session of a visit's part as of `until`, but for its intervals; SETTLED, `until` is its plug-out."""
    part, control = visit.part, visit.part.control
    return Session(
        id=session.id,
        policy_id=part.policy_id,
        vehicle_id=vehicle.id,
        user_id=visit.user_id,
        location_id=visit.location_id,
        state=state,
        plugged_in_at=part.started_at,
        plugged_out_at=until if state is SessionState.SETTLED else None,
        blocks=() if control is None else _blocks(part, control),
        statistics=Statistics(aggregated=aggregated(part.totals)),
        target=LatestTarget(latest=session.target),
        outcome=LatestOutcome(latest=None if control is None else control.outcome),
        error=LatestError(latest=error),
        valuation=valuation,
    )


def aggregated(totals: Totals) -> Aggregated:
    """Totals of a part: kWh, and whole percents rounded down."""
    return Aggregated(
        kwh_sum=kwh_from_wh(totals.energy_sum_wh),
        battery_from=_whole_percent(totals.level_from),
        battery_to=_whole_percent(totals.level_to),
    )


def series_of(part: Part, until: datetime) -> Series:
    """The intervals of a part as of `until`."""
    totals = part.totals
    return Series(part.started_at, until, totals.energy_wh, totals.levels, part.kept)


class Shown(NamedTuple):
    """What of an open managed visit a client can see, by reference: cheap to take, and compared only where it differs."""

    target: Target | None
    location_id: LocationId | None
    started_at: datetime
    is_in_reserve: bool
    outcome: Outcome | None
    error: SessionError | None
    totals: Totals
    plan: Plan
    started: tuple[StartedBlock, ...]
    running: StartedBlock | None
    checked_at: datetime


def shown(vehicle: Vehicle) -> Shown | None:
    """What a client can see of the open managed visit, if there is one."""
    visit = vehicle.visit
    if visit is None or visit.part.control is None:
        return None
    part, control = visit.part, visit.part.control
    target = None
    for managed in vehicle.policies:
        if managed.policy.id == part.policy_id and managed.session is not None:
            target = managed.session.target
    return Shown(
        target,
        visit.location_id,
        part.started_at,
        control.is_in_reserve,
        control.outcome,
        newest_fault(control),
        part.totals,
        control.plan,
        control.started,
        control.running,
        control.checked_at,
    )


def has_news(before: Shown | None, after: Shown | None) -> bool:
    """Whether a client would see a difference, the growing end of the series and its intervals of 0 kWh aside."""
    if before is None or after is None:
        return before is not after
    if before[:6] != after[:6]:
        return True
    if before.totals is not after.totals and _totals_shown(before.totals) != _totals_shown(after.totals):
        return True
    return before[7:] != after[7:] and _blocks_shown(before) != _blocks_shown(after)


def _totals_shown(totals: Totals) -> tuple[object, ...]:
    energy_wh, levels = totals.energy_wh, totals.levels
    end = len(energy_wh)
    while end and not energy_wh[end - 1]:
        end -= 1
    ends = totals.energy_sum_wh, _whole_percent(totals.level_from), _whole_percent(totals.level_to)
    return *ends, energy_wh[:end], levels[:end]


def _blocks_shown(seen: Shown) -> tuple[object, ...]:
    begun_at = None if seen.running is None else seen.running.start_at
    upcoming = upcoming_blocks(seen.plan, seen.started, seen.running, seen.checked_at)
    return seen.started, begun_at, running_ends_at(seen.plan, seen.running, seen.checked_at), upcoming


def _blocks(part: Part, control: Control) -> tuple[Block, ...]:
    spans: list[tuple[datetime, datetime]] = [(one.start_at, one.end_at) for one in control.started if one.end_at]
    kinds = [block.type for block in control.started]
    upcoming = upcoming_blocks(control.plan, control.started, control.running, control.checked_at)
    if control.running is not None:
        ends_at = running_ends_at(control.plan, control.running, control.checked_at)
        spans.append((control.running.start_at, ends_at or control.running.start_at))
        kinds.append(control.running.type)
    energies_wh = block_energies_wh(part.totals, spans) if spans else []
    begun = [
        Block(type=kind.value, kwh_sum=kwh_from_wh(energy_wh), start_at=start, end_at=end)
        for kind, energy_wh, (start, end) in zip(kinds, energies_wh, spans, strict=True)
    ]
    planned = [
        Block(type=block.type.value, kwh_sum=kwh_from_wh(block.energy_wh), start_at=block.start_at, end_at=block.end_at)
        for block in upcoming
    ]
    return (*begun, *planned)


def _whole_percent(level: float | None) -> int | None:
    return None if level is None else floor(level)
