"""The contract of policies and target overrides: calls, bodies and answers. Words only; api.openapi gathers them."""

from datetime import datetime
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from api.auth import READ_POLICIES, WRITE_POLICIES, WRITE_SESSIONS
from api.conditions import TAGS_PATTERN
from api.contract import (
    CURSOR_SCHEMA,
    ID_SCHEMA,
    SAID_BY_CLIENTS,
    UUID_SCHEMA,
    anchored,
    any_of,
    json_answer,
    json_body,
    operation,
    parameter,
    problem,
)
from api.examples import POLICIES_AFTER, POLICIES_BEFORE, POLICY, POLICY_ETAG, UPCOMING
from api.openapi import Pagination
from api.policy_bodies import MERGE_PATCH
from api.requests import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from models.ids import WireLocationId, WirePolicyId, WireUserId, WireVehicleId, WireZone
from models.policy import Deadline, PolicyKw, PolicyKwh, Schedule, TimeOfDay, VehiclePolicy
from models.target import ImmediateStartOverride, RegularOverride
from models.units import Percent
from sessions.policy_rules import POLICIES_PER_USER


class PolicyList(Struct, frozen=True):
    """Policies in the order of their ids."""

    data: list[VehiclePolicy]
    pagination: Pagination


class NewVehiclePolicy(Struct, frozen=True, rename="camel", kw_only=True):
    """What a policy is asked to be. `userId` may be left out by a token of one user; `batteryReserve` is at most each
    day's `minimumChargeTarget`; `deadline` is wall time HH:MM in `timezoneName`, a zone of the IANA database.
    """

    user_id: WireUserId | UnsetType = UNSET
    vehicle_id: WireVehicleId
    location_id: WireLocationId
    is_enabled: bool = True
    timezone_name: str = "UTC"
    zone: WireZone | None = None
    battery_reserve: Percent = 0.0
    schedule: Schedule = Schedule()
    max_charge_rate: PolicyKw | None = None
    battery_capacity: PolicyKwh | None = None


class DeadlinePatch(Struct, frozen=True, rename="camel", kw_only=True):
    """One weekday's changes; a day that had no deadline needs both."""

    deadline: TimeOfDay | UnsetType = UNSET
    minimum_charge_target: Percent | UnsetType = UNSET


class SchedulePatch(Struct, frozen=True, kw_only=True):
    """A day that is named changes; null: no deadline on that day."""

    monday: DeadlinePatch | UnsetType | None = UNSET
    tuesday: DeadlinePatch | UnsetType | None = UNSET
    wednesday: DeadlinePatch | UnsetType | None = UNSET
    thursday: DeadlinePatch | UnsetType | None = UNSET
    friday: DeadlinePatch | UnsetType | None = UNSET
    saturday: DeadlinePatch | UnsetType | None = UNSET
    sunday: DeadlinePatch | UnsetType | None = UNSET


class VehiclePolicyPatch(Struct, frozen=True, rename="camel", kw_only=True):
    """A JSON merge patch: fields that are named change, null takes a field back to its default, where it may be null.
    `id`, `at`, `userId` and `vehicleId` may be named only as they are.
    """

    id: WirePolicyId | UnsetType = UNSET
    at: datetime | UnsetType = UNSET
    user_id: WireUserId | UnsetType = UNSET
    vehicle_id: WireVehicleId | UnsetType = UNSET
    location_id: WireLocationId | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET
    timezone_name: str | UnsetType | None = UNSET
    zone: WireZone | UnsetType | None = UNSET
    battery_reserve: Percent | UnsetType | None = UNSET
    schedule: SchedulePatch | UnsetType | None = UNSET
    max_charge_rate: PolicyKw | UnsetType | None = UNSET
    battery_capacity: PolicyKwh | UnsetType | None = UNSET


SAID_BY_CLIENTS.update(kind.__name__ for kind in (Schedule, Deadline, SchedulePatch, DeadlinePatch))

_TAG: Final = "policies"
_ETAG: Final = {"ETag": {"description": "The version, for If-Match and If-None-Match.", "schema": {"type": "string"}}}
_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_POLICY_ID: Final = parameter("policyId", "path", ID_SCHEMA, "The vehicle policy.", POLICY["id"])
_SIZE_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT}
_TAGS: Final = {"type": "string", "pattern": anchored(TAGS_PATTERN)}
_IF_MATCH: Final = parameter(
    "If-Match",
    "header",
    _TAGS,
    "The ETag of the version that is meant, or `*` for whatever stands. Needed.",
    POLICY_ETAG,
) | {"required": True}
_PATCH_EXAMPLE: Final = {"isEnabled": True, "batteryReserve": 30, "schedule": {"sunday": None}}
_NEW_EXAMPLE: Final[dict[str, Any]] = {name: value for name, value in POLICY.items() if name not in {"id", "at"}}


