"""What clients may say of a policy: bodies of POST and PATCH to a policy that its topic takes, or every fault named."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import structs

from api.bodies import bad_value, invalid_content, read_fields
from api.problems import Issue
from models.ids import PolicyId
from models.policy import Schedule, VehiclePolicy
from models.zones import is_zone

# What the API itself decides, and what never changes once it is there.
_OURS: Final = ("id", "at")
_FIXED: Final = ("id", "at", "userId", "vehicleId")
# What a PATCH is, by its media type (RFC 7396).
MERGE_PATCH: Final = "application/merge-patch+json"
_TICK: Final = timedelta(microseconds=1)


def new_policy(given: object, user_id: str | None, at: datetime) -> VehiclePolicy:
    """The policy that a POST asks for, without an id yet. `user_id`: the limit of the caller's token.

    Raises ProblemError (422).
    """
    issues: list[Issue] = []
    if not isinstance(given, dict):
        read_fields(VehiclePolicy, given, issues)
        raise invalid_content(issues)
    issues.extend(Issue(name, "read-only", "is decided by the API") for name in _OURS if name in given)
    content = {name: value for name, value in given.items() if name not in _OURS}
    if user_id is not None and content.setdefault("userId", user_id) != user_id:
        issues.append(Issue("userId", "not-yours", "must be that of the token, or left out"))
    content.setdefault("isEnabled", True)
    return _policy(content, issues, PolicyId("new"), at)


def changed_policy(body: bytes, patch: object, at: datetime) -> VehiclePolicy:
    """The policy that a merge patch (RFC 7396) makes of the one in `body`; the same, `at` included, where that is none.

    Raises ProblemError (422).
    """
    former = msgspec.json.decode(body)
    issues: list[Issue] = []
    known = msgspec.json.decode(body, type=VehiclePolicy)
    if not isinstance(patch, dict):
        read_fields(VehiclePolicy, patch, issues)
        raise invalid_content(issues)
    issues.extend(
        Issue(name, "read-only", "cannot be changed")
        for name in _FIXED
        if name in patch and patch[name] != former[name]
    )
    merged = _merged(former, {name: value for name, value in patch.items() if name not in _FIXED})
    for name in _OURS:
        del merged[name]
    policy = _policy(merged, issues, known.id, known.at)
    # Every version has its own time, whatever the clocks of the processes that write them.
    return known if policy == known else structs.replace(policy, at=max(at, known.at + _TICK))


def _policy(given: Mapping[str, Any], issues: list[Issue], policy_id: PolicyId, at: datetime) -> VehiclePolicy:
    fields = read_fields(VehiclePolicy, {**given, "id": policy_id, "at": at}, issues)
    if not is_zone(fields.get("timezone_name", "UTC")):
        issues.append(bad_value("timezoneName"))
    schedule, reserve_percent = fields.get("schedule", Schedule()), fields.get("battery_reserve", 0.0)
    for day in Schedule.__struct_fields__:
        deadline = getattr(schedule, day)
        if deadline is not None and deadline.minimum_charge_target < reserve_percent:
            place = f"schedule.{day}.minimumChargeTarget"
            issues.append(Issue(place, "below-reserve", "must not be below batteryReserve"))
    if issues:
        raise invalid_content(issues)
    return VehiclePolicy(**fields)


def _merged(target: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396; but a null for a name that is not there is kept, so that an unknown name does not pass unseen."""
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None and name in merged:
            del merged[name]
        elif isinstance(value, dict):
            merged[name] = _merged(merged.get(name), value)
        else:
            merged[name] = value
    return merged
