"""The API as a process: what it refuses to start with, how it stops, and that it comes back the same."""

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from local.topics import ensure_topics
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import READY_S, ROOT, Api, Transactions, client_of, running_api
from tests.support.api_tokens import authorization
from tests.support.command import flex, run_flex
from tests.support.records import Outgoing, produce
from tests.support.system import Topics, delete_topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

STOP_S = 5


def one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    return lines[0]


def sessions(count: int, first: int = 0) -> list[Update]:
    return [Update(id=session_id(first + number), in_h=number / 10, out_h=9_999) for number in range(count)]


def rows(api: Api) -> list[str]:
    return api.ids({"pageSize": 100})


def test_no_secret_no_start(flex_env: dict[str, str]) -> None:
    """Without a key for tokens the API ends at once, with one line that names the setting."""
    ended = run_flex("api", env=flex_env | {"FLEX_AUTH_HS256_SECRET": ""})
    assert ended.returncode == 2
    assert "FLEX_AUTH_HS256_SECRET" in one_line(ended.stderr)


def test_port_taken(flex_env: dict[str, str]) -> None:
    """Where its port is taken the API ends at once, with one line that names the port."""
    with socket.create_server(("127.0.0.1", int(flex_env["FLEX_API_PORT"]))):
        ended = run_flex("api", env=flex_env)
    assert ended.returncode == 2
    assert flex_env["FLEX_API_PORT"] in one_line(ended.stderr)


def test_state_in_use(flex_env: dict[str, str], tmp_path: Path, unused_tcp_port: int) -> None:
    """A second API on the same state folder ends at once and leaves the first alone."""
    with running_api(flex_env, tmp_path) as api:
        ended = run_flex("api", env=flex_env | {"FLEX_API_PORT": str(unused_tcp_port)})
        assert ended.returncode == 2
        assert "in use" in one_line(ended.stderr)
        assert api.is_ready()


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_clean_stop(topics: Topics, flex_env: dict[str, str], tmp_path: Path, number: int) -> None:
    """SIGINT and SIGTERM end it within 5 s and with code 0; a request that waits for a session is answered first."""
    home = partition_of("v1", topics.partitions)
    policy = Outgoing(topic=topics.name(VEHICLE_POLICIES), key="p1", value=policy_value("p1"), partition=home)
    produce(topics.bootstrap, [policy])
    with running_api(flex_env | {"FLEX_FIRST_SESSION_WAIT_S": "10"}, tmp_path) as api:
        answers: list[int] = []
        reader = threading.Thread(target=lambda: answers.append(api.get(f"{ROOT}/p1/session").status_code))
        reader.start()
        wait_until(lambda: api.metric("flex_api_requests_open") == 2, READY_S, "the read waits")
        began = time.monotonic()
        assert api.running.end(number) == 0
        assert time.monotonic() - began < STOP_S
        reader.join()
        assert answers == [503]
        assert "Traceback" not in api.running.stderr
        for line in api.running.stderr.splitlines():
            json.loads(line)


def test_alive_but_not_ready_without_broker(flex_env: dict[str, str], tmp_path: Path, unused_tcp_port: int) -> None:
    """With no broker the API lives, is not ready, answers reads with 503, and still stops in time."""
    env = flex_env | {"FLEX_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_tcp_port}"}
    with flex("api", env=env, folder=tmp_path) as running, client_of(env) as client:
        running.wait_for("listening")
        assert wait_until(lambda: answer(client, "/healthz"), READY_S, "an answer") == 200
        assert answer(client, "/readyz") == 503
        read = client.get(f"{ROOT}/sessions", headers=authorization())
        assert (read.status_code, read.headers["content-type"]) == (503, "application/problem+json")
        began = time.monotonic()
        assert running.end() == 0
        assert time.monotonic() - began < STOP_S


def answer(client: httpx.Client, path: str) -> int | None:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return None