def _bad(parameter_name: str, code: str, detail: str) -> dict[int, dict[str, Any]]:
    issues = [{"parameter": parameter_name, "code": code, "detail": detail}]
    description = "The request is malformed; `issues` names each fault."
    return problem(400, "invalid-request", "Bad Request", description, issues)


def _content(parameter_name: str, code: str, detail: str) -> dict[int, dict[str, Any]]:
    issues = [{"parameter": parameter_name, "code": code, "detail": detail}]
    description = "What is asked for cannot be; `issues` names each fault."
    return problem(422, "invalid-content", "Unprocessable Entity", description, issues)


def _refused(scope: str) -> dict[int, dict[str, Any]]:
    no_token = problem(401, "unauthorized", "Unauthorized", "No bearer token, or one that is not valid.")
    return no_token | problem(403, "missing-scope", "Forbidden", f"The token does not have the scope {scope}.")


def _unavailable(description: str) -> dict[int, dict[str, Any]]:
    found = problem(503, "unavailable", "Service Unavailable", description)
    found[503]["headers"] = _RETRY
    return found


_BAD_ID: Final = _bad("policyId", "bad-id", "must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -")
_NOT_FOUND: Final = problem(404, "not-found", "Not Found", "There is no such thing, or not for this caller.")
_BODY: Final = (
    problem(408, "too-slow", "Request Timeout", "The body came too slowly.")
    # 413 may come of every call (api.openapi).
    | problem(415, "unsupported-media-type", "Unsupported Media Type", "The body must be application/json.")
)
_CONFLICT: Final = problem(
    409,
    "policy-conflict",
    "Conflict",
    "Another policy is enabled for this user, vehicle and location.",
    [
        {
            "parameter": "locationId",
            "code": "conflict",
            "detail": "policy p-2 is enabled for this user, vehicle and location",
        }
    ],
)
_NOT_CREATED: Final = any_of(
    _CONFLICT,
    problem(
        409,
        "too-many-policies",
        "Conflict",
        f"This user can have no more policies for this vehicle, at most {POLICIES_PER_USER}.",
    ),
    problem(409, "idempotency-key-used", "Conflict", "The policy that this Idempotency-Key made was deleted since."),
)
_CONDITIONS: Final = problem(
    412,
    "precondition-failed",
    "Precondition Failed",
    "The policy is not as it was when its ETag was read.",
) | problem(428, "precondition-required", "Precondition Required", "If-Match is needed.")
_READING: Final = _unavailable("The view is catching up; ask again.")
_WRITING: Final = _unavailable(
    "The view is catching up, or the change was not read back in time and may yet come to be."
)


def _secured(scope: str) -> dict[str, Any]:
    return {"security": [{"bearer": [scope]}], "tags": [_TAG]}


def _policy_answer(status: int, description: str, **headers: Any) -> dict[int, dict[str, Any]]:
    return {status: json_answer(VehiclePolicy, POLICY, description) | {"headers": _ETAG | headers}}


LIST_POLICIES: Final = operation(
    "listPolicies",
    "Policies, by id",
    "Every policy that the caller may see, enabled or not, in the order of their ids. Go on until the cursor is null.",
    {200: json_answer(PolicyList, {"data": [POLICY], "pagination": {"after": None, "before": None}}, "One page.")}
    | _bad("pageSize", "bad-page-size", "must be a whole number from 1 to 100")
    | _refused(READ_POLICIES)
    | _READING,
    parameters=[
        parameter("userId", "query", ID_SCHEMA, "Only policies of this user.", POLICY["userId"]),
        parameter("vehicleId", "query", ID_SCHEMA, "Only policies of this vehicle.", POLICY["vehicleId"]),
        parameter("after", "query", CURSOR_SCHEMA, "Go on, from pagination.after of a page.", POLICIES_AFTER),
        parameter("before", "query", CURSOR_SCHEMA, "Go back, from pagination.before of a page.", POLICIES_BEFORE),
        parameter("pageSize", "query", _SIZE_SCHEMA, "Policies per page.", PAGE_SIZE_MAX),
    ],
    **_secured(READ_POLICIES),
)

