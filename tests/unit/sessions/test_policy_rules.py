"""Which policy records may be taken beside what stands; the worker and the API judge by the same functions."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.codec import Refusal
from models.ids import LocationId, PolicyId, UserId
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.events import PolicyDeleted, PolicyRestored, PolicyWritten, SessionErased
from sessions.policy_rules import (
    DELETION_KEPT,
    DELETIONS_PER_USER,
    DELETIONS_PER_VEHICLE,
    POLICIES_PER_USER,
    POLICIES_PER_VEHICLE,
    refusal_to_delete,
    refusal_to_write,
    was_deleted,
    with_deletion,
    without_deletion,
)
from sessions.state import DeletedPolicy
from tests.builders import ANN, BOB, HOME, WORK, delete, minute, policy, run

FIRST = policy(0).policy
SECOND = policy(1, name="p2").policy
LATER = structs.replace(FIRST, battery_reserve=30.0, at=FIRST.at + timedelta(hours=1))


def test_rivals_are_enabled_policies_of_one_user_vehicle_and_place() -> None:
    """Of two enabled policies for one user, vehicle and location the second is refused; a difference in any of them, or
    a disabled one, is none of its business.
    """
    refused = refusal_to_write([FIRST], SECOND, None, is_deleted=False)
    assert refused is not None
    assert refused.reason is Refusal.POLICY_CONFLICT
    for harmless in (
        structs.replace(SECOND, location_id=WORK),
        structs.replace(SECOND, user_id=BOB),
        structs.replace(SECOND, is_enabled=False),
    ):
        assert refusal_to_write([FIRST], harmless, None, is_deleted=False) is None
        assert refusal_to_write([harmless], FIRST, None, is_deleted=False) is None
    assert (FIRST.user_id, FIRST.location_id) == (ANN, HOME)


@pytest.mark.parametrize(
    ("standing", "replaces", "is_taken"),
    [
        pytest.param([], None, True, id="no condition, nothing there"),
        pytest.param([FIRST], None, True, id="no condition, a version there"),
        pytest.param([], NOTHING, True, id="nothing expected, nothing there"),
        pytest.param([FIRST], NOTHING, False, id="nothing expected, a version there"),
        pytest.param([FIRST], policy_tag(FIRST), True, id="the version expected"),
        pytest.param([FIRST], policy_tag(LATER), False, id="another version than expected"),
        pytest.param([], policy_tag(FIRST), False, id="a version expected, nothing there"),
        pytest.param([FIRST], "\ufffd", False, id="a condition that names no version"),
        pytest.param([structs.replace(LATER, battery_reserve=40.0)], policy_tag(FIRST), False, id="changed meanwhile"),
        pytest.param([structs.replace(LATER, battery_reserve=40.0)], None, True, id="changed, and no condition"),
    ],
)
def test_a_condition_on_what_is_replaced(
    standing: list[VehiclePolicy], replaces: str | None, *, is_taken: bool
) -> None:
    """A record that names the version it replaces is taken only where that version stands; so is a deletion. Where
    nothing stands and no deletion is known, what it replaces may have been compacted away: it is taken.
    """
    changed = structs.replace(LATER, battery_reserve=50.0)
    known = standing[0] if standing else None
    if known is None:
        assert refusal_to_write(standing, changed, replaces, is_deleted=False) is None
    of_write = refusal_to_write(standing, changed, replaces, is_deleted=True)
    for refused in (of_write, refusal_to_delete(known, replaces)):
        assert (refused is None) == is_taken
        assert refused is None or refused.reason is Refusal.POLICY_STALE


def test_the_same_record_read_twice_is_no_conflict_with_itself() -> None:
    """A record that is read again after a crash finds its own version standing, and is taken as it was."""
    assert refusal_to_write([FIRST], FIRST, NOTHING, is_deleted=True) is None


def test_a_rival_is_refused_though_what_it_replaces_is_unknown() -> None:
    """That the version before was compacted away excuses no conflict."""
    moved = structs.replace(SECOND, battery_reserve=10.0)
    refused = refusal_to_write([FIRST], moved, policy_tag(SECOND), is_deleted=False)
    assert refused is not None
    assert refused.reason is Refusal.POLICY_CONFLICT


def many(count: int, user: UserId = ANN, *, is_enabled: bool = False) -> list[VehiclePolicy]:
    """So many policies of one user, each at a place of its own."""
    return [
        structs.replace(
            FIRST,
            id=PolicyId(f"{user}-{number}"),
            user_id=user,
            location_id=LocationId(f"l{number}"),
            is_enabled=is_enabled,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("replaces", [NOTHING, None, policy_tag(SECOND)])
def test_a_user_has_only_so_many_policies_of_a_vehicle(replaces: str | None) -> None:
    """One policy more than a user may have is refused, enabled or not, whatever it says to replace; what stands may be
    changed, and another user's policies count for nothing.
    """
    for is_enabled in (False, True):
        standing = many(POLICIES_PER_USER, is_enabled=is_enabled)
        fresh = structs.replace(SECOND, is_enabled=is_enabled)
        refused = refusal_to_write(standing, fresh, replaces, is_deleted=False)
        assert refused is not None
        assert refused.reason is Refusal.POLICY_LIMIT
        assert refusal_to_write(standing[1:], fresh, replaces, is_deleted=False) is None
        of_bob = structs.replace(fresh, user_id=BOB)
        assert refusal_to_write(standing, of_bob, replaces, is_deleted=False) is None
        assert refusal_to_write(standing, standing[0], replaces, is_deleted=False) is None
        changed = structs.replace(standing[0], battery_reserve=50.0)
        assert refusal_to_write(standing, changed, policy_tag(standing[0]), is_deleted=False) is None


def test_a_vehicle_has_only_so_many_policies() -> None:
    """However many users write, a vehicle's policies have an end, far beyond what one user can fill."""
    users = POLICIES_PER_VEHICLE // POLICIES_PER_USER
    assert users >= 5
    standing = [each for number in range(users) for each in many(POLICIES_PER_USER, UserId(f"u{number}"))]
    refused = refusal_to_write(standing, SECOND, NOTHING, is_deleted=False)
    assert refused is not None
    assert refused.reason is Refusal.POLICY_LIMIT
    assert refusal_to_write(standing[1:], SECOND, NOTHING, is_deleted=False) is None


