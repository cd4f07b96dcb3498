"""One partition number's unread records on their way from the fetcher to its worker: bounded, in order, without gaps.

Three threads meet here, under one lock: the fetcher asks what it may fetch and says how far the logs go, Faust's agent
brings what was fetched, the partition's worker takes it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Condition
from typing import Any

from msgspec import Struct

from models.topics import SESSION_TARGETS, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from streams.records import InputRecord

# Of records with equal times the policy counts first, then the target, then the plug.
MERGED_TOPICS = (VEHICLE_POLICIES, SESSION_TARGETS, VEHICLE_PLUG, VEHICLE_CHARGE)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fetched(Struct, frozen=True):
    """What one fetch brought of one topic: its records lie from `start` to before `end`.

    `topic`: named without the prefix. Offsets between without a record have none (markers, compaction). `ends`: how far
    each topic of this partition number was known to go when it was fetched.
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[InputRecord]
    ends: Mapping[str, int]


class Inputs:
    """What was fetched and not merged yet, and how far each topic goes."""

    def __init__(self, limit: int) -> None:
        """`limit`: records of a topic, here and in the merge, beyond which no more are fetched."""
        self.condition = Condition()
        self.limit = limit
        self._waiting: list[Fetched] = []
        self._counts = dict.fromkeys(MERGED_TOPICS, 0)
        # Places that the worker's merge keeps, as it told last.
        self._merged = dict.fromkeys(MERGED_TOPICS, 0)
        # The next offset to come; empty: nothing is taken at present.
        self._expected: dict[str, int] = {}
        # Where the logs end, as far as was known when what is here was fetched: what is waited for is on its way. Under
        # load the fetcher always knows of more by now: who waited for that would wait for ever.
        self._ends = dict.fromkeys(MERGED_TOPICS, 0)
        # Where they end as far as the fetcher knows.
        self._newest_ends = dict.fromkeys(MERGED_TOPICS, 0)

    def accept(self, offsets: Mapping[str, int]) -> None:
        """Take records from these offsets on."""
        with self.condition:
            self._clear()
            self._expected = dict(offsets)

    def refuse(self) -> None:
        """Take nothing any more, and forget what waits."""
        with self.condition:
            self._clear()
            self._expected = {}

    def is_wanted(self, topic: str) -> bool:
        """Whether more of a topic should be fetched. The fetcher asks it for every topic again and again: no lock."""
        return topic in self._expected and self._counts[topic] + self._merged[topic] < self.limit

    def note_end(self, topic: str, offset: int) -> None:
        """The fetcher knows that the log goes on to before this offset."""
        self._newest_ends[topic] = max(self._newest_ends[topic], offset)

    def begin_with(self, ends: Mapping[str, int]) -> None:
        """The logs go to before these offsets at the beginning: up to there everything is waited for."""
        for topic, offset in ends.items():
            self.note_end(topic, offset)
            self._ends[topic] = max(self._ends[topic], offset)

    def is_read_to(self, topic: str, offset: int) -> bool:
        """Whether nothing that was fetched with what is here lies at or beyond this offset of a topic."""
        return offset >= self._ends[topic]

    def is_end(self, topic: str, offset: int) -> bool:
        """Whether nothing of a topic, as far as anybody here knows, lies at or beyond this offset."""
        return offset >= self._newest_ends[topic]

    def put(self, fetched: Fetched) -> int | None:
        """Bring what was fetched. The offset from which to fetch again, if something is missing before it."""
        with self.condition:
            expected = self._expected.get(fetched.topic)
            if expected is None or fetched.end <= expected:
                return None
            if fetched.start > expected:
                return expected
            self._expected[fetched.topic] = fetched.end
            self._counts[fetched.topic] += len(fetched.records)
            for topic, end in fetched.ends.items():
                self._ends[topic] = max(self._ends[topic], end)
            self._waiting.append(fetched)
            self.condition.notify()
            return None

    def expected(self) -> dict[str, int]:
        """By topic, the offset that is to come next."""
        with self.condition:
            return dict(self._expected)

    def has_any(self) -> bool:
        """Whether something waits; the caller holds the condition."""
        return bool(self._waiting)

    def take(self) -> list[Fetched]:
        """What waits; the caller holds the condition."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def note_merged(self, depths: Mapping[str, int]) -> None:
        """What was taken is in the merge now, which keeps so many places of each topic."""
        with self.condition:
            self._merged.update(depths)
            counts = dict.fromkeys(MERGED_TOPICS, 0)
            for fetched in self._waiting:
                counts[fetched.topic] += len(fetched.records)
            self._counts = counts

    def _clear(self) -> None:
        self._waiting = []
        self._counts = dict.fromkeys(MERGED_TOPICS, 0)
        self._merged = dict.fromkeys(MERGED_TOPICS, 0)


def record_reader(topic: str) -> Callable[[Any, Any], InputRecord]:
    """What makes a record of a topic of one that aiokafka has parsed, which comes behind its topic and partition."""
    logged_ms, logged_at = 0, _EPOCH

    def read(tp: Any, record: Any) -> InputRecord:
        # Many records in a row have one stamp.
        nonlocal logged_ms, logged_at
        if record.timestamp != logged_ms:
            logged_ms = record.timestamp
            logged_at = datetime.fromtimestamp(logged_ms / 1_000, UTC)
        return InputRecord(
            topic, tp.partition, record.offset, record.key, record.value, logged_at, tuple(record.headers)
        )

    return read
