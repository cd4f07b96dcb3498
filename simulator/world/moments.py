"""Time in the simulated world: whole milliseconds since 1970, in UTC. It reads no clock."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
QUARTER_MS: Final = 15 * MINUTE_MS
# After everything: no event comes then.
NEVER_MS: Final = 2**62

# A run begins on one of these days (UTC): plain ones, and those before clocks change in one of the zones.
_STARTS_MS: Final = tuple(day * DAY_MS for day in (20_480, 20_504, 20_536, 20_545, 20_600, 20_729, 20_748, 20_750))
_MILLISECOND: Final = timedelta(milliseconds=1)


@lru_cache(maxsize=16)
def moment(at_ms: int) -> datetime:
    """The time of these milliseconds, aware and in UTC. Whatever happens at a moment asks for it several times."""
    return EPOCH + timedelta(0, 0, 0, at_ms)


def millis(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (at - EPOCH) // _MILLISECOND


def start_of(seed: int) -> int:
    """When the run of this seed begins (ms)."""
    return _STARTS_MS[seed % len(_STARTS_MS)]
