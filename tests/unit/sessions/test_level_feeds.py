"""Vehicles that tell a level and whether they charge, every 10 min, and nothing of energy or power.

Minute 0 is 08:00; 80 % of 60 kWh wanted by 21:00, from 40 %: 26.7 kWh at the charger. Two hours from 0 and from 660 are
cheap. The power is taken for 7 kW.
"""

from math import floor

import pytest

from models.command import Action
from sessions.events import CommandIssued, Event
from tests.builders import HOME, ZONE, Story, plug, policy, priced, run, sample, timer, unplug
from tests.support.controls import minutes

UNPLUGGED = 785
BOOK = priced(0.05, 0.05, *[0.3] * 9, 0.05, 0.05, *[0.3] * 40)


def day(power_kw: float, *, is_whole: bool = True) -> tuple[Story, list[float]]:
    """What comes of a day of a vehicle that obeys at once, and when a plan was made."""
    story = run(policy(-60, by="21:00", zone=ZONE), plug(0, where=HOME, level=40, capacity=60), prices=BOOK)
    planned: list[float | None] = []
    level, is_on = 40.0, False
    for now in range(UNPLUGGED):
        for output in story.decisions[-1].outputs:
            if isinstance(output, CommandIssued):
                is_on = output.command.action is Action.START
        seen = floor(level) if is_whole else round(level, 2)
        event: Event = sample(now, level=seen, charging=is_on, plugged=True) if now % 10 == 1 else timer(now)
        told = run(event, before=story.vehicle, prices=BOOK)
        story = Story(told.vehicle, story.decisions + told.decisions)
        assert story.vehicle.visit is not None
        control = story.vehicle.visit.part.control
        assert control is not None
        planned.append(minutes(control.planned_at))
        level += power_kw / 60 * 0.9 / 60 * 100 * is_on
    told = run(unplug(UNPLUGGED), timer(UNPLUGGED + 5), before=story.vehicle, prices=BOOK)
    return Story(told.vehicle, story.decisions + told.decisions), [
        at for at in dict.fromkeys(planned) if at is not None
    ]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_slow_vehicle_is_noticed_in_time(is_whole: bool) -> None:
    """It takes 2.3 kW: 29.3 kWh are possible until 20:45, and it gets what it needs, with a handful of plans."""
    story, planned = day(2.3, is_whole=is_whole)
    (settled,) = story.settled
    assert settled.outcome.latest is not None
    assert settled.outcome.latest.state == "SUCCEEDED"
    assert planned[1] <= 60
    assert len(planned) <= 8


def test_what_it_can_never_reach_is_said_soon() -> None:
    """It takes 1.5 kW: within the first three hours the forecast is AT_RISK, and stays so."""
    story, _ = day(1.5)
    states = [one.session.outcome.latest for one in story.changes if one.session.outcome.latest is not None]
    first = next(place for place, outcome in enumerate(states) if outcome.state == "AT_RISK")
    soon = [one for one in story.changes if one.session.outcome.latest is not None][first]
    assert soon.created_at.hour < 11
    assert {outcome.state for outcome in states[first:-1]} <= {"AT_RISK", "FAILED"}


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("power_kw", [6.7, 7.0, 7.4])
def test_a_vehicle_as_fast_as_assumed_is_not_behind(power_kw: float, is_whole: bool) -> None:
    """Whole percents are no shortfall: one plan until the target is reached."""
    _, planned = day(power_kw, is_whole=is_whole)
    assert [at for at in planned if at < 700] == [0]
