"""Blocks of charging: which one the plan wants now, and which really began and ended.

A started block begins when the vehicle charges while the plan wants it, and ends when it stops for 5 minutes or more,
or the plan wants no more. Its bounds never move afterwards; its energy may, until the session settles.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.session import ImmediateStartTarget
from sessions.planner import BlockType, Plan, PlannedBlock
from sessions.state import Charging, Control, StartedBlock, Target, Vehicle, Visit

# A shorter pause ends no block.
PAUSE: Final = timedelta(minutes=5)
# Where only a counter tells, a vehicle whose counter has stood for so long does not charge. One of few digits stands
# for minutes while it does: 0.1 kWh are 6 min at 1 kW.
COUNTER_STANDS: Final = timedelta(minutes=10)
# But not before this share of the time that one step of it takes: whole kWh are 16 min at 3.7 kW.
STEP_SHARE: Final = 1.25
STANDS_LIMIT: Final = timedelta(minutes=60)
# More do not begin in one part of a visit: its updates have to fit into a record, and a sample's work stays bounded.
STARTED_LIMIT_BLOCKS: Final = 1_000
_HOUR: Final = timedelta(hours=1)
_IMMEDIATE: Final = BlockType.IMMEDIATE_START
_RESERVE: Final = BlockType.BATTERY_RESERVE
_REGULAR: Final = BlockType.REGULAR


def kind_of(control: Control, target: Target) -> BlockType:
    """What the system is doing now, by which the second word of ACTIVE is chosen."""
    if isinstance(target, ImmediateStartTarget):
        return _IMMEDIATE
    return _RESERVE if control.is_in_reserve else _REGULAR


def wanted_block(plan: Plan, at: datetime) -> PlannedBlock | None:
    """The block in which the plan wants the vehicle to charge at that moment."""
    for block in plan.blocks:
        if block.start_at <= at < block.end_at:
            return block
    return None


def next_boundary(plan: Plan, after: datetime) -> datetime | None:
    """The next moment after that one at which a block begins or ends."""
    for block in plan.blocks:
        if block.start_at > after:
            return block.start_at
        if block.end_at > after:
            return block.end_at
    return None


def upcoming_blocks(
    plan: Plan, started: tuple[StartedBlock, ...], running: StartedBlock | None, checked_at: datetime
) -> list[PlannedBlock]:
    """What of the plan is still to come; the block that runs now is not among them."""
    ended_at = started[-1].end_at if started else None
    begun_at = None if running is None else max(checked_at, running.start_at)
    found: list[PlannedBlock] = []
    for block in plan.blocks:
        if block.end_at <= checked_at or (begun_at is not None and block.start_at <= begun_at):
            continue
        if ended_at is None or block.start_at >= ended_at:
            found.append(block)
        elif block.end_at > ended_at:
            left = (block.end_at - ended_at) / (block.end_at - block.start_at)
            found.append(structs.replace(block, start_at=ended_at, energy_wh=round(block.energy_wh * left)))
    return found


def running_ends_at(plan: Plan, running: StartedBlock | None, checked_at: datetime) -> datetime | None:
    """When the running block is planned to end; where its time is over already, when that was. Null: none runs."""
    if running is None:
        return None
    wanted = wanted_block(plan, checked_at)
    if wanted is not None:
        return max(wanted.end_at, running.start_at)
    over = [block.end_at for block in plan.blocks if block.end_at <= checked_at]
    return max(over[-1] if over else checked_at, running.start_at)


def track_blocks(charging: Charging | None, control: Control, now: datetime, kind: BlockType, *, is_done: bool) -> bool:
    """Begin and end blocks by what the vehicle does; tell whether one broke off that should have gone on.

    `kind`: of a block that begins now; `is_done`: nothing is missing any more.
    """
    running = control.running
    is_charging = charging is not None and charging.is_charging
    wanted = wanted_block(control.plan, now)
    is_interrupted = False
    if running is not None and charging is not None:
        if not is_charging:
            paused_at = control.paused_at = control.paused_at or max(charging.since, running.start_at)
            if is_done or wanted is None or now >= paused_at + PAUSE:
                end_running(control, paused_at)
                is_interrupted = wanted is not None and not is_done
        else:
            control.paused_at = None
            # Told to stop, it may take a while; later than that it charges on its own account.
            if wanted and running.type is not kind:
                end_running(control, now)
            elif wanted is None and now >= overrun_ends_at(control, now):
                # A counter that has not grown since tells of no charging since.
                end_running(control, now if charging.is_told else max(min(charging.at, now), running.start_at))
    is_room = len(control.started) < STARTED_LIMIT_BLOCKS
    if control.running is None and charging is not None and is_charging and wanted is not None and is_room:
        ended_at = control.started[-1].end_at if control.started else None
        start_at = max(charging.since, wanted.start_at)
        control.running = StartedBlock(kind, start_at if ended_at is None else max(start_at, ended_at))
    return is_interrupted


def stands_after(vehicle: Vehicle, visit: Visit) -> timedelta:
    """How long the counter of a vehicle that never says whether it charges must stand to tell that it does not."""
    step_wh, control, peak_w = vehicle.counter_step_wh, visit.part.control, visit.part.totals.peak_w
    power_w = peak_w or (0 if control is None else control.planned_w)
    if not step_wh or not power_w:
        return COUNTER_STANDS
    return min(max(COUNTER_STANDS, STEP_SHARE * step_wh / power_w * _HOUR), STANDS_LIMIT)


def overrun_ends_at(control: Control, now: datetime) -> datetime:
    """Until when charging beyond its block still belongs to it."""
    ends = [block.end_at for block in control.plan.blocks if block.end_at <= now]
    return max(ends[-1] if ends else control.planned_at, control.planned_at) + PAUSE


def end_running(control: Control, at: datetime) -> None:
    """The running block is over; one of no length never was."""
    running = control.running
    assert running is not None
    control.running = control.paused_at = None
    if at > running.start_at:
        control.started = (*control.started, structs.replace(running, end_at=at))
