"""The API's view of the policies and the worker's own, over the same log: they agree after every record."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from api.view.paging import Direction
from api.view.policies import (
    PolicyRecord,
    PolicySelection,
    apply_record,
    decoded,
    document,
    read_policy_page,
    read_policy_record,
    standing_policies,
)
from api.view.store import Draft
from models.codec import encode
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import NOTHING, REPLACES_HEADER, VehiclePolicy, policy_tag
from models.topics import VEHICLE_POLICIES
from sessions import policy_rules
from sessions.events import PolicyRestored, Rules, new_vehicle
from sessions.lifecycle import apply
from sessions.state import Vehicle, managed_by
from streams.outbox import output_record, tell_cause
from streams.records import InputRecord, ReadEvent, read
from streams.updates import UpdateEncoder
from tests.support.memory_store import MemoryStore

START = datetime(2026, 1, 1, tzinfo=UTC)
IDS, USERS, PLACES, VEHICLES = ("a", "b", "c", "d", "e"), ("u1", "u2"), ("home", "work"), ("v1", "v2")
AHEAD = timedelta(minutes=6)


class Written(Struct, frozen=True):
    """What somebody writes. `replaces`: "", nothing said; "known", what stands; "old", something else; "none"."""

    policy_id: str
    is_deletion: bool
    user: str
    vehicle: str
    place: str
    is_enabled: bool
    replaces: str
    is_ahead: bool


HISTORIES = st.lists(
    st.builds(
        Written,
        policy_id=st.sampled_from(IDS),
        is_deletion=st.booleans(),
        user=st.sampled_from(USERS),
        vehicle=st.sampled_from(VEHICLES),
        place=st.sampled_from(PLACES),
        is_enabled=st.booleans(),
        replaces=st.sampled_from(["", "", "known", "old", "none"]),
        is_ahead=st.integers(0, 9).map(lambda number: number == 0),
    ),
    max_size=25,
)


class Worker:
    """The session logic over one partition, as the worker calls it. `generation`: of its state."""

    def __init__(self, generation: bytes = b"") -> None:
        self.generation = generation
        self.vehicles = dict[str, Vehicle]()
        self.homes = dict[str, str]()

    def take(self, record: InputRecord) -> list[PolicyRestored]:
        reading = read(record, self.generation)
        assert isinstance(reading, ReadEvent)
        assert reading.policy_id is not None
        vehicle_id = self.homes.get(reading.policy_id) or reading.vehicle_id
        if vehicle_id is None:
            return []
        vehicle = self.vehicles.get(vehicle_id) or new_vehicle(VehicleId(vehicle_id))
        decision = apply(vehicle, reading.event, Rules())
        if decision.refused is None:
            self.vehicles[vehicle_id] = decision.vehicle
            if managed_by(decision.vehicle, reading.policy_id) is not None:
                self.homes[reading.policy_id] = vehicle_id
            else:
                self.homes.pop(reading.policy_id, None)
        return [each for each in decision.outputs if isinstance(each, PolicyRestored)]

    def policies(self) -> list[VehiclePolicy]:
        return sorted(
            (managed.policy for vehicle in self.vehicles.values() for managed in vehicle.policies),
            key=lambda policy: policy.id,
        )


def take_into(store: MemoryStore, record: InputRecord) -> None:
    draft = Draft(store)
    apply_record(draft, as_read(record), 0, 1)
    store.write(draft.changes)


def as_read(record: InputRecord) -> PolicyRecord:
    """The record as the view has it from its reader."""
    return read_policy_record(record.key, record.value, record.headers, _stamp_ms(record), record.offset)


def _stamp_ms(record: InputRecord) -> int:
    return round(record.logged_at.timestamp() * 1_000)


def shown(store: MemoryStore) -> list[VehiclePolicy]:
    found = (decoded(document(store, policy_id)) for policy_id in IDS)
    return [policy for policy in found if policy is not None]


def record_of(written: Written, number: int, store: MemoryStore) -> InputRecord:
    logged_at = START + timedelta(seconds=number)
    policy = VehiclePolicy(
        id=PolicyId(written.policy_id),
        user_id=UserId(written.user),
        vehicle_id=VehicleId(written.vehicle),
        location_id=LocationId(written.place),
        is_enabled=written.is_enabled,
        at=logged_at + AHEAD if written.is_ahead else logged_at,
    )
    known = decoded(document(store, written.policy_id))
    said = {
        "known": NOTHING if known is None else policy_tag(known),
        "old": policy_tag(structs.replace(policy, at=START - AHEAD)),
        "none": NOTHING,
    }
    headers = ((REPLACES_HEADER, said[written.replaces].encode()),) if written.replaces else ()
    value = None if written.is_deletion else encode(policy)
    return InputRecord(VEHICLE_POLICIES, 0, number, policy.id.encode(), value, logged_at, headers)


def restoring(found: list[PolicyRestored], number: int) -> Iterator[InputRecord]:
    for each in found:
        yield restored_record(each, b"", START + timedelta(seconds=number))


def restored_record(
    restored: PolicyRestored, generation: bytes, at: datetime, cause: InputRecord | None = None
) -> InputRecord:
    """What the worker writes. Without a cause: as it was written before it named one."""
    made = output_record(restored, 0, UpdateEncoder(), generation)
    if cause is not None:
        tell_cause(made, cause)
    return InputRecord(VEHICLE_POLICIES, 0, 0, made.key, made.value, at, tuple(made.headers))


@given(HISTORIES, st.booleans())
def test_view_and_worker_agree(history: list[Written], restores_at_once: bool) -> None:
    """After every record, and once the worker has put back what it refused, both hold the same policies; by vehicle,
    by user and by id the view finds the same ones.
    """
    store, worker = MemoryStore(), Worker()
    owed: list[PolicyRestored] = []
    for number, written in enumerate(history):
        record = record_of(written, number, store)
        owed += worker.take(record)
        take_into(store, record)
        assert shown(store) == worker.policies()
        if restores_at_once:
            owed = [more for each in restoring(owed, number) for more in _both(store, worker, each)]
    for _ in range(3):
        owed = [more for each in restoring(owed, len(history)) for more in _both(store, worker, each)]
    assert owed == []
    assert shown(store) == worker.policies()
    by_vehicle = [policy for vehicle in VEHICLES for policy in standing_policies(store, vehicle)]
    assert sorted(by_vehicle, key=lambda policy: policy.id) == shown(store)


def _both(store: MemoryStore, worker: Worker, record: InputRecord) -> list[PolicyRestored]:
    take_into(store, record)
    return worker.take(record)


@settings(max_examples=200)
@given(HISTORIES, st.integers(1, 3), st.integers(1, 4))
def test_view_and_worker_agree_on_the_limits(history: list[Written], per_user: int, per_vehicle: int) -> None:
    """Whoever writes what, after every record both hold the same policies, no user more than he may for a vehicle, and
    no vehicle more than it may; what a user has elsewhere, or another has, is none of the first limit's business.
    """
    with limits(per_user, per_vehicle):
        store, worker = MemoryStore(), Worker()
        for number, written in enumerate(history):
            record = record_of(written, number, store)
            for restored in restoring(worker.take(record), number):
                assert worker.take(restored) == []
            take_into(store, record)
            assert shown(store) == worker.policies()
            for vehicle in VEHICLES:
                users = [policy.user_id for policy in standing_policies(store, vehicle)]
                assert len(users) <= per_vehicle
                assert all(users.count(UserId(user)) <= per_user for user in USERS)


@contextmanager
def limits(per_user: int, per_vehicle: int) -> Iterator[None]:
    """So few policies that a short history reaches their number."""
    with (
        patch.object(policy_rules, "POLICIES_PER_USER", per_user),
        patch.object(policy_rules, "POLICIES_PER_VEHICLE", per_vehicle),
        patch.object(policy_rules, "DELETIONS_PER_USER", per_user),
        patch.object(policy_rules, "DELETIONS_PER_VEHICLE", per_vehicle),
    ):
        yield


@given(
    HISTORIES,
    st.builds(
        PolicySelection,
        user_id=st.none() | st.sampled_from(USERS),
        vehicle_id=st.none() | st.sampled_from(VEHICLES),
        is_nobodys=st.booleans(),
    ),
    st.integers(1, 3),
)
def test_pages_hold_the_selection(history: list[Written], wanted: PolicySelection, size: int) -> None:
    """Page by page, forward and back, the view lists exactly the policies that stand and match, by id."""
    store = MemoryStore()
    for number, written in enumerate(history):
        take_into(store, record_of(written, number, store))
    expected = [
        encode(policy)
        for policy in shown(store)
        if wanted.user_id in (None, policy.user_id)
        and wanted.vehicle_id in (None, policy.vehicle_id)
        and not wanted.is_nobodys
    ]
    forward: list[bytes] = []
    backward: list[bytes] = []
    page = read_policy_page(store, wanted, None, size)
    assert page.before is None
    while True:
        forward += page.bodies
        assert len(page.bodies) <= size
        if page.after is None:
            break
        page = read_policy_page(store, wanted, (Direction.AFTER, page.after), size)
    assert forward == expected
    while page.before is not None:
        page = read_policy_page(store, wanted, (Direction.BEFORE, page.before), size)
        backward = [*page.bodies, *backward]
    assert expected[: len(backward)] == backward
    assert len(backward) >= len(expected) - size


@settings(max_examples=200)
@given(HISTORIES, st.lists(st.integers(0, 3), min_size=60, max_size=60))
def test_what_was_restored_meanwhile_hides_nothing(history: list[Written], delays: list[int]) -> None:
    """However late the worker's restorings come to the log, with others' records between a refused one and its own,
    the view holds what the worker holds after every single record, and in the end nothing is to be restored.
    """
    store, worker = MemoryStore(), Worker()
    log = list[InputRecord]()
    owed = list[tuple[int, InputRecord]]()

    def take(record: InputRecord) -> None:
        log.append(structs.replace(record, offset=len(log)))
        for restored in worker.take(log[-1]):
            made = restored_record(restored, b"", record.logged_at, log[-1])
            # One worker writes in the order in which it reads.
            due = max([len(log) + delays[len(log) % len(delays)], *(at for at, _ in owed)])
            owed.append((due, made))
        take_into(store, log[-1])
        assert shown(store) == worker.policies()

    for number, written in enumerate(history):
        while owed and owed[0][0] <= len(log):
            take(owed.pop(0)[1])
        take(record_of(written, number, store))
    for _ in range(20 * len(history)):
        if owed:
            take(owed.pop(0)[1])
    assert owed == []


@given(HISTORIES, st.integers(1, 30))
def test_batches_do_not_matter(history: list[Written], batch_size: int) -> None:
    """However the records are cut into writes, the store ends the same, byte for byte."""
    one_by_one, batched = MemoryStore(), MemoryStore()
    records = []
    for number, written in enumerate(history):
        records.append(record_of(written, number, one_by_one))
        take_into(one_by_one, records[-1])
    for start in range(0, len(records), batch_size):
        draft = Draft(batched)
        for record in records[start : start + batch_size]:
            apply_record(draft, as_read(record), 0, 1)
        batched.write(draft.changes)
    assert one_by_one.rows == batched.rows
