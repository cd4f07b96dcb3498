"""The policies' topic after compaction: whoever begins anew on what is left of it comes to the same policies.

What compaction leaves: of the records up to some point the newest of each policy, tombstones for a while only, and
every record behind that point.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from api.view.policies import PolicyDocument, document
from models.codec import encode
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import FINGERPRINT_HEADER, NOTHING, REPLACES_HEADER, VehiclePolicy
from models.topics import VEHICLE_POLICIES
from sessions import policy_rules
from sessions.events import PolicyRestored
from streams.records import InputRecord
from tests.properties.test_policy_agreement import AHEAD, PLACES, START, Worker, restored_record, shown, take_into
from tests.support.memory_store import MemoryStore

# Two that may exclude each other, and one of another vehicle; the first was made under an Idempotency-Key.
HOMES = {"a": "v1", "b": "v1", "c": "v2"}
KEYED = "a"
FINGERPRINT = "f" * 64
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Documents = dict[str, PolicyDocument | None]


class Written(Struct, frozen=True):
    """What somebody writes, and how long after the one before.

    `replaces`: "", nothing said; "known", what stands, or stood before its deletion; "former", what stood before that.
    """

    policy_id: str
    is_deletion: bool
    place: str
    is_enabled: bool
    replaces: str
    is_ahead: bool
    after: timedelta


# Whether it is a deletion, and what it says to replace: made, changed, deleted; too late to change, too late to delete.
KINDS = [
    (False, "none"), (False, ""), (False, "known"), (True, "known"), (True, ""), (False, "former"), (True, "former"),
]  # fmt: skip
HISTORIES = st.lists(
    st.builds(
        lambda policy_id, kind, place, is_enabled, is_ahead, after: Written(
            policy_id, kind[0], place, is_enabled, kind[1], is_ahead, after
        ),
        st.sampled_from(["a", "a", "b", "c"]),
        st.sampled_from(KINDS),
        st.sampled_from(PLACES),
        st.sampled_from([True, True, False]),
        st.sampled_from([*[False] * 9, True]),
        st.sampled_from([HOUR, HOUR, HOUR, DAY, 6 * DAY, 8 * DAY]),
    ),
    min_size=5,
    max_size=20,
)


class Live:
    """A view and a worker that have read everything since the first record, and the log that came of it."""

    def __init__(self) -> None:
        self.store, self.worker = MemoryStore(), Worker(b"first")
        self.log: list[InputRecord] = []
        self.now = START
        # The tags that stood, by policy, the newest last.
        self.tags: dict[str, list[str]] = {policy_id: [NOTHING] for policy_id in HOMES}
        # What stood, by how long the log was then, wherever nothing was to be restored.
        self.quiet: dict[int, Documents] = {}

    def write(self, written: Written) -> None:
        self.now += written.after
        owed = self._append(record_of(written, self.now, self.tags[written.policy_id]))
        while owed:
            self.now += timedelta(milliseconds=5)
            cause = self.log[-1]
            owed = [more for each in owed for more in self._append(restored_record(each, b"first", self.now, cause))]
        self.quiet[len(self.log)] = documents(self.store)
        stored = document(self.store, written.policy_id)
        if stored is not None and stored.tag != self.tags[written.policy_id][-1]:
            self.tags[written.policy_id].append(stored.tag)

    def _append(self, record: InputRecord) -> list[PolicyRestored]:
        self.log.append(structs.replace(record, offset=len(self.log)))
        take_into(self.store, self.log[-1])
        return self.worker.take(self.log[-1])


def record_of(written: Written, at: datetime, tags: list[str]) -> InputRecord:
    policy = VehiclePolicy(
        id=PolicyId(written.policy_id),
        user_id=UserId("u1"),
        vehicle_id=VehicleId(HOMES[written.policy_id]),
        location_id=LocationId(written.place),
        is_enabled=written.is_enabled,
        at=at + AHEAD if written.is_ahead else at,
    )
    said = {"known": tags[-1], "former": tags[-2] if len(tags) > 1 else tags[-1], "none": NOTHING}
    headers = [(REPLACES_HEADER, said[written.replaces].encode())] if written.replaces else []
    if written.policy_id == KEYED:
        headers.append((FINGERPRINT_HEADER, FINGERPRINT.encode()))
    value = None if written.is_deletion else encode(policy)
    return InputRecord(VEHICLE_POLICIES, 0, 0, policy.id.encode(), value, at, tuple(headers))


def documents(store: MemoryStore) -> Documents:
    return {policy_id: document(store, policy_id) for policy_id in HOMES}


def compacted(log: Iterable[InputRecord], *, keeps_tombstones: bool) -> list[InputRecord]:
    """The newest record of each key, in the order of the log."""
    newest: dict[bytes | None, InputRecord] = {}
    for record in log:
        newest.pop(record.key, None)
        newest[record.key] = record
    return [record for record in newest.values() if keeps_tombstones or record.value is not None]


@settings(max_examples=200)
@given(HISTORIES)
def test_what_compaction_leaves_is_enough(history: list[Written]) -> None:
    """Wherever the log is cut, a new view and a new worker come to the policies, tags and fingerprints of those that
    read all of it, at every moment after the cut at which nothing is to be restored, and after their own restoring.
    """
    live = Live()
    for written in history:
        live.write(written)
    for cut in range(len(live.log) + 1):
        for keeps_tombstones in (True, False):
            begin_anew(live, cut, keeps_tombstones=keeps_tombstones)


@settings(max_examples=200)
@given(HISTORIES)
def test_what_compaction_leaves_keeps_within_the_limits(history: list[Written]) -> None:
    """Where only one policy of a user's two can stand, whoever begins anew comes to the very one that stands."""
    live = Live()
    with patch.object(policy_rules, "POLICIES_PER_USER", 1):
        for written in history:
            live.write(written)
        for cut in range(len(live.log) + 1):
            for keeps_tombstones in (True, False):
                begin_anew(live, cut, keeps_tombstones=keeps_tombstones)


def begin_anew(live: Live, cut: int, *, keeps_tombstones: bool) -> None:
    store, worker = MemoryStore(), Worker(b"second")
    owed = list[PolicyRestored]()

    def take(record: InputRecord) -> list[PolicyRestored]:
        take_into(store, record)
        return worker.take(record)

    for record in compacted(live.log[:cut], keeps_tombstones=keeps_tombstones):
        owed += take(record)
    for number in range(cut, len(live.log) + 1):
        if number in live.quiet:
            assert documents(store) == live.quiet[number]
            assert worker.policies() == shown(store)
        if number < len(live.log):
            owed += take(live.log[number])
    for _ in range(3):
        owed = [more for each in owed for more in take(restored_record(each, b"second", live.now + 30 * DAY))]
    assert owed == []
    assert documents(store) == documents(live.store)
    assert worker.policies() == live.worker.policies() == shown(store)
    fingerprints = {each.policy.id: each.fingerprint for one in worker.vehicles.values() for each in one.policies}
    assert fingerprints == {key: each.fingerprint for key, each in documents(store).items() if each is not None}
