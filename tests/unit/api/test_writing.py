"""What stands between a request and the log: the writer where no broker answers, and the waiting for verdicts."""

import asyncio
import threading

import pytest
from msgspec import structs

from api import writer as writer_module
from api.policy_bodies import new_policy
from api.policy_writes import POLICIES_PER_VEHICLE, PolicyWrites
from api.problems import ProblemError
from api.view import verdicts as verdicts_module
from api.view.policies import REQUEST_HEADER, PolicyRecord, apply_record
from api.view.store import Draft
from api.view.verdicts import TooManyWritesError, Verdicts
from api.view.view import View
from api.writer import OutgoingRecord, RecordWriter, WriteFailedError
from models.codec import Refusal
from runtime.clock import utc_now
from sessions.events import Refused
from tests.support.memory_store import MemoryStore
from tests.support.policy_client import new_body

REFUSED = Refused(Refusal.POLICY_CONFLICT, "another one")


def test_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no broker answers, a write fails within its time, and the request that wanted it is a 503."""
    monkeypatch.setattr(writer_module, "_METADATA_TIMEOUT_S", 0.2)
    monkeypatch.setattr(writer_module, "_DELIVERY_TIMEOUT_MS", 300)
    writer = RecordWriter("127.0.0.1:1")
    view = View()
    view.publish(MemoryStore())

    async def write() -> None:
        with pytest.raises(WriteFailedError):
            await writer.write(OutgoingRecord(topic="t", key="k", value=b"{}"))
        with pytest.raises(ProblemError) as caught:
            await PolicyWrites(view, writer, "t", utc_now).create(new_policy(new_body(), None, utc_now()), None, None)
        assert caught.value.problem.status == 503
        assert caught.value.headers is not None
        assert int(caught.value.headers["Retry-After"]) > 0

    try:
        asyncio.run(write())
    finally:
        writer.close()


def test_verdicts_come_from_another_thread() -> None:
    """Who waits gets the verdict on his own record; what is told of others, or twice, or to nobody, does no harm."""
    verdicts = Verdicts()

    def tell() -> None:
        verdicts.tell({"other": None, "mine": REFUSED})
        verdicts.tell({"mine": None})

    async def wait() -> Refused | None:
        with verdicts.expect("mine") as verdict:
            thread = threading.Thread(target=tell)
            thread.start()
            found = await asyncio.wait_for(verdict, 5)
            thread.join()
        return found

    assert asyncio.run(wait()) == REFUSED
    verdicts.tell({"mine": None})
    assert asyncio.run(wait()) == REFUSED


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit nobody else waits; who has gone makes room."""
    monkeypatch.setattr(verdicts_module, "OPEN_LIMIT", 1)
    verdicts = Verdicts()

    async def wait() -> None:
        with verdicts.expect("a"), pytest.raises(TooManyWritesError), verdicts.expect("b"):
            raise AssertionError
        with verdicts.expect("c"):
            pass

    asyncio.run(wait())


def test_a_vehicle_has_only_so_many_policies() -> None:
    """One policy more than a vehicle may have is a 409 before anything is written."""
    store, view = MemoryStore(), View()
    policy = new_policy(new_body("car-1", isEnabled=False), None, utc_now())
    draft = Draft(store)
    for number in range(POLICIES_PER_VEHICLE):
        one = structs.replace(policy, id=f"p{number}")
        apply_record(draft, PolicyRecord(policy_id=one.id, policy=one, logged_at=utc_now()), 0, 1)
    store.write(draft.changes)
    view.publish(store)
    writer = RecordWriter("127.0.0.1:1")
    try:
        with pytest.raises(ProblemError) as caught:
            asyncio.run(PolicyWrites(view, writer, "t", utc_now).create(policy, None, None))
    finally:
        writer.close()
    assert (caught.value.problem.status, caught.value.problem.type.rpartition(":")[2]) == (409, "too-many-policies")


class RefusingWriter:
    """A Writer whose records are all read back, and refused for one reason."""

    def __init__(self, view: View, refused: Refused) -> None:
        self._view = view
        self._refused = refused
        self.writes = 0

    async def partitions(self, _topic: str) -> int:
        return 1

    async def write(self, record: OutgoingRecord) -> None:
        self.writes += 1
        self._view.verdicts.tell({record.headers[REQUEST_HEADER]: self._refused})


@pytest.mark.parametrize(
    ("reason", "status", "attempts"), [(Refusal.INVALID_MESSAGE, 503, 1), (Refusal.POLICY_STALE, 412, 5)]
)
def test_a_refused_deletion_says_why(reason: Refusal, status: int, attempts: int) -> None:
    """Only what another writer changed meanwhile is tried again, and a 412; any other refusal is told as it is."""
    store, view = MemoryStore(), View()
    policy = new_policy(new_body("car-1"), None, utc_now())
    draft = Draft(store)
    apply_record(draft, PolicyRecord(policy_id=policy.id, policy=policy, logged_at=utc_now()), 0, 1)
    store.write(draft.changes)
    view.publish(store)
    writer = RefusingWriter(view, Refused(reason, "the cause"))
    with pytest.raises(ProblemError) as caught:
        asyncio.run(PolicyWrites(view, writer, "t", utc_now).delete(policy.id, None, None))
    assert (caught.value.problem.status, writer.writes) == (status, attempts)
    assert ("the cause" in caught.value.problem.detail) == (status == 503)
