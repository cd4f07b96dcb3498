"""How large a request's head may be, in bytes. What is larger is refused before anything in it is looked at.

The server's own limit holds only for heads that arrive in pieces; these hold for all.
"""

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, respond

# Path and query as sent. The longest useful one, every filter and a cursor, has some 900.
TARGET_LIMIT_BYTES: Final = 8_192
# Names and values of all headers. A token of ours has some 300.
HEADERS_LIMIT_BYTES: Final = 16_384


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


def _too_large(scope: Scope) -> ProblemError | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_LIMIT_BYTES:
        detail = f"Path and query are longer than {TARGET_LIMIT_BYTES} bytes."
        return ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, "too-large", detail)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_LIMIT_BYTES:
        detail = f"The headers are longer than {HEADERS_LIMIT_BYTES} bytes."
        return ProblemError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", detail)
    return None
