"""Which target is in force, when it gives way, and how targets are counted."""

import pytest
from msgspec import structs

from models.session import ImmediateStartTarget, RegularTarget, Session
from sessions.events import Counted, Event, Rules
from sessions.state import CurrentSession
from sessions.targets import ready_by, with_target
from tests.builders import HOME, ZERO, Story, at_once, minute, plug, policy, ready, run, sample, target, timer, unplug
from tests.support.controls import minutes, wanted, wanted_at_once

LOSSLESS = Rules(efficiency=1.0)
DAY = 24 * 60


def short(session: Session) -> str:
    """A session's target: number, level and minute, and whose it is."""
    latest = session.target.latest
    if isinstance(latest, RegularTarget):
        return f"{latest.id} {latest.minimum_charge_target:g} by {minutes(latest.ready_by)} {latest.source}"
    assert isinstance(latest, ImmediateStartTarget)
    return f"{latest.id} {latest.minimum_charge_target:g} now"


def targets(story: Story) -> list[str]:
    """Every target that was published, in order, of each session anew."""
    found: list[str] = []
    for change in story.changes:
        told = short(change.session)
        if not found or found[-1] != told:
            found.append(told)
    return found


# 08:00 is minute 0: 10:00 is minute 120.
HOME_BY_TEN = policy(0, by="10:00", percent=80.0, capacity=60)


def plugged(*events: Event, level: float = 50.0) -> Story:
    return run(HOME_BY_TEN, plug(10, where=HOME, level=level), *events, rules=LOSSLESS)


def session_id(level: float = 50.0) -> str:
    return plugged(level=level).latest.id


def test_the_policys_next_deadline() -> None:
    """The first one after now, with that day's level."""
    assert targets(run(HOME_BY_TEN)) == ["1 80 by 120.0 POLICY"]


def test_no_deadline_is_a_full_battery_at_no_time() -> None:
    """`readyBy` null, 100 %."""
    assert targets(run(policy(0))) == ["1 100 by None POLICY"]


def test_a_deadline_that_passes_while_awaited_rolls() -> None:
    """UPCOMING: at 10:00 of each day the next day's target takes its place."""
    story = run(HOME_BY_TEN, timer(120 + DAY))
    assert targets(story) == [f"{1 + day} 80 by {120.0 + day * DAY} POLICY" for day in range(3)]
    assert [minutes(change.created_at) for change in story.changes] == [0, 120, 120 + DAY]


def test_a_reached_target_gives_way_when_its_time_has_come() -> None:
    """..80 % at 60..120  The next deadline becomes the target at the deadline, not when it is reached."""
    story = plugged(sample(60, level=80), timer(119), timer(120))
    assert targets(story) == ["1 80 by 120.0 POLICY", f"2 80 by {120.0 + DAY} POLICY"]
    assert story.changes[-1].created_at == minute(120)


def test_a_missed_target_gives_way_when_it_is_reached() -> None:
    """..120 (70 %)..150 (80 %)  It is worked on until it is reached."""
    story = plugged(sample(100, level=70), timer(140), sample(149, level=79.9), sample(150, level=80))
    assert targets(story) == ["1 80 by 120.0 POLICY", f"2 80 by {120.0 + DAY} POLICY"]
    assert story.changes[-1].created_at == minute(150)
    assert story.changes[-2].session.target.latest == story.changes[1].session.target.latest


def test_a_missed_target_gives_way_at_the_next_deadline_at_the_latest() -> None:
    """..120 (70 %)..next day's 10:00  The one after that becomes the target."""
    story = plugged(sample(100, level=70), timer(119 + DAY), timer(120 + DAY))
    assert targets(story) == ["1 80 by 120.0 POLICY", f"2 80 by {120.0 + 2 * DAY} POLICY"]
    assert story.changes[-1].created_at == minute(120 + DAY)


def test_a_target_that_was_reached_in_time_as_is_told_late() -> None:
    """Its deadline has passed for a silent vehicle, then comes word that it was reached before: the next one counts."""
    story = plugged(sample(100, level=70), timer(125), sample(118, level=80), sample(130, level=80))
    assert targets(story) == ["1 80 by 120.0 POLICY", f"2 80 by {120.0 + DAY} POLICY"]


@pytest.mark.parametrize("said", [policy(130, by="10:00", capacity=60, rate=5), policy(130, by="10:00", zone=None)])
def test_a_missed_target_stands_whatever_else_the_policy_says(said: Event) -> None:
    """A policy that says something else of its power does not let a missed deadline go."""
    story = plugged(sample(100, level=70), timer(125), said, sample(135, level=71))
    assert targets(story) == ["1 80 by 120.0 POLICY"]


