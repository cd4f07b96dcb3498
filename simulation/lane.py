"""One car in the run: what it tells, what the core remembers of it, and what the judge holds against both."""

from collections.abc import Callable, Sequence

from models.command import ChargeCommand
from models.ids import SessionId
from sessions.events import new_vehicle
from simulator.feeds.feed import Feed
from simulator.judge.courses import Courses
from simulator.judge.findings import Finding, Update
from simulator.judge.judged import JudgedCar
from simulator.judge.truth import Comparison
from simulator.world.car import Car
from simulator.world.moments import NEVER_MS, moment
from simulator.world.oracle import TruePart


class Lane(JudgedCar):
    """`wake_ms`: when the core wants to be woken for this car. `is_broken`: the core failed on it, and it rests.

    `is_news`: something was published, and its laws are to be checked. `courses`: its sessions from their beginning to
    their verdict; null where the feed hides what a verdict knew.
    """

    __slots__ = ("_courses", "is_broken", "is_news", "vehicle", "wake_ms")

    def __init__(
        self,
        car: Car,
        feed: Feed,
        comparison: Comparison,
        report: Callable[[Finding], None],
        courses: Courses | None = None,
    ) -> None:
        super().__init__(car, feed, comparison, report)
        self._courses = courses
        self.vehicle = new_vehicle(car.person.vehicle_id)
        self.wake_ms = NEVER_MS
        self.is_broken = self.is_news = False

    @property
    def next_ms(self) -> int:
        """When something happens next. A message of the very due time of a timer comes first."""
        if self.is_broken:
            return NEVER_MS
        told_ms, wake_ms = self.told_ms, self.wake_ms
        return min(wake_ms, told_ms)

    @property
    def verdicts(self) -> int:
        """How many managed sessions were held against the truth from their beginning to their verdict."""
        return 0 if self._courses is None else self._courses.verdicts

    def take(self, update: Update) -> None:
        """An update that was published."""
        self.ledger.take(update)
        if self._courses is not None:
            self._courses.take(update)

    def erase(self, session_id: SessionId, now_ms: int) -> None:
        """A tombstone that was published."""
        self.ledger.erase(session_id, moment(now_ms))
        if self._courses is not None:
            self._courses.erase(session_id)

    def command(self, command: ChargeCommand, now_ms: int) -> None:
        """A command that was written, once all updates of its step are known."""
        self.ledger.command(command, moment(now_ms))
        if self._courses is not None:
            self._courses.command(command)

    def after_step(self, now_ms: int) -> None:
        """All that came of a moment has been taken."""
        self.ledger.after_step(self.enabled(), moment(now_ms))
        if self._courses is not None:
            self._courses.after_step(now_ms)

    def happened(self, parts: Sequence[TruePart]) -> None:
        """Parts of visits that are over."""
        self.comparison.happened(list(parts))
        if self._courses is not None:
            self._courses.happened(parts)
