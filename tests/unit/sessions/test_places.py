"""Where a visit is: the first place of its own messages, or one told shortly before the plug-in."""

import pytest

from models.ids import LocationId
from sessions.events import Event, SessionChanged, TelemetryReceived
from tests.builders import HOME, WORK, bounds, kwh_sum, minute, plug, policy, run, sample, timer, unplug


def at_home(at: float, kwh: float | None = None) -> TelemetryReceived:
    """A sample that names home."""
    return sample(at, kwh, where=HOME)


def at_work(at: float) -> TelemetryReceived:
    """A sample that names work."""
    return sample(at, where=WORK)


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


GYM = LocationId("gym")
# What is told of a vehicle that is plugged in at home since minute 10, last heard of at minute 20 -> its visits.
ELSEWHERE: dict[str, tuple[list[Event], list[tuple[str | None, float, float | None]]]] = {
    "named twice, 60 s apart": ([at_work(30), at_work(31)], [("home", 10, 20), ("work", 30, None)]),
    "named twice, less than 60 s apart": ([at_work(30), at_work(30.99)], [("home", 10, None)]),
    "three times": ([at_work(30), at_work(30.5), at_work(31)], [("home", 10, 20), ("work", 30, None)]),
    "once": ([at_work(30), sample(60)], [("home", 10, None)]),
    "said otherwise in between": ([at_work(30), at_home(30.5), at_work(31.25)], [("home", 10, None)]),
    "said otherwise, then named twice": (
        [at_work(30), at_home(30.5), at_work(31.25), at_work(32.25)],
        [("home", 10, 30.5), ("work", 31.25, None)],
    ),
    "said otherwise late": ([at_work(30), sample(40), at_home(35), at_work(41)], [("home", 10, None)]),
    "said otherwise late, between two that were too close": (
        [at_work(30), at_work(30.9), at_home(30.5), at_work(31.6)],
        [("home", 10, None)],
    ),
    "said so before it was elsewhere, late": (
        [at_work(30), at_home(25), at_work(31)],
        [("home", 10, 25), ("work", 30, None)],
    ),
    "a third place in between": (
        [at_work(30), sample(30.5, where=GYM), at_work(31)],
        [("home", 10, None)],
    ),
    "a third place twice": (
        [at_work(30), sample(30.5, where=GYM), sample(31.5, where=GYM)],
        [("home", 10, 30), ("gym", 30.5, None)],
    ),
    "a third place, late": ([at_work(30), sample(29, where=GYM), at_work(31)], [("home", 10, 20), ("work", 30, None)]),
    "nothing of a place in between": ([at_work(30), sample(30.5), at_work(31)], [("home", 10, 20), ("work", 30, None)]),
    "the later one first": ([at_work(31), at_work(30)], [("home", 10, 20), ("work", 30, None)]),
    "the later one first, too close": ([at_work(30.9), at_work(30)], [("home", 10, None)]),
    "older than home was named": ([at_home(40), at_work(30), at_work(31)], [("home", 10, None)]),
    "from before the plug-in": ([at_work(5), at_work(6)], [("home", 10, None)]),
    "unplugged there": ([at_work(30), plug(31, is_plugged_in=False, where=WORK), timer(33)], [("home", 10, 31)]),
    "unplugged there, told late": (
        [at_work(50), sample(51), plug(40, is_plugged_in=False, where=WORK)],
        [("home", 10, 40)],
    ),
    "unplugged before": (
        [at_work(30), unplug(30.5), at_work(31), timer(33)],
        [("home", 10, 30.5)],
    ),
}


@pytest.mark.parametrize(("told", "visits"), ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("is_managed", [True, False], ids=["managed", "unmanaged"])
def test_elsewhere(told: list[Event], visits: list[tuple[str | None, float, float | None]], is_managed: bool) -> None:
    """Another place named by two messages 60 s or more apart, and by none between otherwise, is a plug-in there."""
    policies: list[Event] = [policy(0), policy(0, "p2", where=WORK), policy(0, "p3", where=GYM)] if is_managed else []
    before: list[Event] = [*policies, plug(10, where=HOME), sample(10, 1.0), at_home(20, 2.0)]
    for events in (told, [again for event in told for again in (event, event)]):
        story = run(*before, *events)
        begun = [(each.location_id, *bounds(each)) for each in story.settled]
        if story.vehicle.visit is not None:
            visit = story.vehicle.visit
            assert story.vehicle.evidence is not None
            assert story.vehicle.evidence.at >= visit.plugged_in_at
            begun.append((visit.location_id, (visit.plugged_in_at - minute(0)).total_seconds() / 60, None))
        assert begun == visits


def test_learnt_late() -> None:
    """A place learnt late makes the visit managed from then on, with its real `pluggedInAt` and all its energy."""
    story = run(policy(0), plug(10), sample(20, 1.0), sample(40, 3.0), sample(60, where=HOME))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    assert (bounds(story.latest), kwh_sum(story.latest)) == ((10, None), 2.0)


def test_learnt_while_the_unplug_is_pending() -> None:
    """A place told before the unplug is confirmed still makes the visit managed, and it says how its target stands."""
    story = run(policy(0), plug(10), unplug(40), sample(40.5, where=HOME), timer(41))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2", "p1 SETTLED 3", "p1 UPCOMING 1"]
    assert bounds(story.settled[0]) == (10, 40)
    active = next(output.head for output in story.outputs if isinstance(output, SessionChanged) and output.version == 2)
    assert active.outcome.latest is not None


# What is told of a visit that began at minute 30 at an unknown place -> its place once it is over.
AT_THE_END: dict[str, tuple[list[Event], str | None]] = {
    "a sample finds the plug out": ([sample(60, where=HOME, plugged=False), timer(62)], None),
    "its state says so": ([sample(60, where=HOME, state="UNPLUGGED"), timer(62)], None),
    "another one after it": ([sample(60, plugged=False), sample(60.5, where=HOME, plugged=False), timer(62)], None),
    "a late plug-in comes after it": ([sample(60, where=HOME, plugged=False), plug(25), timer(62)], None),
    "the unplug itself": ([plug(60, is_plugged_in=False, where=HOME), timer(62)], "home"),
    "told late, out before the plug-in": ([sample(25, where=HOME, plugged=False), unplug(60), timer(62)], "home"),
}


@pytest.mark.parametrize(("told", "place"), AT_THE_END.values(), ids=AT_THE_END)
def test_where_the_plug_is_found_out(told: list[Event], place: str | None) -> None:
    """A sample that finds the plug out tells where the vehicle is by then, the unplug itself where the visit was."""
    story = run(policy(0), plug(30), sample(40, 1.0), sample(50, 3.0), *told)
    (session,) = story.settled
    assert (session.location_id, session.policy_id) == (place, place and "p1")
    assert kwh_sum(session) == 2.0
