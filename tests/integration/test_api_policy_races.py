"""Policies written by several at once: the log decides, and whoever asks whom gets the same answer."""

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from api import policy_writes
from api.metrics import Metrics
from api.policy_bodies import new_policy
from api.policy_writes import PolicyWrites
from api.problems import ProblemError
from api.view.consumer import ViewConsumer
from api.view.directory import ViewDirectory
from api.view.log import SessionLog
from api.view.policies import PolicyDocument, decoded, document, standing_policies
from api.view.view import View
from api.writer import OutgoingRecord, RecordWriter
from local.ports import free_port
from models.policy import VehiclePolicy
from models.topics import SESSION_TARGETS, SESSION_UPDATED, VEHICLE_POLICIES, dead_letter_topic
from runtime.clock import utc_now
from runtime.partitions import partition_of
from sessions.policy_rules import POLICIES_PER_USER
from tests.support.api_process import running_api
from tests.support.policy_client import PolicyClient, new_body
from tests.support.records import Outgoing, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import System

pytestmark = pytest.mark.integration

SOON_S = 20
ROUNDS = 12


@pytest.fixture(scope="module")
def pair(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PolicyClient, PolicyClient]]:
    """Clients of two API processes on the same topics, beside the module's worker."""
    folder = tmp_path_factory.mktemp("apis")
    envs = [system.topics.env(state_dir=folder / name, api_port=free_port()) for name in ("one", "two")]
    with running_api(envs[0], folder) as one, running_api(envs[1], folder) as two:
        yield PolicyClient(one), PolicyClient(two)


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to calls that start at the same moment."""
    together = threading.Barrier(len(calls))

    def make(call: Callable[[], httpx.Response]) -> httpx.Response:
        together.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def test_two_processes_never_both_say_yes(system: System, pair: tuple[PolicyClient, PolicyClient]) -> None:
    """Of two rival policies created at the same time by two processes one is a 201 and one a 409, both processes list
    the one that was created, and the worker keeps it and takes the other back.
    """
    vehicles = [f"car-{uuid.uuid4().hex[:10]}" for _ in range(ROUNDS)]
    winners = {_only_winner(pair, vehicle) for vehicle in vehicles}

    def standing() -> bool:
        """Whether the topic, each key's last record, shows of these vehicles the winners alone."""
        records = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
        last = {each.key: each.value or b"" for each in sorted(records, key=lambda each: each.offset)}
        return {key for key, value in last.items() if any(name.encode() in value for name in vehicles)} == winners

    wait_until(standing, SOON_S, "the worker has taken the refused ones back")


