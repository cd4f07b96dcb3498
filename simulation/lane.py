"""One car in the run: what it tells, what the core remembers of it, and what the judge holds against both."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from models.ids import PolicyId
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import new_vehicle
from simulator.feeds.feed import Feed
from simulator.judge.findings import Finding
from simulator.judge.laws import Ledger
from simulator.judge.truth import Comparison
from simulator.world.car import Car, Told
from simulator.world.moments import NEVER_MS

Waiting = tuple[int, int, Told]


class Lane:
    """`wake_ms`: when the core wants to be woken for this car. `is_broken`: the core failed on it, and it rests.

    `is_news`: something was published, and its laws are to be checked.
    """

    __slots__ = (
        "_count",
        "_waiting",
        "car",
        "comparison",
        "feed",
        "is_broken",
        "is_news",
        "ledger",
        "vehicle",
        "wake_ms",
    )

    def __init__(self, car: Car, feed: Feed, comparison: Comparison, report: Callable[[Finding], None]) -> None:
        self.car = car
        self.feed = feed
        self.vehicle = new_vehicle(car.person.vehicle_id)
        self.ledger = Ledger(car.person.vehicle_id, report, is_ordered=feed.is_ordered)
        self.comparison = comparison
        self.wake_ms = NEVER_MS
        self.is_broken = self.is_news = False
        self._waiting: list[Waiting] = []
        self._count = 0

    @property
    def next_ms(self) -> int:
        """When something happens next. A message of the very due time of a timer comes first."""
        if self.is_broken:
            return NEVER_MS
        next_ms = self.car.next_ms
        if self._waiting and self._waiting[0][0] < next_ms:
            next_ms = self._waiting[0][0]
        return min(next_ms, self.wake_ms)

    def arrivals(self, now_ms: int) -> Sequence[Told]:
        """Move the car, or take what has been on its way; what reaches the log now."""
        if self.car.next_ms <= now_ms:
            told = self.car.step()
            if self.feed.is_clean:
                return told
            for message in told:
                self._send(message, now_ms)
        arrived: list[Told] = []
        while self._waiting and self._waiting[0][0] <= now_ms:
            arrived.append(heappop(self._waiting)[2])
        return arrived

    def enabled(self) -> list[PolicyId]:
        """The policies that are enabled by now."""
        return [policy.id for policy in self.car.oracle.policies.values() if policy.is_enabled]

    def _send(self, message: Told, now_ms: int) -> None:
        if not isinstance(message, PlugEvent | ChargeSample):
            self._put(now_ms, message)
            return
        for at_ms, each in self.feed.tell(self.car, message, now_ms):
            self._put(max(at_ms, now_ms), each)

    def _put(self, at_ms: int, message: Told) -> None:
        self._count += 1
        heappush(self._waiting, (at_ms, self._count, message))
