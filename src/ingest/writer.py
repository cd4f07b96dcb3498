"""The one writer of input records: idempotent, acks=all, bounded, on the right partition, in an order that can be read.

The worker merges topics by event time from what it knows to be in the log. So whenever the topic changes, everything
before is acknowledged first: a plug record is in the log after earlier charge records and before later ones. A run of
records of one topic, such as plain charge samples, is pipelined.
"""

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import Struct

from ingest.client_log import LIBRDKAFKA_LOG
from ingest.errors import WriteError, WriteInterrupted
from ingest.policy_homes import PolicyHomes
from ingest.records import InputRecord, Message
from models.codec import encode
from models.topics import INPUT_TOPICS, VEHICLE_POLICIES, topic_name
from runtime.clock import monotonic_s
from runtime.logs import get_log
from runtime.partitions import LIBRDKAFKA_PARTITIONER

# A worker refuses inputs over 64 KiB; room above it lets a recording hold such a message.
MESSAGE_LIMIT_BYTES: Final = 1_000_000
QUEUE_LIMIT_RECORDS: Final = 20_000
QUEUE_LIMIT_KIB: Final = 32 * 1_024
CONNECT_LIMIT_S: Final = 10.0
DELIVERY_LIMIT_S: Final = 30.0
# How long one blocking call lasts before the writer looks up again: a stop is heard within this time.
_SLICE_S: Final = 0.2


class Target(Struct, frozen=True, kw_only=True):
    """Where to write. `waits` is for writers that outlive an outage: they wait for the broker instead of giving up."""

    bootstrap_servers: str
    topic_prefix: str = ""
    waits: bool = False


def _never() -> bool:
    return False


class InputWriter:
    """Writes records of the input topics. Leaving it as a context flushes, unless it failed or was stopped."""

    def __init__(self, target: Target, *, interrupted: Callable[[], bool] = _never) -> None:
        """Connect. Raises WriteError after 10 s without a broker, or if topics are missing."""
        self.delivered: Counter[str] = Counter()
        self._target = target
        self._interrupted = interrupted
        self._names = {topic: topic_name(target.topic_prefix, topic) for topic in INPUT_TOPICS}
        self._topics = {name: topic for topic, name in self._names.items()}
        self._failure: str | None = None
        self._away = False
        self._connected = False
        self._last_topic: str | None = None
        self._producer = Producer(self._config(), logger=LIBRDKAFKA_LOG)
        self._homes = PolicyHomes(target.bootstrap_servers, self._names[VEHICLE_POLICIES], self._connect())

    def write(self, record: InputRecord) -> None:
        """Queue one record; wait while the queue is full. Raises what an earlier record failed with."""
        if record.topic != self._last_topic:
            self.flush()
            self._last_topic = record.topic
        value = _value(record.message)
        arguments: dict[str, Any] = {"key": record.key, "value": value, "on_delivery": self._on_delivery}
        if record.topic == VEHICLE_POLICIES and record.key is not None:
            arguments["partition"] = self._homes.partition(record.key, value)
        self._produce(self._names[record.topic], arguments)

    def flush(self) -> None:
        """Wait until everything is acknowledged: at most 30 s, or for ever if the target waits."""
        deadline = monotonic_s() + DELIVERY_LIMIT_S
        while left := self._producer.flush(_SLICE_S):
            self._give_up(deadline, f"{left} records were not acknowledged within {DELIVERY_LIMIT_S:g} s")
        self._raise_failure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            # A capture that broke off has been written so far; a writer that failed or was told to stop does not wait.
            if kind is None or not issubclass(kind, WriteError | WriteInterrupted | KeyboardInterrupt):
                self.flush()
        finally:
            # What is still queued here has been reported as not written; a closing producer would wait for it.
            self._producer.purge()
            self._producer.flush(_SLICE_S)

    def _config(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._target.bootstrap_servers,
            "client.id": "flex-ingest",
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": LIBRDKAFKA_PARTITIONER,
            "message.max.bytes": MESSAGE_LIMIT_BYTES,
            "queue.buffering.max.messages": QUEUE_LIMIT_RECORDS,
            "queue.buffering.max.kbytes": QUEUE_LIMIT_KIB,
            "linger.ms": 5,
            "message.timeout.ms": 0 if self._target.waits else int(DELIVERY_LIMIT_S * 1_000),
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._on_error,
        }

    def _connect(self) -> int:
        """Wait for broker and topics; the number of partitions of the policies topic."""
        deadline = monotonic_s() + CONNECT_LIMIT_S
        while True:
            found, problem = self._look_up()
            if problem is None:
                self._connected = True
                return len(found[self._names[VEHICLE_POLICIES]].partitions)
            if self._interrupted():
                raise WriteInterrupted
            if monotonic_s() >= deadline:
                raise WriteError(problem)
            # A topic made a moment ago may have no leader yet.
            self._producer.poll(_SLICE_S)

    def _look_up(self) -> tuple[dict[str, Any], str | None]:
        """The broker's topics, and what is wrong with ours."""
        servers = self._target.bootstrap_servers
        try:
            found = self._producer.list_topics(timeout=1.0).topics
        except KafkaException:
            return {}, f"no Kafka broker answers at {servers} within {CONNECT_LIMIT_S:g} s"
        missing = [name for name in self._names.values() if name not in found]
        if missing:
            return found, f"no topic {', '.join(missing)} at {servers}: create the topics first (flex-sessions topics)"
        parts = [(name, part) for name in self._names.values() for part in found[name].partitions.values()]
        headless = sorted({name for name, part in parts if part.leader < 0})
        return found, f"no leader for {', '.join(headless)} at {servers}" if headless else None

    def _produce(self, name: str, arguments: dict[str, Any]) -> None:
        deadline = monotonic_s() + DELIVERY_LIMIT_S
        while True:
            self._raise_failure()
            try:
                self._producer.produce(name, **arguments)
            except BufferError:
                self._producer.poll(_SLICE_S)
                self._give_up(deadline, f"the queue stayed full for {DELIVERY_LIMIT_S:g} s: the broker takes nothing")
            except KafkaException as error:
                raise WriteError(f"{name}: {error.args[0].str()}") from error
            else:
                self._producer.poll(0)
                return

    def _give_up(self, deadline: float, reason: str) -> None:
        if self._interrupted():
            raise WriteInterrupted
        self._raise_failure()
        if not self._target.waits and monotonic_s() >= deadline:
            raise WriteError(reason)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise WriteError(self._failure)

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failure = self._failure or f"{message.topic()}: not delivered: {error.str()}"
            return
        self.delivered[self._topics[message.topic()]] += 1
        if self._away:
            self._away = False
            get_log().info("the broker answers again")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or f"the producer cannot go on: {error.str()}"
        elif self._connected and not self._away and error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            # librdkafka's internal codes have no other name.
            self._away = True
            get_log().warning("no broker answers; waiting", servers=self._target.bootstrap_servers)


def _value(message: Message) -> bytes | None:
    return encode(message) if isinstance(message, msgspec.Struct) else message
