"""Target overrides over HTTP: another target for one session, or none any more.

Answered once the log has the record: what it does to the session comes with the session's next update.
"""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from api.auth import WRITE_SESSIONS, Authenticator
from api.bodies import read_json
from api.openapi_policies import OVERRIDE_TARGET
from api.problems import ProblemError, not_found, unavailable
from api.requests import check_session_id, refuse_query
from api.target_bodies import read_target
from api.view.view import View
from api.writer import OutgoingRecord, WriteFailedError, Writer
from models.codec import encode
from models.ids import SessionId, VehicleId
from models.target import SessionTarget

_RETRY_AFTER_S: Final = 1


def target_routes(
    view: View, auth: Authenticator, writer: Writer, topic: str, now: Callable[[], datetime]
) -> APIRouter:
    """The path parameter is read by hand, as in api.routes.sessions."""
    router = APIRouter(prefix="/flex/sessions", default_response_class=Response)

    @router.put("/{sessionId}/target", **OVERRIDE_TARGET)  # noqa: FAST003 - see above
    async def override_target(request: Request) -> Response:
        caller = auth.require(request, WRITE_SESSIONS)
        session_id = request.path_params["sessionId"]
        check_session_id(session_id)
        refuse_query(request.scope["query_string"])
        said = await read_json(request)
        head = view.head(session_id)
        if head is None or caller.user_id not in (None, head.user_id):
            raise not_found("session")
        at = now()
        target = read_target(said, at)
        if head.is_settled:
            detail = "The session is settled: its target can no longer change."
            raise ProblemError(HTTPStatus.CONFLICT, "session-settled", detail)
        record = SessionTarget(
            vehicle_id=VehicleId(head.vehicle_id), session_id=SessionId(session_id), at=at, target=target
        )
        try:
            await writer.write(OutgoingRecord(topic=topic, key=head.vehicle_id, value=encode(record)))
        except WriteFailedError as error:
            detail = "The override was not acknowledged; it may still come to be. Repeat it."
            raise unavailable(detail, _RETRY_AFTER_S) from error
        return Response(status_code=HTTPStatus.ACCEPTED)

    return router
