"""Policies over HTTP: list, create, read, change, delete. Each asks who is calling before it looks at anything else.

A policy that is another user's does not exist for a caller who is limited to one.
"""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.auth import READ_POLICIES, WRITE_POLICIES, Authenticator, Principal
from api.bodies import JSON, read_json
from api.conditions import etag, has_it_already, idempotency_key, required_match
from api.openapi_policies import CHANGE_POLICY, CREATE_POLICY, DELETE_POLICY, LIST_POLICIES, READ_POLICY
from api.policy_bodies import MERGE_PATCH, new_policy
from api.policy_cursors import write_policy_cursor
from api.policy_writes import PolicyWrites
from api.problems import not_found
from api.requests import check_path, parse_policy_list, refuse_query
from api.view.paging import Direction
from api.view.policies import PolicyDocument, PolicySelection, decoded, document, read_policy_page
from api.view.view import View
from runtime.clock import utc_now

_PREFIX: Final = "/flex/vehicle-policies"
# Paths of other calls, which only have GET: no policy of such an id can be asked for.
LISTS: Final = frozenset({f"{_PREFIX}/sessions", f"{_PREFIX}/sessions.csv"})


def policy_routes(view: View, auth: Authenticator, writes: PolicyWrites) -> APIRouter:
    """To be included after the routes of sessions: their paths must never be taken for that of a policy.

    Path parameters are read by hand, as in api.routes.sessions.
    """
    router = APIRouter(prefix=_PREFIX, default_response_class=Response)

    @router.get("", **LIST_POLICIES)
    async def list_policies(request: Request) -> Response:
        caller = auth.require(request, READ_POLICIES)
        asked = parse_policy_list(request.scope["query_string"], caller.user_id)
        page = view.ask(lambda store: read_policy_page(store, asked.selection, asked.cursor, asked.page_size))
        return _json(
            b'{"data":[%b],"pagination":{"after":%b,"before":%b}}'
            % (
                b",".join(page.bodies),
                _cursor(Direction.AFTER, page.after, asked.selection),
                _cursor(Direction.BEFORE, page.before, asked.selection),
            )
        )

    @router.post("", **CREATE_POLICY)
    async def create_policy(request: Request) -> Response:
        caller = auth.require(request, WRITE_POLICIES)
        refuse_query(request.scope["query_string"])
        key = idempotency_key(request)
        asked = new_policy(await read_json(request), caller.user_id, utc_now())
        made, is_new = await writes.create(asked, caller.subject, key)
        answer = _policy(made, HTTPStatus.CREATED)
        policy = decoded(made)
        assert policy is not None
        answer.headers["Location"] = f"{_PREFIX}/{policy.id}"
        if not is_new:
            answer.headers["Idempotent-Replayed"] = "true"
        return answer

    @router.get("/{policyId}", **READ_POLICY)  # noqa: FAST003 - see above
    async def read_policy(request: Request) -> Response:
        caller = auth.require(request, READ_POLICIES)
        found = _visible(view, caller, _policy_id(request))
        if has_it_already(request, found.tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(found.tag)})
        return _policy(found, HTTPStatus.OK)

    @router.patch("/{policyId}", **CHANGE_POLICY)  # noqa: FAST003 - see above
    async def change_policy(request: Request) -> Response:
        caller = auth.require(request, WRITE_POLICIES)
        policy_id = _policy_id(request)
        _visible(view, caller, policy_id)
        tags = required_match(request)
        patch = await read_json(request, (MERGE_PATCH, JSON))
        return _policy(await writes.change(policy_id, caller.user_id, tags, patch), HTTPStatus.OK)

    @router.delete("/{policyId}", **DELETE_POLICY)  # noqa: FAST003 - see above
    async def delete_policy(request: Request) -> Response:
        caller = auth.require(request, WRITE_POLICIES)
        policy_id = _policy_id(request)
        _visible(view, caller, policy_id)
        await writes.delete(policy_id, caller.user_id, required_match(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return router


def _policy_id(request: Request) -> str:
    if request.scope["path"] in LISTS:
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
    policy_id: str = request.path_params["policyId"]
    check_path(policy_id)
    refuse_query(request.scope["query_string"])
    return policy_id


def _visible(view: View, caller: Principal, policy_id: str) -> PolicyDocument:
    """The policy, where it is the caller's to see."""
    found = view.ask(lambda store: document(store, policy_id))
    policy = decoded(found)
    if found is None or policy is None or caller.user_id not in (None, policy.user_id):
        raise not_found("policy")
    return found


def _policy(found: PolicyDocument, status: HTTPStatus) -> Response:
    return Response(found.body, status_code=status, media_type=JSON, headers={"ETag": etag(found.tag)})


def _cursor(direction: Direction, policy_id: str | None, selection: PolicySelection) -> bytes:
    if policy_id is None:
        return b"null"
    return b'"%b"' % write_policy_cursor(direction, policy_id, selection).encode()


def _json(body: bytes) -> Response:
    return Response(body, media_type=JSON)
