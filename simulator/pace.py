"""Simulated time against the clock on the wall: fast while it is behind, and never ahead of it.

The worker refuses messages from the future, so the fleet begins in the past and stops hurrying when it has caught up.
"""

from collections.abc import Callable
from datetime import datetime, timedelta


class Pace:
    """The simulated now. `now` is wall time, `monotonic_s` a clock that never goes back."""

    def __init__(
        self, start: datetime, speed: float, *, now: Callable[[], datetime], monotonic_s: Callable[[], float]
    ) -> None:
        self._start = start
        self._speed = speed
        self._now = now
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()

    def reached(self) -> datetime:
        """How far simulated time has come."""
        elapsed_s = (self._monotonic_s() - self._began_s) * self._speed
        behind_s = (self._now() - self._start).total_seconds()
        return self._start + timedelta(seconds=min(elapsed_s, behind_s))
