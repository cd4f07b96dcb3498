"""What becomes of sessions when policies are written, moved, disabled and deleted, before and during a visit."""

import pytest
from msgspec import structs

from models.codec import Refusal
from models.ids import PolicyId, VehicleId
from sessions.events import Counted, Event, PolicyRestored, PolicyShown, PolicyWritten, SessionErased
from tests.builders import BOB, HOME, WORK, bounds, delete, kwh_sum, minute, plug, policy, run, sample, timer, unplug

CHARGING: list[Event] = [plug(10, where=HOME), sample(10, 0.0), sample(30, 2.0)]


def test_policy_created_while_plugged_in() -> None:
    """A policy created while its vehicle is plugged in there begins ACTIVE at version 1, with all of the visit."""
    story = run(*CHARGING, policy(40))
    assert story.states == ["p1 ACTIVE:REGULAR 1"]
    assert (bounds(story.latest), kwh_sum(story.latest)) == ((10, None), 2.0)
    assert story.changes[0].created_at == minute(40)


def test_policy_created_while_plugged_in_elsewhere() -> None:
    """A policy created while its vehicle is plugged in elsewhere begins UPCOMING."""
    assert run(plug(10, where=WORK), policy(40)).states == ["p1 UPCOMING 1"]


@pytest.mark.parametrize("end", [policy(40, enabled=False), delete(40)], ids=["disabled", "deleted"])
def test_policy_ends_before_a_visit(end: Event) -> None:
    """The UPCOMING session of a policy that is disabled or deleted is erased."""
    story = run(policy(0), end)
    assert story.last().outputs == (SessionErased(story.changes[0].session.id),)


ENDS: dict[str, tuple[Event, list[str]]] = {
    "disabled": (policy(40, enabled=False), []),
    "deleted": (delete(40), []),
    "moved": (policy(40, where=WORK), ["p1 UPCOMING 1"]),
}


@pytest.mark.parametrize(("end", "next_states"), ENDS.values(), ids=ENDS)
def test_policy_ends_during_a_visit(end: Event, next_states: list[str]) -> None:
    """A policy disabled, deleted or moved during a visit settles at that moment; what follows is an unmanaged part."""
    story = run(policy(0), *CHARGING, end, sample(50, 3.0), unplug(60), timer(61))
    assert story.states[3:] == ["p1 SETTLED 4", *next_states, "- SETTLED 1"]
    first, second = story.settled
    assert (bounds(first), kwh_sum(first)) == ((10, 40), 2.0)
    assert (bounds(second), kwh_sum(second)) == ((40, 60), 1.0)
    assert story.changes[3].created_at == minute(40)


def test_policy_enabled_again_during_a_visit() -> None:
    """Enabled again, a policy takes the open part over: the parts are disjoint in time and energy."""
    story = run(
        policy(0),
        *CHARGING,
        policy(40, enabled=False),
        sample(50, 3.0),
        policy(55),
        sample(58, 3.5),
        unplug(60),
        timer(61),
    )
    assert story.states[3:] == [
        "p1 SETTLED 4",
        "p1 ACTIVE:REGULAR 1",
        "p1 ACTIVE:REGULAR 2",
        "p1 SETTLED 3",
        "p1 UPCOMING 1",
    ]
    first, second = story.settled
    assert (bounds(first), bounds(second)) == ((10, 40), (40, 60))
    assert (kwh_sum(first), kwh_sum(second)) == (2.0, 1.5)


def test_energy_learnt_after_a_part_settled() -> None:
    """Energy that is learnt after a part has settled falls to the next one, within its bounds."""
    story = run(policy(0), *CHARGING, policy(40, enabled=False), sample(50, 4.0), unplug(60), timer(61))
    assert [kwh_sum(session) for session in story.settled] == [2.0, 2.0]
    assert story.settled[1].statistics.timeseries[0].start_at == minute(40)


def test_policy_disabled_at_the_plug_in() -> None:
    """Two parts of a visit never share a start, so each charging event keeps an id of its own."""
    story = run(
        policy(0),
        plug(10, where=HOME),
        policy(10, enabled=False),
        sample(11, 0.0),
        sample(30, 2.0),
        unplug(40),
        timer(41),
    )
    managed, observed = (one for one in story.changes if one.session in story.settled)
    assert managed.charging_event_id != observed.charging_event_id
    assert (kwh_sum(managed.session), kwh_sum(observed.session)) == (0.0, 2.0)


