"""Timers: which comes first, at what time it counts, and how long the wall waits for it."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.ids import PolicyId
from models.session import SessionState
from sessions.events import Counted, Event, Rules, new_vehicle
from sessions.identity import managed_session_id
from sessions.prices import PriceBook
from sessions.state import DeletedPolicy
from sessions.step import NO_PRICES, Step
from sessions.timers import DELAY_LIMIT, Kind, Timer, Wake, fire_until, timers, wake
from tests.builders import (
    ANN,
    HOME,
    RULES,
    VEHICLE,
    WORK,
    ZONE,
    blocks,
    bounds,
    delete,
    minute,
    plug,
    policy,
    priced,
    ready,
    run,
    sample,
    target,
    timer,
    unplug,
)

DAY_MIN = 24 * 60
CHARGING: list[Event] = [policy(0), plug(10, where=HOME), sample(10, 0.0), sample(30, 2.0)]
FIRST = managed_session_id(PolicyId("p1"), VEHICLE, minute(0))


def due(*events: Event, rules: Rules = RULES, prices: PriceBook = NO_PRICES) -> dict[str, float]:
    """The timers that are set after these events, by kind, in minutes."""
    vehicle = run(*events, rules=rules, prices=prices).vehicle
    return {each.kind.name: (each.due_at - minute(0)).total_seconds() / 60 for each in timers(vehicle, rules, prices)}


def test_what_is_set() -> None:
    """Each timer is set where it has something to bring about, at its time, and not otherwise."""
    assert due() == {}
    assert due(policy(0)) == {}
    assert due(policy(0, by="09:00")) == {"ROLL": 60}
    assert due(plug(10), sample(30)) == {"SILENCE": 30 + 3 * DAY_MIN, "TOO_LONG": 10 + 90 * DAY_MIN}
    assert due(plug(10), unplug(30)) == {"UNPLUG": 31, "SILENCE": 30 + 3 * DAY_MIN}
    book = priced(0.1, 0.2, book=priced(0.3, known=50))
    planned = due(policy(0, by="12:00", zone=ZONE), plug(10, where=HOME), prices=book)
    assert planned == {
        "SILENCE": 10 + 3 * DAY_MIN,
        "TOO_LONG": 10 + 90 * DAY_MIN,
        "PRICES": 50,
        "DEADLINE": 240,
        "BOUNDARY": planned["BOUNDARY"],
        "CONTACT": 70,
    }
    assert "ROLL" not in planned


def test_a_vehicle_that_nobody_manages_is_forgotten() -> None:
    """Without policy and open visit a vehicle is as new a week after its last word; with either it is not."""
    assert due(sample(30)) == {"FORGET": 30 + 7 * DAY_MIN}
    assert "FORGET" not in due(plug(10)) | due(policy(0)) | due(policy(0), sample(30))
    week = 30 + 7 * DAY_MIN
    assert run(sample(30, level=50), timer(week - 1)).vehicle.level is not None
    assert run(sample(30, level=50), timer(week)).vehicle == new_vehicle(VEHICLE)
    # A message at that very moment comes before the timer; one that is later meets nothing that was known.
    assert run(sample(30, level=50), sample(week)).vehicle.level is not None
    assert run(sample(30, level=50), sample(week + 1)).vehicle == run(sample(week + 1)).vehicle


def test_the_name_of_a_session_is_remembered_for_a_week() -> None:
    """A vehicle that was never heard and lost its policy is forgotten a week after its newest session was named."""
    assert due(policy(0), delete(5)) == {"FORGET": 7 * DAY_MIN}
    named = run(policy(0), delete(5), timer(7 * DAY_MIN - 1)).vehicle
    assert named.session_opened_at == minute(0)
    assert run(policy(0), delete(5), timer(7 * DAY_MIN)).vehicle == structs.replace(
        new_vehicle(VEHICLE), deleted=named.deleted
    )


def test_a_deletion_is_remembered_for_a_week() -> None:
    """Whatever else is forgotten, what policies were deleted is known for a week; then nothing is: that counts once."""
    told = (policy(0), policy(1, "p2", where=WORK), delete(5), sample(10, level=50), delete(6 * DAY_MIN, "p2"))
    assert due(*told) == {"FORGET": 10 + 7 * DAY_MIN}
    story = run(*told, timer(12 * DAY_MIN))
    left = (DeletedPolicy(PolicyId("p2"), minute(6 * DAY_MIN), ANN),)
    assert (story.vehicle, story.counted) == (structs.replace(new_vehicle(VEHICLE), deleted=left), [])
    story = run(*told, timer(12 * DAY_MIN), timer(13 * DAY_MIN))
    assert (story.vehicle, story.counted) == (new_vehicle(VEHICLE), [Counted.VEHICLE_FORGOTTEN])


def test_two_wait_at_once() -> None:
    """Each policy that waits has its own deadline; the one that manages the visit has none to wait for."""
    told = (policy(0, by="09:00"), policy(0, "p2", where=WORK, by="10:00"))
    vehicle = run(*told).vehicle
    assert [(each.due_at, each.policy_id) for each in timers(vehicle, RULES, NO_PRICES)] == [
        (minute(60), "p1"),
        (minute(120), "p2"),
    ]
    assert run(*told, plug(10, where=WORK), timer(130)).states.count("p1 UPCOMING 2") == 1


def test_kinds_in_order() -> None:
    """Of timers that are due at one moment, what ends a visit comes first, and what only waits comes last."""
    ending, controlling = (
        ["UNPLUG", "SILENCE", "TOO_LONG"],
        ["DEADLINE", "GIVE_WAY", "BOUNDARY", "PAUSE", "RESERVE", "ASK"],
    )
    assert [kind.name for kind in Kind] == [*ending, "PRICES", *controlling, "CONTACT", "ROLL", "FORGET"]


def test_an_unplug_that_is_confirmed_at_the_deadline() -> None:
    """At one moment the unplug is confirmed first: the deadline of that moment is the next session's no more."""
    story = run(policy(0, by="09:00"), plug(10, where=HOME, level=50), unplug(59), timer(60))
    assert [one.session.state for one in story.changes[-2:]] == [SessionState.SETTLED, SessionState.UPCOMING]
    awaited = story.latest.target.latest
    assert awaited is not None
    assert awaited.id == 1
    assert due(policy(0, by="09:00"), plug(10, where=HOME, level=50), unplug(59), timer(60)) == {"ROLL": 60 + DAY_MIN}


