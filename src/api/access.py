"""The gate before everything under /flex: no route there is reached without a valid token, and by none too often.

A route that is forgotten to ask for a scope is still not open to the world. What a token may do there, each route asks.
"""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import ADMITTED, Authenticator
from api.metrics import Metrics
from api.problems import ProblemError, respond
from api.rate_limit import RateLimit
from runtime.clock import monotonic_s

_GUARDED: Final = "/flex"


class Access:
    """ASGI middleware."""

    def __init__(
        self, app: ASGIApp, auth: Authenticator, limit: RateLimit, metrics: Metrics, routes: Sequence[BaseRoute] = ()
    ) -> None:
        """`routes`: those behind the gate, by which a refused request is named in the log."""
        self._app = app
        self._auth = auth
        self._limit = limit
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_GUARDED):
            try:
                if ADMITTED not in scope:  # api.direct has let it in already, and counted it
                    caller = await self._auth.admit(scope)
                    self._count(caller.token_digest)
            except ProblemError as error:
                self._metrics.refused.labels(str(error.problem.status)).inc()
                self._name_route(scope)
                await respond(error.problem, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _count(self, token_digest: bytes) -> None:
        wait_s = self._limit.take(token_digest, monotonic_s())
        if wait_s:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                "This token asks too often; Retry-After says when to go on.",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )

    def _name_route(self, scope: Scope) -> None:
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                scope["route"] = route
                return