def test_policy_time_ahead_of_the_telemetry() -> None:
    """Where a policy settled a part ahead of late telemetry, no later visit begins within that part."""
    story = run(
        policy(0), plug(10, where=HOME), policy(60, enabled=False), unplug(20), plug(25), sample(70, 1.0, plugged=True),
        sample(90, 2.0), unplug(95), timer(96),
    )  # fmt: skip
    assert [bounds(session) for session in story.settled] == [(10, 60), (70, 95)]


def test_other_policys_older_time() -> None:
    """A policy's record with an older time than the open part's start counts from that start."""
    story = run(
        policy(0), plug(10, where=HOME), policy(60, enabled=False), policy(30, "p2"), policy(40, "p2", enabled=False),
        sample(70, 1.0), sample(80, 2.0), unplug(95), timer(96),
    )  # fmt: skip
    assert [session.policy_id for session in story.settled] == ["p1", "p2", None]
    assert min(one.created_at for one in story.changes if one.session.policy_id == "p2") == minute(60)


def test_moved_while_upcoming() -> None:
    """A policy moved before a visit keeps its session, which now waits at the other place."""
    story = run(policy(0), policy(10, where=WORK))
    assert story.states == ["p1 UPCOMING 1", "p1 UPCOMING 2"]
    assert story.latest.location_id == WORK


