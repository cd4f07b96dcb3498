"""The erasure of a user's sessions: read what stands, refuse while something is still to come, tombstone the rest.

A tombstone has the key and the partition of its session's newest record, so that it takes that record's place for every
reader. Run again, it finds what a run that broke off has left.
"""

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from models.ids import UserId
from models.topics import SESSION_UPDATED, topic_name
from runtime.clock import monotonic_s
from runtime.settings import Settings
from streams.errors import WorkerError
from streams.holdings import TOPICS, Holdings
from streams.topic_reader import TopicReader

QUEUE_LIMIT_RECORDS: Final = 10_000
DELIVERY_LIMIT_S: Final = 30.0
_STEP_S: Final = 0.2

Progress = Callable[[int], None]


class Erasure:
    """The sessions of one user."""

    def __init__(self, settings: Settings, user_id: UserId) -> None:
        """Look up how much is to be read. Raises WorkerError where the topics do not answer."""
        self._settings = settings
        self._names = {topic_name(settings.topic_prefix, topic): topic for topic in TOPICS}
        self._reader = TopicReader(settings.kafka_bootstrap_servers, tuple(self._names))
        self._held = Holdings(user_id)

    @property
    def offsets_to_read(self) -> int:
        """What is still to be read, in offsets: the unit of `read`'s progress."""
        return self._reader.offsets_ahead()

    @property
    def sessions(self) -> int:
        """How many sessions are to be erased, as far as was read."""
        return len(self._held.sessions)

    def read(self, progress: Progress) -> None:
        """Read what the user has. Raises WorkerError where it cannot be read, or the erasure is refused."""
        try:
            ahead = self.offsets_to_read
            for messages in self._reader.to_end():
                for message in messages:
                    self._held.take(self._names[message.topic()], message)
                progress(ahead - self.offsets_to_read)
                ahead = self.offsets_to_read
        finally:
            self._reader.close()
        refused = self._held.reason_to_refuse()
        if refused is not None:
            raise WorkerError(f"{refused}: nothing was erased")

    def write(self, progress: Progress) -> None:
        """Write a tombstone for each session that was read. Raises WorkerError unless all of them are in the log."""
        writer = _Tombstones(self._settings, progress)
        for session_id, partition in self._held.sessions.items():
            writer.add(session_id, partition)
        writer.finish(self.sessions)


class _Tombstones:
    """Writes them, and waits for the broker within a bound."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._topic = topic_name(settings.topic_prefix, SESSION_UPDATED)
        self._progress = progress
        self._delivered = 0
        self._failure: str | None = None
        self._producer: Any = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "queue.buffering.max.messages": QUEUE_LIMIT_RECORDS,
                "message.timeout.ms": round(DELIVERY_LIMIT_S * 1_000),
                "log_level": 0,
            }
        )

    def add(self, session_id: str, partition: int) -> None:
        """Queue one; waits while the queue is full, at most until what is in it has timed out."""
        while True:
            try:
                self._producer.produce(
                    self._topic, key=session_id, value=None, partition=partition, on_delivery=self._on_delivery
                )
            except BufferError:
                self._producer.poll(_STEP_S)
                self._raise_failure()
            except KafkaException as error:
                raise WorkerError(f"{self._topic}: {error.args[0].str()}; run it again") from error
            else:
                self._producer.poll(0)
                return

    def finish(self, expected: int) -> None:
        """Wait until all are acknowledged."""
        until_s = monotonic_s() + DELIVERY_LIMIT_S + _STEP_S
        while self._producer.flush(_STEP_S) and monotonic_s() < until_s:
            pass
        self._raise_failure()
        if self._delivered < expected:
            raise WorkerError(f"{self._delivered} of {expected} sessions were erased; run it again")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise WorkerError(f"{self._topic}: {self._failure}; {self._delivered} sessions were erased; run it again")

    def _on_delivery(self, error: KafkaError | None, _message: Any) -> None:
        if error is None:
            self._delivered += 1
            self._progress(1)
        else:
            self._failure = self._failure or error.str()
