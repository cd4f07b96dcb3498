"""The way past the framework for the reads that are asked for most: gate, route and read in one call, never waiting.

What it has no answer for goes the long way, where the same is asked again with patience: a token that was not checked
yet, one that asks too often, a request that is too large or has a body, another method or path, a session that is not
there yet.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.responses import Response
from starlette.types import Scope

from api.auth import ADMITTED, Authenticator
from api.heads import Head
from api.limits import are_too_large
from api.problems import ProblemError, respond, unavailable
from api.rate_limit import RateLimit
from api.view.view import ViewNotReadyError

_RETRY_AFTER_S: Final = 1

# A read: the caller, the query string and the path's ids to a body that is ready; None: not yet. Raises ProblemError
# and ViewNotReadyError.
Read = Callable[..., bytes | None]


class Answer(Struct, frozen=True, gc=False):
    """An answer but for the headers that all have."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class Direct:
    """The reads behind their routes. `routes` are FastAPI's, which has them for its contract and for the long way."""

    def __init__(self, routes: Sequence[tuple[APIRoute, Read]], auth: Authenticator, limit: RateLimit) -> None:
        self._routes: list[tuple[Callable[[str], Any], APIRoute, Read]] = [
            (route.path_regex.match, route, read) for route, read in routes
        ]
        self._auth = auth
        self._limit = limit

    def answer(self, scope: Scope, head: Head, now_s: float) -> Answer | None:
        """The answer to a request of this head at this second of the monotonic clock; None: by the long way."""
        path = scope["path"]
        # `$` in a pattern would let a last line break pass.
        if scope["method"] != "GET" or head.has_body or path.endswith("\n"):
            return None
        for match, route, read in self._routes:
            found = match(path)
            if found is not None:
                scope["route"] = route
                return self._answer(scope, head, now_s, read, found.groups())
        return None

    def _answer(self, scope: Scope, head: Head, now_s: float, read: Read, ids: tuple[str, ...]) -> Answer | None:
        caller = self._auth.remembered(head.authorization)
        if caller is None or are_too_large(scope, head.size_bytes) or self._limit.take(caller.token_digest, now_s):
            return None
        try:
            body = read(caller, scope["query_string"], *ids)
        except (ProblemError, ViewNotReadyError) as error:
            response = refusal(error)
            return Answer(response.status_code, response.raw_headers, bytes(response.body))
        if body is None:
            scope[ADMITTED] = caller
            return None
        return Answer(200, json_headers(body), body)


def json_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Written out, since there is nothing to decide about them."""
    return [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def refusal(error: ProblemError | ViewNotReadyError) -> Response:
    """The answer that says what a handler raised."""
    if isinstance(error, ViewNotReadyError):
        error = unavailable(f"Not now: {error}.", _RETRY_AFTER_S)
    return respond(error.problem, error.headers)
