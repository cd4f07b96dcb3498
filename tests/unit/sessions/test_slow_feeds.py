"""Vehicles whose messages arrive minutes late: what is asked of them can still be obeyed, and in fairness.

Minute 0 is 08:00; messages of a minute are in the log some minutes later, and so is every decision on them.
"""

from datetime import timedelta
from itertools import pairwise

import pytest

from models.command import Action, ChargeCommand
from sessions.events import CommandIssued, Event
from tests.builders import HOME, ZONE, Story, at_once, minute, plug, policy, priced, run, sample, target, timer

CHEAP_FROM_120 = (0.5, 0.5, *[0.01] * 6, *[0.5] * 40)


def follow(*events: Event) -> Story:
    return run(policy(-60, by="20:00", zone=ZONE, logged=0), *events, prices=priced(*CHEAP_FROM_120))


def issued(story: Story) -> list[ChargeCommand]:
    return [output.command for output in story.outputs if isinstance(output, CommandIssued)]


def by_wall(delay: int, until: int, *, obeys: bool) -> tuple[Story, list[tuple[float, ChargeCommand]]]:
    """A vehicle that tells itself every minute, `delay` minutes late; and each command with when it was decided.

    It starts a minute after it can hear so, if it obeys.
    """
    story = follow(plug(0, where=HOME, level=40, capacity=60, logged=delay))
    heard = [(float(delay), command) for command in issued(story)]
    for wall in range(delay + 1, until):
        at = wall - delay
        is_on = obeys and any(
            command.action is Action.START and decided + 1 <= at < decided + 60 for decided, command in heard
        )
        for event in (timer(wall, is_wall=True), sample(at, level=40, charging=is_on, plugged=True, logged=wall)):
            told = run(event, before=story.vehicle, prices=priced(*CHEAP_FROM_120))
            story = Story(told.vehicle, story.decisions + told.decisions)
            heard += [(float(wall), command) for command in issued(told)]
    return story, heard


def test_a_command_of_a_slow_feed_can_be_obeyed() -> None:
    """Each is still valid when the wall lets it be decided: the START of the block among them."""
    story = follow(
        plug(0, where=HOME, level=40, capacity=60), sample(1, level=40, charging=False, plugged=True, logged=4)
    )
    heard: list[tuple[float, ChargeCommand]] = []
    for wall in range(5, 600):
        story = run(timer(wall, is_wall=True), before=story.vehicle, prices=priced(*CHEAP_FROM_120))
        heard += [(wall, command) for command in issued(story)]
    assert (heard[0][0], heard[0][1].action, heard[0][1].at) == (123, Action.START, minute(120))
    assert len(heard) > 10
    assert all(minute(wall) < command.valid_until for wall, command in heard)
    assert all(command.valid_until - command.at == timedelta(minutes=5) for _, command in heard)


@pytest.mark.parametrize("delay", [2, 4, 10, 29])
def test_one_is_outstanding_however_late(delay: int) -> None:
    """Told late every minute, and never obeyed: by the wall no two are valid at once, and each is usable."""
    _, heard = by_wall(delay, 400, obeys=False)
    assert len(heard) > 5
    assert all(minute(wall) < command.valid_until for wall, command in heard)
    assert all(other.at >= one.valid_until for (_, one), (_, other) in pairwise(heard))


@pytest.mark.parametrize("delay", [2, 4, 10, 29])
def test_a_vehicle_is_not_blamed_before_it_could_obey(delay: int) -> None:
    """It starts a minute after it can hear so: one START, and no START_FAILED."""
    story, heard = by_wall(delay, 175, obeys=True)
    assert [command.action for _, command in heard if command.action is Action.START] == [Action.START]
    assert {one.session.error.latest for one in story.changes} == {None}


def test_a_vehicle_that_could_obey_is_blamed() -> None:
    """Ten minutes after it could hear of the START, and not ten after that was due."""
    story, _ = by_wall(10, 160, obeys=False)
    error = story.latest.error.latest
    assert error is not None
    assert (error.code, error.occurred_at) == ("START_FAILED", minute(140))


def test_what_comes_all_at_once_is_decided_at_once() -> None:
    """Of messages that the log took together no command holds longer than 2 min from then: nothing waits for it."""
    told = [sample(at, level=40, charging=True, plugged=True, logged=50) for at in range(10, 50, 10)]
    (*_, command) = issued(follow(plug(0, where=HOME, level=40, capacity=60, logged=50), *told))
    assert command.at > minute(20)
    assert command.valid_until == minute(52)


def test_what_a_user_asks_holds_as_short_as_ever() -> None:
    """A wish of now is no old news, though the vehicle's are: its command holds for 2 min from now."""
    story = follow(plug(0, where=HOME, level=40, capacity=60, logged=9), sample(1, level=40, charging=False, logged=10))
    wish = target(50, story.latest.id, at_once(80))
    (command,) = issued(run(wish, before=story.vehicle, prices=priced(*CHEAP_FROM_120)))
    assert (command.at, command.valid_until) == (minute(50), minute(52))


def test_a_replay_is_no_slow_feed() -> None:
    """Of what is in the log more than 30 min late no command is of use: none waits for one to run out."""
    late = [plug(0, where=HOME, level=40, logged=5_000), sample(1, level=40, charging=True, plugged=True, logged=5_001)]
    commands = issued(follow(*late, sample(3, level=40, charging=True, plugged=True, logged=5_003)))
    assert [command.at for command in commands] == [minute(0), minute(2)]
    assert all(command.valid_until - command.at == timedelta(minutes=2) for command in commands)
