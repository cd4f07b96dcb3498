"""The co-partitioned inputs of one partition number, brought into the order of their event time. Pure.

A record waits while another topic is known to have unread records that may be older. For a topic that is at its end it
waits a moment at most: what a producer writes to several topics at once arrives in any order, some milliseconds apart.
Within a topic a vehicle's records keep the log's order. One without a usable time is taken once it is at the head.

One vehicle's clock must not matter to another: where a record of a vehicle is next, its older records of other topics
are taken first, though they stand behind somebody else's record from later.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

Item = TypeVar("Item")

# Taken records behind one that waits are dropped when they are half of a queue and more than so many.
SHELLS_LIMIT = 64


class _Waiting(Generic[Item]):
    __slots__ = ("arrived_s", "at", "is_taken", "item", "owner", "topic")

    def __init__(self, topic: str, at: datetime | None, owner: str | None, arrived_s: float, item: Item) -> None:
        self.topic = topic
        self.at = at
        self.owner = owner
        self.arrived_s = arrived_s
        self.item = item
        self.is_taken = False


class Merge(Generic[Item]):
    """The records of one partition number that were read and not taken yet, by topic."""

    def __init__(self, topics: Sequence[str], wait_s: float) -> None:
        """`topics`: every input; of records with equal times those of the topic named first are taken first.

        `wait_s`: how long a record waits for a topic that is at its end.
        """
        self._wait_s = wait_s
        self._rank = {topic: rank for rank, topic in enumerate(topics)}
        self._queues: dict[str, deque[_Waiting[Item]]] = {topic: deque() for topic in topics}
        self._owned: dict[str, dict[str, deque[_Waiting[Item]]]] = {}
        self._depth = dict.fromkeys(topics, 0)

    def push(self, topic: str, at: datetime | None, item: Item, arrived_s: float, owner: str | None = None) -> None:
        """Add the next record of a topic; `at` is its event time, None where it has none.

        `owner`: whose record it is (the vehicle), None where it does not say. `arrived_s`: monotonic seconds.
        """
        waiting = _Waiting(topic, at, owner, arrived_s, item)
        self._queues[topic].append(waiting)
        self._depth[topic] += 1
        if owner is not None and at is not None:
            self._owned.setdefault(owner, {}).setdefault(topic, deque()).append(waiting)

    def depth(self, topic: str) -> int:
        """How many records of a topic wait."""
        return self._depth[topic]

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not any(self._depth.values())

    def take(self, is_at_end: Callable[[str], bool], limit: int, now_s: float) -> list[Item]:
        """What is ready, in order: `limit` records, or a few more where the last one's vehicle has older ones.

        `is_at_end` tells whether a topic has nothing unread as far as is known.
        """
        taken: list[Item] = []
        while len(taken) < limit and (chosen := self._next(is_at_end, now_s)) is not None:
            taken += (waiting.item for waiting in self._with_older(chosen))
        return taken

    def _next(self, is_at_end: Callable[[str], bool], now_s: float) -> _Waiting[Item] | None:
        best: _Waiting[Item] | None = None
        silent: list[str] = []
        for topic, queue in self._queues.items():
            while queue and queue[0].is_taken:
                queue.popleft()
            if not queue:
                silent.append(topic)
                continue
            head = queue[0]
            if head.at is None:
                return head
            if best is None or best.at is None or head.at < best.at:
                best = head
        if best is None:
            return None
        has_waited = now_s - best.arrived_s >= self._wait_s
        return best if not silent or (has_waited and all(map(is_at_end, silent))) else None

    def _with_older(self, chosen: _Waiting[Item]) -> Iterator[_Waiting[Item]]:
        """The owner's records of all topics up to the chosen one, in the order of their times."""
        owned = self._owned.get(chosen.owner, {}) if chosen.owner is not None and chosen.at is not None else {}
        while owned:
            oldest = min((queue[0] for queue in owned.values()), key=self._order)
            queue = owned[oldest.topic]
            queue.popleft()
            if not queue:
                del owned[oldest.topic]
            yield self._taken(oldest)
            if oldest is chosen:
                if not owned and chosen.owner is not None:
                    del self._owned[chosen.owner]
                return
        yield self._taken(chosen)

    def _order(self, waiting: _Waiting[Item]) -> tuple[datetime, int]:
        assert waiting.at is not None
        return waiting.at, self._rank[waiting.topic]

    def _taken(self, waiting: _Waiting[Item]) -> _Waiting[Item]:
        topic = waiting.topic
        waiting.is_taken = True
        self._depth[topic] -= 1
        if len(self._queues[topic]) > 2 * self._depth[topic] + SHELLS_LIMIT:
            self._queues[topic] = deque(each for each in self._queues[topic] if not each.is_taken)
        return waiting