def test_silence_and_longest_time_at_once() -> None:
    """Where silence and the longest time of a part are due at one moment, the visit is over."""
    both = Rules(visit_timeout=timedelta(minutes=40), visit_max=timedelta(minutes=60))
    story = run(*CHARGING, timer(70), rules=both)
    assert (story.phases[-2:], story.vehicle.visit) == (["p1 SETTLED", "p1 UPCOMING"], None)


def test_policies_in_the_order_of_their_ids() -> None:
    """Two deadlines of one moment pass in the order of the policies' ids."""
    story = run(policy(0, "p2", where=WORK, by="09:00"), policy(0, by="09:00"), timer(60))
    assert [one.session.policy_id for one in story.changes[-2:]] == ["p1", "p2"]
    assert [one.created_at for one in story.changes[-2:]] == [minute(60)] * 2


def test_each_at_its_due_time() -> None:
    """However late a timer is noticed, what it brings about counts from its due time, in the order of those times."""
    story = run(policy(0, by="09:00"), sample(3.5 * DAY_MIN))
    assert [one.created_at for one in story.changes[1:]] == [minute(60 + day * DAY_MIN) for day in range(4)]


@pytest.mark.parametrize("last", [sample(60.01), timer(60), plug(60.01, where=WORK), policy(60.01, "p2", where=WORK)])
def test_before_what_comes_next(last: Event) -> None:
    """Before whatever comes later than its due time, a timer has fired."""
    story = run(policy(0, by="09:00"), last)
    assert [one.created_at for one in story.changes if one.session.policy_id == "p1"] == [minute(0), minute(60)]


@pytest.mark.parametrize("last", [sample(60), timer(59.99), plug(60, where=WORK)])
def test_not_before_its_time(last: Event) -> None:
    """A message of the very due time comes before the timer."""
    assert [one.session.policy_id for one in run(policy(0, by="09:00"), last).changes] == ["p1"]


