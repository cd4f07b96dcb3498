"""Commands: what is asked of the vehicle, when, and how often.

The plan: 08:00 is minute 0; it is plugged in at 10 with 50 %, wants 80 % by minute 600, and 240 to 480 is cheap: it is
to charge from 240 to 429.
"""

from datetime import timedelta
from itertools import pairwise

import pytest

from models.command import Action
from sessions.events import CommandIssued, Event, Rules
from sessions.state import Sent
from sessions.steering import VALID, retry_at
from tests.builders import (
    HOME,
    WORK,
    ZONE,
    Story,
    at_once,
    delete,
    minute,
    plug,
    policy,
    priced,
    run,
    sample,
    target,
    timer,
    unplug,
)

LOSSLESS = Rules(efficiency=1.0)
START, END = 240, 429


def night(*events: Event, level: float = 50.0, reserve: float = 0.0) -> Story:
    first = policy(0, by="18:00", percent=80.0, zone=ZONE, rate=6, capacity=60, reserve=reserve)
    book = priced(*[0.3] * 4, *[0.1] * 4, *[0.3] * 40)
    return run(first, plug(10, where=HOME, level=level), *events, rules=LOSSLESS, prices=book)


def idle(at: float) -> Event:
    return sample(at, level=50, charging=False)


@pytest.mark.parametrize(("attempts", "wait"), [(1, 5), (2, 10), (3, 20), (4, 30), (5, 30), (50, 30)])
def test_repeats_back_off(attempts: int, wait: float) -> None:
    """After 5, 10 and 20 minutes, then every 30."""
    sent = Sent(Action.START, first_at=minute(0), at=minute(100), given_at=minute(100), attempts=attempts)
    assert retry_at(sent) == minute(100 + wait)


def test_a_command_holds_for_two_minutes() -> None:
    """Its `validUntil` says so."""
    (command,) = [output.command for output in night().outputs if isinstance(output, CommandIssued)]
    assert (command.valid_until - command.at, VALID) == (timedelta(minutes=2), timedelta(minutes=2))
    assert (command.session_id, command.policy_id) == (night().latest.id, "p1")


def test_a_vehicle_that_does_as_planned_hears_nothing() -> None:
    """It waits by itself, starts and stops by itself."""
    waits = [idle(at) for at in range(11, 240, 20)]
    story = night(*waits[:1], *waits)
    assert story.commands == ["10 STOP WAITING"]


def test_a_block_is_left_alone_until_its_end() -> None:
    """10..240====429..  One START, and no STOP before the block is over."""
    charge = [sample(at, (at - 240) / 10.5, level=50 + (at - 240) / 6.3, charging=True) for at in range(245, 429, 3)]
    assert night(idle(11), *charge).commands == ["10 STOP WAITING", "240 START REGULAR"]


def test_a_vehicle_that_charges_when_it_should_wait_is_stopped_again_and_again() -> None:
    """At once, then after 5, 10, 20 and 30 min, and no more once it has stopped."""
    story = night(*(sample(at, level=50, charging=at < 90) for at in range(11, 130)))
    stops = [command for command in story.commands if "STOP" in command]
    assert stops == [f"{at} STOP WAITING" for at in (10, 12, 17, 27, 47, 77)]


def test_a_silent_vehicle_is_asked_again_by_time() -> None:
    """The repeats need no message."""
    story = night(sample(11, level=50, charging=True), timer(80))
    assert story.commands == [f"{at} STOP WAITING" for at in (10, 12, 17, 27, 47, 77)]


def test_a_vehicle_that_never_tells_is_asked_once() -> None:
    """Nobody knows whether it follows."""
    assert night(timer(239)).commands == ["10 STOP WAITING"]
    assert night(timer(300)).commands == ["10 STOP WAITING", "240 START REGULAR"]


def test_a_followed_command_that_is_undone_is_a_new_one() -> None:
    """It stops, and starts again by itself: told to stop at once, and the back-off begins anew."""
    told = [(11, True), (13, True), (20, False), (60, True), (61, True), (65, True)]
    story = night(*(sample(at, level=50, charging=is_on) for at, is_on in told))
    assert story.commands == [f"{at} STOP WAITING" for at in (10, 12, 17, 60, 65)]


def test_one_command_is_outstanding() -> None:
    """Whatever users want and vehicles do, the next is issued when the one before holds no longer."""
    session = night().latest.id
    wishes = [target(10 + at / 4, session, at_once() if at % 2 else None) for at in range(1, 40)]
    story = night(idle(10.1), *wishes, timer(60))
    issued = [output.command for output in story.outputs if isinstance(output, CommandIssued)]
    assert len(issued) > 3
    assert all(other.at >= one.valid_until for one, other in pairwise(issued))


def test_what_waits_for_its_turn_is_asked_in_time() -> None:
    """A command that may not be issued yet is issued the moment that the one before holds no longer."""
    session = night().latest.id
    story = night(idle(10.5), target(11, session, at_once(80)), timer(20))
    assert story.commands[:2] == ["10 STOP WAITING", "12 START IMMEDIATE_START"]


