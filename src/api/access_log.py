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
from runtime.clock import monotonic_s
from runtime.logs import get_log

log: Final = get_log()

_REQUEST_ID: Final = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")
_OWN_ID_BYTES: Final = 12
# Methods of HTTP; any other word a client invents counts as one, so that labels stay few.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


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
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, send_noted)
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
        )


def _request_id(scope: Scope) -> str:
    """The client's own id where it is a harmless one, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.match(given) else secrets.token_hex(_OWN_ID_BYTES)
