"""Laws of plans for any request: against brute force in small windows, and by themselves in large ones."""

from datetime import timedelta
from itertools import pairwise
from typing import Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from sessions.grid import quarter_index
from sessions.planner import PlanRequest, done_at, energy_by, horizon_quarters, make_plan
from tests.builders import ZERO
from tests.properties.histories import CHECK
from tests.support import plan_laws
from tests.support.brute_force import Task, least_cost

UNIT: Final = timedelta(minutes=3)
UNITS_OF_A_QUARTER: Final = 5
# At this power 20 Wh and their margin take just 20 seconds; 63 Wh of a reserve take a minute.
POWER_W: Final = 3_780

_TIED = st.sampled_from([0.1, 0.2, 0.3, 0.4])
_SIGNED = st.integers(-3, 3).map(float)
_ANY = st.floats(-1, 1, allow_subnormal=False)
# Cheap quarter-hours between dear ones: here the rule of the shortest block bites.
_SPIKY = st.sampled_from([-9.0, 1.0, 1.1, 1.2, 1.5, 2.0, 50.0, 99.0])
_MANY = settings(CHECK, max_examples=600)


@st.composite
def small_requests(draw: st.DrawFn, prices: st.SearchStrategy[float], *, running: bool = False) -> PlanRequest:
    """Requests that can be met, with every bound on a unit of 3 minutes."""
    offset, window = draw(st.integers(0, UNITS_OF_A_QUARTER - 1)), draw(st.integers(2, 55))
    reserve = 0 if running else draw(st.sampled_from([0, 0, 0, 1, 2, 4, 5, 6]))
    assume(reserve < window)
    units = draw(st.integers(1, window - reserve))
    since = draw(st.none() | st.integers(0, 6)) if running else None
    now = ZERO + offset * UNIT
    ready_by = now + window * UNIT + timedelta(minutes=15)
    count = horizon_quarters(now, ready_by)
    return PlanRequest(
        now=now,
        power_w=POWER_W,
        reserve_wh=189 * reserve,
        needed_wh=189 * reserve + 180 * units,
        ready_by=ready_by,
        prices=draw(st.lists(prices, min_size=count, max_size=count)),
        is_running=running,
        running_since=None if since is None else now - since * UNIT,
    )


