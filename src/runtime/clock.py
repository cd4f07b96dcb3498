"""The only caller of the system clock. Everything else is handed the time."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def epoch_s() -> float:
    """Seconds since 1970, in UTC: the same moment at a fraction of the cost of an object for it."""
    return time.time()


def monotonic_s() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()
