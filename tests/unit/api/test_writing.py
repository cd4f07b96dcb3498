"""What stands between a request and the log: the writer where no broker answers, and the waiting for verdicts."""

import asyncio
import threading

import pytest
from msgspec import structs

from api import policy_writes
from api import turns as turns_module
from api import writer as writer_module
from api.policy_bodies import new_policy
from api.policy_writes import PolicyWrites
from api.problems import ProblemError
from api.turns import NoTurnError, Turns
from api.view import verdicts as verdicts_module
from api.view.policies import REQUEST_HEADER, PolicyRecord, apply_record
from api.view.store import Draft
from api.view.verdicts import TooManyWritesError, Verdicts
from api.view.view import View
from api.writer import OutgoingRecord, RecordWriter, WriteFailedError
from models.codec import Refusal
from models.ids import PolicyId, UserId
from models.policy import VehiclePolicy, policy_tag
from runtime.clock import utc_now
from sessions.events import Refused
from sessions.policy_rules import POLICIES_PER_USER, POLICIES_PER_VEHICLE
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


def view_of(*policies: VehiclePolicy) -> View:
    """A view that has read these policies."""
    store, view = MemoryStore(), View()
    draft = Draft(store)
    for one in policies:
        assert apply_record(draft, PolicyRecord(policy_id=one.id, policy=one, logged_at=utc_now()), 0, 1) is None
    store.write(draft.changes)
    view.publish(store)
    return view


def of_users(*users: str) -> list[VehiclePolicy]:
    """As many policies of car-1 as a user may have, for each of these users."""
    policy = new_policy(new_body("car-1", isEnabled=False), None, utc_now())
    return [
        structs.replace(policy, id=PolicyId(f"{user}-{number}"), user_id=UserId(user))
        for user in users
        for number in range(POLICIES_PER_USER)
    ]