CREATE_POLICY: Final = operation(
    "createPolicy",
    "A new policy",
    "Answered once the policy can be read and no other process can have written a rival before. With an Idempotency-Key"
    " a repeated call makes nothing new: it answers with what the first one made, as it stands now.",
    _policy_answer(
        201,
        "The policy.",
        Location={"description": "Where the policy is read.", "schema": {"type": "string"}},
        **{
            "Idempotent-Replayed": {
                "description": "`true` where an earlier call with the same key made the policy.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        },
    )
    | _bad("Idempotency-Key", "bad-key", "must be given once, 1 to 255 visible characters of ASCII")
    | _refused(WRITE_POLICIES)
    | _BODY
    | _NOT_CREATED
    | any_of(
        _content("timezoneName", "bad-timezone", "must name a zone of the IANA database, such as Europe/Berlin"),
        problem(
            422,
            "idempotency-key-reused",
            "Unprocessable Entity",
            "This Idempotency-Key was used for a policy that was asked for in other words.",
        ),
    )
    | _WRITING,
    parameters=[
        parameter(
            "Idempotency-Key",
            "header",
            {"type": "string", "pattern": "^[!-~]{1,255}$"},
            "A word of the client's own for this policy; remembered while the policy stands and 7 d after its end.",
            "home-of-vehicle-1",
        )
    ],
    requestBody=json_body([NewVehiclePolicy], {"policy": _NEW_EXAMPLE}),
    **_secured(WRITE_POLICIES),
)

READ_POLICY: Final = operation(
    "getPolicy",
    "One policy",
    "The policy as it stands, enabled or not.",
    _policy_answer(200, "The policy.")
    | {304: {"description": "The version named by If-None-Match still stands.", "headers": _ETAG}}
    | _BAD_ID
    | _refused(READ_POLICIES)
    | _NOT_FOUND
    | _READING,
    parameters=[
        _POLICY_ID,
        parameter("If-None-Match", "header", _TAGS, "ETags that need not be sent again.", POLICY_ETAG),
    ],
    **_secured(READ_POLICIES),
)

CHANGE_POLICY: Final = operation(
    "changePolicy",
    "Change a policy",
    "A JSON merge patch (RFC 7396): fields that are named change, null takes a field back to its default, where it may"
    " be null. The id, the user, the vehicle and `at` never change; they may be named as they are. Answered once read"
    " back.",
    _policy_answer(200, "The policy as it stands now.")
    | _BAD_ID
    | _refused(WRITE_POLICIES)
    | _NOT_FOUND
    | _BODY
    | _CONFLICT
    | _CONDITIONS
    | _content("userId", "read-only", "cannot be changed")
    | _WRITING,
    parameters=[_POLICY_ID, _IF_MATCH],
    requestBody=json_body([VehiclePolicyPatch], {"patch": _PATCH_EXAMPLE}, MERGE_PATCH, "application/json"),
    **_secured(WRITE_POLICIES),
)

DELETE_POLICY: Final = operation(
    "deletePolicy",
    "Delete a policy",
    "Its session in a visit settles, one that was awaited is erased. Answered once read back.",
    {204: {"description": "The policy is gone."}}
    | _BAD_ID
    | _refused(WRITE_POLICIES)
    | _NOT_FOUND
    | _CONDITIONS
    | _WRITING,
    parameters=[_POLICY_ID, _IF_MATCH],
    **_secured(WRITE_POLICIES),
)

_TARGETS: Final[dict[str, Any]] = {
    "regular": {
        "type": "REGULAR",
        "batteryReserve": 20,
        "minimumChargeTarget": 80,
        "readyBy": "2025-01-20T06:30:00Z",
    },
    "immediateStart": {"type": "IMMEDIATE_START", "minimumChargeTarget": 90},
    "clear": None,
}

OVERRIDE_TARGET: Final = operation(
    "overrideTarget",
    "Another target for this session",
    "Sets the target of an UPCOMING or ACTIVE session until the session ends, it is cleared (`null`) or, for"
    " IMMEDIATE_START, reached; then the policy's target returns. Answered once the log has it; the session follows.",
    {202: {"description": "The log has it."}}
    | _bad("sessionId", "bad-uuid", "must be a UUID in lower case with hyphens")
    | _refused(WRITE_SESSIONS)
    | _NOT_FOUND
    | _BODY
    | problem(409, "session-settled", "Conflict", "The session is settled: its target can no longer change.")
    | _content("readyBy", "not-within-7-d", "must be later than now, by 7 d at most")
    | _WRITING,
    parameters=[parameter("sessionId", "path", UUID_SCHEMA, "The session.", UPCOMING["id"])],
    requestBody=json_body([RegularOverride, ImmediateStartOverride], _TARGETS),
    security=[{"bearer": [WRITE_SESSIONS]}],
    tags=["sessions"],
)
