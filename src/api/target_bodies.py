"""What clients may want of one session: the body of a PUT to a target override that its topic takes, or every fault."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from api.bodies import invalid_content, read_fields
from api.problems import Issue
from models.target import ImmediateStartOverride, RegularOverride
from models.units import utc

# From the API's own present; models.target leaves a day more for clocks that differ.
READY_BY_WITHIN: Final = timedelta(days=7)
_KINDS: Final[Mapping[str, type[RegularOverride | ImmediateStartOverride]]] = {
    "REGULAR": RegularOverride,
    "IMMEDIATE_START": ImmediateStartOverride,
}


def read_target(given: object, now: datetime) -> RegularOverride | ImmediateStartOverride | None:
    """The override that is asked for; None: the one that stands is cleared. Raises ProblemError (422)."""
    if given is None:
        return None
    issues: list[Issue] = []
    kind = None
    if isinstance(given, dict):
        said = given.get("type")
        kind = _KINDS.get(said) if isinstance(said, str) else None
        if kind is None:
            raise invalid_content([Issue("type", "bad-type", f"must be {' or '.join(_KINDS)}")])
    fields = read_fields(kind or RegularOverride, given, issues)
    ready_by = fields.get("ready_by")
    if ready_by is not None and not now < ready_by <= now + READY_BY_WITHIN:
        issues.append(Issue("readyBy", "not-within-7-d", "must be later than now, by 7 d at most"))
    if fields.get("minimum_charge_target", 100.0) < fields.get("battery_reserve", 0.0):
        issues.append(Issue("minimumChargeTarget", "below-reserve", "must not be below batteryReserve"))
    if kind is None or issues:
        raise invalid_content(issues)
    target = kind(**fields)
    return structs.replace(target, ready_by=utc(ready_by)) if ready_by is not None else target
