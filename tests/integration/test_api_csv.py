"""The filtered list as a CSV stream over HTTP: the same rows as the list, in constant memory, cut where it must be."""

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.topics import SESSION_UPDATED
from tests.support.api_process import ROOT, Api, running_api, unread
from tests.support.api_tokens import authorization
from tests.support.records import produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 30
CSV = f"{ROOT}/sessions.csv"
# Enough for the sockets between the two ends to hold only a part of it.
MANY = 30_000


def fleet(count: int) -> list[Update]:
    """Settled sessions of 3 users, 7 vehicles and 2 places, the last charging event twice."""
    return [
        Update(
            id=session_id(number),
            user=f"u{number % 3}",
            vehicle=f"v{number % 7}",
            location=("home", "work", None)[number % 3],
            policy=f"p{number % 7}" if number % 2 else None,
            in_h=number / 10,
            out_h=number / 10 + 5,
            event="shared" if number >= count - 2 else None,
        )
        for number in range(count)
    ]


@pytest.fixture
def api(flex_env: dict[str, str], tmp_path: Path) -> Iterator[Api]:
    with running_api(flex_env | {"FLEX_AUTH_LEEWAY_S": "0", "FLEX_CSV_CLIENTS": "2"}, tmp_path) as running:
        yield running


def fill(api: Api, topics: Topics, count: int) -> None:
    produce(topics.bootstrap, [one.outgoing(topics.name(SESSION_UPDATED), 0) for one in fleet(count)])
    wait_until(lambda: api.metric("flex_api_records_applied_total") >= count, SOON_S, "all sessions")


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_same_rows_as_the_list(api: Api, topics: Topics) -> None:
    """Whatever the filters and whoever asks, the CSV has the sessions of the list, in its order, each once."""
    fill(api, topics, 500)
    filters: list[dict[str, str | int]] = [
        {},
        {"vehicleId": "v3"},
        {"policyId": "p3"},
        {"locationId": "work", "vehicleId": "v1"},
        {"from": "2025-01-01T10:00:00Z", "to": "2025-01-02T00:00:00Z"},
        {"vehicleId": "nobody"},
    ]
    for params in filters:
        for claims in ({}, {"userId": "u1"}, {"userId": "nobody"}):
            found = [row["id"] for row in rows(api.get(CSV, params=params, **claims))]
            assert found == api.ids(params, **claims)
    answer = api.get(CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(rows(answer)) == 500


@pytest.mark.parametrize("query", ["pageSize=5", "after=abc", "before=abc", "from=now", "x=1", "vehicleId="])
def test_strict_query(api: Api, query: str) -> None:
    """Pages do not exist here, and faults of the filters are a 400 before the stream begins."""
    answer = api.get(f"{CSV}?{query}")
    assert answer.status_code == 400
    assert answer.json()["issues"]


def test_constant_memory_and_others_go_on(api: Api, topics: Topics) -> None:
    """A client that takes nothing costs a bounded part of memory however long the list is; other requests are answered
    meanwhile; more streams than are allowed are told to come back; what is cut shows that it is not the whole.
    """
    fill(api, topics, MANY)
    whole = api.get(CSV)
    size = len(whole.content)
    assert len(rows(whole)) == MANY
    before_kib = memory_kib(api)
    with unread(api, CSV) as one, unread(api, CSV):
        wait_until(lambda: api.metric("flex_api_streams_open", kind="csv") == 2, SOON_S, "both streams")
        assert api.get(CSV).status_code == 503
        assert api.get(f"{ROOT}/sessions").status_code == 200
        assert (memory_kib(api) - before_kib) * 1_024 < size
        ended = "flex_api_streams_ended_total"
        wait_until(lambda: api.metric(ended, kind="csv", reason="too-slow") == 2, SOON_S, "both are dropped")
        taken = b""
        while piece := one.recv(65_536):
            taken += piece
    assert b"\r\n0\r\n\r\n" not in taken[-16:]
    assert len(taken) < size


def test_cut_when_its_token_expires(api: Api, topics: Topics) -> None:
    """A stream does not outlive its token, and a client sees that it was cut."""
    fill(api, topics, MANY)
    expires_s = int(time.time()) + 2
    with api.client.stream("GET", CSV, headers=authorization(exp=expires_s)) as answer:
        pieces = answer.iter_bytes(1_024)
        next(pieces)
        wait_until(lambda: time.time() > expires_s + 0.5, SOON_S, "the token is expired")
        with pytest.raises(httpx.RemoteProtocolError):
            sum(len(piece) for piece in pieces)
    wait_until(lambda: api.metric("flex_api_streams_ended_total", reason="token-expired") == 1, SOON_S, "it is counted")


def memory_kib(api: Api) -> int:
    """Resident memory of the API."""
    status = Path(f"/proc/{api.running.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
