"""Faults on purpose: the process kills itself at a named step of a batch, so that tests can aim between two steps.

Read once, at the start, from the setting `crash_at`; without it nothing here costs or does anything.
"""

import os
import signal
from typing import Literal

# In the order in which a batch goes through them.
Step = Literal["produced", "committed", "stored"]


class CrashPlan:
    """At which step, the how many-th time it is reached in this process, it dies."""

    def __init__(self, plan: str) -> None:
        """`plan`: "step:count", or empty for none."""
        self._step, _, count = plan.partition(":")
        self._left = int(count) if count else 0

    def is_armed(self, step: Step) -> bool:
        """Whether the step is the one."""
        return step == self._step

    def reach(self, step: Step) -> None:
        """Die here, if it is time: as if by kill -9, with nothing tidied up."""
        if step == self._step:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
