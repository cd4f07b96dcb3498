"""The contract in OpenAPI 3.1: what each call takes and answers. Schemas come from the models, words are written here.

Handlers read requests themselves (api.requests), so parameters are described here and not derived from signatures.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from msgspec import Struct

from api.auth import READ_SESSIONS
from api.contract import (
    ANSWERS,
    BODIES,
    CURSOR_SCHEMA,
    ID_SCHEMA,
    REF,
    SAID_BY_CLIENTS,
    SCHEMAS,
    TIME_SCHEMA,
    UUID_SCHEMA,
    anchored,
    json_answer,
    operation,
    parameter,
    problem,
)
from api.csv_stream import MEDIA_TYPE as CSV
from api.event_stream import EVENT_ID_PATTERN
from api.event_stream import MEDIA_TYPE as EVENT_STREAM
from api.examples import AFTER, BEFORE, CSV_ROWS, EVENTS, METRICS_TEXT, PAGE, SETTLED, UPCOMING
from api.limits import BODY_LIMIT_BYTES, HEADERS_LIMIT_BYTES, TARGET_LIMIT_BYTES
from api.problems import Problem
from api.requests import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from models.session import Session


class Pagination(Struct, frozen=True):
    """Cursors to go on with; null where nothing follows."""

    after: str | None
    before: str | None


class SessionPage(Struct, frozen=True):
    """Settled sessions, newest first."""

    data: list[Session]
    pagination: Pagination


DESCRIPTION: Final = (
    "Charging sessions of vehicles under charging policies. A session is one plug visit, from plug-in (or its "
    "anticipation) to plug-out. Every call under /flex needs a bearer token. HEAD may be asked wherever GET may. Errors"
    " are RFC 9457 problem documents; a method that a path does not have is a 405"
    " (components/responses/MethodNotAllowed)."
)

_SIZE_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT}


_BAD: Final = problem(
    400,
    "invalid-request",
    "Bad Request",
    "The request is malformed; `issues` names each fault.",
    [{"parameter": "pageSize", "code": "bad-page-size", "detail": "must be a whole number from 1 to 100"}],
)
_NO_TOKEN: Final = problem(401, "unauthorized", "Unauthorized", "No bearer token, or one that is not valid.")
_NO_SCOPE: Final = problem(403, "missing-scope", "Forbidden", f"The token does not have the scope {READ_SESSIONS}.")
_NOT_FOUND: Final = problem(404, "not-found", "Not Found", "There is no such thing, or not for this caller.")
_TOO_OFTEN: Final = problem(
    429, "too-many-requests", "Too Many Requests", "This token asks too often; Retry-After says when to go on."
)
_NOT_NOW: Final = problem(
    503, "unavailable", "Service Unavailable", "The view is catching up, or the session is not there yet; ask again."
)
# Of every call, also of one that takes no body.
_ANYWHERE: Final = (
    problem(413, "too-large", "Request Entity Too Large", f"The body is longer than {BODY_LIMIT_BYTES} bytes.")
    | problem(414, "too-large", "Request-URI Too Long", f"Path and query are longer than {TARGET_LIMIT_BYTES} bytes.")
    | problem(
        431,
        "too-large",
        "Request Header Fields Too Large",
        f"The headers are longer than {HEADERS_LIMIT_BYTES} bytes.",
    )
    | problem(
        500,
        "internal-error",
        "Internal Server Error",
        "This is a fault of the API; X-Request-Id names the request.",
    )
)
_NO_METHOD: Final = problem(405, "method-not-allowed", "Method Not Allowed", "The path has no such method.")[405]
_NO_METHOD["headers"] = {"Allow": {"description": "The methods that the path has.", "schema": {"type": "string"}}}
for _answer in (*_NOT_NOW.values(), *_TOO_OFTEN.values()):
    _answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}

# How fields that hold a time are named (one of them, batteryLevelAtReadyBy, holds a number).
_TIME_FIELDS: Final = ("At", "By")
_POLICY_ID: Final = parameter("policyId", "path", ID_SCHEMA, "The vehicle policy.", SETTLED["policyId"])
_SECURED: Final = {"security": [{"bearer": [READ_SESSIONS]}]}


CURRENT_SESSION: Final = operation(
    "getCurrentSession",
    "The current session of a policy",
    "The policy's UPCOMING or ACTIVE session. Right after the policy's creation, or between two sessions, the answer"
    " waits a moment for the session; if it does not come, 503. 404 if there is no such policy or it is disabled.",
    {200: json_answer(Session, UPCOMING, "The current session.")}
    | _BAD
    | _NO_TOKEN
    | _NO_SCOPE
    | _NOT_FOUND
    | _NOT_NOW,
    parameters=[_POLICY_ID],
    tags=["sessions"],
    **_SECURED,
)

SETTLED_SESSION: Final = operation(
    "getSettledSession",
    "One settled session",
    "A SETTLED session that this policy managed, or an unmanaged one of its vehicle and user. Of a deleted policy, the"
    " sessions that it managed.",
    {200: json_answer(Session, SETTLED, "The session.")} | _BAD | _NO_TOKEN | _NO_SCOPE | _NOT_FOUND | _NOT_NOW,
    parameters=[_POLICY_ID, parameter("sessionId", "path", UUID_SCHEMA, "The session.", SETTLED["id"])],
    tags=["sessions"],
    **_SECURED,
)

LIST_SESSIONS: Final = operation(
    "listSettledSessions",
    "Settled sessions, newest first",
    "Ordered by pluggedInAt, then id, newest first. Filters combine with and. With vehicleId or locationId each"
    " charging event appears once; with policyId only sessions that it managed. A page may hold fewer sessions than"
    " pageSize while its cursor is not null: go on until the cursor is null.",
    {200: json_answer(SessionPage, PAGE, "One page.")} | _BAD | _NO_TOKEN | _NO_SCOPE | _NOT_NOW,
    parameters=[
        parameter(
            "from",
            "query",
            TIME_SCHEMA,
            "Only sessions whose pluggedInAt is at or after this time.",
            "2025-01-19T00:00:00Z",
        ),
        parameter(
            "to",
            "query",
            TIME_SCHEMA,
            "Only sessions whose pluggedOutAt is at or before this time.",
            "2025-01-20T00:00:00+01:00",
        ),
        parameter("policyId", "query", ID_SCHEMA, "Only sessions that this policy managed.", SETTLED["policyId"]),
        parameter("locationId", "query", ID_SCHEMA, "Only sessions at this location.", SETTLED["locationId"]),
        parameter("vehicleId", "query", ID_SCHEMA, "Only sessions of this vehicle.", SETTLED["vehicleId"]),
        parameter("after", "query", CURSOR_SCHEMA, "Go on to older sessions, from pagination.after of a page.", AFTER),
        parameter("before", "query", CURSOR_SCHEMA, "Go back to newer ones, from pagination.before of a page.", BEFORE),
        parameter("pageSize", "query", _SIZE_SCHEMA, "Sessions per page.", PAGE_SIZE_MAX),
    ],
    tags=["sessions"],
    **_SECURED,
)


_LAST_EVENT_ID: Final = parameter(
    "Last-Event-ID",
    "header",
    {"type": "string", "pattern": anchored(EVENT_ID_PATTERN)},
    "The id of the last event received: it is not sent again, nor anything older.",
    f"{UPCOMING['id']}:1",
)

# OpenAPI 3.1 takes a stream for one text; who reads it event by event finds the fields of each.
_EVENTS_SCHEMA: Final = {
    "type": ["string", "object"],
    "properties": {
        "event": {"enum": ["flex:session:updated", "flex:session:erased", "end"]},
        "id": _LAST_EVENT_ID["schema"],
        "data": {"type": "string"},
    },
    "required": ["event", "data"],
}
SESSION_EVENTS: Final = operation(
    "streamSessionEvents",
    "A policy's session as it changes",
    "Server-sent events: the current session, then every update of the policy's sessions. An event's id is"
    " `<sessionId>:<version>`. On reconnect with Last-Event-ID the current session is sent if it differs; what lay"
    " between is not sent again. Ends with its token, with the policy, with the process, and where its client is too"
    " slow; the last event, `end`, says which.",
    {200: {"description": "The stream.", "content": {EVENT_STREAM: {"schema": _EVENTS_SCHEMA, "example": EVENTS}}}}
    | _BAD
    | _NO_TOKEN
    | _NO_SCOPE
    | _NOT_FOUND
    | _NOT_NOW,
    parameters=[_POLICY_ID, _LAST_EVENT_ID],
    tags=["sessions"],
    **_SECURED,
)


# The filters of the list, without its pages.
_FILTER_NAMES: Final = ("from", "to", "policyId", "locationId", "vehicleId")
SESSIONS_CSV: Final = operation(
    "exportSettledSessions",
    "Settled sessions as CSV",
    "The filtered list, newest first, as one CSV stream (RFC 4180): a line of column names, null as an empty field."
    " A stream that cannot go to its end is cut without HTTP's last chunk.",
    {200: {"description": "All rows.", "content": {CSV: {"schema": {"type": "string"}, "example": CSV_ROWS}}}}
    | _BAD
    | _NO_TOKEN
    | _NO_SCOPE
    | _NOT_NOW,
    parameters=[one for one in LIST_SESSIONS["openapi_extra"]["parameters"] if one["name"] in _FILTER_NAMES],
    tags=["sessions"],
    **_SECURED,
)


def _word(word: str) -> dict[int, Any]:
    schema = {"type": "object", "properties": {"status": {"const": word}}, "required": ["status"]}
    content = {"schema": schema, "example": {"status": word}}
    return {200: {"description": f"{word.capitalize()}.", "content": {"application/json": content}}}


HEALTH: Final = operation(
    "getHealth",
    "Is the process alive",
    "503 once the view follows the topics no more: restart the process.",
    _word("alive") | _BAD | _NOT_NOW,
    tags=["operations"],
)
READY: Final = operation(
    "getReadiness",
    "May requests be sent here",
    "200 once the view has caught up with the topics.",
    _word("ready") | _BAD | _NOT_NOW,
    tags=["operations"],
)
METRICS: Final = operation(
    "getMetrics",
    "Prometheus metrics",
    "Counters and durations in the Prometheus text format.",
    {
        200: {
            "description": "Metrics.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": METRICS_TEXT}},
        }
    }
    | _BAD,
    tags=["operations"],
)


def contract_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The app's OpenAPI document, with schemas from the models; made once."""
    derive = app.openapi
    made: list[dict[str, Any]] = []

    def contract() -> dict[str, Any]:
        if not made:
            document = derive()
            for methods in document["paths"].values():
                for call in methods.values():
                    answers = (
                        dict(ANSWERS[call["operationId"]]) | (_TOO_OFTEN if "security" in call else {}) | _ANYWHERE
                    )
                    if call["operationId"] in BODIES:
                        call["requestBody"] = BODIES[call["operationId"]]
                    call["responses"] = {str(status): answer for status, answer in sorted(answers.items())}
            document["components"] = {
                "responses": {"MethodNotAllowed": _NO_METHOD},
                "schemas": _schemas(),
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            }
            made.append(document)
        return made[0]

    return contract


def _schemas() -> dict[str, Any]:
    kinds = sorted(SCHEMAS | {Problem}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REF)
    for name, schema in schemas.items():
        _in_json_schema(schema)
        if "properties" in schema and name not in SAID_BY_CLIENTS:
            # A default spares the writer a word; what is sent always holds every field.
            schema["required"] = list(schema["properties"])
            for field in schema["properties"].values():
                field.pop("default", None)
        if name in SAID_BY_CLIENTS:
            schema["additionalProperties"] = False
        for field_name, field in schema.get("properties", {}).items():
            if field_name.endswith(_TIME_FIELDS):
                _mark_times(field, TIME_SCHEMA if name in SAID_BY_CLIENTS else {"format": "date-time"})
    return schemas


def _in_json_schema(node: Any) -> None:
    """Write every pattern within in the words of JSON Schema."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            node["pattern"] = anchored(node["pattern"])
        for inner in node.values():
            _in_json_schema(inner)
    elif isinstance(node, list):
        for inner in node:
            _in_json_schema(inner)


def _mark_times(field: dict[str, Any], marks: Mapping[str, str]) -> None:
    for option in field.get("anyOf", [field]):
        if option.get("type") == "string":
            option.update(marks)
