"""Faults on purpose, so that tests can aim: at a named step of a batch the process kills itself, freezes or hangs, or
gives the batch up.

Read once, at the start, from the setting `crash_at`; without it nothing here costs or does anything.
"""

import signal
from threading import Event
from typing import Literal

from streams.errors import AbortedError

# In the order in which a batch goes through them.
Step = Literal["produced", "committed", "stored"]


class CrashPlan:
    """At which step, the how many-th time it is reached in this process, what happens to it."""

    def __init__(self, plan: str) -> None:
        """`plan`: "step:count" (it dies), "step:count:" with "freeze", "hang", "undo" or "refuse", or empty."""
        self._step, count, self._fault = (*plan.split(":"), "", "")[:3] if plan else ("", "", "")
        self._left = int(count) if count else 0

    def is_armed(self, step: Step) -> bool:
        """Whether the step is the one."""
        return step == self._step

    def reach(self, step: Step) -> None:
        """Fail here, if it is time. Raises AbortedError where the batch is to be given up."""
        if step != self._step:
            return
        self._left -= 1
        if self._fault == "freeze":
            # The whole process stands still, until somebody continues it: once. The signal goes to this thread, which
            # does not come back before it has stopped: sent to the process, another thread may take it, later.
            if self._left == 0:
                signal.raise_signal(signal.SIGSTOP)
        elif self._fault in {"undo", "refuse"}:
            # As if the broker had refused a part of it: once, or from now on each time.
            if self._left == 0 or (self._left < 0 and self._fault == "refuse"):
                raise AbortedError("given up on purpose")
        elif self._left <= 0:
            if self._fault == "hang":
                # This thread goes no further, and the others know nothing of it.
                Event().wait()
            # As if by kill -9, with nothing tidied up.
            signal.raise_signal(signal.SIGKILL)
