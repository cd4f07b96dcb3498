"""Keeps parts running: one that ends by itself is started again (restarts.py says when), in one line that says so; and
ends them all in stages within a deadline. It does not know what a part is for.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from local.errors import LocalError
from local.processes import Child, keep_bounded, last_line
from local.restarts import MOST_RESTARTS, Restarts
from local.stopping import StopRequest
from runtime.clock import monotonic_s

_STEP_S: Final = 0.02
_ROUND_S: Final = 0.25


class Part:
    """One supervised process, and how to start it."""

    def __init__(self, name: str, start: Callable[[], Child]) -> None:
        self.name = name
        self._start = start
        self.child: Child | None = None
        self.restarts = Restarts()
        self.due_s: float | None = None

    def start(self) -> None:
        """Start it (again)."""
        self.due_s = None
        self.child = self._start()


class Supervisor:
    """The parts that were started, in that order."""

    def __init__(self, stop: StopRequest, say: Callable[[str], None]) -> None:
        self._stop = stop
        self._say = say
        self.parts: list[Part] = []

    def start(self, part: Part, ready: Callable[[], bool], timeout_s: float) -> None:
        """Start a part and wait until it is ready; raises LocalError if it ends or takes too long."""
        self.launch(part)
        self.await_ready(part, ready, timeout_s)

    def launch(self, part: Part) -> None:
        """Start a part without waiting."""
        self.parts.append(part)
        part.start()

    def await_ready(self, part: Part, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the part is ready. At the first start an end is not cured by another start."""

        def settled() -> bool:
            for each in self.parts:
                # Any of them: what one waits for may be another that has died.
                if each.child is not None and not each.child.running():
                    child = each.child
                    raise LocalError(f"{each.name} ended while starting: {last_line(child.log)} (log: {child.log})")
            return ready()

        if not self._stop.wait(settled, timeout_s):
            log = part.child.log if part.child else "no log"
            raise LocalError(f"{part.name} was not ready within {timeout_s:.0f} s (log: {log})")

    def watch(self) -> None:
        """Keep the parts running until a stop is asked for (raises Stopped)."""
        while True:
            for part in self.parts:
                self._tend(part)
            self._stop.pause(_ROUND_S)

    def _tend(self, part: Part) -> None:
        if part.child is None:
            if part.due_s is not None and monotonic_s() >= part.due_s:
                part.start()
            return
        keep_bounded(part.child.log)
        if part.child.running():
            return
        code = part.child.sweep()
        log = part.child.log
        part.child = None
        pause_s = part.restarts.next_pause_s(monotonic_s())
        if pause_s is None:
            raise LocalError(f"{part.name} ended ({_ending(code)}) for the {MOST_RESTARTS + 1}th time: see {log}")
        part.due_s = monotonic_s() + pause_s
        self._say(f"{part.name} ended ({_ending(code)}), starting it again in {pause_s:.0f} s (log: {log})")

    def end(self, stages: Sequence[tuple[frozenset[str], float]]) -> None:
        """End the named parts stage by stage, each within its seconds; whoever takes longer is killed."""
        for names, grace_s in stages:
            children = [part.child for part in self.parts if part.name in names and part.child is not None]
            for child in children:
                child.ask_to_stop()
            until_s = monotonic_s() + grace_s
            while any(child.running() for child in children) and monotonic_s() < until_s:
                if self._stop.asked_again:
                    break
                time.sleep(_STEP_S)
            for child in children:
                child.sweep()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