def test_a_short_gap_is_no_reason_to_stop() -> None:
    """240===296.25  300=====480  Of less than five minutes: a vehicle that charges is left alone."""
    book = priced(*[0.3] * 4, 0.11, *[0.1] * 3, *[0.3] * 40)
    first = policy(0, by="18:00", percent=80.0, zone=ZONE, rate=6, capacity=60)
    story = run(first, plug(10, where=HOME, level=42.5), rules=LOSSLESS, prices=book)
    spans = [(one.start_at, one.end_at) for one in story.latest.blocks]
    assert spans == [(minute(240), minute(296.25)), (minute(300), minute(480))]
    charge = [sample(at, (at - 240) / 10, level=42.5 + (at - 240) / 6, charging=True) for at in range(240, 310, 5)]
    told = [idle(11), idle(239), *charge]
    later = run(*told, before=story.vehicle, rules=LOSSLESS, prices=book)
    assert later.commands == []


def test_reasons() -> None:
    """A START says which block begins, a STOP whether it waits or is done."""
    assert night(level=10, reserve=20).commands == ["10 START BATTERY_RESERVE"]
    assert night(level=85).commands == ["10 STOP TARGET_REACHED"]
    on = [sample(at, (at - 245) / 10, level=50, charging=True) for at in (245, 255)]
    assert night(idle(11), *on, sample(260, 1.5, level=80, charging=True)).commands[-1] == "260 STOP TARGET_REACHED"


@pytest.mark.parametrize("reserve", [0.0, 60.0])
def test_an_unplug_that_is_the_first_to_tell_the_place_is_answered_with_nothing(reserve: float) -> None:
    """10..300|  A visit that becomes managed by its own unplug has a session, and no command; back within the debounce,
    it goes on by its plan.
    """
    first = policy(0, by="18:00", percent=80.0, zone=ZONE, rate=6, capacity=60, reserve=reserve)
    told: list[Event] = [first, plug(10, level=50), idle(20)]
    gone = plug(290, is_plugged_in=False, where=HOME)
    for rest in ([gone, timer(300)], [idle(300), gone]):
        story = run(*told, *rest, rules=LOSSLESS)
        assert [state.split()[1].split(":")[0] for state in story.states] == [
            "UPCOMING",
            "ACTIVE",
            "SETTLED",
            "UPCOMING",
        ]
        assert story.commands == []
    back = run(*told, gone, plug(290.5), idle(291), rules=LOSSLESS)
    assert [command.split()[:2] for command in back.commands] == [["290.5", "START"]]


def test_an_unplugged_vehicle_hears_nothing() -> None:
    """From the first evidence on, though the visit is still open; a re-plug is asked again."""
    assert night(idle(11), unplug(239.5), timer(240.2)).commands == ["10 STOP WAITING"]
    again = night(idle(11), unplug(239.5), plug(240.2), idle(241))
    assert again.commands == ["10 STOP WAITING", "240.2 START REGULAR"]


@pytest.mark.parametrize(
    "end",
    [
        [policy(50, by="18:00", enabled=False)],
        [policy(50, by="18:00", where=WORK)],
        [delete(50)],
    ],
    ids=["disabled", "moved", "deleted"],
)
def test_what_we_stopped_is_released_once(end: list[Event]) -> None:
    """Our control of a plugged-in vehicle ends: it may charge again."""
    story = night(idle(11), *end, timer(400))
    assert story.commands == ["10 STOP WAITING", "50 START RELEASED"]


def test_a_vehicle_that_never_tells_is_released_too() -> None:
    """It was told to stop, and nobody knows better."""
    assert night(delete(50), timer(400)).commands == ["10 STOP WAITING", "50 START RELEASED"]


def test_a_release_waits_for_the_command_before() -> None:
    """Two are never valid at once."""
    assert night(idle(10.5), delete(11), timer(400)).commands == ["10 STOP WAITING", "12 START RELEASED"]


@pytest.mark.parametrize(
    ("before", "end"),
    [
        # It charges on, though two were told to it; it was told to start; it is gone.
        ([sample(11, level=50, charging=True), sample(14.5, level=50, charging=True)], 15),
        ([idle(11), idle(245)], 250),
        ([idle(11), unplug(49.5)], 50),
    ],
    ids=["charges", "was started", "is gone"],
)
def test_what_we_did_not_stop_is_not_released(before: list[Event], end: float) -> None:
    """Nothing of ours holds it back."""
    story = night(*before, delete(end), timer(400))
    assert not any("RELEASED" in command for command in story.commands)


def test_what_may_still_follow_a_stop_is_released() -> None:
    """Its last word, that it charges, is older than the end of the STOP: it may have stopped since."""
    assert night(sample(11, level=50, charging=True), delete(11.5), timer(400)).commands == [
        "10 STOP WAITING",
        "12 START RELEASED",
    ]


@pytest.mark.parametrize("end", [policy(18, by="18:00", enabled=False), delete(18)], ids=["disabled", "deleted"])
@pytest.mark.parametrize("meanwhile", [[], [timer(17.5)]], ids=["with its end", "before"])
def test_a_stop_that_was_due_just_before_the_end_is_released(end: Event, meanwhile: list[Event]) -> None:
    """Whenever its timer really fires: it may still be followed, so a START comes after it."""
    told = [sample(at, level=50, charging=True) for at in (11, 14.5)]
    assert night(*told, *meanwhile, end).commands == [
        "10 STOP WAITING",
        "12 STOP WAITING",
        "17 STOP WAITING",
        "19 START RELEASED",
    ]


def test_an_ended_visit_releases_nothing() -> None:
    """The plug is out."""
    assert night(idle(11), unplug(50), timer(60)).commands == ["10 STOP WAITING"]
