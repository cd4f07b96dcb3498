"""Time in the simulated world: whole milliseconds since 1970, in UTC. It reads no clock."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
QUARTER_MS: Final = 15 * MINUTE_MS
# After everything: no event comes then.
NEVER_MS: Final = 2**62

_MILLISECOND: Final = timedelta(milliseconds=1)


def moment(at_ms: int) -> datetime:
    """The time of these milliseconds, aware and in UTC."""
    return EPOCH + timedelta(0, 0, 0, at_ms)


def millis(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (at - EPOCH) // _MILLISECOND
