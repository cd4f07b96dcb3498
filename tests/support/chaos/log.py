"""Topics as an outsider sees them: every committed record with its bytes, ends of partitions, a group's positions."""

import threading
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from msgspec import Struct

from tests.support.waiting import wait_until

# Records per batch, and how long a wait for them lasts.
BATCH_RECORDS: Final = 2_000
STEP_S: Final = 0.1
# A broker that answers nothing for so long is not there.
SILENCE_LIMIT_S: Final = 60.0
QUESTION_S: Final = 10.0
# A group that is new, or whose broker has just come back, has none for a moment.
_NO_COORDINATOR: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
)

Headers = tuple[tuple[str, bytes | None], ...]


class Logged(Struct, frozen=True, kw_only=True):
    """One record as the log has it, byte for byte. `topic`: its name on the broker."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def header(self, name: str) -> str | None:
        """The last value of a header, as text; None where it is absent or null."""
        found = [value for known, value in self.headers if known == name and value is not None]
        return found[-1].decode(errors="replace") if found else None


def read_topics(bootstrap: str, topics: Sequence[str]) -> list[Logged]:
    """Every committed record of the topics, in the order of each partition. AssertionError: the broker is silent."""
    tail = Tail(bootstrap, topics)
    try:
        return tail.to_end()
    finally:
        tail.close()


def ends(bootstrap: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """The offset after the last committed record of every partition, markers of transactions included."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = _partitions(admin, topics)
    asked = admin.list_offsets(
        dict.fromkeys(wanted, OffsetSpec.latest()),
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=QUESTION_S,
    )
    return {(at.topic, at.partition): future.result().offset for at, future in asked.items()}


def group_positions(bootstrap: str, group: str, asked: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """What a consumer group has committed of these partitions: the next offset; absent where it committed none.

    A client of the group asks and does not join it: the admin call ends the process where the coordinator is new.
    """
    consumer: Any = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        found = consumer.committed([TopicPartition(*at) for at in asked], timeout=QUESTION_S)
    except KafkaException as error:
        if error.args[0].code() not in _NO_COORDINATOR:
            raise
        return {}
    finally:
        consumer.close()
    return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}


class Tail:
    """Follows committed records from the beginning on, through outages, and keeps them."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self.records: list[Logged] = []
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"outsider-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": 8_000_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._unread = {(at.topic, at.partition) for at in _partitions(admin, topics)}
        self._consumer.assign([TopicPartition(topic, number, 0) for topic, number in self._unread])

    def follow(self, timeout_s: float = STEP_S) -> list[Logged]:
        """What has come since the last call; waits for it at most `timeout_s`."""
        came: list[Logged] = []
        for message in self._consumer.consume(BATCH_RECORDS, timeout=timeout_s):
            error = message.error()
            if error is None:
                came.append(_logged(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard((message.topic(), message.partition()))
            elif error.fatal() or error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError._UNKNOWN_PARTITION}:
                raise AssertionError(f"{message.topic()} cannot be read any more: {error.str()}")
            # Anything else is a broker that is away for a while: the client asks again.
        self.records += came
        return came

    def to_end(self) -> list[Logged]:
        """Everything up to the ends that the partitions have now."""
        idle_s = 0.0
        self._unread = {at for at, end in ends(self._bootstrap, self._topics).items() if end > 0} & self._unread
        while self._unread:
            idle_s = 0.0 if self.follow() else idle_s + STEP_S
            if idle_s > SILENCE_LIMIT_S:
                raise AssertionError(f"no answer for {SILENCE_LIMIT_S} s from {sorted(self._unread)}")
        return self.records

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


class Watch:
    """A tail in a thread of its own: what a reader sees while things break."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._tail = Tail(bootstrap, topics)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def records(self) -> list[Logged]:
        """A copy of what was seen so far. Raises what ended the reading."""
        if self._failure is not None:
            raise AssertionError("the watching reader ended") from self._failure
        return list(self._tail.records)

    @property
    def count(self) -> int:
        """How many records were seen."""
        return len(self._tail.records)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(SILENCE_LIMIT_S)
        self._tail.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._tail.follow()
        except BaseException as error:  # noqa: BLE001  # told to whoever asks for the records
            self._failure = error


def _partitions(admin: Any, topics: Iterable[str]) -> list[TopicPartition]:
    def found() -> list[TopicPartition]:
        """All of them: of several brokers, one may hear of a new topic later than another."""
        known = admin.list_topics(timeout=QUESTION_S).topics
        if any(topic not in known or not known[topic].partitions for topic in topics):
            return []
        return [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

    return wait_until(found, QUESTION_S, f"topics {sorted(topics)}")


def _logged(message: Any) -> Logged:
    return Logged(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )
