"""The life of a session, from a policy to the next UPCOMING, one sentence at a time."""

import pytest

from models.codec import Refusal
from models.ids import PolicyId
from models.session import SessionState
from models.telemetry import PowerDeliveryState
from sessions.events import Counted, Event, SessionChanged
from sessions.identity import managed_session_id
from sessions.state import Capacity, ChargeLimit, Level, Place, PowerState
from tests.builders import (
    ANN,
    BOB,
    HOME,
    VEHICLE,
    WORK,
    at_once,
    battery,
    bounds,
    kwh,
    kwh_sum,
    minute,
    plug,
    policy,
    run,
    sample,
    target,
    timer,
)
from tests.builders import unplug as out


def test_a_policy_appears() -> None:
    """A policy that appears gets one UPCOMING session, of which nothing is known yet."""
    story = run(policy(0))
    assert story.states == ["p1 UPCOMING 1"]
    assert (story.latest.location_id, story.latest.user_id) == (HOME, ANN)


def test_plug_in_at_the_policys_place() -> None:
    """A plug-in at the policy's place makes its session ACTIVE:REGULAR in the same step, from the plug-in on."""
    story = run(policy(0), plug(10, where=HOME))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    assert bounds(story.latest) == (10, None)
    assert story.changes[0].session.id == story.latest.id


def test_samples_are_published() -> None:
    """Each sample that changes the public session makes one update: energy by counter, battery from and to."""
    story = run(
        policy(0),
        plug(10, where=HOME, level=53.9),
        sample(10, 7.0),
        sample(12, 7.5, level=54.2),
        sample(20, 9.5, level=60.0),
    )
    assert story.states[2:] == ["p1 ACTIVE:REGULAR 3", "p1 ACTIVE:REGULAR 4"]
    assert kwh_sum(story.latest) == 2.5
    assert battery(story.latest) == (53, 60)


def test_confirmed_unplug_settles() -> None:
    """A confirmed unplug settles the session, and the policy's next UPCOMING follows in the same step."""
    story = run(policy(0), plug(10, where=HOME), out(50), timer(51))
    assert [one.session.state for one in story.changes[-2:]] == [SessionState.SETTLED, SessionState.UPCOMING]
    assert len(story.last().outputs) == 2
    assert bounds(story.settled[0]) == (10, 50)


@pytest.mark.parametrize("place", [WORK, None], ids=["elsewhere", "at an unknown place"])
def test_plug_in_elsewhere(place: str | None) -> None:
    """A plug-in elsewhere leaves the policy's session UPCOMING, and ends as one unmanaged SETTLED session."""
    told = sample(10, 1.0) if place is None else sample(10, 1.0, where=WORK)
    story = run(policy(0), told, plug(10), sample(30, 3.0), out(50), timer(60))
    assert story.states == ["p1 UPCOMING 1", "- SETTLED 1"]
    (session,) = story.settled
    assert (session.location_id, session.policy_id, session.blocks) == (place, None, ())
    assert (session.target.latest, session.outcome.latest, session.valuation) == (None, None, None)
    assert bounds(session) == (10, 50)
    assert kwh_sum(session) == 2.0


SAYS_NOTHING: dict[str, Event] = {
    "null plug event": plug(20, is_plugged_in=None),
    "empty sample": sample(20),
    "UNKNOWN": sample(20, state="UNKNOWN"),
    "a word that is not listed": sample(20, state="PLUGGED_IN:DREAMING"),
    "not charging": sample(20, charging=False),
    "no rate": sample(20, rate=0.0),
    "feeding the house": sample(20, rate=-3.0),
}


@pytest.mark.parametrize("nothing", SAYS_NOTHING.values(), ids=SAYS_NOTHING)
def test_null_and_unknown_change_nothing(nothing: Event) -> None:
    """What says nothing of the plug changes no session, plugged in or not."""
    assert run(policy(0), nothing).states == ["p1 UPCOMING 1"]
    # Soon enough that it is no answer to the command to charge yet.
    story = run(policy(0), plug(15, where=HOME), nothing)
    assert story.phases == ["p1 UPCOMING", "p1 ACTIVE:REGULAR"]
    assert not any(isinstance(output, SessionChanged) for output in story.last().outputs)
    assert run(plug(15), nothing).vehicle.visit is not None
    assert run(nothing).vehicle.visit is None


def test_neutral_fields() -> None:
    """While UPCOMING nothing is known but the target, and without prices there is no valuation in any state."""
    story = run(policy(0), plug(10, where=HOME), sample(20, 1.0), out(50), timer(60))
    for session in (story.changes[0].session, story.latest):
        assert (session.blocks, session.statistics.aggregated) == ((), None)
        assert session.target.latest is not None
        assert (session.outcome.latest, session.error.latest) == (None, None)
    assert all(change.session.valuation is None for change in story.changes)


