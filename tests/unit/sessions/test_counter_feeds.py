"""Vehicles of which only an energy counter is known: no level, no word on whether they charge.

Minute 0 is 08:00; the counter is read every minute, in steps of 0.1 kWh or finer.
"""

from itertools import pairwise

import pytest

from models.session import SessionState
from sessions.events import Event
from tests.builders import HOME, ZONE, Story, at_once, blocks, plug, policy, priced, run, sample, target, timer, unplug


def counted(kwh: float, start: int, end: int, kw: float = 7.0, *, step_kwh: float = 0.01) -> list[Event]:
    """Readings of a charge from that minute on until so much is in; the counter shows whole steps."""
    digits = round(1 / step_kwh)
    return [
        sample(at, int(min((at - start) * kw / 60, kwh) * digits + 1e-6) / digits, plugged=True)
        for at in range(start + 1, end)
    ]


def errors(story: Story) -> list[str | None]:
    found = [one.session.error.latest for one in story.changes]
    codes = [None if error is None else error.code for error in found]
    return [code for place, code in enumerate(codes) if not place or code != codes[place - 1]]


@pytest.mark.parametrize("kw", [0.7, 1.4, 3.7, 11.0])
def test_a_coarse_counter_stands_while_its_vehicle_charges(kw: float) -> None:
    """0====60  By 0.1 kWh, up to 9 min apart: one START, one block, and nothing is wrong."""
    told = counted(100, 0, 61, kw, step_kwh=0.1)
    story = run(policy(-60, by="20:00"), plug(0, where=HOME, level=40), *told)
    assert story.commands == ["0 START REGULAR"]
    assert len(story.latest.blocks) == 1
    assert errors(story) == [None]


def test_a_counter_that_stands_for_ten_minutes_has_stopped() -> None:
    """0====30  Not before 40, and then from 30 on: the block ends there, and the vehicle is asked to go on."""
    told = counted(3.5, 0, 45)
    story = run(policy(-60, by="20:00"), plug(0, where=HOME, level=40), *told[:39])
    charging = story.vehicle.charging
    assert charging is not None
    assert charging.is_charging
    later = run(*told[39:], before=story.vehicle)
    assert later.commands == ["40 START REGULAR"]
    assert blocks(later.latest)[0] == "REGULAR 1-30 3.39"
    assert errors(later) == ["CHARGE_INTERRUPTED"]


def test_the_first_reading_says_nothing() -> None:
    """A counter of a vehicle that waits: it stands since the first reading once ten minutes have passed."""
    story = run(policy(-60, by="20:00"), plug(0, where=HOME, level=40), *(sample(at, 5.0) for at in range(3, 13)))
    assert story.vehicle.charging is None
    later = run(sample(13, 5.0), before=story.vehicle)
    charging = later.vehicle.charging
    assert charging is not None
    assert (charging.is_charging, charging.is_told) == (False, False)
    assert later.commands == ["13 START REGULAR"]


def test_a_counter_that_stands_at_a_blocks_end_breaks_no_plan() -> None:
    """0====120.. (dear)  It stops when told: the block ends with the energy, and the plan stands."""
    book = priced(0.1, 0.1, *[0.5] * 8, *[0.1] * 10)
    told = counted(14.1, 0, 200, step_kwh=0.1)
    first = policy(-60, by="20:00", percent=45, zone=ZONE, capacity=60)
    story = run(first, plug(0, where=HOME), *told[:118], prices=book)
    assert story.vehicle.visit is not None
    later = run(*told[118:], before=story.vehicle, prices=book)
    assert later.vehicle.visit is not None
    before, after = story.vehicle.visit.part.control, later.vehicle.visit.part.control
    assert before is not None
    assert after is not None
    assert after.plan is before.plan
    assert blocks(later.latest)[0] == "REGULAR 1-121 14"
    assert [command for command in later.commands if "START" in command] == []


@pytest.mark.parametrize("kw", [1.4, 2.3, 3.7])
def test_whole_kilowatt_hours_are_no_pauses(kw: float) -> None:
    """0========600  Up to 43 min apart: once it has risen twice nothing is asked, and one block goes on."""
    told = counted(100, 0, 600, kw, step_kwh=1)
    story = run(policy(-60, by="20:00", capacity=60), plug(0, where=HOME), *told)
    second = 2 * 60 / kw
    assert len(story.commands) <= 7
    assert [command for command in story.commands if float(command.split()[0]) > second] == []
    assert len(errors(story)) <= 6
    assert errors(story)[-1] is None
    assert len(story.latest.blocks) == 2


def test_a_start_that_failed_stays_failed_from_block_to_block() -> None:
    """..full at 343  It does not say so: one error, that stands until the plan is through."""
    book = priced(*[0.1] * 6, *[0.3, 0.1] * 20)
    first = policy(-60, by="07:00", percent=100, zone=ZONE, capacity=60)
    story = run(first, plug(0, where=HOME), *counted(39.96, 0, 900), prices=book)
    assert errors(story) == [None, "START_FAILED"]