def test_the_worker_takes_back_one_policy_too_many() -> None:
    """The first hundred in the log stand; what came after them is written back as nothing, until one is deleted."""
    base = [PolicyWritten(each, minute(0), NOTHING) for each in many(POLICIES_PER_USER)]
    late = PolicyWritten(structs.replace(SECOND, at=minute(2)), minute(2), NOTHING)
    story = run(*base, late)
    assert story.refusals == [Refusal.POLICY_LIMIT]
    assert story.last().outputs == (PolicyRestored(SECOND.id, None),)
    assert len(story.vehicle.policies) == POLICIES_PER_USER
    assert run(*base, delete(1, base[0].policy.id), late).refusals == []


def test_what_others_delete_pushes_no_deletion_out() -> None:
    """However many policies one user makes and deletes, the deletion of another's is remembered, and what is
    remembered of a vehicle has an end.
    """
    known = with_deletion((), PolicyId("mine"), ANN, minute(0))
    for number in range(2 * DELETIONS_PER_VEHICLE):
        user = UserId(f"u{number % (DELETIONS_PER_VEHICLE // DELETIONS_PER_USER + 1)}")
        known = with_deletion(known, PolicyId(f"p{number}"), user, minute(1))
        assert len(known) <= DELETIONS_PER_VEHICLE
        assert was_deleted(known, PolicyId("mine"), minute(1))
        assert known[-1].id == f"p{number}"
    assert len(known) == DELETIONS_PER_VEHICLE


def test_deletions_are_remembered_for_a_week_and_of_a_user_at_most_32() -> None:
    """A deletion is known for seven days less a moment, of many the newest are, and of one policy the newest is."""
    known = tuple[DeletedPolicy, ...]()
    for number in range(DELETIONS_PER_USER + 1):
        known = with_deletion(known, PolicyId(f"p{number}"), ANN, minute(number))
    assert [each.id for each in known] == [f"p{number}" for number in range(1, DELETIONS_PER_USER + 1)]
    assert not was_deleted(known, PolicyId("p0"), minute(DELETIONS_PER_USER))
    over_at = minute(5) + DELETION_KEPT
    assert was_deleted(known, PolicyId("p5"), over_at - timedelta(milliseconds=1))
    assert not was_deleted(known, PolicyId("p5"), over_at)
    assert {each.id for each in with_deletion(known, PolicyId("p6"), ANN, over_at)} == {
        "p6", *(f"p{number}" for number in range(6, DELETIONS_PER_USER + 1))
    }  # fmt: skip
    assert without_deletion(known, PolicyId("p7"), minute(40)) == tuple(each for each in known if each.id != "p7")


def changed(at: float, former: VehiclePolicy, **changes: object) -> PolicyWritten:
    """A change of that version, written at that minute."""
    return PolicyWritten(structs.replace(former, at=minute(at), **changes), minute(at), policy_tag(former))


def test_a_change_whose_former_version_was_compacted_away_is_taken() -> None:
    """A worker that begins anew finds the newest version only: its session is there, and nothing is written back."""
    story = run(changed(60, FIRST, battery_reserve=30.0))
    assert (story.refusals, story.states) == ([], ["p1 UPCOMING 1"])
    assert not [each for each in story.outputs if isinstance(each, PolicyRestored)]


