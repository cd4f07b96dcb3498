"""How large a request may be, in bytes, and how long its body may take. What is larger is refused before it is read.

The server's own limit holds only for heads that arrive in pieces; these hold for all.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, respond

# Path and query as sent. The longest useful one, every filter and a cursor, has some 900.
TARGET_LIMIT_BYTES: Final = 8_192
# Names and values of all headers. A token of ours has some 300.
HEADERS_LIMIT_BYTES: Final = 16_384
# A policy has some 1,000 bytes; a record of one may have no more than this (models.topics.INPUT_LIMIT_BYTES).
BODY_LIMIT_BYTES: Final = 65_536
# Seconds for one piece of a body, and how many pieces: together the longest time that a slow client is waited for.
_PIECE_TIMEOUT_S: Final = 5.0
_PIECES_LIMIT: Final = 256


class HeadLimits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = _too_large(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await respond(error.problem)(scope, receive, send)


class BodyLimits:
    """ASGI middleware. Whoever reads a body that goes beyond the limits gets a ProblemError (413, 408)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name in {b"content-length", b"transfer-encoding"}]
        if not lengths:  # there is no body
            await self._app(scope, receive, send)
            return
        # h11 lets no length through that is not a number, and no other encoding than chunked.
        if any(value.isdigit() and int(value) > BODY_LIMIT_BYTES for value in lengths):
            await respond(_body_too_large().problem)(scope, receive, send)
            return
        read_bytes = pieces = 0
        is_whole = False

        async def receive_bounded() -> Message:
            nonlocal read_bytes, pieces, is_whole
            if is_whole:  # what comes now is word of the client's leaving, however long that takes
                return await receive()
            try:
                async with asyncio.timeout(_PIECE_TIMEOUT_S):
                    message = await receive()
            except TimeoutError as error:
                raise _body_too_slow() from error
            read_bytes += len(message.get("body", b""))
            pieces += 1
            is_whole = not message.get("more_body", False)
            if read_bytes > BODY_LIMIT_BYTES:
                raise _body_too_large()
            if pieces > _PIECES_LIMIT:
                raise _body_too_slow()
            return message

        await self._app(scope, receive_bounded, send)


def _body_too_large() -> ProblemError:
    detail = f"The body is longer than {BODY_LIMIT_BYTES} bytes."
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)


def _body_too_slow() -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The body came too slowly.")


def target_too_large() -> ProblemError:
    detail = f"Path and query are longer than {TARGET_LIMIT_BYTES} bytes."
    return ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, "too-large", detail)


def headers_too_large() -> ProblemError:
    detail = f"The headers are longer than {HEADERS_LIMIT_BYTES} bytes."
    return ProblemError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", detail)


def are_too_large(scope: Scope, headers_bytes: int) -> bool:
    """Tell whether path and query, or headers of this size, are beyond their limits."""
    target_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    return headers_bytes > HEADERS_LIMIT_BYTES or target_bytes > TARGET_LIMIT_BYTES


def _too_large(scope: Scope) -> ProblemError | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_LIMIT_BYTES:
        return target_too_large()
    headers_bytes = 0
    for name, value in scope["headers"]:
        headers_bytes += len(name) + len(value)
    return headers_too_large() if headers_bytes > HEADERS_LIMIT_BYTES else None
