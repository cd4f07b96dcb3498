"""The co-partitioned inputs of one partition number, brought into the order of their event time. Pure.

A record waits while another topic is known to have unread records that may be older. For a topic that is at its end it
waits a moment at most: what a producer writes to several topics at once arrives in any order, some milliseconds apart.
Within a topic the log order stays; a late record, and one without a usable time, is taken as soon as it is at the head.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class _Waiting(NamedTuple, Generic[Item]):
    at: datetime | None
    arrived_s: float
    item: Item


class Merge(Generic[Item]):
    """The records of one partition number that were read and not taken yet, by topic."""

    def __init__(self, topics: Sequence[str], wait_s: float) -> None:
        """`topics`: every input; of records with equal times those of the topic named first are taken first.

        `wait_s`: how long a record waits for a topic that is at its end.
        """
        self._wait_s = wait_s
        self._queues: dict[str, deque[_Waiting[Item]]] = {topic: deque() for topic in topics}

    def push(self, topic: str, at: datetime | None, item: Item, arrived_s: float) -> None:
        """Add the next record of a topic; `at` is its event time, None where it has none.

        `arrived_s`: monotonic seconds.
        """
        self._queues[topic].append(_Waiting(at, arrived_s, item))

    def depth(self, topic: str) -> int:
        """How many records of a topic wait."""
        return len(self._queues[topic])

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not any(self._queues.values())

    def take(self, is_at_end: Callable[[str], bool], limit: int, now_s: float) -> list[Item]:
        """Up to `limit` records in order; `is_at_end` tells whether a topic has nothing unread as far as is known."""
        taken: list[Item] = []
        while len(taken) < limit and (topic := self._next_topic(is_at_end, now_s)) is not None:
            taken.append(self._queues[topic].popleft().item)
        return taken

    def _next_topic(self, is_at_end: Callable[[str], bool], now_s: float) -> str | None:
        best: tuple[datetime, str] | None = None
        silent: list[str] = []
        for topic, queue in self._queues.items():
            if not queue:
                silent.append(topic)
                continue
            at = queue[0].at
            if at is None:
                return topic
            if best is None or at < best[0]:
                best = (at, topic)
        if best is None:
            return None
        has_waited = now_s - self._queues[best[1]][0].arrived_s >= self._wait_s
        return best[1] if not silent or (has_waited and all(map(is_at_end, silent))) else None