def test_a_change_that_comes_after_the_deletion_is_refused_for_a_week() -> None:
    """Whatever compaction may have taken, a policy that was deleted does not come back by a change of it; one that is
    made anew under its id does, and its changes are taken.
    """
    base, week = policy(0), 5 + 7 * 24 * 60
    for late in (5.1, 600, week - 1):
        story = run(base, delete(5), changed(late, FIRST, battery_reserve=30.0))
        assert story.refusals == [Refusal.POLICY_STALE]
        assert story.last().outputs == (PolicyRestored(FIRST.id, None),)
        assert story.vehicle.policies == ()
    assert run(base, delete(5), changed(week, FIRST)).refusals == []
    anew = PolicyWritten(structs.replace(FIRST, at=minute(9)), minute(9), NOTHING)
    again = run(base, delete(5), anew, changed(10, anew.policy, battery_reserve=30.0))
    assert (again.refusals, again.vehicle.deleted) == ([], ())
    assert run(base, delete(5), anew, delete(11), changed(12, anew.policy)).refusals == [Refusal.POLICY_STALE]


def inherited(at: float, policy: VehiclePolicy | None) -> PolicyWritten | PolicyDeleted:
    """What a worker, whose state is lost, put back at that minute."""
    if policy is None:
        return PolicyDeleted(FIRST.id, minute(at), is_inherited=True)
    return PolicyWritten(policy, minute(at), fingerprint="f", is_inherited=True)


def test_what_an_earlier_worker_put_back_stands_where_nothing_else_is_known() -> None:
    """A policy that only its restoring tells of is taken, with its fingerprint; what was taken because its former
    version is unknown gives way to it, or goes.
    """
    story = run(inherited(60, FIRST))
    assert (story.states, [each.fingerprint for each in story.vehicle.policies]) == (["p1 UPCOMING 1"], ["f"])
    refused_before = changed(50, FIRST, battery_reserve=70.0)
    assert [each.policy for each in run(refused_before, inherited(60, LATER)).vehicle.policies] == [LATER]
    gone = run(refused_before, inherited(60, None))
    assert (gone.vehicle.policies, gone.vehicle.deleted) == ((), ())
    assert isinstance(gone.outputs[-1], SessionErased)


def test_what_an_earlier_worker_put_back_gives_way_to_what_is_known_better() -> None:
    """Where the log tells what came after it, a version, another user's or a deletion, that is written back instead."""
    base, later = policy(0), changed(60, FIRST, battery_reserve=30.0)
    of_bob = structs.replace(FIRST, user_id=BOB)
    for told, shown, standing in (
        ([base, later], FIRST, later.policy),
        ([base, later], None, later.policy),
        ([base], of_bob, FIRST),
        ([base, delete(5)], FIRST, None),
    ):
        decision = run(*told, inherited(61, shown)).last()
        assert decision.outputs == (PolicyRestored(FIRST.id, standing),)
        assert decision.refused is None
    assert run(base, later, inherited(61, later.policy)).last().outputs == ()
    assert run(base, delete(5), inherited(61, None)).last().outputs == ()


def test_what_is_restored_keeps_its_fingerprint() -> None:
    """The fingerprint that a policy came with goes back to the topic with it, whoever changed it since."""
    made = structs.replace(policy(0), fingerprint="f")
    late = changed(61, FIRST, battery_reserve=70.0)
    story = run(made, changed(60, FIRST, battery_reserve=30.0), late)
    assert story.refusals == [Refusal.POLICY_STALE]
    assert story.last().outputs == (PolicyRestored(FIRST.id, LATER, "f"),)


def test_a_tag_names_one_version() -> None:
    """Every field counts in a policy's tag, the time included; what is equal has equal tags."""
    tags = {policy_tag(each) for each in (FIRST, LATER, structs.replace(FIRST, at=LATER.at), SECOND)}
    assert len(tags) == 4
    assert policy_tag(structs.replace(LATER, battery_reserve=FIRST.battery_reserve, at=FIRST.at)) in tags


def test_the_worker_keeps_what_stood_where_a_change_came_too_late() -> None:
    """Of two changes of one version the first in the log is taken; the second is refused and what stands is restored,
    also where it deletes.
    """
    base, taken = policy(0), structs.replace(FIRST, battery_reserve=30.0, at=minute(2))
    late = structs.replace(FIRST, battery_reserve=90.0, at=minute(3))
    story = run(base, PolicyWritten(taken, minute(2), policy_tag(FIRST)))
    for event in (
        PolicyWritten(late, minute(3), policy_tag(FIRST)),
        PolicyDeleted(FIRST.id, minute(3), policy_tag(FIRST)),
    ):
        decision = run(base, PolicyWritten(taken, minute(2), policy_tag(FIRST)), event).last()
        assert decision.refused is not None
        assert decision.refused.reason is Refusal.POLICY_STALE
        assert decision.outputs == (PolicyRestored(FIRST.id, taken),)
        assert decision.vehicle == story.last().vehicle
    assert run(base, PolicyDeleted(FIRST.id, minute(3), policy_tag(FIRST))).last().refused is None
