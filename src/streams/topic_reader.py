"""Whole topics, read from their beginnings without a consumer group: prices at the worker's start, and what `erase`
looks at. Knows no record's meaning.

The end of a partition is where it was when the reading began; the client's own event says that it is reached, since
transaction markers and compaction leave offsets that no record has, so that "the last record" may never come.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime.clock import monotonic_s
from streams.errors import WorkerError
from streams.log_offsets import At, LogOffsets

# Records per batch.
BATCH_RECORDS: Final = 1_000
# Memory of what was fetched and not yet taken, over all partitions, in KiB.
FETCHED_KIB: Final = 32_768
# How long a broker that does not answer is asked again, and how long one question lasts: a signal is heard in between.
CONNECT_LIMIT_S: Final = 10.0
QUESTION_S: Final = 1.0
# Without a record or an end for so long, reading has failed: the client has tried to connect once a second until then.
STALL_LIMIT_S: Final = 30.0
# The pause before a question is asked again.
STEP_S: Final = 0.2
# How long one wait for records lasts: all of it, unless a whole batch comes. A worker that starts waits for it.
WAIT_S: Final = 0.02

# What no further attempt cures: the log is not what was read, or may not be read.
_LOST: Final = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001  # librdkafka's own codes have no other name
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)


class TopicReader:
    """Committed records of all partitions of some topics. Every method raises WorkerError, in one line."""

    def __init__(
        self, bootstrap_servers: str, topics: Sequence[str], starts: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        """Look up where the topics begin and end. `topics`: their names on the broker.

        `starts`: offsets of partitions from which to read, where that is not their beginning.
        """
        self._topics = tuple(topics)
        self._servers = bootstrap_servers
        # What the client last complained of; None: records come.
        self.fault: str | None = None
        first, self._ends = self._bounds()
        first = {at: max(offset, (starts or {}).get(at, 0)) for at, offset in first.items()}
        self._ends = {at: end for at, end in self._ends.items() if end > first[at]}
        self._positions = dict(first)
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                # librdkafka wants a name; no group forms under it, since nothing subscribes and nothing commits.
                "group.id": "flex-sessions-reader-no-group",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": FETCHED_KIB,
                # How long fetching rests once that much lies ready; the default is 1 s.
                "fetch.queue.backoff.ms": 10,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
                "error_cb": self._note,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in first.items()])

    def positions(self) -> dict[tuple[str, int], int]:
        """By topic and partition, the offset that is read next."""
        return dict(self._positions)

    def offsets_ahead(self) -> int:
        """How many offsets lie between here and the ends: what a progress bar counts."""
        return sum(max(0, end - self._positions[at]) for at, end in self._ends.items())

    def to_end(self) -> Iterator[list[Any]]:
        """Batches of records until every partition was read to the end that it had at first."""
        idle_s = 0.0
        while self._ends:
            asked_s, ahead = monotonic_s(), self.offsets_ahead()
            records = self._taken(self._consumer.consume(BATCH_RECORDS, timeout=WAIT_S))
            # Only the waiting counts, not what is done with the records in between.
            idle_s = 0.0 if self.offsets_ahead() < ahead else idle_s + monotonic_s() - asked_s
            if idle_s > STALL_LIMIT_S:
                names = ", ".join(sorted({topic for topic, _ in self._ends}))
                raise WorkerError(
                    f"{names} cannot be read: nothing came from {self._servers} for {STALL_LIMIT_S:g} s"
                    f" ({self.fault or 'no error was told'})"
                )
            yield records

    def follow(self) -> list[Any]:
        """What has come since, at most a batch; waits for nothing."""
        return self._taken(self._consumer.consume(BATCH_RECORDS, timeout=0))

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _taken(self, events: list[Any]) -> list[Any]:
        records: list[Any] = []
        for event in events:
            error = event.error()
            if error is None:
                self.fault = None
                records.append(event)
                self._move((event.topic(), event.partition()), event.offset() + 1)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                at = (event.topic(), event.partition())
                self._move(at, max(event.offset(), self._ends.get(at, 0)))
            elif error.fatal() or error.code() in _LOST:
                raise WorkerError(f"{event.topic() or 'a topic'} cannot be read any more: {error.str()}")
            else:
                self._note(error)
        return records

    def _note(self, error: Any) -> None:
        """A fault that may pass: the client tries again by itself."""
        self.fault = str(error.str())

    def _move(self, at: tuple[str, int], position: int) -> None:
        self._positions[at] = position
        if at in self._ends and position >= self._ends[at]:
            del self._ends[at]

    def _bounds(self) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
        """Where each partition begins, and where it ends for who reads committed records."""
        admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        offsets = LogOffsets(self._servers)
        until_s = monotonic_s() + CONNECT_LIMIT_S
        while True:
            try:
                partitions = self._partitions(admin.list_topics(timeout=QUESTION_S).topics)
                first, end = (
                    offsets.ask(partitions, spec, QUESTION_S) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
                )
            except KafkaException as error:
                # Also a topic that was made a moment ago and has no leader yet.
                if monotonic_s() >= until_s:
                    raise WorkerError(f"Kafka at {self._servers} does not answer: {error.args[0].str()}") from error
                time.sleep(STEP_S)
            else:
                # An empty partition has no end to wait for.
                return first, {at: offset for at, offset in end.items() if offset > first[at]}

    def _partitions(self, found: dict[str, Any]) -> list[At]:
        for topic in self._topics:
            if topic not in found:
                raise WorkerError(f"topic {topic} is missing: create the topics with `flex-sessions topics`")
        return [(topic, number) for topic in self._topics for number in found[topic].partitions]
