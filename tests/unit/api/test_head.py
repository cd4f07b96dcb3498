"""HEAD: what GET says, without the body, over HTTP on a server as it is in production."""

import http.client
import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from models.session import SessionState
from tests.support.api_tokens import authorization
from tests.support.memory_log import MemoryLog, served
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

ROOT = "/flex/vehicle-policies"
SETTLED = session_id(1)
# Of each answer alone.
OWN = {"date", "x-request-id"}


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    made = MemoryLog()
    made.write(Update(id=SETTLED), Update(id=session_id(2), state=SessionState.ACTIVE_REGULAR))
    return made


@pytest.fixture(scope="module")
def client(log: MemoryLog) -> Iterator[http.client.HTTPConnection]:
    """One connection for all of it: a body where none may be would spoil the next answer."""
    with served(log) as port:
        made = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield made
        made.close()


def asked(client: http.client.HTTPConnection, method: str, path: str, token: bool) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and, but for streams of events, the body."""
    client.request(method, path, headers=authorization() if token else {})
    answer = client.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    if method == "GET" and headers["content-type"].startswith("text/event-stream"):
        client.close()
        return answer.status, headers, b""
    return answer.status, headers, answer.read()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ROOT}/p1/session", 200),
        (f"{ROOT}/p1/sessions/{SETTLED}", 200),
        (f"{ROOT}/sessions", 200),
        (f"{ROOT}/sessions.csv", 200),
        (f"{ROOT}/p1/session/events", 200),
        (f"{ROOT}/nobody/session", 404),
        (f"{ROOT}/nobody/session/events", 404),
        (f"{ROOT}/sessions?x=1", 400),
        (f"{ROOT}/sessions.csv?x=1", 400),
        ("/flex/nothing", 404),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/healthz?x=1", 400),
    ],
)
@pytest.mark.parametrize("token", [True, False])
def test_head_is_get_without_the_body(
    client: http.client.HTTPConnection, path: str, status: int, *, token: bool
) -> None:
    """HEAD has the status and the headers of GET, the length too, for whoever may ask and whoever may not, errors
    included; no body comes, and the connection goes on.
    """
    expected = status if token or not path.startswith("/flex") else 401
    for _ in range(2):  # the second time the token is known, and the short way taken
        of_get = asked(client, "GET", path, token)
        of_head = asked(client, "HEAD", path, token)
        assert of_head[0] == of_get[0] == expected
        assert of_head[2] == b""
        said = [{name: value for name, value in one[1].items() if name not in OWN} for one in (of_get, of_head)]
        assert said[0] == said[1]


def test_head_starts_no_stream(client: http.client.HTTPConnection, log: MemoryLog) -> None:
    """HEAD of a stream is over at once: nobody watches, none is counted as open or ended."""
    wait_until(lambda: not log.is_watched(), 10, "the end of other tests' streams")
    for path in (f"{ROOT}/p1/session/events", f"{ROOT}/sessions.csv"):
        before = streams(client)
        assert asked(client, "HEAD", path, token=True)[0] == HTTPStatus.OK
        assert streams(client) == before
        assert not log.is_watched()
    assert asked(client, "HEAD", "/metrics", token=False)[2] == b""


@pytest.mark.parametrize("path", [f"{ROOT}/sessions.csv", f"{ROOT}/p1/session/events"])
def test_head_of_a_stream_that_has_no_room(log: MemoryLog, path: str) -> None:
    """Where GET is a 503 since too many streams are open, so is HEAD, with the same headers."""
    with served(log, FLEX_CSV_CLIENTS="0", FLEX_STREAM_CLIENTS="0") as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        of_get, of_head = asked(client, "GET", path, token=True), asked(client, "HEAD", path, token=True)
        client.close()
    assert (of_get[0], of_head[0], of_head[2]) == (503, 503, b"")
    assert [{name: value for name, value in one[1].items() if name not in OWN} for one in (of_get, of_head)] == [
        {name: value for name, value in of_get[1].items() if name not in OWN}
    ] * 2


def streams(client: http.client.HTTPConnection) -> list[str]:
    text = asked(client, "GET", "/metrics", token=False)[2].decode()
    return sorted(line for line in text.splitlines() if line.startswith("flex_api_streams"))


def test_it_is_logged_and_named_as_what_it_is(client: http.client.HTTPConnection) -> None:
    """HEAD counts as HEAD, and a path that has GET names both; one without GET has no HEAD either."""
    asked(client, "HEAD", "/healthz", token=False)
    assert b'method="HEAD",route="/healthz",status="200"' in asked(client, "GET", "/metrics", token=False)[2]
    status, headers, body = asked(client, "POST", f"{ROOT}/sessions", token=True)
    assert (status, headers["allow"], json.loads(body)["status"]) == (405, "GET, HEAD", 405)
    status, headers, _ = asked(client, "DELETE", "/healthz", token=False)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
