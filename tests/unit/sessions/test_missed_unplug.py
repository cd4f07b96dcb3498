"""A plug-in after a silence, with a counter that has begun anew: nobody saw the unplug."""

import pytest

from sessions.events import Event
from tests.builders import HOME, WORK, bounds, kwh_sum, plug, policy, run, sample, timer, unplug

BEFORE: list[Event] = [policy(0), policy(0, "p2", where=WORK), plug(10, where=HOME), sample(10, 5.0), sample(30, 9.0)]

# What is told next -> whether the visit was over at its last evidence.
NEXT: dict[str, tuple[Event, bool]] = {
    "30 min of silence, and a counter that began anew": (sample(60, 0.5, plugged=True), True),
    "less silence": (sample(59.99, 0.5, plugged=True), False),
    "told by a charge": (sample(60, 0.5, charging=True), True),
    "nothing told of the plug": (sample(60, 0.5), False),
    "told to be out": (sample(60, 0.5, plugged=False), False),
    "no counter": (sample(60, plugged=True), False),
    "a plug event, which has no counter": (plug(60), False),
    "a counter that goes on": (sample(60, 9.1, plugged=True), False),
    "noise": (sample(60, 8.9, plugged=True), False),
    "more than noise": (sample(60, 8.899, plugged=True), True),
    "a drain while it does not charge": (sample(60, 4.5, plugged=True, charging=False), False),
    "a fall to less than half while it does not charge": (sample(60, 4.499, plugged=True, charging=False), True),
    "a fall while it charges": (sample(60, 8.0, plugged=True, charging=True), True),
}


@pytest.mark.parametrize(("told", "is_over"), NEXT.values(), ids=NEXT)
def test_missed_unplug(told: Event, is_over: bool) -> None:
    """30 min of silence, a plug-in and a counter that began anew: the last visit was over at its last evidence."""
    story = run(*BEFORE, told)
    assert [bounds(session) for session in story.settled] == ([(10, 30)] if is_over else [])
    if is_over:
        (session,) = story.settled
        assert (kwh_sum(session), session.error.latest) == (4.0, None)
        visit = story.vehicle.visit
        assert visit is not None
        assert visit.plugged_in_at == told.message.at  # type: ignore[union-attr]


# What the counter shows after a silence before which it had fallen to 5.0 -> whether it fell in the silence.
FALLEN: dict[str, tuple[float, bool]] = {
    "where it stood": (5.0, False),
    "higher, but not where it once was": (7.0, False),
    "noise below where it stood": (4.9, False),
    "more than noise below": (4.899, True),
}


@pytest.mark.parametrize(("counter_kwh", "is_over"), FALLEN.values(), ids=FALLEN)
def test_a_counter_that_had_fallen_before_the_silence(counter_kwh: float, is_over: bool) -> None:
    """What the counter showed last before a silence tells whether it began anew in it, not what it once had reached."""
    drained = sample(35, 5.0, charging=False)
    story = run(*BEFORE, drained, sample(65, counter_kwh, plugged=True, charging=True), unplug(90), timer(91))
    # What came after, where something did, charged nothing.
    assert [bounds(session) for session in story.settled] == [(10, 35 if is_over else 90)]


def test_what_is_charged_after_a_fall_and_a_silence_counts() -> None:
    """From where the counter stood before the silence its rise is energy, though it had shown more before."""
    drained = sample(35, 5.0, charging=False)
    story = run(*BEFORE, drained, sample(65, 5.0, plugged=True, charging=True), sample(80, 8.0), unplug(90), timer(91))
    assert [(bounds(session), kwh_sum(session)) for session in story.settled] == [((10, 90), 7.0)]


def test_where_it_is_now() -> None:
    """The next visit is where its own messages say, and its energy is its own."""
    story = run(*BEFORE, sample(60, 0.5, plugged=True, where=WORK), sample(70, 1.5), unplug(80), timer(81))
    assert [(session.policy_id, bounds(session), kwh_sum(session)) for session in story.settled] == [
        ("p1", (10, 30), 4.0),
        ("p2", (60, 80), 1.0),
    ]


def test_no_reading_before() -> None:
    """Without a reading of the last visit nobody can tell that its counter began anew."""
    assert run(policy(0), plug(10, where=HOME), sample(60, 0.5, plugged=True)).settled == []


def test_silence_of_an_unplug_that_is_pending() -> None:
    """A pending unplug is confirmed by then, whatever the counter says."""
    story = run(*BEFORE, unplug(31), sample(70, 9.5, plugged=True, where=HOME))
    assert [bounds(session) for session in story.settled] == [(10, 31)]


def test_a_late_plug_in_does_not_reach_into_the_visit_before() -> None:
    """A visit that ended without unplug and charge is over all the same: the next never reaches into it."""
    story = run(
        plug(10), sample(20, 5.0), sample(60, 0.0, plugged=True), plug(15), sample(80, 2.0), unplug(90), timer(92)
    )
    assert [bounds(session) for session in story.settled] == [(60, 90)]