def test_a_user_has_only_so_many_policies_of_a_vehicle() -> None:
    """One policy more than a user may have of a vehicle is a 409 before anything is written; where the vehicle has no
    room for anybody the answer is the same, and tells of nobody else.
    """
    asked = new_policy(new_body("car-1"), None, utc_now())
    problems = []
    for others in (["user-1"], [f"u{number}" for number in range(POLICIES_PER_VEHICLE // POLICIES_PER_USER)]):
        view = view_of(*of_users(*others))
        writer = AnsweringWriter(view)
        with pytest.raises(ProblemError) as caught:
            asyncio.run(PolicyWrites(view, writer, "t", utc_now).create(asked, None, None))
        assert writer.writes == 0
        problems.append(caught.value.problem)
    assert problems[0] == problems[1]
    assert (problems[0].status, problems[0].type.rpartition(":")[2]) == (409, "too-many-policies")


def test_one_users_limit_is_not_anothers() -> None:
    """A user makes a policy of a vehicle of which another has as many as he may."""
    view = view_of(*of_users("u0"))
    made = PolicyWrites(view, AnsweringWriter(view), "t", utc_now).create(
        new_policy(new_body("car-1"), None, utc_now()), None, None
    )
    assert asyncio.run(made)[1]


class AnsweringWriter:
    """A Writer whose records are all read back, and taken, or refused for one reason. Changes nothing in the view."""

    def __init__(self, view: View, refused: Refused | None = None) -> None:
        self._view = view
        self._refused = refused
        self.writes = 0

    async def partitions(self, _topic: str) -> int:
        return 1

    async def write(self, record: OutgoingRecord) -> None:
        self.writes += 1
        self._view.verdicts.tell({record.headers[REQUEST_HEADER]: self._refused})


@pytest.mark.parametrize(
    ("reason", "names_version", "status", "kind"),
    [
        (Refusal.INVALID_MESSAGE, False, 503, "unavailable"),
        (Refusal.POLICY_STALE, True, 412, "precondition-failed"),
        (Refusal.POLICY_LIMIT, False, 409, "too-many-policies"),
    ],
)
def test_a_refused_deletion_says_why(reason: Refusal, *, names_version: bool, status: int, kind: str) -> None:
    """What the log refused is told once, as it is; only of what was said of a version is it a 412."""
    policy = new_policy(new_body("car-1"), None, utc_now())
    view = view_of(policy)
    writer = AnsweringWriter(view, Refused(reason, "the cause"))
    tags = {policy_tag(policy)} if names_version else None
    with pytest.raises(ProblemError) as caught:
        asyncio.run(PolicyWrites(view, writer, "t", utc_now).delete(policy.id, None, tags))
    assert (caught.value.problem.status, writer.writes) == (status, 1)
    assert caught.value.problem.type.endswith(kind)
    assert ("the cause" in caught.value.problem.detail) == (status == 503)


@pytest.mark.parametrize("deletes", [False, True])
def test_who_takes_whatever_stands_never_hears_of_a_version(monkeypatch: pytest.MonkeyPatch, *, deletes: bool) -> None:
    """Where others always come first, a change of whatever stands is tried until its time is over, then a 503 that
    says that nothing came of it.
    """
    monkeypatch.setattr(policy_writes, "READ_BACK_S", 0.1)
    policy = new_policy(new_body("car-1"), None, utc_now())
    view = view_of(policy)
    writer = AnsweringWriter(view, Refused(Refusal.POLICY_STALE, "another came first"))
    writes = PolicyWrites(view, writer, "t", utc_now)
    with pytest.raises(ProblemError) as caught:
        asyncio.run(
            writes.delete(policy.id, None, None) if deletes else writes.change(policy.id, None, None, {"zone": "FR"})
        )
    assert caught.value.problem.status == 503
    assert writer.writes > 1


class SlowWriter(AnsweringWriter):
    """One that counts how many of its records are under way at once, and takes none until it is told."""

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.open, self.both = asyncio.Event(), asyncio.Event()
        self.under_way = self.most_under_way = 0

    async def write(self, record: OutgoingRecord) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.under_way >= 2:
            self.both.set()
        await self.open.wait()
        self.under_way -= 1
        await super().write(record)


def test_requests_take_turns_at_a_policy_and_at_no_other() -> None:
    """Of one policy one record is under way at a time, and those who wait too long are a 503; nobody waits for those
    who are at another policy.
    """
    first, second = (
        structs.replace(new_policy(new_body(f"car-{number}"), None, utc_now()), id=PolicyId(f"p{number}"))
        for number in (1, 2)
    )

    async def write() -> tuple[int, int]:
        view = view_of(first, second)
        writer = SlowWriter(view)
        writes = PolicyWrites(view, writer, "t", utc_now)
        calls = [
            asyncio.create_task(writes.change(policy.id, None, None, {"zone": "FR"}))
            for policy in (first, second)
            for _ in range(20)
        ]
        await writer.both.wait()
        writer.open.set()
        await asyncio.gather(*calls)
        return writer.most_under_way, writer.writes

    assert asyncio.run(write()) == (2, 40)


def test_only_so_many_wait_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds the line full, or does not get to its head in time, has no turn; a line where nobody is left is
    forgotten.
    """
    monkeypatch.setattr(turns_module, "TURNS_LIMIT", 2)

    async def wait() -> None:
        turns, now_s = Turns(), asyncio.get_running_loop().time()
        async with turns.at("p", now_s + 5):
            with pytest.raises(NoTurnError):
                async with turns.at("p", now_s):
                    raise AssertionError
            waiting = asyncio.create_task(_take(turns, now_s + 5))
            await asyncio.sleep(0)
            with pytest.raises(NoTurnError):
                await _take(turns, now_s + 5)
        await waiting
        assert turns._lines == {}

    asyncio.run(wait())


async def _take(turns: Turns, until_s: float) -> None:
    async with turns.at("p", until_s):
        pass
