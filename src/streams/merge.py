"""The co-partitioned inputs of one partition number, brought into the order of their event time. Pure.

What comes next is decided by the log alone, never by how much of it happens to be fetched: a record is taken only when
each topic shows its next `window` records, or all that it has; the last topic that has any left, whose own order is
what remains, is read on without. So a log gives one order, whatever the batches, and also
where the reading was broken off and begun anew.

Within a topic a vehicle's records keep the log's order. One without a usable time is taken once it is at the head.
One vehicle's clock must not matter to another: where a record of a vehicle is next, its older records of other topics
are taken first, though they stand behind somebody else's record from later, as far as the windows reach. What was so
taken ahead is told by `progress`. Once a record of the farther half of a window was so taken, the head is next,
whatever its time: its own vehicle may lose its order by it, but nobody else theirs by what lies beyond the window.

Live, a topic that is at its end is waited for only as long as the caller says of each record: what a producer writes to
several topics at once arrives in any order, some milliseconds apart.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

from msgspec import Struct

Item = TypeVar("Item")

# Where reading goes on in a topic, and the offsets beyond it that are done.
Progress = tuple[int, list[int]]


# A struct, since one is made of every record: its fields are set in C.
class _Waiting(Struct, Generic[Item], eq=False):
    topic: str
    offset: int
    at: datetime | None
    owner: str | None
    ready_s: float
    item: Item | None = None
    size_bytes: int = 0
    index: int = 0
    is_taken: bool = False


class _Queue(Generic[Item]):
    """A topic's records from the first that is not taken on; taken ones behind it keep their places."""

    __slots__ = ("ahead", "end_offset", "farthest_index", "next_index", "rank", "records", "taken", "unowned_index")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.records: deque[_Waiting[Item]] = deque()
        self.next_index = 0
        self.end_offset = 0
        # How many of the records are taken.
        self.taken = 0
        # The farthest of those that were taken.
        self.farthest_index = -1
        # From here on the records were not sorted by their owners yet.
        self.unowned_index = 0
        # Offsets that were taken ahead before the reading began anew, and have not been read again yet.
        self.ahead: set[int] = set()

    def append(self, waiting: _Waiting[Item]) -> None:
        waiting.index = self.next_index
        self.next_index += 1
        self.end_offset = waiting.offset + 1
        self.records.append(waiting)

    def take(self, waiting: _Waiting[Item]) -> Item | None:
        waiting.is_taken = True
        self.taken += 1
        self.farthest_index = max(self.farthest_index, waiting.index)
        records = self.records
        while records and records[0].is_taken:
            records.popleft()
            self.taken -= 1
        # A place that is kept does not keep what was there.
        item, waiting.item = waiting.item, None
        return item


