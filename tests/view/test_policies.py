"""Policies in the view's store: after compaction, after deletions, and what is forgotten of them."""

from datetime import datetime, timedelta

from msgspec import structs

from api.view.policies import (
    PolicyDocument,
    PolicyRecord,
    apply_record,
    decoded,
    document,
    forget_deletions,
    had_key,
    standing_policies,
)
from api.view.records import read_policy
from api.view.store import Draft
from models.codec import Refusal, encode
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.policy_rules import DELETION_KEPT
from tests.support.memory_store import MemoryStore
from tests.support.updates import HOUR, START

FIRST = VehiclePolicy(
    id=PolicyId("p"),
    user_id=UserId("u"),
    vehicle_id=VehicleId("v"),
    location_id=LocationId("home"),
    is_enabled=True,
    at=START,
)
CHANGED = structs.replace(FIRST, battery_reserve=30.0)
RIVAL = structs.replace(FIRST, id=PolicyId("rival"))


def take(store: MemoryStore, at: datetime, policy: VehiclePolicy | None, **said: object) -> Refusal | None:
    """One record as one write, as the view reads it; p's deletion where there is no policy. Why it was refused."""
    draft = Draft(store)
    policy_id = FIRST.id if policy is None else policy.id
    fields = {"policy_id": policy_id, "policy": policy, "logged_at": at} | said
    refused = apply_record(draft, PolicyRecord(**fields), 0, 1)  # type: ignore[arg-type]
    forget_deletions(draft, store, at)
    store.write(draft.changes)
    return None if refused is None else refused.reason


def stored(store: MemoryStore) -> PolicyDocument:
    found = document(store, FIRST.id)
    assert found is not None
    return found


def test_a_log_that_lacks_the_replaced_record() -> None:
    """A rebuilt view shows a policy of which only the newest change is left, and its place is not another's."""
    store = MemoryStore()
    assert take(store, START, CHANGED, replaces=policy_tag(FIRST)) is None
    assert decoded(stored(store)) == CHANGED
    assert take(store, START + HOUR, RIVAL, replaces=NOTHING) is Refusal.POLICY_CONFLICT


def test_what_is_restored_is_all_that_is_left() -> None:
    """A rebuilt view has the fingerprint of a policy of which only the worker's restoring is left."""
    store = MemoryStore()
    assert take(store, START, CHANGED, is_restored=True, fingerprint="f") is None
    assert stored(store).fingerprint == "f"


def test_a_change_after_the_deletion_is_refused_for_a_week() -> None:
    """As the worker does, the view refuses a change of a policy that was deleted at most a week before; what the worker
    restores meanwhile prolongs nothing, else the view would refuse what the worker takes.
    """
    for late, is_refused in ((timedelta(0), True), (DELETION_KEPT - HOUR, True), (DELETION_KEPT, False)):
        store = MemoryStore()
        take(store, START, FIRST, replaces=NOTHING)
        take(store, START, None, replaces=policy_tag(FIRST))
        take(store, START + HOUR, FIRST, is_restored=True)
        take(store, START + HOUR, None, is_restored=True)
        refused = take(store, START + late, CHANGED, replaces=policy_tag(FIRST))
        assert refused is (Refusal.POLICY_STALE if is_refused else None)


def test_a_policy_that_was_made_anew_can_be_changed() -> None:
    """A deletion says nothing of what stands under that id since."""
    store = MemoryStore()
    for _ in range(2):
        assert take(store, START, FIRST, replaces=NOTHING) is None
        assert take(store, START, CHANGED, replaces=policy_tag(FIRST)) is None
        assert take(store, START, FIRST, replaces=policy_tag(CHANGED)) is None
        assert take(store, START, None, replaces=policy_tag(FIRST)) is None
    assert take(store, START, CHANGED, replaces=policy_tag(FIRST)) is Refusal.POLICY_STALE


def test_deletions_leave_nothing_behind_after_a_week() -> None:
    """The store is bounded by what stands and by the deletions of a week, whatever was deleted before."""
    store = MemoryStore()
    for number, fingerprint in enumerate((None, "f")):
        at = START + number * HOUR
        take(store, at, structs.replace(FIRST, at=at), fingerprint=fingerprint)
        take(store, at, None)
    assert had_key(store, FIRST.id)
    other = structs.replace(RIVAL, vehicle_id=VehicleId("v2"))
    take(store, START + DELETION_KEPT, other)
    assert had_key(store, FIRST.id)
    for hours in (1, 2):
        take(store, START + DELETION_KEPT + hours * HOUR, other)
    assert not had_key(store, FIRST.id)
    expected = MemoryStore()
    take(expected, START, other)
    assert store.rows == expected.rows


def test_a_policy_whose_zone_is_not_known() -> None:
    """A policy of another release, with a zone that this one lacks, is read as it stands, judges what comes beside it,
    and is replaced and deleted as any other.
    """
    store = MemoryStore()
    foreign = structs.replace(FIRST, timezone_name="Mars/Base")
    _, read = read_policy(b"p", encode(foreign))
    assert read == foreign
    assert take(store, START, read, replaces=NOTHING) is None
    assert decoded(stored(store)) == foreign
    assert standing_policies(store, FIRST.vehicle_id) == [foreign]
    assert take(store, START, RIVAL, replaces=NOTHING) is Refusal.POLICY_CONFLICT
    assert take(store, START, FIRST, replaces=policy_tag(foreign)) is None
    assert take(store, START, foreign, replaces=policy_tag(FIRST)) is None
    assert take(store, START, None, replaces=policy_tag(foreign)) is None
    assert document(store, FIRST.id) is None
