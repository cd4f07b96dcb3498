"""The three reads of sessions. Each asks who is calling before it looks at anything else of the request.

Every row is judged by its own userId, never by that of the policy or vehicle in the path. Bodies go out as stored.
"""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from api.auth import READ_SESSIONS, Authenticator, Principal
from api.cursors import write_cursor
from api.openapi import CURRENT_SESSION, LIST_SESSIONS, SETTLED_SESSION
from api.problems import not_found, unavailable
from api.requests import check_path, parse_list, refuse_query
from api.view.keys import Position
from api.view.paging import Direction, Selection
from api.view.rows import PolicyHead, SessionHead
from api.view.view import View

_RETRY_AFTER_S: Final = 1


def session_routes(view: View, auth: Authenticator, first_session_wait_s: float) -> APIRouter:
    """The list comes first: its path must never be taken for that of a policy called `sessions`.

    Path parameters are read by hand, since FastAPI would judge them before the caller's token is looked at.
    """
    router = APIRouter(prefix="/flex/vehicle-policies", default_response_class=Response)

    @router.get("/sessions", **LIST_SESSIONS)
    async def list_sessions(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        asked = parse_list(request.scope["query_string"], caller.user_id)
        page = view.page(asked.selection, asked.cursor, asked.page_size)
        return _Json(
            b'{"data":[%b],"pagination":{"after":%b,"before":%b}}'
            % (
                b",".join(page.bodies),
                _cursor(Direction.AFTER, page.after, asked.selection),
                _cursor(Direction.BEFORE, page.before, asked.selection),
            )
        )

    @router.get("/{policyId}/session", **CURRENT_SESSION)  # noqa: FAST003 - see above
    async def current_session(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        policy_id = request.path_params["policyId"]
        check_path(policy_id)
        refuse_query(request.scope["query_string"])

        def answer() -> bytes | None:
            policy, head = view.policy_and_current(policy_id)
            if policy is None or not policy.is_enabled or not _may_see(caller, policy):
                raise not_found("enabled policy")
            if head is not None and not _may_see(caller, head):
                raise not_found("enabled policy")
            return None if head is None else view.body(head)

        body = await view.first_answer(policy_id, answer, first_session_wait_s)
        if body is None:
            raise unavailable("The policy's session is not there yet.", _RETRY_AFTER_S)
        return _Json(body)

    @router.get("/{policyId}/sessions/{sessionId}", **SETTLED_SESSION)  # noqa: FAST003 - see above
    async def settled_session(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        policy_id, session_id = request.path_params["policyId"], request.path_params["sessionId"]
        check_path(policy_id, session_id)
        refuse_query(request.scope["query_string"])
        head = view.head(session_id)
        if head is None or not head.is_settled or not _may_see(caller, head) or not _belongs(view, head, policy_id):
            raise not_found("settled session of this policy")
        body = view.body(head)
        if body is None:  # erased between the two reads
            raise not_found("settled session of this policy")
        return _Json(body)

    return router


def _may_see(caller: Principal, row: SessionHead | PolicyHead) -> bool:
    return caller.user_id is None or caller.user_id == row.user_id


def _belongs(view: View, head: SessionHead, policy_id: str) -> bool:
    """Managed by this policy, or unmanaged and of its vehicle and user; a deleted policy has neither."""
    if head.policy_id is not None:
        return head.policy_id == policy_id
    policy = view.policy(policy_id)
    return policy is not None and (policy.vehicle_id, policy.user_id) == (head.vehicle_id, head.user_id)


def _cursor(direction: Direction, position: Position | None, selection: Selection) -> bytes:
    if position is None:
        return b"null"
    return b'"%b"' % write_cursor(direction, position, selection).encode()


class _Json(Response):
    """A 200 with a body that is ready; its two headers are written out, since there is nothing to decide about them."""

    def __init__(self, body: bytes) -> None:
        self.status_code = HTTPStatus.OK
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