def test_a_missed_target_goes_with_its_deadline() -> None:
    """A schedule that no longer has it, even with one shortly before now, has its next deadline in force."""
    story = plugged(sample(100, level=70), timer(125), policy(130, by="10:05", capacity=60), sample(135, level=71))
    assert targets(story) == ["1 80 by 120.0 POLICY", f"2 80 by {125.0 + DAY} POLICY"]


def test_a_missed_target_waits_for_the_deadline_as_it_is_now() -> None:
    """Clearing an override that was not there changes nothing, and lets nothing go."""
    story = plugged(sample(100, level=70), timer(125), target(130, session_id(), None), sample(135, level=71))
    assert targets(story) == ["1 80 by 120.0 POLICY"]
    later = run(timer(120 + DAY), before=story.vehicle, rules=LOSSLESS)
    assert targets(later)[-1] == f"2 80 by {120.0 + 2 * DAY} POLICY"


def test_an_override_and_its_clearing() -> None:
    """The user's target counts until it is taken back; then the policy's returns, under a new number."""
    session = session_id()
    story = plugged(target(20, session, ready(300, 95.0)), target(30, session, None))
    assert targets(story) == ["1 80 by 120.0 POLICY", "2 95 by 300.0 OVERRIDE", "3 80 by 120.0 POLICY"]


def test_an_override_ends_with_its_session() -> None:
    """The next session has the policy's target, as number 1."""
    story = plugged(target(20, session_id(), ready(300, 95.0)), unplug(30), timer(32))
    assert targets(story)[-2:] == ["2 95 by 300.0 OVERRIDE", "1 80 by 120.0 POLICY"]


def test_an_override_stays_when_it_is_reached_or_late() -> None:
    """Only charging at once ends by itself."""
    story = plugged(target(20, session_id(), ready(60, 70.0)), timer(70), sample(80, level=75), timer(300 + DAY))
    assert targets(story) == ["1 80 by 120.0 POLICY", "2 70 by 60.0 OVERRIDE"]


def test_charging_at_once_ends_when_it_is_reached() -> None:
    """Then the policy's target returns, in the same step."""
    story = plugged(target(20, session_id(), at_once(60)), sample(40, level=59.9), sample(50, level=60))
    assert targets(story) == ["1 80 by 120.0 POLICY", "2 60 now", "3 80 by 120.0 POLICY"]
    assert story.changes[-1].created_at == minute(50)


def test_charging_at_once_that_has_nothing_to_do() -> None:
    """Reached when it is asked for: nothing changes."""
    story = plugged(target(20, session_id(), at_once(50)))
    assert targets(story) == ["1 80 by 120.0 POLICY"]
    after = plugged(target(20, session_id(), ready(300)), target(30, session_id(), at_once(50)))
    assert targets(after) == ["1 80 by 120.0 POLICY", "2 80 by 300.0 OVERRIDE", "3 80 by 120.0 POLICY"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # The same once more, and an older word that comes late.
        ([(20, ready(300)), (20, ready(300))], ["2 80 by 300.0 OVERRIDE"]),
        ([(20, ready(300)), (21, ready(300))], ["2 80 by 300.0 OVERRIDE"]),
        ([(30, ready(300)), (20, ready(400))], ["2 80 by 300.0 OVERRIDE"]),
        ([(30, ready(300)), (30, ready(400))], ["2 80 by 300.0 OVERRIDE"]),
        ([(30, None), (20, ready(400))], []),
        ([(20, ready(300)), (30, ready(400))], ["2 80 by 300.0 OVERRIDE", "3 80 by 400.0 OVERRIDE"]),
    ],
)
def test_the_users_newest_word_counts(said: list[tuple[float, object]], told: list[str]) -> None:
    """What was said before, once more or late, changes nothing."""
    session = session_id()
    story = plugged(*(target(at, session, wish, logged=40) for at, wish in said))  # type: ignore[arg-type]
    assert targets(story) == ["1 80 by 120.0 POLICY", *told]
    assert story.counted == []


def test_a_session_that_is_over_or_unknown_has_no_target() -> None:
    """It is counted and ignored."""
    story = plugged(unplug(30), timer(32), target(40, session_id(), ready(300)), target(41, "nobody", at_once()))
    assert story.counted == [Counted.TARGET_TOO_LATE] * 2
    assert targets(story)[-1] == "1 80 by 120.0 POLICY"


