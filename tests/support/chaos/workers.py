"""Workers as real processes under a supervisor that does what an operator's would: one that ends is started again.

How each one ended is kept: a death by our own signal is no finding, one by itself is told, a defect is a finding.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.command import Running
from tests.support.waiting import wait_until
from tests.support.worker import READY

# Of a worker that ends again and again by itself, so many starts are enough to know.
RESTARTS_LIMIT: Final = 60
RESTART_PAUSE_S: Final = 0.5
# Lines that are kept of what an ended process said.
TOLD_LINES: Final = 4
DEFECT_EXIT_STATUS: Final = 70
FAULT_EXIT_STATUS: Final = 1
# With one line; by a plan of ours; or as a defect, which is told by what it said.
_TOLD_STATUSES: Final = frozenset({FAULT_EXIT_STATUS, -signal.SIGKILL, DEFECT_EXIT_STATUS})


class Worker:
    """One supervised worker with a state folder of its own, which survives its restarts."""

    def __init__(self, number: int, env: Mapping[str, str], folder: Path) -> None:
        self.number = number
        self.endings: list[str] = []
        self.defects: list[str] = []
        self._env = env
        self._folder = folder
        self._restarts = 0
        self._is_wanted = False
        self._running: Running | None = None

    @property
    def pid(self) -> int:
        """Of the present process."""
        return self._process().pid

    @property
    def is_alive(self) -> bool:
        """Whether the present process lives."""
        return self._running is not None and self._running.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether the present process has said that it takes records."""
        return self._running is not None and READY in self._running.stderr

    def start(self) -> None:
        """Start a process."""
        self._is_wanted = True
        self._running = Running(("worker",), self._env, self._folder)

    def wait_ready(self, timeout_s: float = 90) -> None:
        """Until it takes records, started again as often as it ends before."""

        def ready() -> bool:
            self.keep()
            return self.is_ready

        try:
            wait_until(ready, timeout_s, f"worker {self.number} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error

    def keep(self) -> None:
        """Start it again if it ended by itself. AssertionError if it cannot live."""
        if not self._is_wanted or self.is_alive:
            return
        self._bury()
        self._restarts += 1
        # As a supervisor would: a moment's rest before it is tried again.
        time.sleep(RESTART_PAUSE_S)
        if self._restarts > RESTARTS_LIMIT:
            raise AssertionError(f"worker {self.number} does not live: {self.endings[-3:]}")
        self.start()

    def kill(self) -> None:
        """SIGKILL; it stays down until `start`."""
        self._is_wanted = False
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            self._process().process.wait(30)
            self._look_for_defects()
        else:
            self._bury()

    def leave(self, timeout_s: float = 30) -> int:
        """SIGTERM; returns the exit status."""
        self._is_wanted = False
        status = self._process().end(signal.SIGTERM, timeout_s)
        self._look_for_defects()
        return status

    def freeze(self) -> None:
        """SIGSTOP: it does not run, and does not know."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def tail(self) -> str:
        """The end of what the present process said."""
        return "" if self._running is None else self._running.tail()

    def said(self) -> str:
        """Everything that the present process wrote on standard error."""
        return "" if self._running is None else self._running.stderr

    def _process(self) -> Running:
        if self._running is None:
            raise AssertionError(f"worker {self.number} was never started")
        return self._running

    def _bury(self) -> None:
        """Note how a process ended by itself."""
        running = self._process()
        status = running.process.poll()
        # What it said was wrong, first things first; else the last that it said.
        lines = running.stderr.strip().splitlines()
        wrong = [line for line in lines if line.startswith("error:") or '"level": "error"' in line]
        told = " | ".join(line[:300] for line in (wrong or lines[-1:])[:TOLD_LINES])
        ending = f"status {status}: {told or 'it said nothing'}"
        self.endings.append(ending)
        if status not in _TOLD_STATUSES or (status == FAULT_EXIT_STATUS and not wrong):
            self.defects.append(f"it ended without a clear word: {ending}")
        self._look_for_defects()

    def _look_for_defects(self) -> None:
        running = self._process()
        said = running.stderr
        if running.process.poll() == DEFECT_EXIT_STATUS or "Traceback (most recent call last)" in said:
            self.defects.append(said[-3_000:])
