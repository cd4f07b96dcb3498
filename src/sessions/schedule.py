"""When a policy's schedule is next due: weekday deadlines in wall time, as instants.

Wall time is that of an IANA zone. A deadline within a missing hour moves forward by what is missing; in a repeated hour
the first one counts. Knows nothing of sessions, nor whether a deadline is met.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from msgspec import Struct

from models.policy import Deadline, Schedule
from models.zones import IanaZone, find_zone

# A week and a day: where an hour repeats at midnight, next week's first one may have passed before today is over.
_DAYS_AHEAD: Final = 8
_DAY: Final = timedelta(days=1)


class DueTarget(Struct, frozen=True):
    """`percent` is wanted by `ready_by` (UTC)."""

    ready_by: datetime
    percent: float


def next_deadline(schedule: Schedule, timezone_name: str, after: datetime) -> DueTarget | None:
    """The first deadline later than `after` (aware); None where the schedule has none, or nobody knows its wall time.

    A policy that was taken may name a zone that this release does not have (decision 17): an instant made up for its
    deadlines would be wrong by hours, so it has none. Of two deadlines that a clock change brings to one instant, the
    higher target counts.
    """
    week = schedule.by_weekday()
    if not any(week):
        return None
    zone = find_zone(timezone_name)
    if zone is None:
        return None
    midnight = datetime.combine(after.astimezone(zone), time())
    best: DueTarget | None = None
    # From yesterday: no clock was ever put forward by more than a day, and that may have moved its deadline here.
    for days in range(-1, _DAYS_AHEAD + 1):
        day = midnight + days * _DAY
        deadline = week[day.weekday()]
        due = None if deadline is None else _due(deadline, day, zone)
        if due is not None and due.ready_by <= after:
            due = None
        if best is not None:
            # For the same reason, only the very next day can still come before the first one found.
            return best if due is None else _earlier(best, due)
        best = due
    return best


def _due(deadline: Deadline, midnight: datetime, zone: IanaZone) -> DueTarget:
    hour, minute = int(deadline.deadline[:2]), int(deadline.deadline[3:])
    # fold 0 is the first of two equal wall times; of a missing one, it takes the offset from before the change.
    ready_by = midnight.replace(hour=hour, minute=minute, tzinfo=zone, fold=0).astimezone(UTC)
    return DueTarget(ready_by, deadline.minimum_charge_target)


def _earlier(one: DueTarget, other: DueTarget) -> DueTarget:
    return min(one, other, key=lambda due: (due.ready_by, -due.percent))
