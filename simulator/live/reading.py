"""What the system has committed to its outputs, from where they ended when the run began; and how far it has come."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from msgspec import Struct

from ingest.client_log import LIBRDKAFKA_LOG
from ingest.errors import WriteError, WriteInterrupted
from models.topics import CHARGE_COMMANDS, INPUT_TOPICS, SESSION_UPDATED, WORKER_GROUP, topic_name
from models.topics import ENERGY_PRICES as PRICES
from runtime.clock import monotonic_s
from runtime.logs import get_log

# Records of one look at most; the rest waits on the broker for the next.
READ_LIMIT_RECORDS: Final = 1_000
CONNECT_LIMIT_S: Final = 10.0
_FETCHED_LIMIT_KIB: Final = 16 * 1_024
# An answer that takes longer is asked for again: a stop is heard within this time.
_QUESTION_S: Final = 1.0
_OUTPUTS: Final = (SESSION_UPDATED, CHARGE_COMMANDS)
# What the client reports while it has no broker: it goes on trying.
_AWAY: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})  # noqa: SLF001


class OutputRecord(Struct, frozen=True):
    """One committed record of an output; `topic` is named without the prefix."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Outputs(Protocol):
    """`read` never waits longer than it is told. `lag`: input records that the system has not done yet."""

    def read(self, wait_s: float) -> list[OutputRecord]: ...

    def lag(self) -> int: ...

    def is_at_end(self) -> bool:
        """Whether all was read that was committed when this was asked."""
        ...

    def command_offsets(self) -> dict[int, int]:
        """The next command to be read, by partition."""
        ...


class KafkaOutputs:
    """The outputs of a system, read without a group.

    `since`: where commands are read on, by partition; then updates are read from their beginning on. Null: both from
    where they end now.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic_prefix: str,
        *,
        interrupted: Callable[[], bool],
        since: Mapping[int, int] | None = None,
    ) -> None:
        """Find where to begin. Raises WriteError after 10 s without a broker or a topic."""
        self._prefix = topic_prefix
        self._interrupted = interrupted
        config = {"bootstrap.servers": bootstrap_servers, "enable.auto.commit": False, "error_cb": _on_error}
        self._consumer = Consumer(
            config
            | {
                "client.id": "flex-judge",
                "group.id": "flex-judge-reads-no-group",  # required by the client; it never joins or commits
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": _FETCHED_LIMIT_KIB,
                "reconnect.backoff.max.ms": 1_000,
            },
            logger=LIBRDKAFKA_LOG,
        )
        # Asks what the worker's group has done, and does not join it. Where topics end is asked here as well: behind a
        # fetch that waits for records, every answer would wait too.
        group = topic_name(topic_prefix, WORKER_GROUP)
        self._group = Consumer(config | {"client.id": "flex-judge-lag", "group.id": group}, logger=LIBRDKAFKA_LOG)
        self._inputs = self._partitions([name for name in INPUT_TOPICS if name != PRICES])
        outputs = self._partitions(_OUTPUTS)
        self._commands = topic_name(topic_prefix, CHARGE_COMMANDS)
        self._offsets = {(part.topic, part.partition): self._beginning(part, since) for part in outputs}
        self._consumer.assign([TopicPartition(*at, offset) for at, offset in self._offsets.items()])

    def read(self, wait_s: float) -> list[OutputRecord]:
        """The records that have come, at most 1,000; waits that long for the first ones."""
        found: list[OutputRecord] = []
        for message in self._consumer.consume(READ_LIMIT_RECORDS, timeout=wait_s):
            error = message.error()
            at = (message.topic(), message.partition())
            if error is None:
                self._offsets[at] = message.offset() + 1
                key = (message.key() or b"").decode(errors="replace")
                topic = message.topic().removeprefix(self._prefix)
                place = (message.partition(), message.offset())
                found.append(OutputRecord(topic, *place, key, message.value(), tuple(message.headers() or ())))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                self._offsets[at] = message.offset()
            elif not (error.retriable() or error.code() in _AWAY):
                raise WriteError(f"cannot read {at[0]}: {error.str()}")
        return found

    def lag(self) -> int:
        """Input records, over all partitions, that the worker's group has not committed as done."""
        try:
            done = self._group.committed(self._inputs, timeout=_QUESTION_S)
            ends = [self._end(part) for part in self._inputs]
        except KafkaException as error:
            get_log().debug("asking for the lag", reason=error.args[0].str())
            return 1  # nobody knows; whoever waits asks again, and gives up in the end
        return sum(max(0, end - max(part.offset, 0)) for part, end in zip(done, ends, strict=True))

    def is_at_end(self) -> bool:
        try:
            return all(offset >= self._end(TopicPartition(*at)) for at, offset in self._offsets.items())
        except KafkaException as error:
            get_log().debug("asking for the ends", reason=error.args[0].str())
            return False

    def command_offsets(self) -> dict[int, int]:
        return {number: offset for (topic, number), offset in self._offsets.items() if topic == self._commands}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        self._group.close()

    def _beginning(self, part: TopicPartition, since: Mapping[int, int] | None) -> int:
        low, end = self._bounds(part)
        if since is None:
            return end
        if part.topic != self._commands:
            return low
        # What was deleted meanwhile holds no longer; and the topic may have been made anew.
        return min(max(since.get(part.partition, end), low), end)

    def _bounds(self, part: TopicPartition) -> tuple[int, int]:
        """Where its log begins and ends; of a topic just made the broker may not know for a moment who leads it."""
        deadline = monotonic_s() + CONNECT_LIMIT_S
        while True:
            try:
                low, end = self._group.get_watermark_offsets(part, timeout=_QUESTION_S, cached=False)
            except KafkaException as error:
                if self._interrupted():
                    raise WriteInterrupted from error
                if monotonic_s() >= deadline:
                    raise WriteError(f"cannot read {part.topic}: {error.args[0].str()}") from error
                self._consumer.poll(0.2)
            else:
                return int(low), int(end)

    def _end(self, part: TopicPartition) -> int:
        end: int = self._group.get_watermark_offsets(part, timeout=_QUESTION_S, cached=False)[1]
        return end

    def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        names = [topic_name(self._prefix, topic) for topic in topics]
        deadline = monotonic_s() + CONNECT_LIMIT_S
        while True:
            problem = f"no topic {', '.join(names)}: create the topics first (flex-sessions topics)"
            try:
                found: Any = self._consumer.list_topics(timeout=1.0).topics
            except KafkaException as error:
                problem = f"cannot read {', '.join(names)}: {error.args[0].str()}"
            else:
                if all(name in found and found[name].partitions for name in names):
                    return [TopicPartition(name, number) for name in names for number in sorted(found[name].partitions)]
            if self._interrupted():
                raise WriteInterrupted
            if monotonic_s() >= deadline:
                raise WriteError(problem)
            self._consumer.poll(0.2)


def _on_error(error: KafkaError) -> None:
    """The client goes on by itself."""
    get_log().debug("reading outputs", reason=error.str())