@pytest.mark.parametrize(
    ("delay_min", "fires_at"), [(0, 51), (10, 61), (29.9, 80.9), (30, 81), (45, 81), (2 * DAY_MIN, 81), (-3, 51)]
)
def test_the_wall_waits_for_an_unplug(delay_min: float, fires_at: float) -> None:
    """By the wall an unplug is confirmed later by the vehicle's last delay, 30 min at most, yet at its due time."""
    told: list[Event] = [policy(0), plug(10, where=HOME), plug(50, is_plugged_in=False, logged=50 + delay_min)]
    assert timedelta(minutes=30) == DELAY_LIMIT
    assert run(*told, timer(fires_at - 0.001, is_wall=True)).settled == []
    story = run(*told, timer(fires_at, is_wall=True))
    assert [bounds(session) for session in story.settled] == [(10, 50)]
    assert story.changes[-1].created_at == minute(51)
    assert len(run(*told, timer(51)).settled) == 1


@pytest.mark.parametrize("delay_min", [0, 10, 45, 2 * DAY_MIN])
def test_the_wall_waits_for_all_else(delay_min: float) -> None:
    """All other timers run on the vehicle's own time, which is behind the wall by its last delay, however long."""
    quick = Rules(visit_timeout=timedelta(hours=1))
    told = [*CHARGING, sample(31, 2.0, logged=31 + delay_min)]
    assert run(*told, timer(91 + delay_min - 0.001, is_wall=True), rules=quick).settled == []
    story = run(*told, timer(91 + delay_min, is_wall=True), rules=quick)
    assert [bounds(session) for session in story.settled] == [(10, 31)]
    assert story.changes[-1].created_at == minute(91)
    assert len(run(*told, timer(91), rules=quick).settled) == 1


def test_wake() -> None:
    """A vehicle's next timer, by its own time, and how much later that is by the wall."""
    assert wake(new_vehicle(VEHICLE), RULES, NO_PRICES) is None
    assert wake(run(policy(0)).vehicle, RULES, NO_PRICES) is None
    vehicle = run(plug(10), plug(50, is_plugged_in=False, logged=60)).vehicle
    assert wake(vehicle, RULES, NO_PRICES) == Wake(minute(51), 600.0)
    slow = structs.replace(vehicle, delay_s=7_200.0)
    assert wake(slow, RULES, NO_PRICES) == Wake(minute(51), 1_800.0)
    # By the wall the unplug comes first only because the wall waits for all else for longer.
    both = run(policy(0, by="09:00"), plug(50, where=WORK), plug(65, is_plugged_in=False, logged=65 + 90)).vehicle
    assert wake(both, RULES, NO_PRICES) == Wake(minute(66), 1_800.0)


def test_prices_that_become_known() -> None:
    """Prices count from when they are known, and change the plan then."""
    book = priced(0.3, 0.3, 0.3, 0.1, book=priced(0.1, 0.3, 0.3, 0.3), known=40)
    told = (policy(0, by="12:00", zone=ZONE, rate=11.0, percent=25), plug(10, where=HOME, level=20))
    before, after = run(*told, timer(39.9), prices=book), run(*told, timer(40), prices=book)
    assert blocks(before.latest) != blocks(after.latest)
    assert after.changes[-1].created_at == minute(40)


def test_an_override_whose_time_has_passed() -> None:
    """A deadline that passed before the visit is judged with the plug-in, not with whatever comes next."""
    story = run(policy(0), target(5, FIRST, ready(20)), plug(30, where=HOME, level=50))
    control = story.vehicle.visit and story.vehicle.visit.part.control
    assert control
    assert control.judged is not None
    assert not [each for each in timers(story.vehicle, RULES, NO_PRICES) if each.due_at < minute(30)]


def test_an_override_whose_time_has_passed_where_the_place_is_learnt_late() -> None:
    """So it is where the visit becomes managed only later, by a message that tells its place."""
    story = run(policy(0), target(5, FIRST, ready(20)), plug(10, level=50), sample(30, where=HOME))
    assert not [each for each in timers(story.vehicle, RULES, NO_PRICES) if each.due_at < minute(30)]


def test_nothing_is_due_twice() -> None:
    """What has fired is no longer due: asked again at the same moment, a vehicle publishes nothing."""
    story = run(policy(0, by="09:00", reserve=20), plug(10, where=HOME, level=10), timer(2_000), timer(2_000))
    assert story.last().outputs == ()
    step = Step(story.vehicle, RULES, NO_PRICES)
    fire_until(step, minute(2_000), is_wall=False)
    assert step.outputs == []
    assert Timer(minute(0), Kind.ROLL).policy_id is None
