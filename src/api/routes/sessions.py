"""The three reads of sessions. Each asks what the caller may before it looks at anything else of the request.

Every row is judged by its own userId, never by that of the policy or vehicle in the path. Bodies go out as stored.
"""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from api.auth import READ_SESSIONS, Authenticator, Principal, require_scope
from api.cursors import write_cursor
from api.direct import Read, json_headers
from api.openapi import CURRENT_SESSION, LIST_SESSIONS, SETTLED_SESSION
from api.problems import not_found, unavailable
from api.requests import check_path, parse_list, refuse_query
from api.view.keys import Position
from api.view.paging import Direction, Selection
from api.view.rows import SessionHead
from api.view.view import View

_RETRY_AFTER_S: Final = 1


class SessionReads:
    """What is read, for api.direct and for the routes alike: from a caller and a query to a body that is ready.

    Each raises ProblemError and ViewNotReadyError.
    """

    def __init__(self, view: View) -> None:
        self._view = view

    def current(self, caller: Principal, query: bytes, policy_id: str) -> bytes | None:
        """A policy's current session; None: it has none yet."""
        require_scope(caller, READ_SESSIONS)
        check_path(policy_id)
        refuse_query(query)
        row = self._view.current_row(policy_id)
        if row.owner_id is None or not _may_see(caller, row.owner_id):
            raise not_found("enabled policy")
        session = row.session
        if session is None:
            return None
        if not _may_see(caller, session.user_id):
            raise not_found("enabled policy")
        return session.body

    def settled(self, caller: Principal, query: bytes, policy_id: str, session_id: str) -> bytes:
        """A settled session of a policy."""
        require_scope(caller, READ_SESSIONS)
        check_path(policy_id, session_id)
        refuse_query(query)
        head = self._view.head(session_id)
        if (
            head is None
            or not head.is_settled
            or not _may_see(caller, head.user_id)
            or not self._belongs(head, policy_id)
        ):
            raise not_found("settled session of this policy")
        body = self._view.body(head)
        if body is None:  # erased between the two reads
            raise not_found("settled session of this policy")
        return body

    def page(self, caller: Principal, query: bytes) -> bytes:
        """A page of settled sessions, and its cursors."""
        require_scope(caller, READ_SESSIONS)
        asked = parse_list(query, caller.user_id)
        page = self._view.page(asked.selection, asked.cursor, asked.page_size)
        return b'{"data":[%b],"pagination":{"after":%b,"before":%b}}' % (
            b",".join(page.bodies),
            _cursor(Direction.AFTER, page.after, asked.selection),
            _cursor(Direction.BEFORE, page.before, asked.selection),
        )

    def _belongs(self, head: SessionHead, policy_id: str) -> bool:
        """Managed by this policy, or unmanaged and of its vehicle and user; a deleted policy has neither."""
        if head.policy_id is not None:
            return head.policy_id == policy_id
        policy = self._view.policy(policy_id)
        return policy is not None and (policy.vehicle_id, policy.user_id) == (head.vehicle_id, head.user_id)


def session_routes(view: View, auth: Authenticator, first_session_wait_s: float) -> tuple[APIRouter, dict[str, Read]]:
    """The routes, and by the name of a route what it reads, for those that api.direct answers.

    The list comes first: its path must never be taken for that of a policy called `sessions`. Path parameters are
    read by hand, since FastAPI would judge them before the caller's token is looked at.
    """
    router = APIRouter(prefix="/flex/vehicle-policies", default_response_class=Response)
    reads = SessionReads(view)

    @router.get("/sessions", **LIST_SESSIONS)
    async def list_sessions(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        return _Json(reads.page(caller, request.scope["query_string"]))

    @router.get("/{policyId}/session", **CURRENT_SESSION)  # noqa: FAST003 - see above
    async def current_session(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        policy_id = request.path_params["policyId"]
        query = request.scope["query_string"]
        body = await view.first_answer(policy_id, lambda: reads.current(caller, query, policy_id), first_session_wait_s)
        if body is None:
            raise unavailable("The policy's session is not there yet.", _RETRY_AFTER_S)
        return _Json(body)

    @router.get("/{policyId}/sessions/{sessionId}", **SETTLED_SESSION)  # noqa: FAST003 - see above
    async def settled_session(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        ids = request.path_params["policyId"], request.path_params["sessionId"]
        return _Json(reads.settled(caller, request.scope["query_string"], *ids))

    return router, {"current_session": reads.current, "list_sessions": reads.page, "settled_session": reads.settled}


def _may_see(caller: Principal, user_id: str) -> bool:
    return caller.user_id is None or caller.user_id == user_id


def _cursor(direction: Direction, position: Position | None, selection: Selection) -> bytes:
    if position is None:
        return b"null"
    return b'"%b"' % write_cursor(direction, position, selection).encode()


class _Json(Response):
    """A 200 with a body that is ready."""

    def __init__(self, body: bytes) -> None:
        self.status_code = HTTPStatus.OK
        self.body = body
        self.background = None
        self.raw_headers = json_headers(body)
