"""A client that does not finish the head of its request is let go; one that does is not; nor is one too many kept."""

import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import connections
from api.connections import Connection
from api.problems import Problem
from tests.support.waiting import wait_until

HEAD_S = 0.4
SOON_S = 20
REQUEST = b"GET / HTTP/1.1\r\nHost: api\r\n\r\n"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """204, once the body is there."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass  # a client that left ends the loop too, and what is sent to it goes nowhere
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that waits for a head as long as HEAD_S."""
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", HEAD_S)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answer, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started, SOON_S, "the server")
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(SOON_S)


def connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=SOON_S)
    client.settimeout(0.05)
    return client


def received(client: socket.socket) -> bytes | None:
    """What came within a moment; None: nothing; empty: the connection was closed."""
    try:
        return client.recv(4_096)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def is_let_go(client: socket.socket, drip: bytes) -> bool:
    """Whether the connection is closed while one byte of this after the other is sent, again and again."""
    until_s = time.monotonic() + SOON_S
    place = 0
    while time.monotonic() < until_s:
        try:
            client.sendall(drip[place % len(drip) : place % len(drip) + 1] if drip else b"")
        except ConnectionError:
            return True
        place += 1
        if received(client) == b"":
            return True
    return False


def asked(client: socket.socket, request: bytes = REQUEST) -> None:
    client.sendall(request)
    wait_until(lambda: (received(client) or b"").startswith(b"HTTP/1.1 204"), SOON_S, "an answer")


@pytest.mark.parametrize(
    ("drip", "answered"),
    [
        pytest.param(b"", 0, id="silent"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Name: value\r\n" * 1_000, 0, id="at first"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Name: value\r\n" * 1_000, 2, id="after two requests"),
    ],
)
def test_a_head_that_does_not_end(port: int, drip: bytes, answered: int) -> None:
    """Whoever sends nothing at first, or a head byte by byte, also after requests that were answered, is let go."""
    with connected(port) as client:
        for _ in range(answered):
            asked(client)
        began_s = time.monotonic()
        assert is_let_go(client, drip)
        assert time.monotonic() - began_s >= HEAD_S / 2


def test_whoever_goes_on_is_kept(port: int) -> None:
    """A connection whose requests are whole outlives the time for a head, and so does a body that comes slowly."""
    with connected(port) as client:
        until_s = time.monotonic() + 3 * HEAD_S
        while time.monotonic() < until_s:
            asked(client)
        client.sendall(b"POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\n\r\n")
        until_s = time.monotonic() + 3 * HEAD_S
        wait_until(lambda: received(client) == b"" or time.monotonic() > until_s, SOON_S, "some silence")
        asked(client, b"12345")


def test_one_too_many_is_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a connection is answered with 503 and closed; once there is room, the next one is served."""
    monkeypatch.setattr(connections, "CONNECTIONS_LIMIT", 1)
    with connected(port) as first:
        asked(first)
        with connected(port) as second:
            assert refusal_of(second) == 503
        asked(first)
    with connected(port) as third:
        asked(third)


def refusal_of(client: socket.socket) -> int:
    """The status of the problem that comes before the end of the connection."""
    answered = b""

    def is_closed() -> bool:
        nonlocal answered
        piece = received(client)
        answered += piece or b""
        return piece == b""

    wait_until(is_closed, SOON_S, "the end of the connection")
    head, _, body = answered.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    status = msgspec.json.decode(body, type=Problem).status
    assert head.startswith(b"HTTP/1.1 %d " % status)
    return status


MUCH = b"x" * 400_000


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /?" + MUCH, 414, id="path and query without end"),
        pytest.param(
            b"GET /?" + MUCH[:20_000] + b" HTTP/1.1\r\nX-Much: " + MUCH, 414, id="long path and query, and more"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nX-Much: " + MUCH, 431, id="headers without end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Much: much\r\n" * 40_000, 431, id="headers after headers"),
    ],
)
def test_a_head_that_is_too_large(port: int, head: bytes, status: int) -> None:
    """A head of which too much has come is refused for what is too large in it, also after a request that was answered,
    and its client hears so although it was still sending.
    """
    with connected(port) as client:
        asked(client)
        for start in range(0, len(head), 8_000):
            client.sendall(head[start : start + 8_000])
        assert refusal_of(client) == status


def test_whoever_goes_on_after_a_refusal_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was refused, and sends on and on, is listened to for a moment only."""
    monkeypatch.setattr(connections, "_LINGER_S", 0.1)
    with connected(port) as client:
        client.sendall(b"hello\r\n\r\n")
        assert refusal_of(client) == 400

        def is_gone() -> bool:
            try:
                client.sendall(b"more")
            except ConnectionError:
                return True
            return False

        wait_until(is_gone, SOON_S, "the end of all patience")


CHUNKED = b"POST / HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("garbage", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", CHUNKED + b"zz\r\n"])
def test_what_is_not_http(port: int, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no request, and a request whose body turns out to be none, gets a problem and the end of the connection;
    whoever worked on it meets no error.
    """
    with connected(port) as client:
        client.sendall(garbage)
        assert refusal_of(client) == 400
    with connected(port) as client:
        asked(client)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