def test_taken_up_where_it_was(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A store that is whole is not read again: after a restart only what is new is applied."""
    name = topics.name(SESSION_UPDATED)
    produce(topics.bootstrap, [update.outgoing(name) for update in sessions(50)])
    with running_api(flex_env, tmp_path) as api:
        assert api.metric("flex_api_view_rebuilds_total") == 1
        assert len(rows(api)) == 50
    produce(topics.bootstrap, [update.outgoing(name) for update in sessions(7, first=50)])
    with running_api(flex_env, tmp_path) as api:
        assert api.metric("flex_api_view_rebuilds_total") == 0
        assert api.metric("flex_api_records_applied_total") == 7
        assert len(rows(api)) == 57


def delete(state: Path) -> None:
    shutil.rmtree(state)


def forget_current(state: Path) -> None:
    (state / "api" / "CURRENT").unlink()


def truncate(state: Path) -> None:
    for path in (state / "api").glob("store-*/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(state: Path) -> None:
    for path in (state / "api").glob("store-*/*"):
        path.write_bytes(b"\xa5" * path.stat().st_size)


@pytest.mark.parametrize("damage", [delete, forget_current, truncate, scramble])
def test_damaged_store(
    topics: Topics, flex_env: dict[str, str], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Whatever happened to its files, the API starts, and answers what the topic says."""
    produce(topics.bootstrap, [update.outgoing(topics.name(SESSION_UPDATED)) for update in sessions(60)])
    with running_api(flex_env, tmp_path) as api:
        expected = rows(api)
    damage(Path(flex_env["FLEX_STATE_DIR"]))
    with running_api(flex_env, tmp_path) as api:
        assert rows(api) == expected
    stores = list((Path(flex_env["FLEX_STATE_DIR"]) / "api").glob("store-*"))
    assert len(stores) == 1


def test_topic_created_anew(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A topic of the same name and length that is another topic is noticed: nothing of the old one is served."""
    name = topics.name(SESSION_UPDATED)
    produce(topics.bootstrap, [update.outgoing(name) for update in sessions(10)])
    with running_api(flex_env, tmp_path) as api:
        assert len(rows(api)) == 10
    delete_topics(topics.bootstrap, topics.prefix)
    ensure_topics(topics.settings())
    produce(topics.bootstrap, [update.outgoing(name) for update in sessions(10, first=100)])
    with running_api(flex_env, tmp_path) as api:
        assert api.metric("flex_api_view_rebuilds_total") == 1
        assert set(rows(api)) == {session_id(number) for number in range(100, 110)}


def test_ready_where_the_log_ends_without_a_record(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Ready, from nothing and after a restart, also where the last offsets are an aborted transaction and markers."""
    name = topics.name(SESSION_UPDATED)
    worker = Transactions(topics.bootstrap, topics.prefix)
    worker.write([Update(id=session_id(1)).outgoing(name, 0)])
    worker.write([Update(id=session_id(2)).outgoing(name, 0)], commit=False)
    for _ in range(2):
        with running_api(flex_env, tmp_path) as api:
            assert rows(api) == [session_id(1)]
            assert api.metric("flex_api_lag_records") == 0


def test_two_sidecars_answer_the_same(
    topics: Topics, flex_env: dict[str, str], tmp_path: Path, unused_tcp_port: int
) -> None:
    """Two APIs on one topic, each with its own store, give the same bytes."""
    produce(topics.bootstrap, [update.outgoing(topics.name(SESSION_UPDATED)) for update in sessions(120)])
    other_env = flex_env | {"FLEX_STATE_DIR": str(tmp_path / "other"), "FLEX_API_PORT": str(unused_tcp_port)}
    with running_api(flex_env, tmp_path) as one, running_api(other_env, tmp_path) as other:
        lists: list[dict[str, str | int]] = [{"pageSize": 100}, {"vehicleId": "v1"}, {"policyId": "p1", "pageSize": 7}]
        for params in lists:
            page = one.get(f"{ROOT}/sessions", params=params)
            assert page.content == other.get(f"{ROOT}/sessions", params=params).content
            assert page.json()["data"]