class Merge(Generic[Item]):
    """The records of one partition number that were read and not taken yet, by topic."""

    def __init__(self, topics: Sequence[str], window: int) -> None:
        """`topics`: every input; of records with equal times those of the topic named first are taken first.

        `window`: how many records of a topic, from its first that is not taken, are looked at; 1 or more.
        """
        self._window = window
        # How far behind a head a record may be taken without the head's being next.
        self._patience = max(1, window // 2)
        self._queues: dict[str, _Queue[Item]] = {topic: _Queue(rank) for rank, topic in enumerate(topics)}
        self._owned: dict[str, dict[str, deque[_Waiting[Item]]]] = {}
        # What is left of the bytes that are to be taken.
        self._room_bytes = 0

    def start(self, topic: str, offset: int, ahead: Iterable[int] = ()) -> None:
        """Say where the reading of a topic begins, and which offsets beyond it are done: as `progress` told them."""
        self._queues[topic].end_offset = offset
        self._queues[topic].ahead = set(ahead)

    def push(
        self,
        topic: str,
        offset: int,
        at: datetime | None,
        item: Item,
        *,
        owner: str | None = None,
        ready_s: float = 0.0,
        size_bytes: int = 0,
    ) -> None:
        """Add the next record of a topic; `at` is its event time, None where it has none.

        `owner`: whose record it is (the vehicle), None where it does not say. `ready_s`: until then, in monotonic
        seconds, it waits for older ones of topics that are at their end. `size_bytes`: what it counts for in `take`.
        """
        self._queues[topic].append(_Waiting(topic, offset, at, owner, ready_s, item, size_bytes))

    def has_ahead(self, topic: str) -> bool:
        """Whether there may be records for which `is_done` is true."""
        return bool(self._queues[topic].ahead)

    def is_done(self, topic: str, offset: int) -> bool:
        """Whether a record, the next one read, was taken before: then it has its place now, and is not to be pushed."""
        queue = self._queues[topic]
        if offset not in queue.ahead:
            return False
        queue.ahead.discard(offset)
        waiting: _Waiting[Item] = _Waiting(topic, offset, None, None, 0.0)
        queue.append(waiting)
        queue.take(waiting)
        return True

    def reach(self, topic: str, offset: int) -> None:
        """The log was read up to this offset: what lies between has no record."""
        queue = self._queues[topic]
        queue.end_offset = max(queue.end_offset, offset)

    def end_offset(self, topic: str) -> int:
        """The offset of a topic that is to be pushed next."""
        return self._queues[topic].end_offset

    def depth(self, topic: str) -> int:
        """How many places of a topic are kept in memory."""
        return len(self._queues[topic].records)

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not any(queue.records for queue in self._queues.values())

    def progress(self) -> dict[str, Progress]:
        """By topic, where reading would have to go on, and the offsets beyond that are done, in order."""
        return {topic: self._progress(queue) for topic, queue in self._queues.items()}

    def ready_s(self) -> float:
        """When, in monotonic seconds, the next record has waited long enough for topics that are at their end."""
        return max((queue.records[0].ready_s for queue in self._queues.values() if queue.records), default=0.0)

    @property
    def is_cut(self) -> bool:
        """Whether the last `take` ended because its bytes were taken."""
        return self._room_bytes <= 0

    def take(
        self, is_at_end: Callable[[str], bool], limit: int, now_s: float, limit_bytes: int = sys.maxsize
    ) -> list[Item]:
        """What is ready, in order: `limit` records, or a few more where the last one's vehicle has older ones.

        `is_at_end` tells whether a topic has nothing unread as far as is known. `limit_bytes`: the record with which so
        many are reached is the last one, too.
        """
        self._room_bytes = limit_bytes
        ends = {topic: is_at_end(topic) for topic in self._queues}
        taken: list[Item] = []
        filled = [topic for topic, queue in self._queues.items() if queue.records]
        if len(filled) == 1 and not self._queues[filled[0]].taken:
            self._take_alone(filled[0], ends, limit, now_s, taken)
            return taken
        for topic in filled:
            self._own(topic)
        while len(taken) < limit and self._room_bytes > 0 and (chosen := self._next(ends, now_s)) is not None:
            self._take_with_older(chosen, taken)
        return taken

    def _take_alone(self, topic: str, ends: dict[str, bool], limit: int, now_s: float, taken: list[Item]) -> None:
        """Take from the only topic that has records, once the others are at their ends: in its own order."""
        queue = self._queues[topic]
        records = queue.records
        has_silent = len(ends) > 1
        is_blocked = not all(is_end for name, is_end in ends.items() if name != topic)
        while records and len(taken) < limit and self._room_bytes > 0:
            head = records[0]
            if head.at is not None:
                if is_blocked or (has_silent and now_s < head.ready_s):
                    return
                if head.owner is not None and head.index < queue.unowned_index:
                    self._release(head.owner, self._owned[head.owner], topic)
            records.popleft()
            assert head.item is not None
            taken.append(head.item)
            self._room_bytes -= head.size_bytes

    def _own(self, topic: str) -> None:
        """Sort a topic's records by their owners, so far as they are not."""
        queue = self._queues[topic]
        first = queue.records[0].index
        for waiting in islice(queue.records, max(0, queue.unowned_index - first), None):
            owner = waiting.owner
            if owner is None or waiting.at is None:
                continue
            owned = self._owned.get(owner)
            if owned is None:
                owned = self._owned[owner] = {}
            same = owned.get(topic)
            if same is None:
                owned[topic] = deque((waiting,))
            else:
                same.append(waiting)
        queue.unowned_index = queue.next_index

    def _next(self, ends: dict[str, bool], now_s: float) -> _Waiting[Item] | None:
        best: _Waiting[Item] | None = None
        farthest = self._patience - 1
        is_blocked = has_silent = False
        for topic, queue in self._queues.items():
            if not queue.records:
                has_silent = True
                is_blocked |= not ends[topic]
                continue
            head = queue.records[0]
            if head.at is None:
                return head
            if len(queue.records) < self._window and not ends[topic]:
                is_blocked = True
            distance = queue.farthest_index - head.index
            if distance > farthest:
                best, farthest = head, distance
            elif farthest < self._patience and (best is None or best.at is None or head.at < best.at):
                best = head
        if best is None or is_blocked or (has_silent and now_s < best.ready_s):
            return None
        return best

    def _take_with_older(self, chosen: _Waiting[Item], taken: list[Item]) -> None:
        """Take the owner's records of all topics up to the chosen one, in the order of their times."""
        owner = chosen.owner
        if owner is None or chosen.at is None:
            self._take(chosen, taken)
            return
        owned = self._owned[owner]
        if len(owned) == 1:
            self._release(owner, owned, chosen.topic)
            self._take(chosen, taken)
            return
        # As the windows stand now: what is looked at does not grow while records are taken.
        reach = {topic: self._reach(topic) for topic in owned}
        while True:
            oldest = min(self._heads(owned, reach), key=self._order)
            self._release(owner, owned, oldest.topic)
            self._take(oldest, taken)
            if oldest is chosen:
                return

    def _reach(self, topic: str) -> int:
        records = self._queues[topic].records
        return records[0].index + self._window if records else 0

    @staticmethod
    def _heads(owned: dict[str, deque[_Waiting[Item]]], reach: dict[str, int]) -> Iterator[_Waiting[Item]]:
        return (queue[0] for topic, queue in owned.items() if queue[0].index < reach[topic])

    def _release(self, owner: str, owned: dict[str, deque[_Waiting[Item]]], topic: str) -> None:
        queue = owned[topic]
        queue.popleft()
        if not queue:
            del owned[topic]
            if not owned:
                del self._owned[owner]

    def _take(self, waiting: _Waiting[Item], taken: list[Item]) -> None:
        item = self._queues[waiting.topic].take(waiting)
        assert item is not None
        taken.append(item)
        self._room_bytes -= waiting.size_bytes

    def _order(self, waiting: _Waiting[Item]) -> tuple[datetime, int]:
        assert waiting.at is not None
        return waiting.at, self._queues[waiting.topic].rank

    @staticmethod
    def _progress(queue: _Queue[Item]) -> Progress:
        if not queue.records:
            return queue.end_offset, sorted(queue.ahead)
        ahead = [each.offset for each in queue.records if each.is_taken] if queue.taken else []
        # None of these was read again yet, so all of them lie behind the others.
        return queue.records[0].offset, ahead + sorted(queue.ahead)
