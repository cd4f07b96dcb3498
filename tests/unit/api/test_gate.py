"""What surrounds every request: the gate, limits of size and rate, headers, and the line in the log."""

import asyncio
import io
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Request, Response
from starlette.types import Message

from api import access_log, auth, limits
from api.app import asgi_of, create_app
from api.auth import Authenticator
from api.direct import Direct
from api.metrics import Metrics
from api.view.view import View
from runtime.clock import epoch_s
from runtime.settings import load_settings
from tests.support.api_tokens import authorization, bearer
from tests.support.system import SECRET

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def app() -> FastAPI:
    """The application with one more route under /flex, which reads a body and asks for no scope."""
    metrics = Metrics()
    made = create_app(
        View(),
        load_settings({"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_RATE_LIMIT_PER_S": "0.1", "FLEX_RATE_LIMIT_BURST": "3"}),
        metrics,
    )
    made.state.metrics = metrics

    @made.post("/flex/echo", include_in_schema=False)
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @made.get("/broken", include_in_schema=False)
    async def broken() -> Response:
        raise ZeroDivisionError("secret of ours")

    return made


def call(app: FastAPI, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(run())


def test_nothing_under_flex_is_open(app: FastAPI) -> None:
    """A route that asks for no scope, and a path that leads nowhere, still need a valid token."""
    for path in ("/flex/echo", "/flex/nowhere", "/flex", "/%66lex/echo"):
        assert call(app, "POST", path).status_code == 401
    assert call(app, "POST", "/flex/echo", authorization(), content=b"x").content == b"x"


def test_rate_limit(app: FastAPI) -> None:
    """A token that asks too often gets 429 with Retry-After; another token does not, and open pages never do."""
    token = authorization(jti="one")
    answers = [call(app, "POST", "/flex/echo", token) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert call(app, "POST", "/flex/echo", authorization(jti="two")).status_code == 200
    assert {call(app, "GET", "/healthz").status_code for _ in range(10)} == {200}


def test_one_token_has_one_bucket(app: FastAPI) -> None:
    """Written differently in its header, a token has no more requests than written the same."""
    token = bearer(jti="spellings")
    spellings = [f"Bearer {token}", f"bearer {token}", f"BEARER  {token}", f"Bearer   {token}"]
    answers = [call(app, "GET", "/flex/vehicle-policies/sessions", {"Authorization": one}) for one in spellings]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 429]


def test_what_is_remembered_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many headers are remembered, the newest, and none that is long; each is good all the same."""
    monkeypatch.setattr(auth, "_REMEMBERED_HEADERS", 2)
    made = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET}))
    short = [f"Bearer {bearer(jti=str(number))}".encode() for number in range(3)]
    long = f"Bearer {bearer(jti='x' * 2_048)}".encode()
    for one in (*short, long):
        asyncio.run(made.admit({"type": "http", "headers": [(b"authorization", one)]}))
    assert [made.remembered(one) is not None for one in (*short, long)] == [False, True, True, False]


def test_a_remembered_token_ends_too() -> None:
    """A token that was good a moment ago is refused from its end on, though its check is remembered."""
    now_s = [epoch_s()]
    made = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET}), now_s=lambda: now_s[0])
    header = f"Bearer {bearer()}".encode()
    principal = asyncio.run(made.admit({"type": "http", "headers": [(b"authorization", header)]}))
    now_s[0] = principal.expires_at_s - 0.1
    assert made.remembered(header) == principal
    now_s[0] = principal.expires_at_s
    assert made.remembered(header) is None


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"x" * 65_536, 200),
        (b"x" * 65_537, 413),
        (lambda: pieces(8, 8_192), 200),
        (lambda: pieces(9, 8_192), 413),
        (lambda: pieces(300, 1), 408),
    ],
)
def test_body_limit(app: FastAPI, content: bytes | Callable[[], AsyncIterator[bytes]], status: int) -> None:
    """A body beyond 64 KiB is refused, whether its length is told or not; so is one in endless small pieces."""
    given = content if isinstance(content, bytes) else content()
    answer = call(app, "POST", "/flex/echo", authorization(), content=given)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


def test_slow_body(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is not waited for: 408."""
    monkeypatch.setattr(limits, "_PIECE_TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    assert call(app, "POST", "/flex/echo", authorization(), content=stuck()).status_code == 408


def test_a_client_that_leaves_is_no_defect(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes away in the middle of its body is noted with status 0, and raises no alarm."""
    said = heard(monkeypatch)
    alarms: list[str] = []
    monkeypatch.setattr(access_log.log, "exception", lambda event, **_: alarms.append(event), raising=False)
    headers = [(b"authorization", authorization()["Authorization"].encode()), (b"content-length", b"500")]
    path = "/flex/echo"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    came: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(came)

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await asgi_of(app)(scope | {"headers": headers}, receive, send)

    asyncio.run(run())
    app.state.metrics.told()
    assert not sent
    assert not alarms
    assert [msgspec.json.decode(line)["status"] for line in said.getvalue().splitlines()] == [0]


def test_head_limits(app: FastAPI) -> None:
    """Path and query beyond 8 KiB are a 414, headers beyond 16 KiB a 431, even before the token is looked at."""
    assert call(app, "GET", "/flex/" + "x" * 8_200).status_code == 414
    assert call(app, "GET", "/flex/echo", {"x-much": "x" * 16_400}).status_code == 431


@pytest.mark.parametrize("path", ["/healthz", "/flex/nowhere", "/nowhere", "/docs", "/metrics", "/broken"])
def test_security_headers(app: FastAPI, path: str) -> None:
    """Every answer, errors too, says that nothing of it may be framed, sniffed, scripted or kept."""
    headers = call(app, "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("traceparent", "said"),
    [
        (f"00-{TRACE}-{SPAN}-01", {"trace_id": TRACE, "parent_span_id": SPAN}),
        (f"cc-{TRACE}-{SPAN}-01-later", {"trace_id": TRACE, "parent_span_id": SPAN}),
        (f"ff-{TRACE}-{SPAN}-01", {}),
        (f"00-{'0' * 32}-{SPAN}-01", {}),
        (f"00-{TRACE}-{'0' * 16}-01", {}),
        (f"00-{TRACE.upper()}-{SPAN}-01", {}),
        ("nonsense", {}),
    ],
)
def test_trace_in_the_log(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, traceparent: str, said: dict[str, str]
) -> None:
    """A well-formed traceparent is in the request's line, any other is left out."""
    line = logged(app, monkeypatch, "/healthz", {"traceparent": traceparent})
    assert {name: line[name] for name in ("trace_id", "parent_span_id") if name in line} == said


def test_no_secret_in_the_log(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither token nor query nor an id of the path stands in the request's line, whatever the answer."""
    token = bearer(userId="user-of-token")
    for path in ("/flex/nowhere/secret-id?access_token=secret-query", "/flex/vehicle-policies/secret-id/session"):
        line = logged(app, monkeypatch, path, authorization(token))
        text = repr(line)
        assert line["request_id"]
        for secret in (token, token.split(".")[1], token.split(".")[2], "secret", "user-of-token", SECRET):
            assert secret not in text


def heard(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is logged at level info from now on."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]
    return said


def logged(app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The one line of this request."""
    said = heard(monkeypatch)
    call(app, "GET", path, headers)
    app.state.metrics.told()
    lines = [msgspec.json.decode(line) for line in said.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["request"]
    found: dict[str, Any] = lines[0]
    return found


def test_direct_and_framework_answer_alike(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short way past the framework gives the same answers as the long one, errors too."""
    paths = ["sessions", "sessions?x=1", "p1/session", "a%20b/session", "p1/sessions/x", "sessions/", "p1/session/"]
    paths += [f"{path}%0A" for path in paths if "?" not in path]
    calls = [(method, f"/flex/vehicle-policies/{path}") for method in ("GET", "HEAD", "POST") for path in paths]

    def answers() -> list[tuple[int, bytes, str]]:
        found = [call(app, method, path, authorization(jti=f"{method} {path}")) for method, path in calls]
        return [(one.status_code, one.content, one.headers.get("allow", "")) for one in found]

    direct = [answers() for _ in range(2)][-1]  # by then each token is known
    monkeypatch.setattr(Direct, "answer", lambda *_: None)
    assert answers() == direct
