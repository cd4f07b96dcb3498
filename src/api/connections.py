"""Connections to clients: uvicorn's, but so many at most, and a client that begins a request and does not go on is not
waited for.

Without that, connections that send a head byte by byte, or nothing at all, would be held for as long as they like.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.access_log import SECURITY_HEADERS
from api.limits import TARGET_LIMIT_BYTES, headers_too_large, target_too_large
from api.problems import ProblemError, respond, unavailable

# Seconds from a connection's beginning, or from the first byte of its next request, to the end of the head.
HEAD_TIMEOUT_S: Final = 10.0
# Open connections of the process; some 20 KB each. Further ones are answered at once, and closed.
CONNECTIONS_LIMIT: Final = 10_000
# Seconds for which a client that was refused is still listened to: closed upon at once, it would lose its answer where
# it is in the middle of sending.
_LINGER_S: Final = 1.0


def _whole(error: ProblemError) -> bytes:
    """An answer that is the last of its connection, as it is sent."""
    response = respond(error.problem, error.headers)
    status = HTTPStatus(error.problem.status)
    headers = [*response.raw_headers, *SECURITY_HEADERS, (b"connection", b"close")]
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), b"".join(lines), bytes(response.body))


_TOO_MANY: Final = _whole(unavailable("Too many connections are open.", 1))
_NOT_HTTP: Final = _whole(
    ProblemError(
        HTTPStatus.BAD_REQUEST, "invalid-request", "This is not a request of HTTP/1.1, or its body breaks off."
    )
)
_TARGET_TOO_LARGE: Final = _whole(target_too_large())
_HEADERS_TOO_LARGE: Final = _whole(headers_too_large())


class Connection(H11Protocol):
    """One connection. Bodies are bounded by api.limits, silence between requests by uvicorn itself."""

    _head_due: asyncio.TimerHandle | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_LIMIT:
            transport.write(_TOO_MANY)
            transport.close()
            return
        self._head_due = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if not self._waits_for_head():
            self._forget()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def send_400_response(self, _msg: str) -> None:
        """What is not HTTP, or too much of a head, gets a problem too, where it can still be answered, and the
        connection is closed. Called while h11's error is handled.
        """
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(self._refusal(sys.exception()))
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever still works on the request that was cut short learns that nobody is there for its answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._is_refused = True
        self._forget()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._head_due = self.loop.call_later(_LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _refusal(self, error: BaseException | None) -> bytes:
        is_too_large = getattr(error, "error_status_hint", None) == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if not is_too_large or not self._waits_for_head():
            return _NOT_HTTP
        head, _ = self.conn.trailing_data
        target = head.partition(b"\n")[0].partition(b" ")[2].partition(b" ")[0]
        return _TARGET_TOO_LARGE if len(target) > TARGET_LIMIT_BYTES else _HEADERS_TOO_LARGE

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _give_up(self) -> None:
        self._head_due = None
        if self._waits_for_head():
            self.transport.close()

    def _forget(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None
