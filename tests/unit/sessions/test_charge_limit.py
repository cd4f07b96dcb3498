"""The vehicle's own limit moves: what was reached at it is reached no longer when it rises, unless it was judged.

Minute 0 is 08:00; 100 % wanted by 20:00, which is minute 720.
"""

import pytest

from models.session import Session
from sessions.events import Event
from tests.builders import HOME, Story, minute, plug, policy, run, sample, timer, unplug


def told(at: float, level: float, limit: float | None, *, charging: bool = False, state: str | None = None) -> Event:
    return sample(at, level=level, limit=limit, charging=charging, state=state)


def day(*events: Event) -> Story:
    return run(policy(-60, by="20:00", percent=100), plug(0, where=HOME, level=70, capacity=60), *events)


def reached(session: Session) -> tuple[str, object]:
    outcome = session.outcome.latest
    assert outcome is not None
    return outcome.state, outcome.minimum_charge_target_reached_at


def test_a_limit_that_rises_is_charged_to() -> None:
    """80 % reached at the limit of 80 at 20; raised to 100 at 30: it charges on, and that is what counts."""
    story = day(told(20, 80, 80), told(30, 80, 100))
    assert reached(day(told(20, 80, 80)).latest) == ("ON_TRACK", minute(20))
    assert story.commands[-1] == "30 START REGULAR"
    assert story.latest.blocks[-1].kwh_sum == pytest.approx(14, abs=0.1)
    state, expected_at = reached(story.latest)
    assert (state, expected_at != minute(20)) == ("ON_TRACK", True)
    done = run(
        *(told(at, 80 + (at - 30) / 6, 100, charging=True) for at in range(31, 150, 10)),
        told(151, 100, 100),
        unplug(400),
        timer(410),
        before=story.vehicle,
    )
    assert reached(done.settled[0]) == ("SUCCEEDED", minute(151))


def test_unplugged_short_of_the_raised_limit_is_failed() -> None:
    """What was reached at 80 % is no success for a user who raised the limit to 100 before its time."""
    story = day(told(20, 80, 80), told(30, 80, 100), unplug(40), timer(50))
    assert reached(story.settled[0]) == ("FAILED", None)


@pytest.mark.parametrize(
    "later",
    [
        # Lowered and put back; raised beyond what is wanted anyway; less than the level.
        [told(20, 90, 90), told(25, 90, 80), told(30, 89, 90)],
        [told(20, 100, 100), told(30, 97, 100)],
        # It says that it is done.
        [told(20, 80, 80, state="PLUGGED_IN:COMPLETE"), told(30, 80, 100)],
    ],
    ids=["put back", "level falls", "complete"],
)
def test_what_was_reached_stays_reached(later: list[Event]) -> None:
    """Only a limit above the one at which it was reached asks for more."""
    assert reached(day(*later).latest) == ("ON_TRACK", minute(20))


def test_complete_at_the_old_limit_goes_on_when_it_is_no_longer() -> None:
    """COMPLETE at 80 %, the limit raised, and STOPPED then: it charges on."""
    complete = told(20, 80, 80, state="PLUGGED_IN:COMPLETE")
    story = day(complete, told(30, 80, 100), told(40, 80, 100, state="PLUGGED_IN:STOPPED"))
    assert story.commands[-1] == "40 START REGULAR"


def test_what_was_judged_stays_judged() -> None:
    """Reached at the limit by its time: raised an hour later, that is the next target's."""
    story = day(told(20, 80, 80), told(700, 80, 80), timer(730), told(780, 80, 100))
    assert story.latest.target.latest is not None
    assert story.latest.target.latest.id == 2
    (settled,) = run(unplug(790), timer(800), before=story.vehicle).settled
    assert reached(settled) == ("SUCCEEDED", minute(20))
