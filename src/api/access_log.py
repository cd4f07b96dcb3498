"""Around every request: an id, a line in the log, a measurement, and the headers that every answer has.

The line holds the route's template and never the query string, the path's ids, or any header.
"""

import asyncio
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

from msgspec import Struct
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.direct import Answer
from api.durations import Duration
from api.heads import OF_HEAD, Head, read_head
from api.metrics import Metrics
from api.problems import ProblemError, respond, unavailable
from runtime.clock import monotonic_s
from runtime.logs import LineBatch, get_log, members

log: Final = get_log()

# Methods of HTTP; any other word a client invents counts as one, so that labels stay few.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
# On every answer: nothing here may be sniffed, kept, framed or scripted (the docs page brings its own policy; its
# `frame-ancestors` says what X-Frame-Options did). Strict-Transport-Security is for whoever ends TLS in front of us.
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_ABSOLUTE_FORM: Final = re.compile(rb"(?i:https?)://[^/]*")
_STOPPING: Final = unavailable(
    "The API is stopping, and has no answer yet; a change that was asked for may still come to be. Look, or repeat.", 1
)
_DEFECT: Final = ProblemError(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "This is a fault of the API; X-Request-Id names the request."
)
# Requests that ended are told of together, after so many seconds or so many of them: what is done many times in a row
# costs less each, and a write more than a line. A process that is killed leaves no more than these untold.
_TELL_S: Final = 0.05
_TELL_REQUESTS: Final = 256


class _AtOnce(Protocol):
    """Whoever may have an answer without waiting for anything."""

    def answer(self, scope: Scope, head: Head, now_s: float) -> Answer | None: ...


class AccessLog:
    """ASGI middleware; the outermost, so that it sees every answer. Whoever ends the process calls `Metrics.told`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, direct: _AtOnce) -> None:
        self._app = app
        self._metrics = metrics
        self._direct = direct
        self._known: dict[tuple[str, str, int], _Known] = {}
        self._open = 0
        metrics.open.set_function(lambda: self._open)
        metrics.before_scrape.append(self._tell)
        self._ended: list[_Ended] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s = monotonic_s()
        head = read_head(scope)
        status = 0
        method = scope["method"]
        scope = _as_get(_in_origin_form(scope))

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = _with_ours(message.get("headers", ()), head)
            await send(message)

        self._open += 1
        try:
            answer = self._direct.answer(scope, head, start_s)
            if answer is None:
                await self._app(scope, receive, send_noted)
            else:
                status = answer.status
                headers = [*answer.headers, (b"x-request-id", head.request_id), *SECURITY_HEADERS]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": answer.body})
        except ClientDisconnect:
            pass  # in the middle of its own body: there is nobody to answer, and nothing of ours is wrong
        except asyncio.CancelledError:
            # So the server ends what is under way when the time to drain is over. Who has no answer yet gets one.
            if status:
                raise
            await respond(_STOPPING.problem, _STOPPING.headers)(scope, receive, send_noted)
        except Exception:
            # Said here and not by the server: the answer gets its headers, the traceback its request.
            log.exception("a request met a defect", request_id=head.request_id.decode())
            if status:  # too late to say anything else; the server cuts the connection
                raise
            await respond(_DEFECT.problem)(scope, receive, send_noted)
        finally:
            self._open -= 1
            self._note(_Ended(method, scope.get("route"), status, start_s, monotonic_s(), head))

    def _note(self, ended: "_Ended") -> None:
        if not self._ended:
            asyncio.get_running_loop().call_later(_TELL_S, self._tell)
        self._ended.append(ended)
        if len(self._ended) >= _TELL_REQUESTS:
            self._tell()

    def _tell(self) -> None:
        """Metrics and log of the requests that ended since the last time."""
        told, self._ended = self._ended, []
        lines = LineBatch()
        for ended in told:
            method, status, head = ended.method, ended.status, ended.head
            route = "unmatched" if ended.route is None else ended.route.path
            key = (method if method in _METHODS else "OTHER", route, status)
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._known_of(*key)
            duration_s = ended.end_s - ended.start_s
            known.duration.observe(duration_s)
            trace = f",{members(head.trace)}" if head.trace else ""
            # A request's id needs no escapes (api.heads).
            more = f'"duration_ms":{duration_s * 1_000:.3f},"request_id":"{head.request_id.decode()}"'
            lines.add(f"{known.fields}{trace},{more}", ended.end_s)
        lines.write()

    def _known_of(self, method: str, route: str, status: int) -> "_Known":
        """What all requests of a kind have in common."""
        fields = members({"event": "request", "method": method, "route": route, "status": status})
        return _Known(self._metrics.durations.of((method, route, str(status))), fields)


def _in_origin_form(scope: Scope) -> Scope:
    """A target that names its host too (RFC 9112, 3.2.2) is as good as one without, whichever host it names."""
    target = scope["raw_path"]
    found = None if target.startswith(b"/") else _ABSOLUTE_FORM.match(target)
    if found is None:
        return scope
    raw_path = target[found.end() :] or b"/"
    return {**scope, "raw_path": raw_path, "path": unquote(raw_path.decode("ascii"))}


def _as_get(scope: Scope) -> Scope:
    """HEAD is answered as GET is, in all but the body: that the server leaves out."""
    return {**scope, "method": "GET", OF_HEAD: True} if scope["method"] == "HEAD" else scope


class _Ended(Struct, frozen=True, gc=False):
    """A request that has its answer. Its two seconds are of the monotonic clock."""

    method: str
    route: Any
    status: int
    start_s: float
    end_s: float
    head: Head


class _Known(NamedTuple):
    """What requests of one method, route and status have in common; there are few such kinds."""

    duration: Duration
    fields: str


def _with_ours(given: Iterable[tuple[bytes, bytes]], head: Head) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and those of ours that it does not bring itself."""
    names = [name for name, _ in given]
    ours = [one for one in SECURITY_HEADERS if one[0] not in names]
    return [*given, (b"x-request-id", head.request_id), *ours]
