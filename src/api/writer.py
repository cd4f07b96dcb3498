"""Records of the API to Kafka: one idempotent producer per process, awaited from the event loop.

A write is done once every in-sync replica has it. Knows topics and bytes, nothing of policies or sessions.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import Struct

from runtime.clock import monotonic_s
from runtime.partitions import LIBRDKAFKA_PARTITIONER

# Milliseconds until a record that no broker has acknowledged counts as not written.
_DELIVERY_TIMEOUT_MS: Final = 4_000
# Seconds for the question how many partitions a topic has, and for which the answer is believed: partitions never
# change while a topic lives, but a topic can be made anew.
_METADATA_TIMEOUT_S: Final = 3.0
_PARTITIONS_BELIEVED_S: Final = 30.0
# Seconds that the thread waits for word of deliveries at a time, and that a stop waits for those under way.
_POLL_S: Final = 0.2
_FLUSH_S: Final = 1.0
# Records that may wait in the producer: far more than requests may be under way.
_QUEUE_RECORDS: Final = 10_000


class WriteFailedError(Exception):
    """A record is not surely written: it may yet stand on its topic. The message says what the brokers said."""


class OutgoingRecord(Struct, frozen=True, kw_only=True):
    """One record. `partition` None: the key decides. A null value deletes."""

    topic: str
    key: str
    value: bytes | None
    headers: Mapping[str, str] = {}
    partition: int | None = None


class Writer(Protocol):
    """Whoever writes records."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises WriteFailedError."""

    async def write(self, record: OutgoingRecord) -> None:
        """Write one record and wait until it is acknowledged. Raises WriteFailedError."""


class RecordWriter:
    """A Writer on real brokers. `close` ends its thread."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer: Any = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": LIBRDKAFKA_PARTITIONER,
                "enable.idempotence": True,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
                # Someone waits for each of these records.
                "linger.ms": 0,
                "queue.buffering.max.messages": _QUEUE_RECORDS,
                "reconnect.backoff.max.ms": 1_000,
                "allow.auto.create.topics": False,
            },
            logger=logging.getLogger("librdkafka.producer"),
        )
        self._partitions: dict[str, tuple[float, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="writer", daemon=True)
        self._thread.start()

    async def partitions(self, topic: str) -> int:
        asked_s, count = self._partitions.get(topic, (0.0, 0))
        if not count or monotonic_s() - asked_s > _PARTITIONS_BELIEVED_S:
            count = await asyncio.to_thread(self._count_partitions, topic)
            self._partitions[topic] = monotonic_s(), count
        return count

    async def write(self, record: OutgoingRecord) -> None:
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[None] = loop.create_future()

        def settle(error: KafkaError | None) -> None:
            if delivered.done():  # whoever waited has gone
                return
            if error is None:
                delivered.set_result(None)
            else:
                delivered.set_exception(WriteFailedError(error.str()))

        def told(error: KafkaError | None, _message: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=[(name, text.encode()) for name, text in record.headers.items()],
                partition=-1 if record.partition is None else record.partition,
                on_delivery=told,
            )
        except (BufferError, KafkaException) as error:
            raise WriteFailedError(str(error)) from error
        await delivered

    def close(self) -> None:
        """Let what is under way arrive, for a moment, and end."""
        self._producer.flush(_FLUSH_S)
        self._stop.set()
        self._thread.join(2 * _POLL_S)

    def _count_partitions(self, topic: str) -> int:
        try:
            found = self._producer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise WriteFailedError(str(error)) from error
        if found.error is not None or not found.partitions:
            raise WriteFailedError(f"the topic {topic} cannot be looked at: {found.error}")
        return len(found.partitions)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)