def _only_winner(pair: tuple[PolicyClient, PolicyClient], vehicle: str) -> str:
    one, two = pair
    answers = at_once(lambda: one.post(new_body(vehicle)), lambda: two.post(new_body(vehicle)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    policy_id: str = next(answer for answer in answers if answer.status_code == 201).json()["id"]
    both = [[policy_id], [policy_id]]
    wait_until(lambda: [each.listed(f"vehicleId={vehicle}&") for each in pair] == both, SOON_S, "the winner alone")
    session = one.call("GET", f"/flex/vehicle-policies/{policy_id}/session")
    assert session.status_code == 200, session.text
    return policy_id


@pytest.mark.parametrize("deletes", [False, True], ids=["two changes", "a change and a deletion"])
def test_two_editors_never_overwrite_each_other_unseen(
    pair: tuple[PolicyClient, PolicyClient], *, deletes: bool
) -> None:
    """Of two changes of one version by two processes at the same time one is made and one is a 412, and what stands is
    the first; a deletion counts as a change.
    """
    for _ in range(ROUNDS):
        _edit_at_once(pair, deletes=deletes)


def _edit_at_once(pair: tuple[PolicyClient, PolicyClient], *, deletes: bool) -> None:
    one, two = pair
    made = one.made()
    policy_id, etag = made.json()["id"], made.headers["etag"]
    wait_until(lambda: two.get(policy_id).status_code == 200, SOON_S, "the other process has it")
    second = (
        (lambda: two.delete(policy_id, etag))
        if deletes
        else (lambda: two.patch(policy_id, {"batteryReserve": 50}, etag))
    )
    answers = at_once(lambda: one.patch(policy_id, {"batteryReserve": 40}, etag), second)
    statuses = tuple(answer.status_code for answer in answers)
    assert statuses in {(200, 412), (412, 204), (404, 204)} if deletes else {(200, 412), (412, 200)}
    if statuses[1] == 204:
        wait_until(lambda: {each.get(policy_id).status_code for each in pair} == {404}, SOON_S, "it is gone")
        return
    standing = answers[statuses.index(200)].content
    wait_until(lambda: {each.get(policy_id).content for each in pair} == {standing}, SOON_S, "the first change")


def test_one_key_at_two_processes(pair: tuple[PolicyClient, PolicyClient]) -> None:
    """One POST sent to two processes at the same time makes one policy, and both answer with it."""
    for _ in range(ROUNDS):
        _post_at_once(pair, uuid.uuid4().hex, new_body())


def _post_at_once(pair: tuple[PolicyClient, PolicyClient], key: str, body: dict[str, Any]) -> None:
    one, two = pair
    answers = at_once(lambda: one.post(body, key), lambda: two.post(body, key))
    assert [answer.status_code for answer in answers] == [201, 201], [answer.text for answer in answers]
    assert answers[0].content == answers[1].content
    assert sorted(str(answer.headers.get("idempotent-replayed")) for answer in answers) == ["None", "true"]


def test_whatever_stands_is_changed(pair: tuple[PolicyClient, PolicyClient]) -> None:
    """Of forty changes of whatever stands, at one process at the same time, all are made, each over the
    one before; of several deletions one is made, and the others find nothing.
    """
    one = pair[0]
    made = one.made().json()
    reserves = range(40)
    answers = at_once(*(partial(one.patch, made["id"], {"batteryReserve": each}) for each in reserves))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["batteryReserve"] for answer in answers) == list(reserves)
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)
    ends = at_once(*(partial(one.delete, made["id"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in ends) == [204, *[404] * 7]


def test_whatever_stands_is_changed_by_two_processes(pair: tuple[PolicyClient, PolicyClient]) -> None:
    """Where two processes are asked at once to change whatever stands, all say that they did, and each change is in
    what stands in the end: what the worker put back meanwhile hides none from another's.
    """
    for _ in range(ROUNDS):
        _change_each_day(pair)


def _change_each_day(pair: tuple[PolicyClient, PolicyClient]) -> None:
    made = pair[0].made().json()
    wait_until(lambda: pair[1].get(made["id"]).status_code == 200, SOON_S, "the other process has it")
    wishes = {day: {"deadline": "06:00", "minimumChargeTarget": 90} for day in made["schedule"]}
    answers = at_once(
        *(
            partial(pair[number % 2].patch, made["id"], {"schedule": {day: wish}})
            for number, (day, wish) in enumerate(wishes.items())
        )
    )
    assert [answer.status_code for answer in answers] == [200] * len(wishes), [answer.text for answer in answers]
    wait_until(
        lambda: [each.get(made["id"]).json()["schedule"] for each in pair] == [wishes] * 2, SOON_S, "every change"
    )


def test_a_users_limit_holds_wherever_it_is_asked_for(system: System, pair: tuple[PolicyClient, PolicyClient]) -> None:
    """However many policies of one vehicle a user asks two processes for at the same time, exactly a hundred are made,
    every other call is a 409, and the worker takes back what was written beyond; another user makes his own, and the
    user his next once one is deleted.
    """
    vehicle = f"car-{uuid.uuid4().hex[:10]}"
    places = [f"place-{number}" for number in range(POLICIES_PER_USER + 30)]
    posts = [partial(pair[number % 2].post, new_body(vehicle, locationId=place)) for number, place in enumerate(places)]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda post: post(), posts))
    kinds = Counter((each.status_code, each.json().get("type", "").rpartition(":")[2]) for each in answers)
    assert kinds == {(201, ""): POLICIES_PER_USER, (409, "too-many-policies"): 30}
    made = sorted(each.json()["id"] for each in answers if each.status_code == 201)
    query = f"vehicleId={vehicle}&pageSize=100&"
    wait_until(lambda: [each.listed(query) for each in pair] == [made] * 2, SOON_S, "the hundred alone")
    other = pair[1].made(vehicle, userId="user-2").json()

    def standing() -> set[str]:
        records = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
        last = {each.key or "": each.value or b"" for each in sorted(records, key=lambda each: each.offset)}
        return {key for key, value in last.items() if vehicle.encode() in value}

    wait_until(lambda: standing() == {*made, other["id"]}, SOON_S, "the worker has taken the others back")
    assert pair[0].delete(made[0]).status_code == 204
    assert pair[0].post(new_body(vehicle, locationId="next")).status_code == 201


class Hands(Struct):
    """One process's writes, on real topics, and what another writes just before each of them."""

    view: View
    writes: PolicyWrites
    writer: "Meanwhile"


class Meanwhile(RecordWriter):
    """Writes what others have to say just before its own record: they come first in the log, unseen by the check."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(bootstrap_servers)
        self.others: list[OutgoingRecord] = []

    async def write(self, record: OutgoingRecord) -> None:
        others, self.others = self.others, []
        for other in others:
            await super().write(other)
        await super().write(record)


@contextmanager
def running_hands(topics: Topics, folder: Path, topic: str = VEHICLE_POLICIES) -> Iterator[Hands]:
    view, directory, writer = View(), ViewDirectory(folder), Meanwhile(topics.bootstrap)
    log = SessionLog(topics.bootstrap, topics.name(SESSION_UPDATED), topics.name(VEHICLE_POLICIES), utc_now)
    consumer = ViewConsumer(view, directory, log, Metrics())
    consumer.start()
    try:
        wait_until(lambda: view.ready() if _is_ready(view) else None, SOON_S, "the view is ready")
        yield Hands(view, PolicyWrites(view, writer, topics.name(topic), utc_now), writer)
    finally:
        consumer.stop()
        directory.close()
        writer.close()


def _is_ready(view: View) -> bool:
    return view._store is not None


@pytest.fixture
def hands(topics: Topics, tmp_path: Path) -> Iterator[Hands]:
    with running_hands(topics, tmp_path / "view") as made:
        yield made


def asked(**changes: Any) -> VehiclePolicy:
    return new_policy(new_body("car-1", **changes), None, utc_now())


def status_of(work: Coroutine[Any, Any, Any]) -> tuple[int, str]:
    with pytest.raises(ProblemError) as caught:
        asyncio.run(work)
    return caught.value.problem.status, caught.value.problem.type.rpartition(":")[2]


def captured(hands: Hands, work: Callable[[PolicyWrites], Coroutine[Any, Any, Any]]) -> OutgoingRecord:
    """The record that another process would write for this, as the view stands now, without writing it."""
    records: list[OutgoingRecord] = []

    class Kept(Meanwhile):
        def __init__(self) -> None:
            """Nothing of its own."""

        async def partitions(self, topic: str) -> int:
            return await hands.writer.partitions(topic)

        async def write(self, record: OutgoingRecord) -> None:
            records.append(record)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work(PolicyWrites(hands.view, Kept(), hands.writes._topic, utc_now)))
    return records[0]


def created(hands: Hands, **changes: Any) -> tuple[str, PolicyDocument]:
    made, _ = asyncio.run(hands.writes.create(asked(**changes), "client", None))
    policy = decoded(made)
    assert policy is not None
    return policy.id, made


def test_a_rival_that_came_first_in_the_log(hands: Hands) -> None:
    """A policy whose rival was written between check and record is a 409, and the view holds the rival alone."""
    rival = captured(hands, lambda writes: writes.create(asked(), "other", None))
    hands.writer.others = [rival]
    assert status_of(hands.writes.create(asked(), "client", None)) == (409, "policy-conflict")
    standing = hands.view.ask(lambda store: standing_policies(store, "car-1"))
    assert [policy.id for policy in standing] == [rival.key]


def test_a_change_that_came_first_in_the_log(hands: Hands) -> None:
    """A change or deletion of a version that another replaced between check and record is a 412 and changes nothing;
    one of whatever stands is made over the other's.
    """
    policy_id, made = created(hands)

    def other(**patch: Any) -> OutgoingRecord:
        return captured(hands, lambda writes: writes.change(policy_id, None, None, patch))

    hands.writer.others = [other(batteryReserve=40)]
    assert status_of(hands.writes.change(policy_id, None, {made.tag}, {"zone": "FR"})) == (412, "precondition-failed")
    tag = hands.view.ask(lambda store: document(store, policy_id))
    assert tag is not None
    hands.writer.others = [other(batteryReserve=50)]
    assert status_of(hands.writes.delete(policy_id, None, {tag.tag})) == (412, "precondition-failed")
    hands.writer.others = [other(batteryReserve=60)]
    both = decoded(asyncio.run(hands.writes.change(policy_id, None, None, {"zone": "FR"})))
    assert both is not None
    assert (both.battery_reserve, both.zone) == (60.0, "FR")
    hands.writer.others = [other(batteryReserve=70)]
    asyncio.run(hands.writes.delete(policy_id, None, None))
    assert hands.view.ask(lambda store: document(store, policy_id)) is None
    assert status_of(hands.writes.change(policy_id, None, None, {})) == (404, "not-found")


def test_a_deletion_that_came_first_in_the_log(hands: Hands) -> None:
    """A change of a policy that was deleted between check and record does not bring it back."""
    policy_id, made = created(hands)
    hands.writer.others = [captured(hands, lambda writes: writes.delete(policy_id, None, None))]
    assert status_of(hands.writes.change(policy_id, None, {made.tag}, {"zone": "FR"})) == (412, "precondition-failed")
    assert hands.view.ask(lambda store: document(store, policy_id)) is None


def test_a_twin_that_came_first_in_the_log(hands: Hands) -> None:
    """A POST whose twin with the same key was written between check and record answers with the twin's policy, or with
    a 422 where the twin asked for something else.
    """
    twin = captured(hands, lambda writes: writes.create(asked(), "client", "key-1"))
    hands.writer.others = [twin]
    made, is_new = asyncio.run(hands.writes.create(asked(), "client", "key-1"))
    assert (made.body, is_new) == (twin.value, False)
    hands.writer.others = [captured(hands, lambda writes: writes.create(asked(locationId="work"), "client", "key-2"))]
    refused = status_of(hands.writes.create(asked(locationId="work", zone="FR"), "client", "key-2"))
    assert refused == (422, "idempotency-key-reused")


def test_a_record_that_is_not_read_back(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is not read back in time is a 503 that says it may still come to be."""
    monkeypatch.setattr(policy_writes, "READ_BACK_S", 0.5)
    with running_hands(topics, tmp_path / "view", topic=SESSION_TARGETS) as elsewhere:
        assert status_of(elsewhere.writes.create(asked(), "client", None)) == (503, "unavailable")


def test_what_the_worker_refuses_it_says(system: System, pair: tuple[PolicyClient, PolicyClient]) -> None:
    """A record that names a version that no longer stands goes to the dead letter, and what stands goes back to the
    topic.
    """
    policy = pair[0].made().json()
    record = {**policy, "batteryReserve": 90.0}
    system.send(
        Outgoing(
            topic=VEHICLE_POLICIES,
            key=policy["id"],
            value=record,
            headers={"policy-replaces": "0" * 32},
            partition=partition_of(policy["vehicleId"], system.topics.partitions),
        )
    )

    def reasons() -> list[str]:
        letters = read_all(system.topics.bootstrap, system.topics.name(dead_letter_topic(VEHICLE_POLICIES)))
        return [letter.headers["dlq-reason"] for letter in letters if letter.key == policy["id"]]

    wait_until(lambda: reasons() == ["POLICY_STALE"], SOON_S, "the dead letter")
    assert pair[0].get(policy["id"]).json() == policy