def test_an_override_of_an_awaited_session() -> None:
    """It counts before the plug-in, does not roll while awaited, and is in force at the plug-in."""
    awaited = run(HOME_BY_TEN)
    events = (target(20, awaited.latest.id, ready(60, 95.0)), timer(100), plug(110, where=HOME, level=50))
    story = run(HOME_BY_TEN, *events, rules=LOSSLESS)
    assert targets(story) == ["1 80 by 120.0 POLICY", "2 95 by 60.0 OVERRIDE"]
    cleared = run(HOME_BY_TEN, events[0], target(130, awaited.latest.id, None))
    assert targets(cleared)[-1] == f"3 80 by {120.0 + DAY} POLICY"


def test_complete_is_reached() -> None:
    """The vehicle's own word that it is done, whatever its level."""
    told = sample(60, level=70, state="PLUGGED_IN:COMPLETE")
    assert targets(plugged(told, timer(120)))[-1] == f"2 80 by {120.0 + DAY} POLICY"


def test_the_vehicles_limit_is_reached() -> None:
    """As far as the vehicle allows."""
    told = [sample(50, level=69.9, limit=70), sample(60, level=70, limit=70)]
    assert targets(plugged(*told, timer(120)))[-1] == f"2 80 by {120.0 + DAY} POLICY"
    assert targets(plugged(told[0], timer(120))) == ["1 80 by 120.0 POLICY"]


def test_ids_grow_with_changes_alone() -> None:
    """The same target keeps its number and its session; another has the next."""
    its_policy = HOME_BY_TEN.policy
    session = with_target(CurrentSession(id="s", charging_event_id="e"), its_policy, ZERO)  # type: ignore[arg-type]
    assert with_target(session, its_policy, minute(119)) is session
    changed = with_target(session, structs.replace(its_policy, battery_reserve=10.0), ZERO)
    assert isinstance(changed.target, RegularTarget)
    assert (changed.target.id, changed.target.battery_reserve) == (2, 10.0)
    wish = with_target(structs.replace(session, override=ready(5, 70.0, 15.0)), its_policy, ZERO)
    assert wish.target == structs.replace(wanted(70.0, 5, number=2, source="OVERRIDE"), battery_reserve=15.0)
    assert with_target(structs.replace(session, override=at_once(33)), its_policy, ZERO).target == wanted_at_once(33, 2)


def test_only_a_regular_target_has_a_time() -> None:
    """Charging at once has none, nor has no target."""
    assert [ready_by(one) for one in (None, wanted_at_once(), wanted(80, 5))] == [None, None, minute(5)]


def test_a_zone_that_is_not_known_is_no_deadline() -> None:
    """A policy that another release has taken, with a zone of its own, wants a full battery at no time."""
    written = policy(0, by="10:00", percent=80.0)
    unknown = structs.replace(written, policy=structs.replace(written.policy, timezone_name="Mars/Base"))
    assert targets(run(unknown, plug(10, where=HOME, level=50))) == ["1 100 by None POLICY"]


@pytest.mark.parametrize("reached", [False, True], ids=["missed", "reached"])
def test_a_zone_that_is_lost_during_a_visit_ends_nothing(reached: bool) -> None:
    """..rolled back to a release without the zone..  Every event is still taken; the deadline in force stays in force
    until its time, and then the battery is to be filled, at no time.
    """
    begun = plugged(sample(60, level=80 if reached else 60)).vehicle
    (managed,) = begun.policies
    lost = structs.replace(managed, policy=structs.replace(managed.policy, timezone_name="Mars/Base"))
    story = run(
        timer(100),
        sample(110, level=80 if reached else 70),
        timer(125),
        target(130, session_id(), at_once(90)),
        target(131, session_id(), None),
        sample(140, level=81),
        timer(150 + DAY),
        unplug(160 + DAY),
        timer(200 + DAY),
        plug(300 + DAY, where=HOME, level=50),
        rules=LOSSLESS,
        before=structs.replace(begun, policies=(lost,)),
    )
    assert story.refusals == []
    assert story.phases[-3:] == ["p1 SETTLED", "p1 UPCOMING", "p1 ACTIVE:REGULAR"]
    assert targets(story)[-1] == "1 100 by None POLICY"


def test_a_zone_that_is_lost_while_a_session_is_awaited_ends_nothing() -> None:
    """..rolled back to a release without the zone..  The awaited deadline passes, and none takes its place."""
    awaited = run(HOME_BY_TEN).vehicle
    (managed,) = awaited.policies
    lost = structs.replace(managed, policy=structs.replace(managed.policy, timezone_name="Mars/Base"))
    story = run(timer(119), timer(125), timer(130 + DAY), before=structs.replace(awaited, policies=(lost,)))
    assert targets(story) == ["2 100 by None POLICY"]
    assert [minutes(change.created_at) for change in story.changes] == [120]