def test_moved_to_where_the_vehicle_is() -> None:
    """A policy moved to where its vehicle is plugged in takes the visit over with the session that it has."""
    story = run(policy(0), plug(10, where=WORK), policy(40, where=WORK))
    assert story.states == ["p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    assert bounds(story.latest) == (10, None)


@pytest.mark.parametrize("before", [[], [plug(10, where=HOME, level=100)]], ids=["awaited", "plugged in"])
def test_other_fields_change_no_session(before: list[Event]) -> None:
    """A change of what the session does not show publishes nothing."""
    assert run(policy(0), *before, policy(40, capacity=60.0)).last().outputs == ()


def test_policy_written_again() -> None:
    """The same record again changes nothing."""
    story = run(policy(0), plug(10, where=HOME), policy(0))
    assert (story.last().outputs, story.last().vehicle) == ((), run(policy(0), plug(10, where=HOME)).vehicle)


def test_disabled_from_the_start() -> None:
    """A policy that is written disabled has no session until it is enabled."""
    assert run(policy(0, enabled=False)).outputs == ()
    assert run(policy(0, enabled=False), policy(10)).states == ["p1 UPCOMING 1"]


def test_log_order_decides() -> None:
    """A later record with an older time counts from just after the one before it."""
    story = run(policy(10), policy(5, enabled=False), policy(7))
    assert story.states == ["p1 UPCOMING 1", "p1 UPCOMING 1"]
    opened = [one.created_at for one in story.changes]
    assert opened == sorted(opened)
    assert story.vehicle.policies[0].effective_at > minute(10)


def _written(name: str, **changes: object) -> PolicyWritten:
    return PolicyWritten(structs.replace(policy(5, name).policy, **changes), minute(5))


REFUSED: dict[str, tuple[PolicyWritten, Refusal, bool]] = {
    "a second one for the place": (policy(5, "p2"), Refusal.POLICY_CONFLICT, False),
    "another user": (_written("p1", user_id=BOB), Refusal.POLICY_IMMUTABLE, True),
    "another vehicle": (_written("p1", vehicle_id=VehicleId("car-2")), Refusal.POLICY_IMMUTABLE, True),
    "from before 2015": (_written("p1", at=minute(0).replace(year=2014)), Refusal.TOO_OLD, True),
    "from ahead of the log": (policy(20, logged=14.99), Refusal.IN_FUTURE, True),
    "unknown and ahead of the log": (policy(20, "p3", where=WORK, logged=14.99), Refusal.IN_FUTURE, False),
}


@pytest.mark.parametrize(("written", "reason", "is_known"), REFUSED.values(), ids=REFUSED)
def test_refused_policy(written: PolicyWritten, reason: Refusal, is_known: bool) -> None:
    """A record that breaks a rule is refused, and what stands (null if nothing) goes back to the topic."""
    story = run(policy(0), written)
    assert story.refusals == [reason]
    assert story.last().outputs == (PolicyRestored(written.policy.id, policy(0).policy if is_known else None),)


def test_conflict_by_enabling_or_moving() -> None:
    """Two policies of one user and place may stand side by side only while at most one is enabled."""
    side_by_side = [policy(0), policy(1, "p2", enabled=False), policy(2, "p3", where=WORK)]
    assert run(*side_by_side, policy(5, "p2")).refusals == [Refusal.POLICY_CONFLICT]
    assert run(*side_by_side, policy(5, "p3")).refusals == [Refusal.POLICY_CONFLICT]
    assert run(*side_by_side, policy(5, enabled=False), policy(6, "p2")).refusals == []
    assert run(*side_by_side, policy(5, "p4", user=BOB)).refusals == []


def test_unknown_policy_deleted() -> None:
    """The deletion of a policy that nobody knows is counted and changes nothing."""
    story = run(delete(5))
    assert (story.outputs, story.counted) == ((), [Counted.UNKNOWN_POLICY_DELETED])


def test_pending_unplug_is_confirmed_first() -> None:
    """A policy's record counts after the timers due before it: the visit is over by then."""
    story = run(policy(0), plug(10, where=HOME), unplug(30), policy(40, enabled=False))
    assert story.states[2:] == ["p1 SETTLED 3", "p1 UPCOMING 1"]
    assert bounds(story.settled[0]) == (10, 30)
    assert isinstance(story.outputs[-1], SessionErased)


def test_disabled_while_the_unplug_is_pending() -> None:
    """A policy disabled while the unplug is pending settles its session at the unplug."""
    story = run(policy(0), plug(10, where=HOME), unplug(30), policy(30.5, enabled=False), timer(60))
    assert [bounds(session) for session in story.settled] == [(10, 30)]


def test_late_policy_counts_from_what_was_told() -> None:
    """A record older than the vehicle's newest message counts from that message: the past is not judged anew."""
    story = run(policy(0), plug(10, where=HOME), sample(30, 1.0), policy(20, enabled=False))
    assert (bounds(story.settled[0]), story.changes[-1].created_at) == ((10, 30), minute(30))
    assert run(plug(10, where=HOME), sample(30), policy(20)).changes[0].created_at == minute(30)


def shown(written: PolicyWritten | None, *, is_readable: bool = True) -> PolicyShown:
    """What the topic shows of p1, decided by nobody."""
    return PolicyShown(PolicyId("p1"), None if written is None else written.policy, is_readable)


def test_a_restored_policy_that_stands_changes_nothing() -> None:
    """The worker's own restored record, read again, is what stands: nothing comes of it."""
    standing = policy(0)
    story = run(standing, shown(standing))
    assert story.last().outputs == ()
    assert run(shown(None)).last().outputs == ()


def test_a_restored_policy_that_was_overtaken_is_restored_anew() -> None:
    """A valid record that was written between a refused one and its restoring stands, and the topic ends with it."""
    overtaken, standing = policy(0), policy(5, where=WORK)
    story = run(overtaken, standing, shown(overtaken))
    assert story.last().outputs == (PolicyRestored(PolicyId("p1"), standing.policy),)
    assert run(standing, shown(None)).last().outputs == (PolicyRestored(PolicyId("p1"), standing.policy),)


def test_a_policy_record_that_nobody_can_read_is_overwritten() -> None:
    """Where the topic shows something that is no policy, what stands is written over it."""
    standing = policy(0)
    assert run(standing, shown(None, is_readable=False)).last().outputs == (
        PolicyRestored(PolicyId("p1"), standing.policy),
    )
    assert run(shown(None, is_readable=False)).last().outputs == (PolicyRestored(PolicyId("p1"), None),)


FULL: list[Event] = [policy(0), plug(10, where=HOME, level=100)]
RELEASES: dict[str, tuple[list[Event], list[str]]] = {
    "disabled": ([policy(40, enabled=False)], ["10 STOP TARGET_REACHED", "40 START RELEASED"]),
    "deleted": ([delete(40)], ["10 STOP TARGET_REACHED", "40 START RELEASED"]),
    "moved": ([policy(40, where=WORK)], ["10 STOP TARGET_REACHED", "40 START RELEASED"]),
    "while the stop still holds": ([delete(11)], ["10 STOP TARGET_REACHED", "12 START RELEASED"]),
    "while it charges all the same": (
        [sample(11, charging=True), sample(14.5, charging=True), delete(15)],
        ["10 STOP TARGET_REACHED", "12 STOP TARGET_REACHED"],
    ),
    "while it may still follow": (
        [sample(11, charging=True), delete(11.5)],
        ["10 STOP TARGET_REACHED", "12 START RELEASED"],
    ),
    "while the unplug is pending": ([unplug(40), delete(40.5)], ["10 STOP TARGET_REACHED"]),
    "unplugged": ([unplug(40), timer(50)], ["10 STOP TARGET_REACHED"]),
    # What another user's message says of the plug: it is in where it was; or nothing; or out, or just in, or elsewhere.
    "sold": ([sample(40, plugged=True, user=BOB)], ["10 STOP TARGET_REACHED", "40 START RELEASED"]),
    "sold, as a bare word tells": ([sample(40, user=BOB)], ["10 STOP TARGET_REACHED", "40 START RELEASED"]),
    "sold while the stop still holds": (
        [sample(11, plugged=True, user=BOB)],
        ["10 STOP TARGET_REACHED", "12 START RELEASED"],
    ),
    "sold while it charges all the same": (
        [sample(40, plugged=True, charging=True, user=BOB)],
        ["10 STOP TARGET_REACHED"],
    ),
    "sold and unplugged": ([sample(40, plugged=False, user=BOB)], ["10 STOP TARGET_REACHED"]),
    "sold while the unplug is pending": (
        [unplug(40), sample(40.5, plugged=True, user=BOB)],
        ["10 STOP TARGET_REACHED"],
    ),
    "plugged in by another": ([plug(40, where=HOME, level=50, user=BOB)], ["10 STOP TARGET_REACHED"]),
    "another's elsewhere": ([sample(40, plugged=True, where=WORK, user=BOB)], ["10 STOP TARGET_REACHED"]),
    # Control goes on, by another policy.
    "sold to a neighbour": (
        [policy(20, "p2", user=BOB), sample(40, level=100, plugged=True, charging=False, where=HOME, user=BOB)],
        ["10 STOP TARGET_REACHED"],
    ),
    "changed only": ([policy(40, capacity=60.0)], ["10 STOP TARGET_REACHED"]),
}


@pytest.mark.parametrize(("told", "commands"), RELEASES.values(), ids=RELEASES)
def test_released(told: list[Event], commands: list[str]) -> None:
    """A policy that lets go of a plugged-in vehicle which it has stopped lets it charge again."""
    assert run(*FULL, *told).commands == commands


def test_nothing_to_release() -> None:
    """A vehicle that was told to charge needs no release."""
    assert run(policy(0), plug(10, where=HOME, level=50), delete(40)).commands == ["10 START REGULAR"]


def test_deadlines_of_a_policy_that_waits() -> None:
    """A changed schedule is another target of the session that waits; the same one is none."""
    story = run(policy(0, by="09:00"), policy(10, by="10:00"), policy(20, by="10:00", rate=11.0))
    assert story.states == ["p1 UPCOMING 1", "p1 UPCOMING 2"]
    assert story.latest.target.latest is not None
    assert story.latest.target.latest.id == 2


def test_a_policy_that_was_moved_here_and_there_at_once() -> None:
    """Where a policy moves away from the visit, its own next session waits at the other place."""
    story = run(policy(0), *CHARGING, policy(40, where=WORK))
    assert story.phases[-2:] == ["p1 SETTLED", "p1 UPCOMING"]
    assert story.latest.location_id == WORK
    back = run(policy(0), *CHARGING, policy(40, where=WORK), policy(45))
    assert back.phases[-1] == "p1 ACTIVE:REGULAR"
    assert bounds(back.latest) == (40, None)


def test_another_policy_takes_the_rest_of_a_visit() -> None:
    """The part that one policy leaves may be another's: each session has its own part, and its own charging event."""
    story = run(policy(0), *CHARGING, delete(40), policy(45, "p2"), sample(50, 3.0), unplug(60), timer(61))
    assert [(session.policy_id, bounds(session), kwh_sum(session)) for session in story.settled] == [
        ("p1", (10, 40), 2.0),
        ("p2", (40, 60), 1.0),
    ]
    assert len({one.charging_event_id for one in story.changes if one.session in story.settled}) == 2
