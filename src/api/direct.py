"""The way past the framework for reads that are asked for most: straight to the handler, at a third of the cost.

The handlers read their requests themselves (api.requests), so FastAPI has nothing to add but the contract, for which
the same routes are registered there too. Whatever does not fit here, a wrong method or path, goes on to FastAPI.
"""

from collections.abc import Sequence
from typing import Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, respond, unavailable
from api.view.view import ViewNotReadyError

_RETRY_AFTER_S: Final = 1


class Direct:
    """ASGI middleware, within all that stands around every request but the bounds of bodies: its handlers read none."""

    def __init__(self, app: ASGIApp, routes: Sequence[APIRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route_of(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            response: Response = await route.endpoint(Request(scope, receive, send))
        except (ProblemError, ViewNotReadyError) as error:
            response = refusal(error)
        await response(scope, receive, send)

    def _route_of(self, scope: Scope) -> APIRoute | None:
        """The first route that has this path, as FastAPI would choose it; noted in the request as FastAPI would."""
        for route in self._routes:
            found = route.path_regex.match(scope["path"])
            if found is not None and "GET" in (route.methods or ()):
                scope["route"] = route
                scope["path_params"] = found.groupdict()
                return route
        return None


def refusal(error: ProblemError | ViewNotReadyError) -> Response:
    """The answer that says what a handler raised."""
    if isinstance(error, ViewNotReadyError):
        error = unavailable(f"Not now: {error}.", _RETRY_AFTER_S)
    return respond(error.problem, error.headers)
