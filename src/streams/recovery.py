"""Bringing a partition's store to the end of its changelog: read committed, in batches, from the position that it has.

A store is rebuilt from the changelog's beginning where it is missing or damaged, is the copy of another changelog, has
been where the changelog is not, or is so old that deletions may have been compacted away.

The end is a record of our own: whoever takes a partition commits one to the changelog, after the earlier owner was shut
out, and reads up to it. What a broker that has just come back says of the log's end is not asked: it may be too low.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec
from msgspec import Struct

from models.topics import DAY_MS
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from streams.errors import WorkerError
from streams.log_offsets import At, LogOffsets
from streams.restoring import Restoring
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
# The pause before a question is asked again.
STEP_S: Final = 0.2
# Without a record or the end for so long, reading has failed.
STALL_LIMIT_S: Final = 60.0
# A deletion stays on the changelog for 7 d (models.topics): a store that was last written earlier may have missed one.
AGE_LIMIT_MS: Final = 6 * DAY_MS


class Bounds(Struct, frozen=True):
    """Where a partition of a topic begins and ends for who reads committed records."""

    first: int
    end: int


def bounds_of(offsets: LogOffsets, partitions: list[At], is_stopping: Callable[[], bool]) -> dict[At, Bounds]:
    """Where partitions begin and end. Raises WorkerError where nobody answers, StoppedError."""
    until_s = monotonic_s() + STALL_LIMIT_S
    while True:
        try:
            first, end = (
                offsets.ask(partitions, spec, QUESTION_S) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
            )
        except KafkaException as error:
            if is_stopping():
                raise StoppedError("stopped while it looked where topics end") from error
            if monotonic_s() >= until_s:
                raise WorkerError(f"Kafka does not say where topics end: {error.args[0].str()}") from error
            time.sleep(STEP_S)
        else:
            return {at: Bounds(first[at], end[at]) for at in first}


class _OutOfRangeError(RuntimeError):
    """The log does not have the offset from which it was to be read."""


class Recovery:
    """The recovery of one partition number."""

    def __init__(
        self,
        bootstrap_servers: str,
        changelog: tuple[str, int],
        generation: bytes,
        own: int,
        restoring: Restoring | None = None,
    ) -> None:
        """`changelog`: topic (as on the broker) and partition. `generation`: tells this changelog from any other.

        `own`: the offset of a record that this process has committed there: what anybody wrote earlier lies before it.
        `restoring`: is told how far it has come.
        """
        self._restoring = restoring or Restoring()
        self._servers = bootstrap_servers
        self._changelog = changelog
        self._generation = generation
        self._own = own
        # How many records were read from the changelog.
        self.records = 0
        # Why the store was rebuilt; None: it was there.
        self.rebuilt: str | None = None

    def open(self, folder: Path, is_stopping: Callable[[], bool]) -> Store:
        """The store, complete. Raises WorkerError, StoppedError."""
        self._restoring.begin("opens its store")
        store = self._usable(folder)
        if store is not None:
            try:
                return self._complete(store, is_stopping)
            except _OutOfRangeError:
                self.rebuilt = "the changelog begins behind the store's position"
        remove_store(folder)
        store = _new_store(folder)
        store.set_generation(self._generation)
        try:
            return self._complete(store, is_stopping)
        except _OutOfRangeError as error:
            raise WorkerError(f"{self._changelog[0]} cannot be read from its beginning") from error

    def _usable(self, folder: Path) -> Store | None:
        if not folder.exists():
            self.rebuilt = "missing"
            return None
        try:
            store = Store(folder)
        except StoreDamagedError as error:
            self.rebuilt = str(error)
            return None
        try:
            self.rebuilt = self._objection(store)
        except StoreDamagedError as error:
            self.rebuilt = str(error)
        if self.rebuilt is None:
            return store
        store.close()
        return None

    def _objection(self, store: Store) -> str | None:
        """Why the store cannot be used as it is."""
        if store.generation() != self._generation:
            return "it is the copy of another changelog"
        at = store.position()
        if at is None:
            return None
        position, wall_ms = at
        if position > self._own:
            return f"it was written up to {position}, but the changelog ended at {self._own}"
        if now_ms() - wall_ms > AGE_LIMIT_MS:
            return "it was last written more than 6 days ago"
        return None

    def _complete(self, store: Store, is_stopping: Callable[[], bool]) -> Store:
        """Read what the store does not have; closes it where that fails."""
        at = store.position()
        try:
            # Right behind what an earlier owner committed last lies the marker of that commit, and then our own record.
            if at is None or self._own - at[0] > 1:
                self._read(store, None if at is None else at[0], is_stopping)
            store.write([], self._own + 1, now_ms())
        except BaseException:
            store.close()
            raise
        return store

    def _read(self, store: Store, position: int | None, is_stopping: Callable[[], bool]) -> None:
        consumer: Any = Consumer(
            {
                "bootstrap.servers": self._servers,
                # librdkafka wants a name; no group forms under it, since nothing subscribes and nothing commits.
                "group.id": "flex-sessions-recovery-no-group",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": FETCHED_KIB,
                "fetch.queue.backoff.ms": 5,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(*self._changelog, OFFSET_BEGINNING if position is None else position)])
            self._copy(consumer, store, is_stopping)
        finally:
            consumer.close()

    def _copy(self, consumer: Any, store: Store, is_stopping: Callable[[], bool]) -> None:
        self._restoring.begin(f"reads {self._changelog[0]}")
        position, moved_s = -1, monotonic_s()
        while position <= self._own:
            if is_stopping():
                raise StoppedError("stopped during recovery")
            changes: list[tuple[bytes, bytes | None]] = []
            for event in consumer.consume(BATCH_RECORDS, timeout=POLL_S):
                if event.error() is not None:
                    self._judge(event.error())
                else:
                    position = event.offset() + 1
                    if event.offset() <= self._own:
                        changes.append((event.key(), event.value()))
            if changes:
                # What lies behind our own record is not taken, and must not count as taken: another has the partition.
                store.write(changes, min(position, self._own + 1), now_ms())
                moved_s = monotonic_s()
                self._restoring.move()
                self.records += len(changes)
            elif monotonic_s() - moved_s > STALL_LIMIT_S:
                raise WorkerError(f"{self._changelog[0]} cannot be read: nothing came for {STALL_LIMIT_S:g} s")

    def _judge(self, error: Any) -> None:
        """Raise what an error means, unless it may pass."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # librdkafka's own codes have no other name
            raise _OutOfRangeError
        if error.fatal() or error.code() in _LOST:
            raise WorkerError(f"{self._changelog[0]} cannot be read: {error.str()}")


def now_ms() -> int:
    """Wall time in ms since 1970."""
    return round(utc_now().timestamp() * 1_000)


def _new_store(folder: Path) -> Store:
    try:
        return Store(folder)
    except StoreDamagedError as error:
        raise WorkerError(f"cannot keep state in {folder}: {error}") from error


# What no further attempt cures.
_LOST: Final = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
