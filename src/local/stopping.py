"""The wish to stop, as SIGINT, SIGTERM or SIGHUP told it. Every wait of this package goes through it, so that a stop
is heard within a moment even in the middle of a start. It decides when, never what is stopped.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from runtime.clock import monotonic_s

_STEP_S: Final = 0.05


class Stopped(Exception):  # noqa: N818 - the operator's wish, not an error
    """Raised out of a wait once a stop was asked for."""


class StopRequest:
    """Set by a signal, looked at by every wait. A plain flag: a handler must not take locks."""

    def __init__(self) -> None:
        self.asked_at_s: float | None = None
        self.asked_again = False

    def listen(self) -> None:
        """Take over the signals that mean stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked_at_s is None:
            self.asked_at_s = monotonic_s()
        else:
            self.asked_again = True

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.asked_at_s is not None:
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Sleep, unless and until a stop is asked for."""
        until_s = monotonic_s() + seconds
        while (left_s := until_s - monotonic_s()) > 0:
            self.check()
            time.sleep(min(_STEP_S, left_s))
        self.check()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `done` came true within the time. Raises Stopped in between."""
        until_s = monotonic_s() + timeout_s
        while not done():
            if monotonic_s() >= until_s:
                return False
            self.pause(_STEP_S)
        return True
