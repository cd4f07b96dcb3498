"""Around every request: an id, a line in the log, a measurement, and the headers that every answer has.

The line holds the route's template and never the query string, the path's ids, or any header.
"""

import asyncio
import itertools
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import ProblemError, respond
from runtime.clock import monotonic_s
from runtime.logs import LineBatch, get_log

if TYPE_CHECKING:
    from prometheus_client import Histogram

log: Final = get_log()

_REQUEST_ID: Final = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")
# Ids of our own: eight random bytes of this process, and a number.
_PROCESS: Final = secrets.token_hex(8)
_NUMBERS: Final = itertools.count(1)
# Methods of HTTP; any other word a client invents counts as one, so that labels stay few.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
# W3C Trace Context, version 00 and what later versions must begin with.
_TRACEPARENT: Final = re.compile(
    r"\A(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?\Z"
)
# On every answer: nothing here may be sniffed, kept, framed or scripted (the docs page brings its own policy; its
# `frame-ancestors` says what X-Frame-Options did). Strict-Transport-Security is for whoever ends TLS in front of us.
_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_DEFECT: Final = ProblemError(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "This is a fault of the API; X-Request-Id names the request."
)


class AccessLog:
    """ASGI middleware; the outermost, so that it sees every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._known: dict[tuple[str, str, int], _Known] = {}
        self._open = 0
        metrics.open.set_function(lambda: self._open)
        metrics.before_scrape.append(self._tell)
        # Requests that ended in this turn of the event loop.
        self._ended: list[_Ended] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s = monotonic_s()
        said = _read(scope)
        request_id = said.request_id
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                given = message.get("headers", ())
                names = [name for name, _ in given]
                ours = [one for one in _SECURITY_HEADERS if one[0] not in names]
                message["headers"] = [*given, (b"x-request-id", request_id.encode()), *ours]
            await send(message)

        self._open += 1
        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            # Said here and not by the server: the answer gets its headers, the traceback its request.
            log.exception("a request met a defect", request_id=request_id)
            if status:  # too late to say anything else; the server cuts the connection
                raise
            await respond(_DEFECT.problem)(scope, receive, send_noted)
        finally:
            self._open -= 1
            route = getattr(scope.get("route"), "path", "unmatched")
            self._note(_Ended(scope["method"], route, status, monotonic_s() - start_s, said))

    def _note(self, ended: "_Ended") -> None:
        if not self._ended:
            # Measured and written once every request of this turn has its answer, and all at once: a write costs more
            # than a line, and what is done many times in a row costs less.
            asyncio.get_running_loop().call_soon(self._tell)
        self._ended.append(ended)

    def _tell(self) -> None:
        """Metrics and log of the requests that ended since the last time."""
        told, self._ended = self._ended, []
        lines = LineBatch()
        for method, route, status, duration_s, said in told:
            key = (method if method in _METHODS else "OTHER", route, status)
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._known_of(*key)
            known.duration.observe(duration_s)
            lines.add(known.fields, said.trace, duration_ms=round(duration_s * 1_000, 3), request_id=said.request_id)
        lines.write()

    def _known_of(self, method: str, route: str, status: int) -> "_Known":
        """What all requests of a kind have in common. Looking a histogram up by its labels costs more than all else."""
        return _Known(
            self._metrics.durations.labels(method, route, str(status)),
            {"event": "request", "method": method, "route": route, "status": status},
        )


class _Ended(NamedTuple):
    """A request that has its answer."""

    method: str
    route: str
    status: int
    duration_s: float
    said: "_Said"


class _Known(NamedTuple):
    """What requests of one method, route and status have in common; there are few such kinds."""

    duration: "Histogram"
    fields: Mapping[str, Any]


class _Said(NamedTuple):
    """What a request's headers say of it: the client's own id where it is a harmless one, else a new one; its trace."""

    request_id: str
    trace: dict[str, str]


def _read(scope: Scope) -> _Said:
    request_id, trace = "", {}
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id = value.decode("latin-1")
        elif name == b"traceparent":
            found = _TRACEPARENT.match(value.decode("latin-1"))
            trace = {} if found is None else {"trace_id": found[1], "parent_span_id": found[2]}
    if not _REQUEST_ID.match(request_id):
        request_id = f"{_PROCESS}{next(_NUMBERS):08x}"
    return _Said(request_id, trace)
