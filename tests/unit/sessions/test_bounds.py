"""No visit goes on for ever: silence ends it, and a part has a longest time."""

from datetime import timedelta

import pytest

from models.session import SessionState
from sessions.events import Event, Rules
from tests.builders import HOME, bounds, delete, kwh_sum, minute, plug, policy, run, sample, timer, unplug

DAY_MIN = 24 * 60
CHARGING: list[Event] = [policy(0), plug(10, where=HOME), sample(10, 0.0), sample(30, 2.0)]


def test_a_vehicle_that_speaks_again_after_long_silence() -> None:
    """A message more than 72 h after the last one finds the visit closed, at its last evidence."""
    story = run(*CHARGING, sample(30 + 3 * DAY_MIN + 1, 9.0))
    assert story.phases[-2:] == ["p1 SETTLED", "p1 UPCOMING"]
    (settled,) = story.settled
    assert (bounds(settled), kwh_sum(settled)) == ((10, 30), 2.0)
    assert story.changes[-1].created_at == minute(30 + 3 * DAY_MIN)


def test_72_hours_are_no_long_silence() -> None:
    """A message within 72 h of the last one continues the visit."""
    story = run(*CHARGING, sample(30 + 3 * DAY_MIN, 9.0))
    assert (story.latest.state, kwh_sum(story.latest)) == (SessionState.ACTIVE_REGULAR, 9.0)


def test_a_plug_in_after_long_silence_begins_anew() -> None:
    """Evidence of a plug after a long silence begins the next visit."""
    story = run(*CHARGING, plug(500 * DAY_MIN, where=HOME))
    assert story.phases[-3:] == ["p1 SETTLED", "p1 UPCOMING", "p1 ACTIVE:REGULAR"]
    assert bounds(story.latest) == (500 * DAY_MIN, None)


def test_a_policy_that_ends_long_after_the_last_message() -> None:
    """A policy deleted a year after the vehicle fell silent leaves a session that ends with the last evidence."""
    story = run(*CHARGING, delete(365 * DAY_MIN))
    (settled,) = story.settled
    assert bounds(settled) == (10, 30)
    assert len(settled.statistics.timeseries) == 2


@pytest.mark.parametrize(("early_min", "is_over"), [(0, True), (0.001, False)])
def test_time_alone_ends_a_silent_visit(early_min: float, is_over: bool) -> None:
    """Silence of 72 h ends a visit though nothing more is told, at its last evidence, and its error says so."""
    due = 30 + 3 * DAY_MIN
    story = run(*CHARGING, timer(due - early_min))
    assert [bounds(session) for session in story.settled] == ([(10, 30)] if is_over else [])
    if is_over:
        error = story.settled[0].error.latest
        assert error is not None
        assert (error.code, error.occurred_at) == ("VISIT_TIMED_OUT", minute(due))
        assert [one.created_at for one in story.changes[-2:]] == [minute(due)] * 2


def test_time_alone_ends_a_part_that_is_too_long() -> None:
    """The longest time of a part needs no message either; the next one begins when it is over."""
    long = Rules(visit_max=timedelta(minutes=60))
    assert run(*CHARGING, timer(69.999), rules=long).settled == []
    story = run(*CHARGING, timer(70), rules=long)
    assert [bounds(session) for session in story.settled] == [(10, 30)]
    assert bounds(story.latest) == (70, None)


def test_a_part_has_a_longest_time() -> None:
    """A visit that is told of without a pause has parts of at most that time, disjoint in time and energy."""
    assert Rules().visit_max == timedelta(days=90)
    told: list[Event] = [sample(30 + day * DAY_MIN, float(day)) for day in range(7)]
    history: list[Event] = [policy(0), plug(10, where=HOME), *told, unplug(7 * DAY_MIN), timer(8 * DAY_MIN)]
    story = run(*history, rules=Rules(visit_max=timedelta(days=3)))
    longest_min = 3 * DAY_MIN
    # Each ends at its last evidence, the message of the day before.
    ends = [30 + 2 * DAY_MIN, 30 + 5 * DAY_MIN, 7 * DAY_MIN]
    assert [bounds(session) for session in story.settled] == [
        (10 + number * longest_min, end) for number, end in enumerate(ends)
    ]
    assert sum(kwh_sum(session) for session in story.settled) == 6.0


def test_the_bounds_are_rules() -> None:
    """Both bounds are settings of the logic, not constants in it."""
    short = Rules(visit_timeout=timedelta(minutes=30), visit_max=timedelta(minutes=60))
    quiet = run(*CHARGING, sample(70, 3.0), rules=short)
    assert bounds(quiet.settled[0]) == (10, 30)
    long = run(*CHARGING, sample(50, 3.0), sample(69, 4.0), sample(80, 5.0), rules=short)
    assert bounds(long.settled[0]) == (10, 69)


@pytest.mark.parametrize("is_managed", [True, False])
def test_silence_is_told(is_managed: bool) -> None:
    """A session that silence has ended says so, managed or not, at the time at which it was given up."""
    told = CHARGING if is_managed else CHARGING[1:]
    story = run(*told, sample(31, level=50), sample(30 + 9 * DAY_MIN))
    (session,) = story.settled
    error = session.error.latest
    assert error is not None
    assert (error.code, error.occurred_at) == ("VISIT_TIMED_OUT", minute(31 + 3 * DAY_MIN))
    assert (bounds(session), session.policy_id) == ((10, 31), "p1" if is_managed else None)


def test_an_end_that_was_told_is_no_silence() -> None:
    """A session whose plug-out was told has no such error."""
    for told in (CHARGING, CHARGING[1:]):
        (session,) = run(*told, unplug(40), timer(500 * DAY_MIN)).settled
        assert (session.error.latest, bounds(session)) == (None, (10, 40))


def test_a_part_that_was_too_long_is_told() -> None:
    """A session that has lasted its longest time says so, and the next part has its own energy."""
    long = Rules(visit_max=timedelta(minutes=60))
    story = run(*CHARGING, sample(50, 3.0), sample(80, 5.0), unplug(90), timer(91), rules=long)
    codes = [session.error.latest and session.error.latest.code for session in story.settled]
    assert codes == ["VISIT_TIMED_OUT", None]
    assert [kwh_sum(session) for session in story.settled] == [3.0, 2.0]
    assert [bounds(session) for session in story.settled] == [(10, 50), (70, 90)]


def test_a_part_that_proves_too_long_is_over_at_once() -> None:
    """A late plug-in that makes a part longer than the longest time ends it then, not with the next message."""
    long = Rules(visit_max=timedelta(minutes=60))
    history: list[Event] = [policy(0), plug(30, where=HOME), sample(40, 0.0), sample(85, 1.0)]
    assert run(*history, rules=long).settled == []
    story = run(*history, plug(20, where=HOME), rules=long)
    assert [bounds(session) for session in story.settled] == [(20, 80)]
