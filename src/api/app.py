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
    reads = session_routes(view, auth, settings.first_session_wait_s)
    direct = [route for route in reads.routes if isinstance(route, APIRoute)]
    routers = [reads, csv_routes(view, auth, metrics, settings), event_routes(view, auth, metrics, settings)]
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
    gate = Access(Direct(BodyLimits(framework.app), direct), auth, limit, metrics, guarded)
    # Around the framework and not within it: what goes the direct way meets nothing of it.
    app.middleware_stack = AccessLog(HeadLimits(gate), metrics)
    return app


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
        return ["GET"]
    routes = request.app.routes
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