def test_pauses_do_not_end_a_session() -> None:
    """Charging may pause for hours: the session goes on until the plug is out."""
    story = run(
        policy(0), plug(10, where=HOME), sample(20, 1.0, charging=True), sample(30, 2.0, charging=False),
        sample(400, 2.0), sample(500, 3.0, charging=True), out(600), timer(601),
    )  # fmt: skip
    (session,) = story.settled
    assert (bounds(session), kwh_sum(session)) == ((10, 600), 2.0)


def test_next_visit_is_another_session() -> None:
    """The UPCOMING that follows a settled session is the one that the next visit makes ACTIVE."""
    story = run(policy(0), plug(10, where=HOME), out(50), plug(100, where=HOME))
    assert story.states[-2:] == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    first, awaited, active = (story.changes[index].session.id for index in (0, -2, -1))
    assert (first != awaited, awaited == active) == (True, True)


def test_created_at_is_the_causes_time() -> None:
    """`createdAt` is the event time of the cause; of a settlement: the unplug plus the debounce."""
    story = run(policy(0), plug(10, where=HOME), sample(20, 1.0), sample(30, 2.0), out(50), sample(500))
    assert [one.created_at for one in story.changes] == [minute(at) for at in (0, 10, 30, 51, 51)]


def test_a_sample_that_changes_nothing_is_not_published() -> None:
    """The growing end of the last interval and new intervals of 0 kWh are no change: they come with the next update."""
    story = run(
        policy(0), plug(10, where=HOME, level=100), sample(20, level=100), sample(44, 1.0), sample(50), sample(70, 2.0)
    )
    assert [len(decision.outputs) for decision in story.decisions[2:]] == [0, 0, 0, 2]
    assert (len(story.changes), story.commands[1:]) == (3, ["70 STOP TARGET_REACHED"])
    assert len(story.latest.statistics.timeseries) == 5
    assert bounds(story.latest) == (10, None)


def test_a_level_of_an_idle_interval_is_not_published() -> None:
    """Nor is it where intervals before it had energy but no level (seen over Kafka: seed 1, car 75, feed `all`)."""
    told = [plug(10, where=HOME, level=50), sample(12, 1.0, level=50), sample(20, 1.5), sample(50, 2.0), sample(61)]
    story = run(policy(0), *told, out(70, level=50), timer(80))
    assert [len(decision.outputs) for decision in story.decisions[-2:]] == [0, 2]
    levels = [point.battery_level for point in story.settled[0].statistics.timeseries]
    assert levels == [50, None, None, None, 50]


def test_another_user_ends_the_visit() -> None:
    """A message of another user ends the open visit at its last evidence, and a visit of that user may begin."""
    story = run(policy(0), plug(10, where=HOME), sample(20, 1.0), sample(30, 2.0), plug(40, where=HOME, user=BOB))
    assert story.phases[-2:] == ["p1 SETTLED", "p1 UPCOMING"]
    (session,) = story.settled
    assert (bounds(session), story.changes[-1].created_at) == ((10, 30), minute(40))


def test_another_users_readings_are_no_baseline() -> None:
    """What was drawn before a user's first message is not that user's."""
    story = run(
        plug(10, level=40),
        sample(20, 1.0, level=42, charging=True),
        sample(22, 1.4, level=43, charging=True, user=BOB),
        sample(30, 2.4, charging=True, user=BOB),
        out(40, user=BOB),
        timer(50),
    )
    first, second = story.settled
    assert (bounds(first), bounds(second)) == ((10, 20), (22, 40))
    assert second.statistics.aggregated is not None
    assert (second.statistics.aggregated.kwh_sum, second.statistics.aggregated.battery_from) == (1.0, 43)


def test_a_policy_manages_its_own_user_only() -> None:
    """A visit at the policy's place by another user is unmanaged."""
    story = run(
        policy(0),
        plug(10, where=HOME, user=BOB),
        sample(11, 1.0, user=BOB),
        sample(30, 2.0, user=BOB),
        out(40, user=BOB),
        timer(50),
    )
    assert story.states == ["p1 UPCOMING 1", "- SETTLED 1"]
    assert story.latest.user_id == BOB


def test_late_message_of_another_user() -> None:
    """A message of another user that is older than the newest one ends nothing, and says nothing."""
    before = (policy(0), plug(10, where=HOME), sample(20))
    story = run(*before, sample(15, 1.0, level=50, where=WORK, plugged=False, user=BOB))
    assert (story.last().outputs, story.vehicle) == ((), run(*before).vehicle)