@pytest.mark.parametrize("obeys_after", [0, 2, 3])
def test_a_stop_that_was_followed_is_not_repeated(obeys_after: int) -> None:
    """0==30 (at once, 3.3 kWh)  The counter stands from the STOP on, or a little later: one STOP is enough."""
    first = policy(-60, by="20:00", percent=25, capacity=60)
    story = run(first, plug(0, where=HOME), *counted(3.6 + obeys_after * 0.12, 0, 90))
    assert [command.split()[1] for command in story.commands] == ["START", "STOP"]


def test_a_stop_that_was_not_followed_is_repeated() -> None:
    """The counter goes on rising: asked again after 5, 10 and 20 min."""
    story = run(policy(-60, by="20:00", percent=25, capacity=60), plug(0, where=HOME), *counted(50, 0, 90, 6))
    stops = [float(command.split()[0]) for command in story.commands if "STOP" in command]
    assert [round(other - one) for one, other in pairwise(stops)][:3] == [5, 10, 20]


def test_a_vehicle_that_is_full_in_silence_is_asked_ever_less_often() -> None:
    """..full at 343  Full short of what was assumed: in ten hours of dear and cheap ones it hears few STARTs."""
    book = priced(*[0.1] * 6, *[0.3, 0.1] * 20)
    first = policy(-60, by="07:00", percent=100, zone=ZONE, capacity=60)
    story = run(first, plug(0, where=HOME), *counted(39.96, 0, 900), prices=book)
    starts = [float(command.split()[0]) for command in story.commands if "START" in command][1:]
    assert 4 < len(starts) <= 22
    gaps = [other - one for one, other in pairwise(starts)]
    assert gaps[:3] == [5, 10, 20]
    assert min(gaps[3:]) >= 30


def test_a_start_that_is_followed_at_last_is_counted_anew() -> None:
    """It sleeps from 240 to 480, charges, and stops at 541: asked as often as at first."""
    book = priced(*[0.3] * 4, 0.1, *[0.3] * 3, 0.1, *[0.3] * 3, 0.1, *[0.3] * 40)
    first = policy(-60, by="22:00", percent=60, zone=ZONE, capacity=60)
    waits = [sample(at, level=30, charging=False) for at in range(1, 480, 2)]
    charge = [sample(at, level=30 + (at - 480) / 10, charging=at < 540) for at in range(481, 580, 2)]
    story = run(first, plug(0, where=HOME, level=30), *waits, *charge, prices=book)
    asked = [float(command.split()[0]) for command in story.commands if "START" in command]
    assert asked == [240, 245, 255, 275, 305, 335, 365, 395, 425, 455, 541, 546, 556, 576]


def test_at_once_ends_by_all_that_can_be_known() -> None:
    """Without a level, 60 % are reached by what is assumed: then the policy's target is worked on."""
    book = priced(*[0.3] * 12, *[0.1] * 6, *[0.3] * 40)
    first = run(policy(-60, by="07:00", zone=ZONE, capacity=60), plug(0, where=HOME), prices=book)
    wish = target(1, first.latest.id, at_once(60))
    story = run(wish, *counted(27, 1, 260), before=first.vehicle, prices=book)
    states = [one.session.state for one in story.changes]
    assert states[0] is SessionState.ACTIVE_IMMEDIATE_START
    assert story.latest.state is SessionState.ACTIVE_REGULAR
    assert states.index(SessionState.ACTIVE_REGULAR) > 200
    now = story.latest
    assert (now.target.latest.id, now.target.latest.minimum_charge_target) == (3, 80)  # type: ignore[union-attr]
    assert now.outcome.latest is not None
    assert now.outcome.latest.minimum_charge_target_reached_at is not None
    assert now.outcome.latest.minimum_charge_target_reached_at > now.blocks[-1].start_at
    assert [block for block in blocks(now) if block.startswith("REGULAR 720")] != []
    done = run(unplug(1_000), timer(1_010), before=story.vehicle, prices=book)
    (settled,) = done.settled
    assert settled.outcome.latest is not None
    assert (settled.outcome.latest.state, settled.outcome.latest.minimum_charge_target_reached_at) == ("FAILED", None)


def test_at_once_below_what_is_assumed_makes_no_target() -> None:
    """15 % are less than the 20 that are assumed: the policy's target stays."""
    first = run(policy(-60, by="07:00", zone=ZONE, capacity=60), plug(0, where=HOME), prices=priced(*[0.1] * 48))
    story = run(target(1, first.latest.id, at_once(15)), before=first.vehicle, prices=priced(*[0.1] * 48))
    assert story.changes == []
