"""Hands the commands that have arrived to the fleet, and keeps the account of what became of them."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from runtime.logs import get_log
from simulator.commands import CommandSource
from simulator.fleet import Answer, Fleet

# The account is logged at most so often, and at the end of a run.
_TELL_EVERY_S: Final = 10.0


class Orders:
    """Commands of one run. `monotonic_s`: a clock that never goes back."""

    def __init__(self, source: CommandSource, fleet: Fleet, monotonic_s: Callable[[], float]) -> None:
        self._source = source
        self._fleet = fleet
        self._monotonic_s = monotonic_s
        self.answers: Counter[Answer] = Counter()
        self._told: Counter[Answer] = Counter()
        self._told_s = monotonic_s()

    def hand_over(self, live_from_s: int) -> None:
        """Whatever has arrived goes to its vehicles; at most one batch of the source."""
        for command in self._source.read():
            answer = Answer.MALFORMED if command is None else self._fleet.command(command, live_from_s)
            self.answers[answer] += 1
        if self._monotonic_s() - self._told_s >= _TELL_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Log the account, if it has changed."""
        self._told_s = self._monotonic_s()
        if self.answers != self._told:
            self._told = self.answers.copy()
            get_log().info("charge commands so far", **{answer.value: count for answer, count in self.answers.items()})
