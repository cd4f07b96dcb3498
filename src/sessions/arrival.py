"""Whether a message may be taken at all, by its time: before 2015, ahead of the log, or too far behind its vehicle."""

from datetime import UTC, datetime, timedelta
from typing import Final

from models.codec import Refusal
from sessions.events import Refused, Rules
from sessions.state import Vehicle

# No vehicle of today reported before; a date in 1970 is a clock that was never set.
EARLIEST: Final = datetime(2015, 1, 1, tzinfo=UTC)
# Producers' clocks may run ahead of the broker's by so much.
AHEAD_LIMIT: Final = timedelta(minutes=5)


def refusal_by_time(at: datetime, logged_at: datetime) -> Refused | None:
    """Why a record of this time cannot be taken, whoever sent it."""
    if at < EARLIEST:
        return Refused(Refusal.TOO_OLD, f"{at.isoformat()} is before 2015")
    if at > logged_at and at > logged_at + AHEAD_LIMIT:
        return Refused(Refusal.IN_FUTURE, f"{at.isoformat()} is more than 5 min ahead of {logged_at.isoformat()}")
    return None


def refusal_by_lateness(vehicle: Vehicle, at: datetime, rules: Rules) -> Refused | None:
    """Why a message is too far behind the newest of its vehicle."""
    newest_at = vehicle.newest_at
    if newest_at is not None and at < newest_at and at < newest_at - rules.late_limit:
        return Refused(Refusal.TOO_LATE, f"more than {rules.late_limit} behind {newest_at.isoformat()}")
    return None


def delay_s(at: datetime, logged_at: datetime) -> float:
    """Seconds from the event to the log; 0 where the producer's clock is ahead."""
    return (logged_at - at).total_seconds() if at < logged_at else 0.0
