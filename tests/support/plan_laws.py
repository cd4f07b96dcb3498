"""What holds of every plan, whatever the request; and what a plan costs, counted block by block."""

from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from sessions.grid import QUARTER, quarter_index, quarters
from sessions.planner import BlockType, Plan, PlannedBlock, PlanRequest

SECOND = timedelta(seconds=1)


def regular_wh(request: PlanRequest) -> int:
    """What is to be charged beyond the reserve: 5 % more than needed, in whole Wh."""
    return ceil(max(0, request.needed_wh - request.reserve_wh) * 105 / 100)


def charge_time(energy_wh: int, power_w: int) -> timedelta:
    """How long that takes, in whole seconds."""
    return ceil(energy_wh * 3_600 / power_w) * SECOND


def regular_start(request: PlanRequest) -> datetime:
    """When the reserve is full."""
    return request.now + charge_time(request.reserve_wh, request.power_w)


def deadline(request: PlanRequest) -> datetime:
    """When the charging should be done."""
    if request.ready_by is None:
        return request.now + timedelta(hours=24)
    return request.ready_by - timedelta(minutes=15)


def fits(request: PlanRequest) -> bool:
    """Tell whether the deadline can be met."""
    return regular_start(request) + charge_time(regular_wh(request), request.power_w) <= deadline(request)


def cost(plan: Plan, request: PlanRequest) -> float:
    """Price x hours of the regular blocks."""
    assert request.prices is not None
    spans = [(block.start_at, block.end_at) for block in regular(plan)]
    return sum(
        request.prices[quarter_index(request.now, start)] * ((end - start) / timedelta(hours=1))
        for span in spans
        for start, end in quarters(*span)
    )


def cost_at_once(request: PlanRequest) -> float:
    """Price x hours of charging what the regular blocks deliver without a pause."""
    start = regular_start(request)
    end = start + charge_time(regular_wh(request), request.power_w)
    block = PlannedBlock(BlockType.REGULAR, start, end, regular_wh(request))
    return cost(Plan((block,)), request)


def regular(plan: Plan) -> list[PlannedBlock]:
    """The regular blocks."""
    return [block for block in plan.blocks if block.type is BlockType.REGULAR]


def check_plan(plan: Plan, request: PlanRequest) -> None:
    """Hold a plan with a reserve and regular blocks to everything but the least cost."""
    reserve = [block for block in plan.blocks if block.type is BlockType.BATTERY_RESERVE]
    blocks = regular(plan)
    assert plan.blocks == (*reserve, *blocks)
    assert sum(block.energy_wh for block in reserve) == request.reserve_wh
    assert sum(block.energy_wh for block in blocks) == regular_wh(request)
    start = regular_start(request)
    assert [(block.start_at, block.end_at) for block in reserve] == ([(request.now, start)] if reserve else [])
    for block in plan.blocks:
        assert block.start_at < block.end_at
        assert block.energy_wh > 0
        expected_wh = request.power_w * ((block.end_at - block.start_at) / timedelta(hours=1))
        # At most a second is added to a plan, and shares are rounded once.
        assert abs(block.energy_wh - expected_wh) <= 1 + request.power_w / 3_600
    if not blocks:
        return
    assert start <= blocks[0].start_at
    assert all(one.end_at < after.start_at for one, after in pairwise(blocks))
    if not fits(request) or request.prices is None:
        assert [block.start_at for block in blocks] == [start]
        return
    assert blocks[-1].end_at <= deadline(request)
    for block in blocks[:-1]:
        assert block.end_at - charging_since(block, request) >= QUARTER


def charging_since(block: PlannedBlock, request: PlanRequest) -> datetime:
    """When the charging began that the block belongs to: with the reserve or the running block, if it follows them."""
    if block.start_at != regular_start(request):
        return block.start_at
    if request.is_running and request.running_since is not None:
        return request.running_since
    return request.now