def task_of(asked: PlanRequest) -> Task:
    """The request in units, as brute force takes it; prices per hour."""
    assert asked.prices is not None
    start, end = plan_laws.regular_start(asked), plan_laws.deadline(asked)
    return Task(
        prices=[asked.prices[quarter_index(asked.now, start + n * UNIT)] / 20 for n in range((end - start) // UNIT)],
        needed=plan_laws.charge_time(plan_laws.regular_wh(asked), asked.power_w) // UNIT,
        minimum=UNITS_OF_A_QUARTER,
        lasted=(start - (asked.running_since or asked.now)) // UNIT,
    )


@settings(_MANY, max_examples=1_500)
@given(small_requests(_SPIKY) | small_requests(_TIED | _SIGNED | _ANY))
def test_no_plan_is_cheaper(asked: PlanRequest) -> None:
    """A plan keeps to all rules and costs what the cheapest costs that brute force finds."""
    plan = make_plan(asked)
    plan_laws.check_plan(plan, asked)
    assert abs(plan_laws.cost(plan, asked) - least_cost(task_of(asked))) < 1e-9


@_MANY
@given(small_requests(st.integers(1, 4).map(float)))
def test_of_equal_plans_the_earlier(asked: PlanRequest) -> None:
    """Of all plans that cost the least, a plan is the one whose quarter-hours are the earliest in sum."""
    assert asked.prices is not None
    # So small beside a price that it decides between equals only.
    later = [price + place / 2**20 for place, price in enumerate(asked.prices)]
    tied = structs.replace(asked, prices=later)
    assert abs(plan_laws.cost(make_plan(asked), tied) - least_cost(task_of(tied))) < 1e-9


@_MANY
@given(small_requests(_SPIKY | _SIGNED | st.floats(0.9, 1), running=True))
def test_a_running_block(asked: PlanRequest) -> None:
    """A running block goes on where it is too young to end, or where to end it gains less than 2 %."""
    assert asked.prices is not None
    plan = make_plan(asked)
    plan_laws.check_plan(plan, asked)
    task = task_of(asked)
    young = asked.running_since is not None and task.lasted < UNITS_OF_A_QUARTER
    from_start = structs.replace(task, is_from_start=True, lasted=task.lasted if young else 0)
    free, held = least_cost(task), least_cost(from_start)
    found = plan_laws.cost(plan, asked)
    if plan.blocks[0].start_at == asked.now:
        assert abs(found - held) < 1e-9 or abs(found - free) < 1e-9
    else:
        assert not young
        assert abs(found - free) < 1e-9
    mean = sum(map(abs, asked.prices)) / len(asked.prices)
    enough = 0.02 * task.needed * mean / 20
    if held - free > enough + 1e-9 and not young:
        assert abs(found - free) < 1e-9
    if held - free < enough - 1e-9:
        assert plan.blocks[0].start_at == asked.now


@st.composite
def large_requests(draw: st.DrawFn) -> PlanRequest:
    """Requests of any kind, at any microsecond, up to a week ahead, met or not."""
    now = ZERO + timedelta(microseconds=draw(st.integers(0, 900_000_000)))
    ready_by = draw(st.none() | st.integers(-60, 11_000).map(lambda minutes: now + timedelta(minutes=minutes)))
    count = horizon_quarters(now, ready_by)
    # A short pattern repeated makes ties; its length shares no factor with a day.
    pattern = draw(st.lists(_TIED | _ANY, min_size=1, max_size=23))
    running = draw(st.booleans())
    since = draw(st.none() | st.integers(0, 2_000).map(lambda seconds: now - timedelta(seconds=seconds)))
    return PlanRequest(
        now=now,
        power_w=draw(st.integers(1_000, 22_000)),
        reserve_wh=draw(st.sampled_from([0, 0, 0, 1, 700, 9_000])),
        needed_wh=draw(st.integers(0, 80_000)),
        ready_by=ready_by,
        prices=draw(st.sampled_from([None, *[[pattern[n % len(pattern)] for n in range(count)]] * 9])),
        is_running=running,
        running_since=since if running else None,
    )


@_MANY
@given(large_requests())
def test_any_plan(asked: PlanRequest) -> None:
    """A plan delivers what is asked by the deadline where that can be met, and never costs more than at once."""
    plan = make_plan(asked)
    plan_laws.check_plan(plan, asked)
    if asked.prices is not None and plan_laws.fits(asked):
        assert plan_laws.cost(plan, asked) <= plan_laws.cost_at_once(asked) + 1e-9


@CHECK
@given(small_requests(_SIGNED), st.sampled_from([0.25, 2.0, 1024.0]), st.integers(-5, 5))
def test_only_differences_of_prices_matter(asked: PlanRequest, factor: float, more: int) -> None:
    """Other units of money, or the same amount more on every price, make no other plan."""
    assert asked.prices is not None
    other = structs.replace(asked, prices=[factor * (price + more) for price in asked.prices])
    assert make_plan(other) == make_plan(asked)


@CHECK
@given(large_requests(), st.data())
def test_energy_by_and_done_at(asked: PlanRequest, data: st.DataObject) -> None:
    """A plan delivers more and more, all of it by its end, and by the moment told for an energy just that or more."""
    plan = make_plan(asked)
    total_wh = sum(block.energy_wh for block in plan.blocks)
    moments = sorted(data.draw(st.lists(st.integers(-100, 20_000).map(lambda n: asked.now + timedelta(minutes=n)))))
    delivered = [energy_by(plan, moment) for moment in moments]
    assert all(before <= after for before, after in pairwise([0, *delivered, total_wh]))
    assert done_at(plan, total_wh + 1) is None
    energy_wh = data.draw(st.integers(1, total_wh)) if total_wh else 0
    moment = done_at(plan, energy_wh)
    if plan.blocks:
        assert moment is not None
        assert energy_by(plan, moment) >= energy_wh > energy_by(plan, moment - timedelta(microseconds=1))
        assert energy_by(plan, plan.blocks[-1].end_at) == total_wh
    else:
        assert moment is None
