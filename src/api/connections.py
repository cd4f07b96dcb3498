"""Connections to clients: uvicorn's, but so many at most, and a client that begins a request and does not go on is not
waited for.

Without that, connections that send a head byte by byte, or nothing at all, would be held for as long as they like.
"""

import asyncio
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.access_log import SECURITY_HEADERS
from api.problems import ProblemError, respond

# Seconds from a connection's beginning, or from the first byte of its next request, to the end of the head.
HEAD_TIMEOUT_S: Final = 10.0
# Open connections of the process; some 20 KB each. Further ones are answered at once, and closed.
CONNECTIONS_LIMIT: Final = 10_000
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_NOT_HTTP: Final = ProblemError(
    HTTPStatus.BAD_REQUEST, "invalid-request", "This is not a request of HTTP/1.1, or its body breaks off."
)


class Connection(H11Protocol):
    """One connection. Bodies are bounded by api.limits, silence between requests by uvicorn itself."""

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_LIMIT:
            transport.write(_TOO_MANY)
            transport.close()
            return
        self._head_due = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._waits_for_head():
            self._forget()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def send_400_response(self, _msg: str) -> None:
        """What is not HTTP gets a problem too, where it can still be answered, and the connection is closed."""
        response = respond(_NOT_HTTP.problem)
        headers = [*response.raw_headers, *SECURITY_HEADERS, (b"connection", b"close")]
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            for event in (
                h11.Response(
                    status_code=HTTPStatus.BAD_REQUEST, headers=headers, reason=HTTPStatus.BAD_REQUEST.phrase.encode()
                ),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever still works on the request that was cut short learns that nobody is there for its answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

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
