"""One car in the run: what it tells, what the core remembers of it, and what the judge holds against both."""

from collections.abc import Callable

from sessions.events import new_vehicle
from simulator.feeds.feed import Feed
from simulator.judge.findings import Finding
from simulator.judge.judged import JudgedCar
from simulator.judge.truth import Comparison
from simulator.world.car import Car
from simulator.world.moments import NEVER_MS


class Lane(JudgedCar):
    """`wake_ms`: when the core wants to be woken for this car. `is_broken`: the core failed on it, and it rests.

    `is_news`: something was published, and its laws are to be checked.
    """

    __slots__ = ("is_broken", "is_news", "vehicle", "wake_ms")

    def __init__(self, car: Car, feed: Feed, comparison: Comparison, report: Callable[[Finding], None]) -> None:
        super().__init__(car, feed, comparison, report)
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
