"""The co-partitioned inputs of one partition number, brought into the order of their event time. Pure.

A record waits only while another topic is known to have unread records that may be older; never for a topic that is at
its end. Within a topic the log order stays: a late record does not hold back the others, and one without a usable time
is taken as soon as it is at the head.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Merge(Generic[Item]):
    """The records of one partition number that were read and not taken yet, by topic."""

    def __init__(self, topics: Sequence[str]) -> None:
        """`topics`: every input; of records with equal times those of the topic named first are taken first."""
        self._queues: dict[str, deque[tuple[datetime | None, Item]]] = {topic: deque() for topic in topics}
        self._newest_at: dict[str, datetime] = {}

    def push(self, topic: str, at: datetime | None, item: Item) -> None:
        """Add the next record of a topic; `at` is its event time, None where it has none."""
        if at is not None:
            at = self._newest_at[topic] = max(at, self._newest_at.get(topic, at))
        self._queues[topic].append((at, item))

    def depth(self, topic: str) -> int:
        """How many records of a topic wait."""
        return len(self._queues[topic])

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not any(self._queues.values())

    def take(self, is_at_end: Callable[[str], bool], limit: int) -> list[Item]:
        """Up to `limit` records in order; `is_at_end` tells whether a topic has nothing unread as far as is known."""
        taken: list[Item] = []
        while len(taken) < limit and (topic := self._next_topic(is_at_end)) is not None:
            taken.append(self._queues[topic].popleft()[1])
        return taken

    def _next_topic(self, is_at_end: Callable[[str], bool]) -> str | None:
        best: tuple[datetime, str] | None = None
        blocked = False
        for topic, queue in self._queues.items():
            if not queue:
                blocked = blocked or not is_at_end(topic)
                continue
            at = queue[0][0]
            if at is None:
                return topic
            if best is None or at < best[0]:
                best = (at, topic)
        return None if best is None or blocked else best[1]
