"""A stop while streams are under way: what can end ends whole, what cannot is cut visibly, and in time."""

import csv
import io
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from tests.support.api_process import ROOT, Api, Transactions, running_api, unread
from tests.support.api_tokens import authorization
from tests.support.policy_client import PolicyClient, new_body
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 30
CSV = f"{ROOT}/sessions.csv"
# More than the sockets between the two ends hold.
MANY = 20_000


@contextmanager
def full_api(topics: Topics, env: dict[str, str], folder: Path) -> Iterator[Api]:
    updates = [Update(id=session_id(number), in_h=number / 10, out_h=9_999) for number in range(MANY)]
    produce(topics.bootstrap, [one.outgoing(topics.name(SESSION_UPDATED), 0) for one in updates])
    with running_api(env, folder) as api:
        yield api


def test_a_csv_stream_under_way_ends_whole(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A CSV stream that was begun before the stop is sent to its last row; nobody else is let in meanwhile."""
    env = flex_env | {"FLEX_DRAIN_S": "60"}
    with (
        full_api(topics, env, tmp_path) as api,
        api.client.stream("GET", CSV, headers=authorization(), timeout=60) as answer,
    ):
        pieces = answer.iter_bytes(1_024)
        taken = next(pieces)
        api.running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(api), SOON_S, "no more connections")
        taken += b"".join(pieces)
        assert len(list(csv.DictReader(io.StringIO(taken.decode(), newline="")))) == MANY
        assert api.running.process.wait(SOON_S) == 0
        assert "Traceback" not in api.running.stderr


def refused(api: Api) -> bool:
    try:
        httpx.get(f"{api.client.base_url}/healthz", timeout=1)
    except httpx.TransportError:
        return True
    return False


@pytest.mark.parametrize(("drain_s", "is_read_back", "status"), [("1", False, 503), ("60", True, 201)])
def test_a_write_under_way_is_answered(
    topics: Topics, flex_env: dict[str, str], tmp_path: Path, drain_s: str, is_read_back: bool, status: int
) -> None:
    """A POST whose record is not read back yet when the stop comes has its answer: what became of it, or, once the time
    is up, that nobody knows yet; and the process ends.
    """
    other = Transactions(topics.bootstrap, topics.prefix)
    noise = [
        Outgoing(topic=topics.name(VEHICLE_POLICIES), key="nobody", value=None, partition=number)
        for number in range(topics.partitions)
    ]
    with (
        running_api(flex_env | {"FLEX_DRAIN_S": drain_s}, tmp_path) as api,
        other.under_way(noise) as end,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(PolicyClient(api).post, new_body("car-1"))
        wait_until(lambda: api.metric("flex_api_requests_open") == 2, SOON_S, "the POST waits beside the scrape")
        api.running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(api), SOON_S, "no more connections")
        if is_read_back:
            end()
        answer = asked.result(SOON_S)
        assert answer.status_code == status, answer.text
        if status == 503:
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "may still come to be" in answer.json()["detail"]
        assert api.running.process.wait(SOON_S) == 0
        assert "Traceback" not in api.running.stderr


def test_every_answer_has_its_line(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Lines are held back for a moment and written together; a stop writes those of the last answers too."""
    produce(topics.bootstrap, [Update(id=session_id(1)).outgoing(topics.name(SESSION_UPDATED), 0)])
    with running_api(flex_env, tmp_path) as api:
        wait_until(lambda: len(api.ids()) == 1, SOON_S, "the session")
        asked = [f"stop-{number}" for number in range(300)]
        for request_id in asked:
            headers = authorization() | {"X-Request-Id": request_id}
            assert api.client.get(f"{ROOT}/sessions", headers=headers).status_code == 200
        assert api.running.end(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in api.running.stderr.splitlines() if '"event":"request"' in line]
    assert [line["request_id"] for line in lines if line["request_id"].startswith("stop-")] == asked
    assert all(line["time"] <= later["time"] for line, later in pairwise(lines))


def test_a_stuck_stream_does_not_hold_the_stop(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A client that takes nothing is cut when its time is up, and the process ends."""
    with (
        full_api(topics, flex_env | {"FLEX_DRAIN_S": "1"}, tmp_path) as api,
        unread(api, CSV) as stuck,
    ):
        wait_until(lambda: api.metric("flex_api_streams_open", kind="csv") == 1, SOON_S, "the stream")
        began = time.monotonic()
        assert api.running.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5
        taken = b""
        try:
            while piece := stuck.recv(65_536):
                taken += piece
        except ConnectionResetError:
            taken += b""  # cut so hard that what was on its way is gone too
        assert b"\r\n0\r\n\r\n" not in taken[-16:]
