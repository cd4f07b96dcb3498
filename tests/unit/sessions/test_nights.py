"""Whole nights, the vehicle's side played by a model: what the plans come to when somebody obeys them."""

from itertools import pairwise
from math import inf

import pytest

from models.command import Action, Reason
from tests.builders import kwh_sum
from tests.support.nights import Course, Night, drawn, minutes_needed, spend

SEEDS = range(60)
# 07:00.
READY_BY = 1_380
# A plan is done a quarter-hour early; commands, samples and losses take some minutes more.
SLACK_MIN = 45


@pytest.fixture(scope="module")
def courses() -> dict[int, tuple[Night, Course]]:
    """Each night once."""
    return {seed: (drawn(seed), spend(drawn(seed))) for seed in SEEDS}


Courses = dict[int, tuple[Night, Course]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_target_is_met_wherever_there_is_time(courses: Courses, seed: int) -> None:
    """A vehicle that has the time to reach its target, or its own limit, by its deadline does so, and that is told."""
    night, course = courses[seed]
    if night.plugged_in + minutes_needed(night) + SLACK_MIN > READY_BY:
        return
    level = course.levels[READY_BY - night.plugged_in]
    assert level >= min(night.target, night.limit) - 0.01
    outcome = course.settled.outcome.latest
    assert outcome is not None
    assert outcome.state == "SUCCEEDED"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_night_costs_no_more_than_charging_at_once(courses: Courses, seed: int) -> None:
    """Savings are never negative, but for the minutes at which commands arrive."""
    valuation = courses[seed][1].settled.valuation
    assert valuation is not None
    cost = valuation.tariff_cost
    assert cost.actual <= cost.baseline * 1.01


def test_nights_save(courses: Courses) -> None:
    """Over many nights with real-looking prices a good part of the cost is saved."""
    costs = [course.settled.valuation.tariff_cost for _, course in courses.values() if course.settled.valuation]
    assert sum(cost.actual for cost in costs) < 0.85 * sum(cost.baseline for cost in costs)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_commands_are_valid_at_once(courses: Courses, seed: int) -> None:
    """A command is issued only once the one before it holds no longer."""
    assert courses[seed][1].command_overlaps() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_and_commands_are_few(courses: Courses, seed: int) -> None:
    """A night has few plans and few commands: nothing is planned anew without a cause, nothing flaps."""
    course = courses[seed][1]
    assert len(course.plans) <= 8
    assert len(course.commands) <= 14
    actions = [command.action for command in course.commands]
    turns = sum(one is not other for one, other in pairwise(actions))
    assert turns <= 9


@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_hold_nearly_all_of_a_night(courses: Courses, seed: int) -> None:
    """Started blocks hold what was charged when it was meant to be; little runs over where samples are sparse."""
    night, course = courses[seed]
    in_blocks = sum(block.kwh_sum for block in course.settled.blocks)
    total = kwh_sum(course.settled)
    assert in_blocks <= total + 1e-9
    if not night.is_eager:
        assert in_blocks >= 0.96 * total - 0.2


@pytest.mark.parametrize("level", [10.0, 47.0, 71.5])
@pytest.mark.parametrize("power_kw", [3.6, 7.2, 10.8])
def test_all_charging_in_blocks_means_equal_sums(level: float, power_kw: float) -> None:
    """Of a vehicle that obeys at once and tells every minute, the blocks hold all energy of the session."""
    night = Night(level=level, power_kw=power_kw, told_every=1, obeys_after=0.1, reserve=20.0, prices=drawn(1).prices)
    session = spend(night).settled
    assert round(sum(block.kwh_sum for block in session.blocks), 3) == kwh_sum(session)


def test_an_obedient_night_needs_one_plan_and_a_command_for_each_boundary() -> None:
    """A vehicle that does as planned is planned for once, and told to start and to stop once for each block."""
    night = Night(
        level=40.0, efficiency=0.9, told_every=1, obeys_after=0.1, prices=(0.3,) * 16 + (0.1,) * 5 + (0.3,) * 27
    )
    course = spend(night)
    plans = [plan for plan in course.plans if plan.blocks]
    assert len(plans) == 1
    told = [(command.action, command.reason) for command in course.commands]
    assert told == [
        (Action.STOP, Reason.WAITING), (Action.START, Reason.REGULAR), (Action.STOP, Reason.TARGET_REACHED)
    ]  # fmt: skip


def test_without_prices_it_charges_at_once() -> None:
    """With no price at all there is nothing to wait for."""
    course = spend(Night(told_every=1, obeys_after=0.1))
    assert [block.type for block in course.settled.blocks] == ["REGULAR"]
    assert course.levels[300] >= 79.9
    assert course.settled.valuation is None


def test_a_vehicle_that_does_not_listen_is_told_ever_more_rarely() -> None:
    """A vehicle that charges on its own account until it is full is told to stop at 5, 10, 20, then every 30 min."""
    course = spend(Night(is_eager=True, obeys_after=inf, power_kw=3.6, prices=(0.3,) * 16 + (0.1,) * 5 + (0.3,) * 27))
    gaps = [(other.at - one.at).total_seconds() / 60 for one, other in pairwise(course.commands[1:])]
    assert gaps[:5] == [5, 10, 20, 30, 30]
