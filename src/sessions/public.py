"""The public Session, drawn from what is remembered. Nothing is decided here; what nobody knows is null or empty."""

from datetime import datetime
from itertools import zip_longest
from math import floor
from typing import Final, NamedTuple

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
from sessions.block_energy import BlockEnergies, carried, energies_of, running_wh
from sessions.blocks import running_ends_at, upcoming_blocks
from sessions.faults import newest_fault
from sessions.planner import BlockType, Plan, PlannedBlock
from sessions.series import Series, series_until
from sessions.state import Control, CurrentSession, ManagedBy, Part, StartedBlock, Target, Vehicle, Visit
from sessions.totals import Totals

_SETTLED: Final = SessionState.SETTLED
_NO_ERROR: Final = LatestError()


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
        plugged_out_at=until if state is _SETTLED else None,
        blocks=() if control is None else _blocks(control),
        statistics=Statistics(aggregated=aggregated(part.totals)),
        target=LatestTarget(latest=session.target),
        outcome=LatestOutcome(latest=None if control is None else control.outcome),
        error=_NO_ERROR if error is None else LatestError(latest=error),
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
    return series_until(part.started_at, until, totals.energy_wh, totals.levels, part.kept)


class Shown(NamedTuple):
    """What of an open managed visit a client can see, by reference: cheap to take, compared only where it differs."""

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


def has_news(before: Shown | None, vehicle: Vehicle) -> bool:
    """Whether a client would see a difference, the growing end of the series and its intervals of 0 kWh aside."""
    visit = vehicle.visit
    if before is None or visit is None or visit.part.control is None:
        return (before is None) is (visit is not None and visit.part.control is not None)
    if visit.part.totals.tip.sum_wh != before.totals.tip.sum_wh:
        # Nearly always there is more energy, and nothing else need be asked.
        return True
    after = shown(vehicle)
    assert after is not None
    if before[:6] != after[:6]:
        return True
    if totals_differ(before.totals, after.totals):
        return True
    return before[7:] != after[7:] and _have_blocks_changed(before, after, visit.part, visit.newest_at)


def totals_differ(old: Totals, new: Totals) -> bool:
    """Whether a client would see a difference between totals of one part, intervals of 0 kWh at the end aside."""
    if old is new:
        return False
    if old.tip.sum_wh != new.tip.sum_wh:
        return True
    if _whole_percent(old.level_to) != _whole_percent(new.level_to):
        return True
    if _whole_percent(old.level_from) != _whole_percent(new.level_from):
        return True
    if old.energy_wh is new.energy_wh and old.levels is new.levels:
        return False
    return _charged(old) != _charged(new)


def _charged(totals: Totals) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """Energies up to the last interval with any, and its levels up to the last one told: behind it there may be rows
    without one, or none.
    """
    energy_wh, levels = totals.energy_wh, totals.levels
    charged = len(energy_wh)
    while charged and not energy_wh[charged - 1]:
        charged -= 1
    told = min(len(levels), charged)
    while told and levels[told - 1] is None:
        told -= 1
    return energy_wh[:charged], levels[:told]


def _have_blocks_changed(before: Shown, after: Shown, part: Part, until: datetime) -> bool:
    bounds, bounds_now = _bounds_shown(before), _bounds_shown(after)
    control = part.control
    if control is None or (before.started == after.started and before.running == after.running):
        return bounds != bounds_now
    # A planned block that has begun, and one that has ended where it was said to end, look as before, unless they have
    # other energies than they had.
    return _rows(*bounds, control.energies) != _rows(*bounds_now, _block_energies(part, control, until))


_Bounds = tuple[BlockType, datetime, datetime | None]


def _bounds_shown(seen: Shown) -> tuple[list[_Bounds], list[PlannedBlock]]:
    blocks: list[_Bounds] = [(block.type, block.start_at, block.end_at) for block in seen.started]
    if seen.running is not None:
        ends_at = running_ends_at(seen.plan, seen.running, seen.checked_at)
        blocks.append((seen.running.type, seen.running.start_at, ends_at))
    return blocks, upcoming_blocks(seen.plan, seen.started, seen.running, seen.checked_at)


def _rows(begun: list[_Bounds], upcoming: list[PlannedBlock], energies: BlockEnergies) -> list[tuple[object, object]]:
    """The blocks as they are shown: bounds and energy of each."""
    rows: list[tuple[object, object]] = list(zip_longest(begun, _delivered(energies)))
    return rows + [((each.type, each.start_at, each.end_at), each.energy_wh) for each in upcoming]


def _blocks(control: Control) -> tuple[Block, ...]:
    """Blocks that began, with what they delivered, and those that are planned."""
    energies, running = control.energies, control.running
    blocks: list[Block] = []
    for block, energy_wh in zip(control.started, energies.started_wh, strict=True):
        if block.end_at is not None:
            delivered_kwh = kwh_from_wh(energy_wh)
            blocks.append(Block(type=block.type, kwh_sum=delivered_kwh, start_at=block.start_at, end_at=block.end_at))
    if running is not None:
        ends_at = running_ends_at(control.plan, running, control.checked_at) or running.start_at
        delivered_kwh = kwh_from_wh(running_wh(energies))
        blocks.append(Block(type=running.type, kwh_sum=delivered_kwh, start_at=running.start_at, end_at=ends_at))
    for planned in upcoming_blocks(control.plan, control.started, running, control.checked_at):
        expected_kwh = kwh_from_wh(planned.energy_wh)
        blocks.append(Block(type=planned.type, kwh_sum=expected_kwh, start_at=planned.start_at, end_at=planned.end_at))
    return tuple(blocks)


def refresh_block_energies(part: Part, until: datetime) -> None:
    """Bring what each started block has delivered up to date. `until`: how far the part goes."""
    if part.control is not None:
        part.control.energies = _block_energies(part, part.control, until)


def _block_energies(part: Part, control: Control, until: datetime) -> BlockEnergies:
    running = control.running
    since = None if running is None else running.start_at
    carried_on = carried(control.energies, part.totals.tip.sum_wh, len(control.started), since, part.kept)
    if carried_on is not None:
        return carried_on
    now = None
    if running is not None:
        ends_at = running_ends_at(control.plan, running, control.checked_at)
        now = (running.start_at, ends_at or running.start_at)
    ended = [(block.start_at, block.end_at) for block in control.started if block.end_at is not None]
    return energies_of(part.totals, ended, now, until)


def _delivered(energies: BlockEnergies) -> tuple[int, ...]:
    """Of each started block, the running one last."""
    started_wh = energies.started_wh
    return started_wh if energies.running_since is None else (*started_wh, running_wh(energies))


def _whole_percent(level: float | None) -> int | None:
    return None if level is None else floor(level)
