"""A charge that nobody saw: between two levels, within each of its bounds, and never where a visit tells better."""

from datetime import timedelta

import pytest

from sessions.events import Event, Rules
from tests.builders import HOME, battery, bounds, kwh, kwh_sum, minute, plug, policy, run, sample, timer, unplug

# At 60 kWh and 0.9, a point is 667 Wh: 5 points are 3.333 kWh, 1 kW over 200 min, 400 kW over half a minute.
RISES: dict[str, tuple[float, float, float, bool]] = {
    "5 points": (50.0, 55.0, 60.0, True),
    "less": (50.0, 54.9, 60.0, False),
    "a fall": (55.0, 50.0, 60.0, False),
    "5 min": (50.0, 55.0, 5.0, True),
    "sooner": (50.0, 55.0, 4.99, False),
    "24 h": (10.0, 60.0, 1_440.0, True),
    "later": (10.0, 60.0, 1_440.01, False),
    "1 kW": (50.0, 55.0, 199.9, True),
    "less power": (50.0, 55.0, 200.1, False),
    "400 kW": (10.0, 59.9, 5.0, True),
    "more power": (10.0, 60.1, 5.0, False),
}


@pytest.mark.parametrize(("one", "other", "minutes", "is_inferred"), RISES.values(), ids=RISES)
def test_bounds_of_a_rise(one: float, other: float, minutes: float, is_inferred: bool) -> None:
    """5 points or more, 5 min to 24 h apart, at a mean of 1 to 400 kW: one session, bounded by the two samples."""
    story = run(sample(0, level=one), sample(minutes, level=other))
    assert [bounds(session) for session in story.settled] == ([(0, minutes)] if is_inferred else [])


def test_what_is_inferred() -> None:
    """An inferred session is unmanaged, at no known place, with its rise as energy, spread evenly, and its levels."""
    story = run(policy(0), sample(5, level=20.9, where=HOME), sample(65, level=41.5))
    (session,) = story.settled
    assert (session.policy_id, session.location_id, session.error.latest) == (None, None, None)
    assert (battery(session), bounds(session)) == ((20, 41), (5, 65))
    assert kwh_sum(session) == 13.733
    assert kwh(session) == [2.289, 3.433, 3.433, 3.434, 1.144]
    levels = [point.battery_level for point in session.statistics.timeseries]
    assert levels == [20, None, None, None, 41]
    assert story.changes[-1].created_at == minute(65)


def test_capacity_told() -> None:
    """The energy is that of the vehicle's own capacity and of the rules' efficiency."""
    story = run(sample(0, level=20, capacity=40), sample(60, level=30), rules=Rules(efficiency=0.8))
    assert kwh_sum(story.settled[0]) == 5.0
    assert (
        kwh_sum(run(sample(0, level=20), sample(60, level=30), rules=Rules(default_capacity_wh=90_000)).settled[0])
        == 10
    )


SEEN: dict[str, list[Event]] = {
    "plugged in": [plug(0), sample(1, level=20), sample(61, level=30)],
    "the second says plugged in": [sample(0, level=20), sample(60, level=30, plugged=True)],
    "a plug-in in between": [sample(0, level=20), plug(10), unplug(20), sample(60, level=30)],
    "the first was told in a visit": [plug(0), sample(1, level=20), unplug(10), sample(60, level=30)],
    "the first was told shortly before the last unplug": [
        plug(0),
        sample(9, level=20),
        unplug(10),
        sample(60, level=30),
    ],
}


@pytest.mark.parametrize("events", SEEN.values(), ids=SEEN)
def test_not_where_the_plug_tells(events: list[Event]) -> None:
    """Nothing is inferred while plugged in, nor across plug evidence, nor from a level of a visit."""
    assert [session for session in run(*events, timer(62)).settled if session.plugged_out_at == minute(60)] == []


def test_word_that_it_is_unplugged() -> None:
    """A vehicle that says it is unplugged, without a level, may still have charged where nobody saw it."""
    story = run(sample(0, level=20), sample(10, plugged=False), sample(60, level=30, plugged=False))
    assert [bounds(session) for session in story.settled] == [(0, 60)]


def test_levels_follow_one_another() -> None:
    """Only two consecutive levels count, in the order of their times: a late one is no end of a rise."""
    assert run(sample(0, level=20), sample(30, level=24), sample(60, level=28)).settled == []
    assert run(sample(0, level=20), sample(60, level=22), sample(30, level=40)).settled == []
    story = run(sample(0, level=20), sample(30), sample(60, level=30))
    assert [bounds(session) for session in story.settled] == [(0, 60)]


def test_after_an_unplug() -> None:
    """A level told with the unplug, at the end of its visit, is one from which a rise may be inferred."""
    story = run(plug(0), unplug(10, level=20), sample(60, level=30))
    assert [bounds(session) for session in story.settled] == [(10, 60)]


def test_silence_that_ended_a_visit() -> None:
    """A vehicle that was last told to be plugged in has not been seen unplugged: its rise is no charge elsewhere."""
    quiet = Rules(visit_timeout=timedelta(minutes=30))
    story = run(plug(0), sample(60, level=20), sample(70, level=30), rules=quiet)
    assert story.settled == []


def test_not_before_a_policy_let_go_of_a_visit_that_was_over() -> None:
    """Its unplug comes late, after a policy let go of it at minute 100: no charge overlaps its session."""
    visit: list[Event] = [policy(0), plug(0, where=HOME), sample(1, level=20), policy(100, enabled=False), unplug(50)]
    story = run(*visit, sample(60, level=25), sample(90, level=40), timer(102))
    assert [bounds(session) for session in story.settled] == [(0, 100)]
    later = run(*visit, sample(101, level=25), sample(130, level=40), timer(132))
    assert [bounds(session) for session in later.settled] == [(0, 100), (101, 130)]
