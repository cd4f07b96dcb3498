"""The HTTP application: routes over a view, errors as problems, and what surrounds every request."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import Access
from api.access_log import AccessLog
from api.auth import Authenticator
from api.direct import Direct, refusal
from api.limits import BodyLimits, HeadLimits
from api.metrics import Metrics
from api.openapi import DESCRIPTION, contract_of
from api.policy_writes import PolicyWrites
from api.problems import ProblemError, respond
from api.rate_limit import RateLimit
from api.routes.csv import csv_routes
from api.routes.events import event_routes
from api.routes.health import health_routes
from api.routes.policies import LISTS, policy_routes
from api.routes.sessions import session_routes
from api.routes.targets import target_routes
from api.view.view import View, ViewNotReadyError
from api.writer import Writer
from models.topics import SESSION_TARGETS, VEHICLE_POLICIES, topic_name
from runtime.clock import utc_now
from runtime.settings import Settings


class Follower(Protocol):
    """What runs beside the requests: whoever keeps the view, or the keys."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def create_app(
    view: View, settings: Settings, metrics: Metrics, follower: Follower | None = None, writer: Writer | None = None
) -> FastAPI:
    """The application; `follower` runs as long as it does. Without one, the view is filled by the caller.

    Without a `writer` there are no calls that write, and none of policies.
    """
    auth = Authenticator(settings, metrics)
    app = FastAPI(
        title="Flex Sessions",
        description=DESCRIPTION,
        version=version("flex-sessions"),
        lifespan=_following(auth, *(() if follower is None else (follower,))),
        # Its own pages load scripts from elsewhere; ours need no network (api.docs_page).
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Ours is in api.access_log; this one would look for its providers at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    session_router, reads = session_routes(view, auth, settings.first_session_wait_s)
    by_name = {route.name: route for route in session_router.routes if isinstance(route, APIRoute)}
    routers = [session_router, csv_routes(view, auth, metrics, settings), event_routes(view, auth, metrics, settings)]
    if writer is not None:
        policies_topic = topic_name(settings.topic_prefix, VEHICLE_POLICIES)
        routers.append(policy_routes(view, auth, PolicyWrites(view, writer, policies_topic, utc_now)))
        targets_topic = topic_name(settings.topic_prefix, SESSION_TARGETS)
        routers.append(target_routes(view, auth, writer, targets_topic, utc_now))
    for router in routers:
        app.include_router(router)
    contract = contract_of(app)
    app.include_router(health_routes(view, metrics, contract))
    app.add_exception_handler(ProblemError, _as_problem)
    app.add_exception_handler(ViewNotReadyError, _as_problem)
    app.add_exception_handler(HTTPException, _of_the_framework)
    framework = app.build_middleware_stack()
    # Its outermost layer answers what nobody caught before AccessLog could, and costs every request a wrapper.
    assert isinstance(framework, ServerErrorMiddleware)
    limit = RateLimit(settings.rate_limit_per_s, settings.rate_limit_burst)
    guarded = [route for router in routers for route in router.routes]
    gate = Access(BodyLimits(_Named(app, framework.app)), auth, limit, metrics, guarded)
    direct = Direct([(by_name[name], read) for name, read in reads.items()], auth, limit)
    # Around the framework and not within it: what goes the direct way meets nothing of it.
    app.middleware_stack = AccessLog(HeadLimits(gate), metrics, direct)
    return app


def asgi_of(app: FastAPI) -> ASGIApp:
    """What a server calls: all that stands around the framework, without the framework's own wrappers of a request."""
    assert app.middleware_stack is not None
    return app.middleware_stack


class _Named:
    """ASGI middleware: tells the framework which application it is, as the application's own call would."""

    def __init__(self, name: FastAPI, app: ASGIApp) -> None:
        self._name = name
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._name
        if scope["type"] == "http" and scope["path"].endswith("\n"):
            # `$` in the routes' patterns would let this last character pass: have it match none of them.
            scope["path"] += "/"
        await self._app(scope, receive, send)


def _following(*parts: Follower) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for part in parts:
            part.start()
        try:
            yield
        finally:
            for part in reversed(parts):
                part.stop()

    return lifespan


async def _as_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError | ViewNotReadyError)
    return refusal(error)


async def _of_the_framework(request: Request, error: Exception) -> Response:
    """An unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    problem = ProblemError(status, status.phrase.lower().replace(" ", "-"), f"{status.description or error.detail}.")
    headers = error.headers
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        # The router names the methods of the first route alone that has this path.
        headers = {"Allow": ", ".join(_methods(request))}
    return respond(problem.problem, headers)


def _methods(request: Request) -> list[str]:
    """Every method that some route has for this request's path."""
    if request.scope["path"] in LISTS:
        return ["GET", "HEAD"]
    routes = request.app.routes
    found = [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return sorted([*found, "HEAD"]) if "GET" in found else found
