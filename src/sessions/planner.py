"""When to charge: a plan of blocks that delivers the energy needed by a deadline at the least cost.

Decides reserve, margin, deadline and hysteresis; where the cheapest time lies is `cheapest`'s to find. It must not know
of vehicles, levels or sessions. Power is constant; energies are whole Wh and sum exactly to what was asked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from sessions.cheapest import WINDOW_LIMIT_QUARTERS, Cheapest, Run, Window
from sessions.grid import QUARTER
from sessions.prices import EPOCH
from sessions.quarter_choice import QUARTER_US

# Charging tapers near the end and losses vary: so much more than needed is planned for.
MARGIN_PERCENT: Final = 5
# A vehicle that is late by less is still in time.
DONE_EARLY: Final = QUARTER
# Without a deadline: the cheapest of the day to come.
NO_DEADLINE: Final = timedelta(hours=24)
# A running block is not ended for a smaller share of the window's mean price.
HYSTERESIS_PERCENT: Final = 2

_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_HOUR_S: Final = 3_600


class BlockType(StrEnum):
    BATTERY_RESERVE = "BATTERY_RESERVE"
    REGULAR = "REGULAR"
    IMMEDIATE_START = "IMMEDIATE_START"


class PlannedBlock(Struct, frozen=True):
    """One window of charging, and what it delivers, evenly over its time."""

    type: BlockType
    start_at: datetime
    end_at: datetime
    energy_wh: int


class PlanRequest(Struct, frozen=True, kw_only=True):
    """What a plan must do. Energies as the charger delivers them, without margin.

    `reserve_wh`: to charge at once, before anything else; `needed_wh`: in all, the reserve included. `is_immediate`:
    all of it at once, without reserve or margin. `prices`: per quarter-hour from the one that holds `now`, for as many
    as `horizon_quarters` says; None: no price at all. `is_running`: a block is running now; `running_since`: when it
    began, where that is known.
    """

    now: datetime
    power_w: int
    reserve_wh: int
    needed_wh: int
    is_immediate: bool = False
    ready_by: datetime | None = None
    prices: Sequence[float] | None = None
    is_running: bool = False
    running_since: datetime | None = None


class Plan(Struct, frozen=True):
    """Blocks in order of time, without overlap."""

    blocks: tuple[PlannedBlock, ...]


def make_plan(request: PlanRequest) -> Plan:
    """The reserve at once, then the cheapest time for the rest; at once where there is no choice or no price."""
    now_us = _since_epoch_us(request.now)
    if request.is_immediate:
        at_once = (now_us, now_us + _charge_us(request.needed_wh, request.power_w))
        return Plan(tuple(_blocks(BlockType.IMMEDIATE_START, [at_once], request.needed_wh)))
    reserve = (now_us, now_us + _charge_us(request.reserve_wh, request.power_w))
    rest_wh = _with_margin(max(0, request.needed_wh - request.reserve_wh))
    charge_us = _charge_us(rest_wh, request.power_w)
    runs = _cheapest_runs(request, now_us, reserve[1], charge_us)
    reserve_blocks = _blocks(BlockType.BATTERY_RESERVE, [reserve], request.reserve_wh)
    return Plan((*reserve_blocks, *_blocks(BlockType.REGULAR, runs, rest_wh)))


def horizon_quarters(now: datetime, ready_by: datetime | None) -> int:
    """For how many quarter-hours, from the one that holds `now`, a plan wants prices: at most 7 d."""
    now_us = _since_epoch_us(now)
    return max(0, -(-_deadline_us(now_us, ready_by) // QUARTER_US) - now_us // QUARTER_US)


def energy_by(plan: Plan, moment: datetime) -> int:
    """The Wh that the plan delivers by that moment, rounded down."""
    energy_wh = 0
    for block in plan.blocks:
        if moment <= block.start_at:
            return energy_wh
        if moment < block.end_at:
            passed_us = (moment - block.start_at) // _MICROSECOND
            return energy_wh + block.energy_wh * passed_us // _length_us(block)
        energy_wh += block.energy_wh
    return energy_wh


def done_at(plan: Plan, energy_wh: int) -> datetime | None:
    """When the plan has delivered so much, its first start where nothing is needed; None: never."""
    left_wh = max(0, energy_wh)
    for block in plan.blocks:
        if left_wh <= block.energy_wh:
            # Rounded up: by the moment told, the energy has been delivered.
            return block.start_at - (-left_wh * _length_us(block) // block.energy_wh) * _MICROSECOND
        left_wh -= block.energy_wh
    return None


def _cheapest_runs(request: PlanRequest, now_us: int, start_us: int, charge_us: int) -> list[Run]:
    """Where the energy beyond the reserve is charged, from `start_us` on."""
    at_once = [(start_us, start_us + charge_us)]
    end_us = _deadline_us(now_us, request.ready_by)
    if request.prices is None or charge_us == 0 or start_us + charge_us > end_us:
        return at_once
    origin = now_us // QUARTER_US
    quarters = slice(start_us // QUARTER_US - origin, -(-end_us // QUARTER_US) - origin)
    assert len(request.prices) >= quarters.stop, f"{len(request.prices)} prices for {quarters.stop} quarter-hours"
    cheapest = Cheapest(Window(request.prices[quarters], start_us, end_us), charge_us)
    first_min_us = _first_min_us(request, now_us, start_us)
    runs = cheapest.runs(first_min_us)
    if request.is_running and runs[0][0] > now_us and start_us == now_us:
        return _held(cheapest, first_min_us, runs, is_young=request.running_since is not None)
    return runs


def _first_min_us(request: PlanRequest, now_us: int, start_us: int) -> int:
    """How long a run from `start_us` has to last.

    No charging is shorter than a quarter-hour. The reserve, or the running block, is not interrupted by a block that
    follows it: no switch, so what they have lasted counts, and such a block may itself be shorter.
    """
    since_us = now_us
    if request.is_running and request.running_since is not None:
        since_us = min(now_us, _since_epoch_us(request.running_since))
    return max(0, QUARTER_US - (start_us - since_us))


def _held(cheapest: Cheapest, first_min_us: int, best: list[Run], *, is_young: bool) -> list[Run]:
    """A running block goes on unless to end it gains enough, and, where its age is known, until it is long enough."""
    window, charge_us = cheapest.window, cheapest.charge_us
    hold_us = first_min_us or QUARTER_US
    if is_young and first_min_us:
        return cheapest.runs_from_start(hold_us)
    enough = HYSTERESIS_PERCENT * charge_us * sum(map(abs, window.prices)) / (100 * len(window.prices))
    best_cost = window.cost(best)
    if cheapest.least_cost_from_start(min(hold_us, charge_us)) - best_cost >= enough:
        return best
    held = cheapest.runs_from_start(hold_us)
    return held if window.cost(held) - best_cost < enough else best


def _deadline_us(now_us: int, ready_by: datetime | None) -> int:
    """When the charging should be done: at most 7 d of quarter-hours from the one that holds now."""
    if ready_by is None:
        end_us = now_us + NO_DEADLINE // _MICROSECOND
    else:
        end_us = _since_epoch_us(ready_by) - DONE_EARLY // _MICROSECOND
    return min(end_us, (now_us // QUARTER_US + WINDOW_LIMIT_QUARTERS) * QUARTER_US)


def _with_margin(energy_wh: int) -> int:
    """The energy with the margin, in whole Wh: rounded once, and up."""
    return -(-energy_wh * (100 + MARGIN_PERCENT) // 100)


def _charge_us(energy_wh: int, power_w: int) -> int:
    """How long to charge: whole seconds, so that a block that begins on one ends on one."""
    return -(-energy_wh * _HOUR_S // power_w) * _SECOND_US


def _blocks(kind: BlockType, runs: list[Run], energy_wh: int) -> list[PlannedBlock]:
    """The runs as blocks. Shares of the energy go by time, rounded by their running total: the sum is exact."""
    total_us = sum(end_us - start_us for start_us, end_us in runs)
    blocks: list[PlannedBlock] = []
    passed_us = given_wh = 0
    for start_us, end_us in runs:
        passed_us += end_us - start_us
        running_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us) if total_us else 0
        # A last block of a few milliseconds may be left with nothing.
        if running_wh > given_wh:
            blocks.append(PlannedBlock(kind, _moment(start_us), _moment(end_us), running_wh - given_wh))
        given_wh = running_wh
    return blocks


def _length_us(block: PlannedBlock) -> int:
    return (block.end_at - block.start_at) // _MICROSECOND


def _since_epoch_us(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND


def _moment(since_epoch_us: int) -> datetime:
    return EPOCH + since_epoch_us * _MICROSECOND
