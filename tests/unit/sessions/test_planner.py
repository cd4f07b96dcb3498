"""Plans case by case: each rule of the contract at its boundary. Minutes count from 08:00 UTC, which is on the grid."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from models.zones import get_zone
from sessions.planner import BlockType, Plan, PlannedBlock, PlanRequest, done_at, energy_by, horizon_quarters, make_plan
from tests.builders import minute
from tests.support.plan_laws import check_plan

# At this power 63 Wh take a minute: 60 Wh and the margin of 5 %.
POWER_W = 3_780
TICK = timedelta(microseconds=1)
QUARTER = timedelta(minutes=15)
DAY_MIN = 1_440

Blocks = list[tuple[str, float, float]]


def request(
    minutes: float,
    prices: Sequence[float] | None,
    *,
    now: float = 0,
    window: float | None = None,
    reserve: float = 0,
    since: float | None = None,
    running: bool = False,
) -> PlanRequest:
    """To charge for so many minutes within a window of so many from now on; by default as long as there are prices.

    `reserve`: minutes that are charged at once before these. `since`: from when on a block is running.
    """
    if window is None:
        window = 15 * len(prices or ()) - now % 15
    reserve_wh = round(63 * reserve)
    return PlanRequest(
        now=minute(now),
        power_w=POWER_W,
        reserve_wh=reserve_wh,
        needed_wh=reserve_wh + round(60 * minutes),
        ready_by=minute(now + window + 15),
        prices=prices,
        is_running=running or since is not None,
        running_since=None if since is None else minute(since),
    )


def blocks(plan: Plan) -> Blocks:
    """Each block in short: the first letter of its type, from when to when."""
    zero = minute(0)
    return [
        (
            block.type.value[0],
            (block.start_at - zero) / timedelta(minutes=1),
            (block.end_at - zero) / timedelta(minutes=1),
        )
        for block in plan.blocks
    ]


def planned(asked: PlanRequest) -> Blocks:
    """The blocks of the plan, which is held to all laws."""
    plan = make_plan(asked)
    check_plan(plan, asked)
    return blocks(plan)


CHEAPEST: dict[str, tuple[PlanRequest, Blocks]] = {
    "the cheapest quarter-hour": (request(15, [3, 2, 1, 2]), [("R", 30, 45)]),
    "of equal prices the earlier": (request(15, [3, 1, 1, 1]), [("R", 15, 30)]),
    "all prices equal": (request(40, [1, 1, 1, 1, 1]), [("R", 0, 40)]),
    "two stretches": (request(30, [1, 3, 3, 1, 2]), [("R", 0, 15), ("R", 45, 60)]),
    "neighbours are one block": (request(45, [3, 1, 1, 1, 3]), [("R", 15, 60)]),
    "a part follows what is before it": (request(20, [3, 1, 2, 3, 3]), [("R", 15, 35)]),
    "a part leads to what is after it": (request(20, [3, 2, 1, 3, 3]), [("R", 25, 45)]),
    "a part between two follows the first": (request(35, [1, 2, 1, 3, 3]), [("R", 0, 20), ("R", 30, 45)]),
    "the last block may be short": (request(20, [1, 3, 3, 2, 3]), [("R", 0, 15), ("R", 45, 50)]),
    "no other may: the part is the cheapest one's": (request(20, [2, 9, 9, 1, 9]), [("R", 0, 15), ("R", 45, 50)]),
    "no other may: the part is beside the cheapest": (request(20, [2, 4, 4, -9, 3]), [("R", 45, 65)]),
    "no other may: another pair is cheaper": (
        request(20, [2, 9, 3, 3, 9, 2.5, 9, 2.75]),
        [("R", 0, 15), ("R", 75, 80)],
    ),
    "a tie of sums goes to the earlier": (request(20, [0.2, 9, 9, 0.1, 0.4]), [("R", 0, 15), ("R", 45, 50)]),
    "a short job is one block": (request(5, [3, 2, 1, 2]), [("R", 30, 35)]),
    "below zero is cheapest": (request(15, [-1, 0, -2, -1.5]), [("R", 30, 45)]),
    "the window is full": (request(60, [1, 2, 3, 4]), [("R", 0, 60)]),
    "a price of nothing": (request(20, [0, 0, 0]), [("R", 0, 20)]),
    "prices far apart": (request(20, [1e6, 1e-6, 1e6, 0, 2e-6]), [("R", 45, 65)]),
}

CLIPPED: dict[str, tuple[PlanRequest, Blocks]] = {
    # Now is 10 min into the first quarter-hour: 5 min are left of it.
    "the rest of the first and the second": (request(20, [1, 1, 3, 3, 3], now=10), [("R", 10, 30)]),
    "a rest alone is too short": (request(20, [1, 9, 2, 2, 3], now=10), [("R", 30, 50)]),
    "a rest alone that does the job": (request(5, [1, 3, 3, 3], now=10), [("R", 10, 15)]),
    "a rest stretched to a quarter-hour": (request(20, [-9, 3, 2, 4, 4], now=10), [("R", 10, 25), ("R", 30, 35)]),
    "the end of the rest leads to the second": (request(17, [2, 1, 3, 3, 3], now=10), [("R", 13, 30)]),
    "the rest and a part of the second": (request(32, [1, 2, 9, 1, 9], now=10), [("R", 10, 27), ("R", 45, 60)]),
    "a whole first quarter-hour": (request(30, [1, 9, 2, 3]), [("R", 0, 15), ("R", 30, 45)]),
    "a minute less of it": (request(29, [1, 99, 9, 2, 2, 9], now=1), [("R", 45, 74)]),
    # The deadline is 5 min into the last quarter-hour.
    "the last as far as the deadline": (request(20, [3, 3, 3, 2, 1], window=65), [("R", 45, 65)]),
    "the last alone finishes the job": (request(20, [2, 3, 3, 3, 1], window=65), [("R", 0, 15), ("R", 60, 65)]),
    "a part of the last": (request(18, [2, 3, 3, 3, 1], window=65), [("R", 0, 15), ("R", 60, 63)]),
    "both ends clipped": (request(25, [1, 2, 9, 9, 1], now=10, window=55), [("R", 10, 30), ("R", 60, 65)]),
    "within one quarter-hour": (request(3, [1], now=5, window=7), [("R", 5, 8)]),
    "within two, the first cheaper": (request(8, [1, 2], now=5, window=18), [("R", 5, 13)]),
    "within two, the second cheaper": (request(12, [2, 1], now=5, window=18), [("R", 11, 23)]),
}

RESERVE: dict[str, tuple[PlanRequest, Blocks]] = {
    "at once, then the cheapest": (request(15, [9, 9, 3, 1], reserve=20), [("B", 0, 20), ("R", 45, 60)]),
    "the rest may follow at once": (request(15, [9, 1, 9, 9], reserve=15), [("B", 0, 15), ("R", 15, 30)]),
    "charging goes on to a quarter-hour": (
        request(20, [1, 9, 2, 2, 9], reserve=10),
        [("B", 0, 10), ("R", 10, 15), ("R", 30, 45)],
    ),
    "charging would end before it": (
        request(16, [1, 99, 2, 2, 9], reserve=3, now=11),
        [("B", 11, 14), ("R", 30, 46)],
    ),
    "charging goes on for a moment": (
        request(17, [9, 1, 9, 2, 2, 9], reserve=28),
        [("B", 0, 28), ("R", 28, 30), ("R", 45, 60)],
    ),
    "only the reserve": (request(0, [9, 1], reserve=7), [("B", 0, 7)]),
    "a running block makes no difference": (
        request(15, [9, 9, 9.01, 9], reserve=15, running=True),
        [("B", 0, 15), ("R", 15, 30)],
    ),
}


# 5 min more than some quarter-hours: the next cheapest one stands alone, and is too short for a block.
EXCHANGED: dict[str, tuple[PlanRequest, Blocks]] = {
    "a part of the last one, the next whole": (
        request(20, [99, 0.2, 9, 9, 0.1, 0.5, 99]),
        [("R", 15, 30), ("R", 60, 65)],
    ),
    "of equal sums the earlier": (request(20, [99, 0.2, 9, 9, 0.1, 0.4, 99]), [("R", 15, 30), ("R", 60, 65)]),
    "a part beside the last one": (request(20, [99, 0.2, 9, 9, 0.1, 0.3, 99]), [("R", 60, 80)]),
    "a part of the dearest that leans": (
        request(35, [99, 1.2, 50, 1.1, 1, 50, 99]),
        [("R", 15, 30), ("R", 55, 75)],
    ),
    "a part of the dearest that leans back": (
        request(50, [99, 1.2, 50, 1, 1.1, 50, 99, -9, 99]),
        [("R", 15, 30), ("R", 45, 65), ("R", 105, 120)],
    ),
    "a part of the dearest, which is the last": (
        request(35, [99, 1.2, 50, 1, 1.1, 50, 99]),
        [("R", 15, 30), ("R", 45, 65)],
    ),
    "a pair for the dearest": (
        request(35, [99, 1.1, 1.2, 99, 1, 99, -9, 99, 99]),
        [("R", 15, 35), ("R", 90, 105)],
    ),
    "a pair for the dearest, the part first": (
        request(35, [99, 1.2, 1.1, 99, 1, 99, -9, 99, 99]),
        [("R", 25, 45), ("R", 90, 105)],
    ),
    "a dearer pair than the next": (
        request(35, [99, 1.1, 99, 1.2, 1.3, 99, 1, 99, -9, 99, 99]),
        [("R", 45, 65), ("R", 120, 135)],
    ),
    "the next and its dear neighbour": (
        request(35, [99, 1.1, 2, 99, 1.5, 1.9, 99, 1, 99, -9, 99, 99]),
        [("R", 15, 35), ("R", 135, 150)],
    ),
    "a pair that is too dear": (
        request(35, [99, 1.1, 40, 99, 1, 2, 99, -9, 99, 99]),
        [("R", 60, 80), ("R", 105, 120)],
    ),
    "no pair with what is left of the first interval": (
        request(35, [0.5, 1.1, 99, 1, 99, -9, 99, 99], now=13),
        [("R", 13, 28), ("R", 45, 60), ("R", 75, 80)],
    ),
    "a part of what is left of the first interval": (
        request(32, [3, 2, 99, 2.5, 99, -9, 99, 99], now=10),
        [("R", 13, 30), ("R", 75, 90)],
    ),
    "beside the first interval": (request(35, [-9, 3, 99, 2, 99, -9, 99, 99]), [("R", 0, 20), ("R", 75, 90)]),
    "beside the last interval": (request(35, [99, -9, 99, 2, 99, 99, 3, -9]), [("R", 15, 30), ("R", 100, 120)]),
}


@pytest.mark.parametrize("name", EXCHANGED)
def test_exchanged(name: str) -> None:
    """Where the cheapest part would be a block too short, the plan is the cheapest of those with another."""
    asked, expected = EXCHANGED[name]
    assert planned(asked) == expected


@pytest.mark.parametrize("name", CHEAPEST)
def test_cheapest(name: str) -> None:
    """Charging is where it is cheapest, of equal prices the earlier, in no block that is too short."""
    asked, expected = CHEAPEST[name]
    assert planned(asked) == expected


@pytest.mark.parametrize("name", CLIPPED)
def test_clipped(name: str) -> None:
    """A first or last interval that is clipped by now or the deadline counts for the time that is left of it."""
    asked, expected = CLIPPED[name]
    assert planned(asked) == expected


@pytest.mark.parametrize("name", RESERVE)
def test_reserve(name: str) -> None:
    """The reserve is charged at once in one block; a regular block that continues it may be as short as that allows."""
    asked, expected = RESERVE[name]
    assert planned(asked) == expected


def test_the_shortest_block() -> None:
    """A block lasts 15 minutes to the microsecond, whatever the microsecond costs that is missing."""
    asked = structs.replace(request(30, [1, 99, 2, 2, 9]), now=minute(0) + TICK)
    plan = make_plan(asked)
    check_plan(plan, asked)
    first, last = plan.blocks
    assert (first.start_at, first.end_at) == (minute(0) + TICK, minute(15) + TICK)
    assert (last.start_at, last.end_at) == (minute(30), minute(45))


@pytest.mark.parametrize(
    ("reserve_wh", "needed_wh", "energies"),
    [
        (0, 1_000, [1_050]),
        (0, 20, [21]),
        (0, 21, [23]),
        (0, 1, [2]),
        (0, 0, []),
        (500, 500, [500]),
        (500, 400, [500]),
        (500, 501, [500, 2]),
        (500, 1_500, [500, 1_050]),
    ],
)
def test_margin(reserve_wh: int, needed_wh: int, energies: list[int]) -> None:
    """What is needed beyond the reserve is planned with 5 % more, in whole Wh rounded up; the reserve is not."""
    asked = PlanRequest(now=minute(0), power_w=POWER_W, reserve_wh=reserve_wh, needed_wh=needed_wh, prices=[1.0] * 96)
    plan = make_plan(asked)
    check_plan(plan, asked)
    assert [block.energy_wh for block in plan.blocks] == energies


def test_energies_sum_exactly() -> None:
    """Each block has its share of the energy by time, rounded so that the sum is what was asked."""
    asked = request(55, [1, 9, 1, 9, 1, 9, 1])
    plan = make_plan(structs.replace(asked, needed_wh=asked.needed_wh + 1))
    assert [block.energy_wh for block in plan.blocks] == [945, 945, 945, 632]
    assert sum(block.energy_wh for block in plan.blocks) == 3_467


@pytest.mark.parametrize(
    ("power_w", "needed_wh", "seconds"), [(3_600, 100, 105), (7_000, 100, 54), (7_000, 1_000, 540), (400_000, 1, 1)]
)
def test_whole_seconds(power_w: int, needed_wh: int, seconds: int) -> None:
    """Charging is planned for whole seconds, rounded up: power is never planned beyond what there is."""
    plan = make_plan(PlanRequest(now=minute(0), power_w=power_w, reserve_wh=0, needed_wh=needed_wh, prices=[1.0] * 96))
    assert [block.end_at - block.start_at for block in plan.blocks] == [timedelta(seconds=seconds)]


def test_no_block_without_energy() -> None:
    """A last block too short for a single Wh is left out, and nothing of the energy with it."""
    asked = structs.replace(request(20, [1, 1, 9, 9, 2]), now=minute(10) + TICK)
    plan = make_plan(asked)
    check_plan(plan, asked)
    assert [(block.start_at, block.end_at, block.energy_wh) for block in plan.blocks] == [
        (minute(10) + TICK, minute(30), 1_260)
    ]


AT_ONCE: dict[str, tuple[PlanRequest, Blocks]] = {
    "no price": (request(50, None, now=7, window=600), [("R", 7, 57)]),
    "no price, with a reserve": (request(50, None, reserve=5, window=600), [("B", 0, 5), ("R", 5, 55)]),
    "no time": (request(50, [9, 9, 1], now=3), [("R", 3, 53)]),
    "seconds too little": (request(45 + 1 / 60, [9, 1, 1, 1], window=45), [("R", 0, 45 + 2 / 60)]),
    "past the deadline": (request(200, [9, 1]), [("R", 0, 200)]),
    "the deadline has passed": (request(10, [], window=-40), [("R", 0, 10)]),
    "no time after the reserve": (request(20, [9, 9, 1], reserve=30), [("B", 0, 30), ("R", 30, 50)]),
    "just enough time": (request(45, [9, 9, 1]), [("R", 0, 45)]),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_at_once(name: str) -> None:
    """Without a price, or without enough time, charging begins at once and goes on without a pause until it is done."""
    asked, expected = AT_ONCE[name]
    assert planned(asked) == expected


def test_done_early() -> None:
    """Charging is done 15 minutes before the deadline, however cheap these are."""
    asked = request(15, [3, 2, 2, 1], window=45)
    assert asked.ready_by == minute(60)
    assert planned(asked) == [("R", 15, 30)]
    later = structs.replace(asked, ready_by=minute(60) + QUARTER)
    assert planned(later) == [("R", 45, 60)]


@pytest.mark.parametrize(
    ("now", "prices", "expected"),
    [
        (0, [2] * 95 + [1], [("R", DAY_MIN - 15, DAY_MIN - 10)]),
        (0, [2] * 96 + [1], [("R", 0, 5)]),
        (10, [2] * 96 + [1], [("R", DAY_MIN, DAY_MIN + 5)]),
        # Only 4 min of the cheap one are within the 24 h.
        (4, [2] * 96 + [1], [("R", DAY_MIN - 1, DAY_MIN + 4)]),
    ],
)
def test_no_deadline(now: float, prices: list[float], expected: Blocks) -> None:
    """Without a deadline charging is where the next 24 hours are cheapest."""
    assert planned(structs.replace(request(5, prices, now=now), ready_by=None)) == expected


def test_more_than_a_day() -> None:
    """Without a deadline, what takes longer than 24 hours begins at once."""
    asked = structs.replace(request(DAY_MIN + 1, [9.0, *[1.0] * 95]), ready_by=None)
    assert planned(asked) == [("R", 0, DAY_MIN + 1)]


def test_a_week() -> None:
    """A plan looks ahead for 7 days, and no further."""
    asked = request(15, [2.0] * 671 + [1.0])
    assert planned(asked) == [("R", 671 * 15, 672 * 15)]
    asked = request(15, [2.0] * 672 + [1.0])
    assert planned(asked) == [("R", 0, 15)]


@pytest.mark.parametrize(
    ("now", "ready_by", "count"),
    [
        (0, None, 96),
        (TICK / timedelta(minutes=1), None, 97),
        (14, None, 97),
        (0, 31, 2),
        (0, 30, 1),
        (14, 31, 2),
        (14, 30, 1),
        (0, 15, 0),
        (0, 5, 0),
        (0, -500, 0),
        (0, 7 * DAY_MIN + 15, 672),
        (0, 7 * DAY_MIN, 671),
        (0, 7 * DAY_MIN + 16, 672),
        (14, 7 * DAY_MIN + 29, 672),
        (0, 90 * DAY_MIN, 672),
    ],
)
def test_horizon(now: float, ready_by: float | None, count: int) -> None:
    """Prices are wanted from the quarter-hour of now until 15 min before the deadline, or for 24 h, or for 7 d."""
    assert horizon_quarters(minute(now), None if ready_by is None else minute(ready_by)) == count


def test_too_few_prices() -> None:
    """A request with fewer prices than its horizon is a mistake of the caller."""
    asked = request(15, [1.0] * 3)
    with pytest.raises(AssertionError, match="3 prices for 4 quarter-hours"):
        make_plan(structs.replace(asked, ready_by=minute(75)))


def test_immediate_start() -> None:
    """An immediate start charges what is needed at once, in one block, without a margin, whatever the prices are."""
    asked = structs.replace(request(50, [9, 1, 1, 1, 1, 1], now=7), is_immediate=True, power_w=3_600)
    plan = make_plan(asked)
    assert plan.blocks == (PlannedBlock(BlockType.IMMEDIATE_START, minute(7), minute(57), 3_000),)
    assert make_plan(structs.replace(asked, needed_wh=0)).blocks == ()


RUNNING: dict[str, tuple[PlanRequest, Blocks]] = {
    # 75 min, 10 quarter-hours: 2 % of the energy is 1.5 min at the mean price, and not to charge now saves 15 x 0.125.
    "a gain of 2 %": (request(75, [1.125] + [1] * 8 + [3.375], running=True), [("R", 15, 90)]),
    "a smaller gain": (request(75, [1.125] + [1] * 8 + [3.5], running=True), [("R", 0, 75)]),
    "a smaller gain in other money": (request(75, [18] + [16] * 8 + [56], running=True), [("R", 0, 75)]),
    "a smaller gain, but at rest": (request(75, [1.125] + [1] * 8 + [3.5]), [("R", 15, 90)]),
    "a gain of 2 % below zero": (request(75, [-0.875] + [-1] * 8 + [3.625], running=True), [("R", 15, 90)]),
    "a smaller gain below zero": (request(75, [-0.875] + [-1] * 8 + [3.75], running=True), [("R", 0, 75)]),
    "the block goes on for a quarter-hour": (
        request(120, [1.25, 1.25] + [1] * 8 + [40], running=True),
        [("R", 0, 15), ("R", 30, 135)],
    ),
    # To give up the part costs more than to give up the cheapest: 20 min, 0.4 min at the mean, 5 min at 1 saved.
    "a gain of 2 % by the part": (
        request(20, [0.375, 3, 0, 1, 2, 2, 2, 2.125], running=True),
        [("R", 30, 50)],
    ),
    "a smaller gain by the part": (
        request(20, [0.375, 3, 0, 1, 2, 2, 2, 2.25], running=True),
        [("R", 0, 15), ("R", 30, 35)],
    ),
    "it is old, and goes on for a moment": (
        request(20, [1, 1.01, 1.005, 1.005, 3], now=10, since=-10),
        [("R", 10, 15), ("R", 30, 45)],
    ),
    "it goes on, and the last interval finishes the job": (
        request(20, [1.01, 1, 2, 0.5], window=50, running=True),
        [("R", 0, 15), ("R", 45, 50)],
    ),
    "a large gain": (request(20, [99, 99, 1, 1, 1], now=10, running=True), [("R", 30, 50)]),
    "it charges now anyway": (request(20, [1, 1, 9, 9], now=5, running=True), [("R", 5, 25)]),
    "a short job": (request(5, [1.125, 1, 1, 1], running=True), [("R", 15, 20)]),
    "a short job goes on": (request(5, [1.01, 1, 1, 1], running=True), [("R", 0, 5)]),
    "it has lasted for a quarter-hour": (request(20, [1, 9, 2, 2, 3], now=10, since=0), [("R", 10, 15), ("R", 30, 45)]),
    "it would have lasted a minute less": (
        request(20, [1, 9, 2, 2, 3], now=10, since=1),
        [("R", 10, 16), ("R", 30, 44)],
    ),
    "it is too young to end": (request(20, [99, 99, 1, 1, 1], now=10, since=5), [("R", 10, 20), ("R", 30, 40)]),
    "it is old enough to end": (request(20, [99, 99, 1, 1, 1], now=10, since=-5), [("R", 30, 50)]),
    "it began in the future": (request(20, [99, 99, 1, 1, 1], now=10, since=11), [("R", 10, 25), ("R", 30, 35)]),
}


@pytest.mark.parametrize("name", RUNNING)
def test_running(name: str) -> None:
    """A running block is ended only for a gain of 2 % or more, and, if its age is known, after 15 min or more."""
    asked, expected = RUNNING[name]
    assert blocks(make_plan(asked)) == expected


def test_zones_of_time() -> None:
    """A plan depends on instants alone, in whatever zone they are told, and its own times are in UTC."""
    brussels = get_zone("Europe/Brussels")
    # 02:10 occurs twice that night; a quarter-hour before the second one is 01:55 UTC + 1 h.
    ready_by = datetime(2025, 10, 26, 2, 10, tzinfo=brussels, fold=1)
    now = datetime(2025, 10, 25, 23, 50, tzinfo=UTC)
    assert ready_by.astimezone(UTC) == datetime(2025, 10, 26, 1, 10, tzinfo=UTC)
    prices = [5.0, 4.0, 3.0, 2.0, 1.0, 1.0]
    assert horizon_quarters(now.astimezone(brussels), ready_by) == 5
    asked = PlanRequest(
        now=now.astimezone(brussels), power_w=POWER_W, reserve_wh=0, needed_wh=1_200, ready_by=ready_by, prices=prices
    )
    plan = make_plan(asked)
    assert [(block.start_at, block.end_at) for block in plan.blocks] == [
        (datetime(2025, 10, 26, 0, 35, tzinfo=UTC), datetime(2025, 10, 26, 0, 55, tzinfo=UTC))
    ]
    assert all(block.start_at.tzinfo is UTC and block.end_at.tzinfo is UTC for block in plan.blocks)


PLAN = Plan(
    (
        PlannedBlock(BlockType.BATTERY_RESERVE, minute(0), minute(60), 600),
        PlannedBlock(BlockType.REGULAR, minute(60), minute(70), 7),
        PlannedBlock(BlockType.REGULAR, minute(120), minute(150), 300),
    )
)


@pytest.mark.parametrize(
    ("moment", "energy_wh"),
    [
        (-5, 0),
        (0, 0),
        (0.09, 0),
        (0.1, 1),
        (30, 300),
        (60, 600),
        (61, 600),
        (65, 603),
        (90, 607),
        (135, 757),
        (999, 907),
    ],
)
def test_energy_by(moment: float, energy_wh: int) -> None:
    """A plan delivers evenly within a block, and only what is whole counts."""
    assert energy_by(PLAN, minute(moment)) == energy_wh
    assert energy_by(Plan(()), minute(moment)) == 0


@pytest.mark.parametrize(
    ("energy_wh", "moment"), [(-3, 0), (0, 0), (1, 0.1), (600, 60), (607, 70), (608, 120.1), (907, 150), (908, None)]
)
def test_done_at(energy_wh: int, moment: float | None) -> None:
    """A plan has delivered an energy at the first moment by which it has; what it does not deliver, never."""
    assert done_at(PLAN, energy_wh) == (None if moment is None else minute(moment))
    assert done_at(Plan(()), energy_wh) is None


def test_done_at_is_rounded_up() -> None:
    """By the moment told, to the microsecond, the energy has been delivered."""
    plan = Plan((PlannedBlock(BlockType.REGULAR, minute(0), minute(1), 7),))
    moment = done_at(plan, 3)
    assert moment == minute(0) + timedelta(microseconds=25_714_286)
    assert (energy_by(plan, moment), energy_by(plan, moment - TICK)) == (3, 2)
