"""The three reads over HTTP, from records on a real broker to the bytes that a client gets."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import ROOT, Api, Transactions, running_api
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 10


class System:
    """One API on topics of its own, and hands to write to them."""

    def __init__(self, topics: Topics, api: Api) -> None:
        self.topics = topics
        self.api = api

    def write(self, *records: Update | Outgoing) -> None:
        name = self.topics.name(SESSION_UPDATED)
        outgoing = [one.outgoing(name) if isinstance(one, Update) else one for one in records]
        produce(self.topics.bootstrap, outgoing)

    def policy(self, policy: str = "p1", *, user: str = "u1", vehicle: str = "v1", enabled: bool = True) -> Outgoing:
        value = policy_value(policy, user=user, vehicle=vehicle, enabled=enabled)
        return Outgoing(topic=self.topics.name(VEHICLE_POLICIES), key=policy, value=value, partition=self.home(vehicle))

    def no_policy(self, policy: str = "p1", *, vehicle: str = "v1") -> Outgoing:
        return Outgoing(topic=self.topics.name(VEHICLE_POLICIES), key=policy, value=None, partition=self.home(vehicle))

    def home(self, vehicle: str) -> int:
        return partition_of(vehicle, self.topics.partitions)

    def until(self, path: str, status: int, body: bytes | None = None) -> httpx.Response:
        """The answer once it has this status (and this body)."""

        def answer() -> httpx.Response | None:
            given = self.api.get(path)
            return given if given.status_code == status and body in (None, given.content) else None

        given = wait_until(answer, SOON_S, f"{status} from {path}")
        assert given is not None
        return given


@pytest.fixture
def system(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> Iterator[System]:
    with running_api(flex_env | {"FLEX_FIRST_SESSION_WAIT_S": "1"}, tmp_path) as api:
        yield System(topics, api)


def test_life_of_a_policy(system: System) -> None:
    """The current session follows the topic through UPCOMING, ACTIVE and the next UPCOMING, byte for byte; the settled
    one can be read by id; a disabled or deleted policy has no current session.
    """
    current = f"{ROOT}/p1/session"
    assert system.api.get(current).status_code == 404
    upcoming = Update(id=session_id(1), state=SessionState.UPCOMING)
    system.write(system.policy(), upcoming)
    system.until(current, 200, upcoming.body)
    active = Update(id=session_id(1), version=2, state=SessionState.ACTIVE_REGULAR)
    system.write(active)
    system.until(current, 200, active.body)
    assert system.api.get(f"{ROOT}/p1/sessions/{active.id}").status_code == 404
    settled, following = Update(id=session_id(1), version=3), Update(id=session_id(2), state=SessionState.UPCOMING)
    system.write(settled, following)
    system.until(current, 200, following.body)
    assert system.api.get(f"{ROOT}/p1/sessions/{settled.id}").content == settled.body
    assert system.api.get(f"{ROOT}/sessions").content == (
        b'{"data":[%b],"pagination":{"after":null,"before":null}}' % settled.body
    )
    system.write(system.policy(enabled=False))
    system.until(current, 404)
    system.write(system.policy())
    system.until(current, 200, following.body)
    system.write(system.no_policy())
    system.until(current, 404)
    assert system.api.get(f"{ROOT}/p1/sessions/{settled.id}").status_code == 200


def test_never_404_between_two_sessions(system: System) -> None:
    """While sessions settle and their successors follow in one transaction each, every read of the current session is
    a 200.
    """
    system.write(system.policy(), Update(id=session_id(0), state=SessionState.UPCOMING))
    system.until(f"{ROOT}/p1/session", 200)
    name, rounds = system.topics.name(SESSION_UPDATED), 60
    done = threading.Event()

    def write() -> None:
        worker = Transactions(system.topics.bootstrap, system.topics.prefix)
        for number in range(rounds):
            settled = Update(id=session_id(number), version=2)
            following = Update(id=session_id(number + 1), state=SessionState.UPCOMING)
            worker.write([settled.outgoing(name, 0), following.outgoing(name, 0)])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    statuses = set()
    seen = set()
    while not done.is_set():
        answer = system.api.get(f"{ROOT}/p1/session")
        statuses.add(answer.status_code)
        seen.add(answer.json().get("id"))
    writer.join()
    assert statuses == {200}
    assert len(seen) > 5
    wait_until(lambda: system.api.get(f"{ROOT}/p1/session").json()["id"] == session_id(rounds), SOON_S, "the last one")


def test_waiting_for_the_first_session(system: System) -> None:
    """Right after a policy's creation a read waits: it gets the first session when that comes, else 503 with
    Retry-After.
    """
    system.write(system.policy())
    answer = system.until(f"{ROOT}/p1/session", 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.elapsed.total_seconds() >= 0.9
    first = Update(id=session_id(1), state=SessionState.UPCOMING)
    answers: list[httpx.Response] = []
    reader = threading.Thread(target=lambda: answers.append(system.api.get(f"{ROOT}/p1/session")))
    reader.start()
    system.write(first)
    reader.join()
    assert answers[0].status_code in {200, 503}  # 503 where the write itself took longer than the wait
    system.until(f"{ROOT}/p1/session", 200, first.body)


def test_older_versions_and_tombstones(system: System) -> None:
    """A version that is not newer changes nothing; a tombstone removes the session from every read."""
    kept = Update(id=session_id(1), version=5, energy_kwh=5)
    last = Update(id=session_id(9), in_h=3, out_h=4)
    system.write(system.policy(), kept)
    system.write(Update(id=kept.id, version=4, energy_kwh=4), Update(id=kept.id, version=5, energy_kwh=6), last)
    system.until(f"{ROOT}/p1/sessions/{last.id}", 200)
    # Both partitions are behind `last` only once nothing is left to read.
    wait_until(lambda: system.api.metric("flex_api_lag_records") == 0, SOON_S, "no lag")
    assert system.api.get(f"{ROOT}/p1/sessions/{kept.id}").content == kept.body
    system.write(Outgoing(topic=system.topics.name(SESSION_UPDATED), key=kept.id, value=None))
    system.until(f"{ROOT}/p1/sessions/{kept.id}", 404)
    for filters in ({}, {"policyId": "p1"}, {"vehicleId": "v1"}, {"locationId": "home"}):
        assert system.api.ids(filters) == [last.id]


def test_filters_dedup_and_users(system: System) -> None:
    """Filters combine; a superseded session leaves vehicle and location lists only; unmanaged ones appear where no
    policy is asked for; a token with a user sees that user's rows only.
    """
    plain = Update(id=session_id(1), in_h=1, out_h=2)
    chosen = Update(id=session_id(2), in_h=3, out_h=5, event="e")
    superseded = Update(id=session_id(3), in_h=4, out_h=5, event="e", policy=None, represents=False)
    unmanaged = Update(id=session_id(4), in_h=6, out_h=7, policy=None, location="work")
    foreign = Update(id=session_id(5), in_h=8, out_h=9, policy=None, user="u2")
    late_claim = Update(id=session_id(6), in_h=4.5, out_h=5, event="e", policy=None)
    own_superseded = Update(id=session_id(7), in_h=0.5, out_h=0.75, represents=False)
    system.write(system.policy(), plain, chosen, superseded, unmanaged, foreign, late_claim, own_superseded)
    wait_until(lambda: len(system.api.ids()) == 7, SOON_S, "all are listed")

    def numbers(**filters: str | int) -> list[int]:
        known = {session_id(number): number for number in range(1, 8)}
        return [known[one] for one in system.api.ids(filters)]

    assert numbers() == [5, 4, 6, 3, 2, 1, 7]
    assert numbers(pageSize=2) == numbers()
    assert numbers(policyId="p1") == [2, 1, 7]
    assert numbers(vehicleId="v1") == [5, 4, 2, 1]
    assert numbers(locationId="home") == [5, 2, 1]
    assert numbers(vehicleId="v1", locationId="work") == [4]
    assert numbers(vehicleId="v2") == []
    assert numbers(policyId="p1", locationId="home") == [2, 1]
    assert numbers(**{"from": "2025-01-01T03:00:00Z", "to": "2025-01-01T05:00:00Z"}) == [6, 3, 2]
    assert numbers(**{"from": "2025-01-01T03:00:00.000001Z", "to": "2025-01-01T07:00:00Z"}) == [4, 6, 3]
    assert system.api.ids(userId="u2") == [foreign.id]
    assert system.api.ids({"vehicleId": "v1"}, userId="u2") == [foreign.id]
    assert system.api.ids({"policyId": "p1"}, userId="u2") == []
    assert system.api.get(f"{ROOT}/p1/session", userId="u2").status_code == 404
    assert system.api.get(f"{ROOT}/p1/sessions/{superseded.id}").status_code == 200
    assert system.api.get(f"{ROOT}/p1/sessions/{foreign.id}").status_code == 404
    assert system.api.get(f"{ROOT}/p1/sessions/{plain.id}", userId="u2").status_code == 404


def test_paging_over_http(system: System) -> None:
    """Cursors lead through the list in both directions, belong to their filters, and are null at the ends."""
    updates = [Update(id=session_id(number), in_h=number // 2, out_h=99) for number in range(25)]
    system.write(*updates)
    wait_until(lambda: len(system.api.ids()) == len(updates), SOON_S, "all are listed")
    path, expected = f"{ROOT}/sessions", [update.id for update in reversed(updates)]
    assert system.api.ids({"pageSize": 4}) == expected
    page = system.api.get(path, params={"pageSize": 10}).json()
    assert page["pagination"]["before"] is None
    page = system.api.get(path, params={"pageSize": 10, "after": page["pagination"]["after"]}).json()
    assert [row["id"] for row in page["data"]] == expected[10:20]
    cursors = page["pagination"]
    page = system.api.get(path, params={"pageSize": 10, "before": cursors["before"]}).json()
    assert [row["id"] for row in page["data"]] == expected[:10]
    assert page["pagination"]["before"] is None
    page = system.api.get(path, params={"pageSize": 10, "after": cursors["after"]}).json()
    assert [row["id"] for row in page["data"]] == expected[20:]
    assert page["pagination"]["after"] is None
    for params in (
        {"after": cursors["after"], "vehicleId": "v1"},
        {"after": cursors["after"], "before": cursors["before"]},
        {"before": cursors["after"]},
        {"after": cursors["after"] + "x"},
    ):
        refused = system.api.get(path, params=params)
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["issues"]
    assert system.api.get(path, params={"after": cursors["after"]}, userId="u1").status_code == 400


def test_a_policy_on_another_vehicles_partition_is_none(system: System) -> None:
    """A policy that lies on the wrong partition is passed over, and a deletion there deletes nothing."""
    astray = 1 - system.home("v1")
    policies = system.topics.name(VEHICLE_POLICIES)
    waiting = Update(id=session_id(1), state=SessionState.UPCOMING)
    system.write(system.policy(), waiting)
    system.until(f"{ROOT}/p1/session", 200)
    theirs = policy_value("p1", user="u1", vehicle="v1", enabled=False)
    system.write(
        Outgoing(topic=policies, key="p1", value=None, partition=astray),
        Outgoing(topic=policies, key="p1", value=theirs, partition=astray),
    )
    wait_until(lambda: system.api.metric("flex_api_records_unreadable_total") == 2, SOON_S, "both are passed over")
    assert system.api.get(f"{ROOT}/p1/session").status_code == 200


def test_what_cannot_be_read_stops_nothing(system: System) -> None:
    """Foreign bytes, missing headers and wrong keys are counted and logged with their place; the good records around
    them are served.
    """
    name, policies = system.topics.name(SESSION_UPDATED), system.topics.name(VEHICLE_POLICIES)
    first, last = Update(id=session_id(1)), Update(id=session_id(2))
    bad = [
        Outgoing(topic=name, key=session_id(3), value=b"\x00\xff"),
        Outgoing(topic=name, key=session_id(3), value=Update(id=session_id(3)).value),
        Outgoing(topic=name, key=session_id(3), value=first.value, headers=first.headers),
        Outgoing(topic=name, key="x", value=None),
        Outgoing(topic=policies, key="p1", value=b"{}"),
        Outgoing(topic=policies, key="p 1", value=None),
    ]
    system.write(system.policy(), first, *bad, last)
    system.until(f"{ROOT}/p1/sessions/{last.id}", 200, last.body)
    wait_until(lambda: system.api.metric("flex_api_records_unreadable_total") == len(bad), SOON_S, "all are counted")
    assert system.api.get(f"{ROOT}/p1/sessions/{first.id}").content == first.body
    lines = [json.loads(line) for line in system.api.running.stderr.splitlines()]
    told = [line for line in lines if line["event"].startswith("record passed over")]
    assert len(told) == len(bad)
    assert all({"topic", "partition", "offset", "error"} <= line.keys() for line in told)


def test_records_that_were_not_committed(system: System) -> None:
    """What an aborted transaction wrote is never seen, and does not keep later records back."""
    name = system.topics.name(SESSION_UPDATED)
    worker = Transactions(system.topics.bootstrap, system.topics.prefix)
    system.write(system.policy())
    worker.write([Update(id=session_id(1)).outgoing(name, 0)], commit=False)
    worker.write([Update(id=session_id(2)).outgoing(name, 0)])
    system.until(f"{ROOT}/p1/sessions/{session_id(2)}", 200)
    assert system.api.get(f"{ROOT}/p1/sessions/{session_id(1)}").status_code == 404
    wait_until(lambda: system.api.metric("flex_api_lag_records") == 0, SOON_S, "no lag, markers included")


def test_every_request_is_one_line_without_secrets(system: System) -> None:
    """The log has one JSON line per request with method, route template, status, duration and id; no token, no query
    and no id out of the path stands in it.
    """
    secret = "looks-like-a-token"
    system.api.client.get(f"{ROOT}/p-private/session", params={"access_token": secret}, headers={"X-Request-Id": "r-1"})
    system.api.client.get(f"{ROOT}/sessions", headers={"Authorization": f"Bearer {secret}", "X-Request-Id": "r-2"})

    def lines() -> dict[str, dict[str, object]]:
        logged = [json.loads(line) for line in system.api.running.stderr.splitlines()]
        return {line["request_id"]: line for line in logged if line["event"] == "request"}

    wait_until(lambda: "r-2" in lines(), SOON_S, "the line of the request")
    line = lines()["r-1"]
    assert (line["method"], line["status"]) == ("GET", 401)
    assert line["route"] == "/flex/vehicle-policies/{policyId}/session"
    assert isinstance(line["duration_ms"], float)
    assert secret not in system.api.running.stderr
    assert "p-private" not in system.api.running.stderr


def test_oversized_requests_are_refused(system: System) -> None:
    """A target beyond 8 KiB or headers beyond 16 KiB are refused with a problem, and the API goes on."""
    long_target = system.api.client.get(f"{ROOT}/sessions?policyId={'x' * 10_000}")
    assert (long_target.status_code, long_target.json()["status"]) == (414, 414)
    long_headers = system.api.client.get(f"{ROOT}/sessions", headers={"X-Long": "x" * 20_000})
    assert (long_headers.status_code, long_headers.json()["status"]) == (431, 431)
    assert system.api.client.get("/healthz").status_code == 200
