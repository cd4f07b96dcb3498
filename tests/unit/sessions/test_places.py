"""Where a visit is: the first place of its own messages, or one told shortly before the plug-in."""

import pytest

from sessions.events import Event
from tests.builders import HOME, WORK, bounds, kwh_sum, plug, policy, run, sample, timer, unplug

TABLE: dict[str, tuple[list[Event], str | None]] = {
    "told by the plug-in": ([plug(20, where=HOME)], "home"),
    "told 10 min before": ([sample(10, where=HOME), plug(20)], "home"),
    "told more than 10 min before": ([sample(9.99, where=HOME), plug(20)], None),
    "the newest told before counts": ([sample(11, where=HOME), sample(12, where=WORK), plug(20)], "work"),
    "the plug-in's own goes before": ([sample(19, where=WORK), plug(20, where=HOME)], "home"),
    "told later": ([plug(20), sample(90, where=HOME)], "home"),
    "told late, of before": ([plug(20), sample(15, where=HOME)], "home"),
    "told late, of too long before": ([plug(20), sample(5, where=HOME)], None),
    "the first told stands": ([plug(20), sample(30, where=HOME), sample(31, where=WORK)], "home"),
    "never told": ([plug(20), sample(30)], None),
}


@pytest.mark.parametrize(("events", "place"), TABLE.values(), ids=TABLE)
def test_place_of_a_visit(events: list[Event], place: str | None) -> None:
    """A visit's place is the first its own messages name, or one told in the 10 min before; older ones do not count."""
    (session,) = run(*events, sample(100, 1.0), sample(130, 2.0), unplug(150), timer(160)).settled
    assert session.location_id == place


def test_learnt_late() -> None:
    """A place learnt late makes the visit managed from then on, with its real `pluggedInAt` and all its energy."""
    story = run(policy(0), plug(10), sample(20, 1.0), sample(40, 3.0), sample(60, where=HOME))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    assert (bounds(story.latest), kwh_sum(story.latest)) == ((10, None), 2.0)


def test_learnt_while_the_unplug_is_pending() -> None:
    """A place told before the unplug is confirmed still makes the visit managed."""
    story = run(policy(0), plug(10), unplug(40), sample(40.5, where=HOME), timer(41))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2", "p1 SETTLED 3", "p1 UPCOMING 1"]
    assert bounds(story.settled[0]) == (10, 40)