def test_late_plug_in_moves_the_start_back() -> None:
    """Late PLUGGED evidence newer than the last unplug moves `pluggedInAt` back, and intervals stay where they were."""
    story = run(policy(-60), out(0), plug(20, where=HOME), sample(21, 1.0), sample(29, 2.0), plug(5, logged=30))
    assert bounds(story.latest) == (5, None)
    assert kwh(story.latest) == [0.0, 1.0]
    assert story.states[-1] == "p1 ACTIVE:REGULAR 4"


@pytest.mark.parametrize("at", [0, -5], ids=["with the last unplug", "before the last unplug"])
def test_late_plug_in_before_the_last_unplug(at: float) -> None:
    """Late PLUGGED evidence from before the last unplug changes nothing."""
    assert run(policy(-60), out(0), plug(20, where=HOME), plug(at, logged=30)).last().outputs == ()


def test_late_unplug_older_than_the_newest_evidence() -> None:
    """Late UNPLUGGED evidence older than the newest evidence changes nothing."""
    assert run(policy(0), plug(10, where=HOME), sample(30, plugged=True), out(20), timer(60)).settled == []


def test_another_user_while_the_unplug_is_pending() -> None:
    """A message of another user while the unplug is pending ends the visit at the unplug."""
    story = run(policy(0), plug(10, where=HOME), out(20), sample(20.5), sample(20.75, user=BOB))
    assert bounds(story.settled[0]) == (10, 20)


def test_a_target_is_for_one_session() -> None:
    """An override changes the session that it names, and no other; of one that nobody has it is only counted."""
    both = (policy(0), policy(0, "p2", where=WORK))
    named = managed_session_id(PolicyId("p2"), VEHICLE, minute(0.001 / 60))
    story = run(*both, target(5, named, at_once()))
    assert [(one.session.policy_id, one.session.id) for one in story.changes[2:]] == [("p2", named)]
    unknown = run(*both, target(5, "of-nobody", at_once()))
    assert (len(unknown.changes), unknown.counted) == (2, [Counted.TARGET_TOO_LATE])
    assert (
        run(*both, target(5, named, at_once()), target(5, named, None), target(4, named, None)).states == story.states
    )
    again = run(*both, target(5, named, at_once()), target(6, named, None))
    assert again.states == [*story.states, "p2 UPCOMING 3"]


def test_a_target_from_ahead_of_the_log() -> None:
    """An override from more than 5 min ahead of the log is refused."""
    story = run(policy(0), target(20, "any", at_once(), logged=10))
    assert (story.refusals, story.counted) == ([Refusal.IN_FUTURE], [])


def test_the_newest_word_counts() -> None:
    """Of what a vehicle tells of itself the newest counts, not the last to arrive."""
    told = sample(20, level=50, capacity=60, limit=80, charging=True, state="PLUGGED_IN:CHARGING", where=HOME)
    late = sample(15, level=40, capacity=40, limit=90, charging=False, state="PLUGGED_IN:STOPPED", where=WORK)
    for vehicle in (run(told, late).vehicle, run(late, told).vehicle):
        at = minute(20)
        assert vehicle.level == Level(at, 50)
        assert vehicle.capacity == Capacity(at, 60_000)
        assert vehicle.charge_limit == ChargeLimit(at, 80)
        assert vehicle.power_state == PowerState(at, PowerDeliveryState.CHARGING)
        assert vehicle.place == Place(at, HOME)
        assert vehicle.charging is not None
        assert (vehicle.charging.at, vehicle.charging.is_charging) == (at, True)


def test_since_when_it_charges() -> None:
    """A state of charging counts from when it was first told, however often it is told again."""
    told = (
        sample(10, charging=True),
        sample(20, charging=True),
        sample(30, charging=False),
        sample(40, charging=False),
    )
    for end, since in ((2, 10), (3, 30), (4, 30)):
        charging = run(*told[:end]).vehicle.charging
        assert charging is not None
        assert (charging.since, charging.at) == (minute(since), minute(10 * end))


def test_a_counter_tells_whether_it_charges() -> None:
    """Of a vehicle that never says so, a counter that grew since the last message tells that it charged, else not."""
    told = (plug(10), sample(20, 1.0), sample(30, 2.0), sample(40, 2.0))
    found = [run(*told[:end]).vehicle.charging for end in (3, 4)]
    assert [each and (each.is_charging, each.is_told, each.since) for each in found] == [
        (True, False, minute(20)),
        (False, False, minute(30)),
    ]
    says = run(plug(10), sample(20, 1.0, charging=False), sample(30, 2.0)).vehicle.charging
    assert says is not None
    assert (says.is_charging, says.is_told, says.at) == (False, True, minute(20))
