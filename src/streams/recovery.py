"""Bringing a partition's store to the end of its changelog: read committed, in batches, from the position that it has.

A store is rebuilt from the changelog's beginning where it is missing or damaged, is the copy of another changelog, has
been where the changelog is not, or is so old that deletions may have been compacted away.

The end is where the changelog ended when the reading began, after the earlier owner was shut out; the client's own
event says that it is reached, for transaction markers and compaction leave offsets that no record has.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from msgspec import Struct

from models.topics import DAY_MS
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from streams.errors import WorkerError
from streams.store import Store, StoreDamagedError, remove_store
from streams.transactions import StoppedError

log: Final = get_log()

# Records per call and per write: a call waits its whole timeout unless so many come.
BATCH_RECORDS: Final = 2_000
POLL_S: Final = 0.02
# Memory of what was fetched and not yet taken, in KiB.
FETCHED_KIB: Final = 16_384
# A question to the broker, and how long it is asked again.
QUESTION_S: Final = 5.0
# Without a record or the end for so long, reading has failed.
STALL_LIMIT_S: Final = 60.0
# A deletion stays on the changelog for 7 d (models.topics): a store that was last written earlier may have missed one.
AGE_LIMIT_MS: Final = 6 * DAY_MS


class Bounds(Struct, frozen=True):
    """Where a partition of a topic begins and ends for who reads committed records."""

    first: int
    end: int


def bounds_of(
    admin: AdminClient, partitions: list[tuple[str, int]], is_stopping: Callable[[], bool]
) -> dict[tuple[str, int], Bounds]:
    """Where partitions begin and end. Raises WorkerError where nobody answers, StoppedError."""
    until_s = monotonic_s() + STALL_LIMIT_S
    asked = [TopicPartition(topic, number) for topic, number in partitions]
    while True:
        try:
            first, end = (_offsets(admin, asked, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
        except KafkaException as error:
            if is_stopping():
                raise StoppedError("stopped while it looked where topics end") from error
            if monotonic_s() >= until_s:
                raise WorkerError(f"Kafka does not say where topics end: {error.args[0].str()}") from error
        else:
            return {at: Bounds(first[at], end[at]) for at in first}


class Recovery:
    """The recovery of one partition number."""

    def __init__(
        self, bootstrap_servers: str, admin: AdminClient, changelog: tuple[str, int], generation: bytes
    ) -> None:
        """`changelog`: topic (as on the broker) and partition. `generation`: tells this changelog from any other."""
        self._servers = bootstrap_servers
        self._admin = admin
        self._changelog = changelog
        self._generation = generation
        # How many records were read from the changelog.
        self.records = 0
        # Why the store was rebuilt; None: it was there.
        self.rebuilt: str | None = None

    def open(self, folder: Path, is_stopping: Callable[[], bool]) -> Store:
        """The store, complete. Raises WorkerError, StoppedError."""
        bounds = bounds_of(self._admin, [self._changelog], is_stopping)[self._changelog]
        store = self._usable(folder, bounds)
        if store is None:
            remove_store(folder)
            store = _new_store(folder)
            store.set_generation(self._generation)
        at = store.position()
        try:
            self._read(store, bounds.first if at is None else at[0], bounds, is_stopping)
        except BaseException:
            store.close()
            raise
        return store

    def _usable(self, folder: Path, bounds: Bounds) -> Store | None:
        if not folder.exists():
            self.rebuilt = "missing"
            return None
        try:
            store = Store(folder)
        except StoreDamagedError as error:
            self.rebuilt = str(error)
            return None
        try:
            self.rebuilt = self._objection(store, bounds)
        except StoreDamagedError as error:
            self.rebuilt = str(error)
        if self.rebuilt is None:
            return store
        store.close()
        return None

    def _objection(self, store: Store, bounds: Bounds) -> str | None:
        """Why the store cannot be used as it is."""
        if store.generation() != self._generation:
            return "it is the copy of another changelog"
        at = store.position()
        if at is None:
            return None
        position, wall_ms = at
        if position > bounds.end:
            return f"it was written up to {position}, but the changelog ends at {bounds.end}"
        if position < bounds.first:
            return f"it was written up to {position}, but the changelog begins at {bounds.first}"
        if now_ms() - wall_ms > AGE_LIMIT_MS:
            return "it was last written more than 6 days ago"
        return None

    def _read(self, store: Store, position: int, bounds: Bounds, is_stopping: Callable[[], bool]) -> None:
        if position >= bounds.end:
            return
        consumer: Any = Consumer(
            {
                "bootstrap.servers": self._servers,
                # librdkafka wants a name; no group forms under it, since nothing subscribes and nothing commits.
                "group.id": "flex-sessions-recovery-no-group",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": FETCHED_KIB,
                "fetch.queue.backoff.ms": 5,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(*self._changelog, position)])
            self._copy(consumer, store, position, bounds.end, is_stopping)
        finally:
            consumer.close()

    def _copy(self, consumer: Any, store: Store, position: int, end: int, is_stopping: Callable[[], bool]) -> None:
        moved_s = monotonic_s()
        while position < end:
            if is_stopping():
                raise StoppedError("stopped during recovery")
            changes: list[tuple[bytes, bytes | None]] = []
            reached = position
            for event in consumer.consume(BATCH_RECORDS, timeout=POLL_S):
                error = event.error()
                if error is None:
                    changes.append((event.key(), event.value()))
                    reached = event.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # it has no other name
                    reached = max(event.offset(), reached)
                elif error.fatal() or error.code() in _LOST:
                    raise WorkerError(f"{self._changelog[0]} cannot be read: {error.str()}")
            if reached > position:
                store.write(changes, reached, now_ms())
                position, moved_s = reached, monotonic_s()
                self.records += len(changes)
            elif monotonic_s() - moved_s > STALL_LIMIT_S:
                raise WorkerError(f"{self._changelog[0]} cannot be read: nothing came for {STALL_LIMIT_S:g} s")


def now_ms() -> int:
    """Wall time in ms since 1970."""
    return round(utc_now().timestamp() * 1_000)


def _new_store(folder: Path) -> Store:
    try:
        return Store(folder)
    except StoreDamagedError as error:
        raise WorkerError(f"cannot keep state in {folder}: {error}") from error


def _offsets(admin: AdminClient, partitions: list[Any], spec: Any) -> dict[tuple[str, int], int]:
    asked = admin.list_offsets(
        dict.fromkeys(partitions, spec), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=QUESTION_S
    )
    return {(at.topic, at.partition): future.result().offset for at, future in asked.items()}


# What no further attempt cures.
_LOST: Final = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
