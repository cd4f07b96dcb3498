"""One car and its feed: what has been told and is on its way, and what reaches the log now."""

from collections.abc import Sequence
from heapq import heappop, heappush

from models.telemetry import ChargeSample, PlugEvent
from simulator.feeds.feed import Feed
from simulator.world.car import Car, Told

Waiting = tuple[int, int, Told]


class Teller:
    """A car beside its feed, moved from one moment to the next."""

    __slots__ = ("_count", "_waiting", "car", "feed")

    def __init__(self, car: Car, feed: Feed) -> None:
        self.car = car
        self.feed = feed
        self._waiting: list[Waiting] = []
        self._count = 0

    @property
    def told_ms(self) -> int:
        """When something reaches the log next, or the car's next event, if that is earlier (ms)."""
        next_ms, waiting = self.car.next_ms, self._waiting
        return waiting[0][0] if waiting and waiting[0][0] < next_ms else next_ms

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

    def _send(self, message: Told, now_ms: int) -> None:
        if not isinstance(message, PlugEvent | ChargeSample):
            self._put(now_ms, message)
            return
        for at_ms, each in self.feed.tell(self.car, message, now_ms):
            self._put(max(at_ms, now_ms), each)

    def _put(self, at_ms: int, message: Told) -> None:
        self._count += 1
        heappush(self._waiting, (at_ms, self._count, message))
