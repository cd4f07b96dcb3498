"""The stream of a policy's session. Everything is judged before the stream begins: after that there is no status."""

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from api.auth import READ_SESSIONS, Authenticator
from api.event_stream import EVENT_ID_PATTERN, EventId, SessionEvents, Slots, StreamParts
from api.metrics import Metrics
from api.openapi import SESSION_EVENTS
from api.problems import Issue, invalid_request, not_found
from api.requests import check_path, refuse_query
from api.view.view import View
from runtime.settings import Settings

_EVENT_ID: Final = re.compile(EVENT_ID_PATTERN)


def event_routes(view: View, auth: Authenticator, metrics: Metrics, settings: Settings) -> APIRouter:
    router = APIRouter(prefix="/flex/vehicle-policies", default_response_class=Response)
    parts = StreamParts(view, auth, metrics, Slots(settings.stream_clients), settings.stream_heartbeat_s)

    @router.get("/{policyId}/session/events", **SESSION_EVENTS)  # noqa: FAST003 - read by hand, as in api.routes.sessions
    async def session_events(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        policy_id = request.path_params["policyId"]
        check_path(policy_id)
        refuse_query(request.scope["query_string"])
        last = _last_event_id(request)
        policy = view.policy(policy_id)
        if policy is None or not policy.is_enabled or caller.user_id not in {None, policy.user_id}:
            raise not_found("enabled policy")
        return SessionEvents(parts, caller, policy_id, last)

    return router


def _last_event_id(request: Request) -> EventId | None:
    """What a reconnecting client says it has. Raises ProblemError (400)."""
    given = request.headers.getlist("last-event-id")
    # A client that has had no event yet says so by an empty one.
    if not given or given == [""]:
        return None
    found = _EVENT_ID.match(given[0])
    if found is None or len(given) > 1:
        raise invalid_request([Issue("Last-Event-ID", "bad-event-id", "must be the id of an event of this stream")])
    return EventId(found[1], int(found[2]))
