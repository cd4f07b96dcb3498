"""Around every request: an id, a line in the log, a measurement, and the headers that every answer has.

The line holds the route's template and never the query string, the path's ids, or any header.
"""

import re
import secrets
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import ProblemError, respond
from runtime.clock import monotonic_s
from runtime.logs import get_log

log: Final = get_log()

_REQUEST_ID: Final = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")
_OWN_ID_BYTES: Final = 12
# W3C Trace Context, version 00 and what later versions must begin with.
_TRACEPARENT: Final = re.compile(
    r"\A(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?\Z"
)
# On every answer. Nothing here is a page that another site may frame, script or keep (the docs page brings its own
# policy). Strict-Transport-Security is for whoever ends TLS in front of us.
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OWN_POLICY: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# Methods of HTTP; any other word a client invents counts as one, so that labels stay few.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_DEFECT: Final = ProblemError(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "This is a fault of the API; X-Request-Id names the request."
)


class AccessLog:
    """ASGI middleware; the outermost, so that it sees every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s = monotonic_s()
        request_id = _request_id(scope)
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers[name] = value
                for name, value in _OWN_POLICY.items():
                    headers.setdefault(name, value)
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            # Said here and not by the server: the answer gets its headers, the traceback its request.
            log.exception("a request met a defect", request_id=request_id)
            if status:  # too late to say anything else; the server cuts the connection
                raise
            await respond(_DEFECT.problem)(scope, receive, send_noted)
        finally:
            self._metrics.open.dec()
            self._note(scope, status, monotonic_s() - start_s, request_id)

    def _note(self, scope: Scope, status: int, duration_s: float, request_id: str) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.durations.labels(method, route, str(status)).observe(duration_s)
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(duration_s * 1_000, 3),
            request_id=request_id,
            **_trace(scope),
        )


def _trace(scope: Scope) -> dict[str, str]:
    """The caller's trace and span, where it says them as it should."""
    found = _TRACEPARENT.match(Headers(scope=scope).get("traceparent", ""))
    return {} if found is None else {"trace_id": found[1], "parent_span_id": found[2]}


def _request_id(scope: Scope) -> str:
    """The client's own id where it is a harmless one, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.match(given) else secrets.token_hex(_OWN_ID_BYTES)
