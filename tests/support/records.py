"""Records on a broker, written and read as a client that is not ours would: plain confluent-kafka."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from msgspec import Struct
from msgspec.json import encode

_TIMEOUT_S = 30


class Record(Struct, frozen=True, kw_only=True):
    """One record as read. `headers` by name; a repeated name keeps its last value."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    value: bytes | None
    headers: Mapping[str, str]


class Outgoing(Struct, frozen=True, kw_only=True):
    """One record to write. A value that is neither bytes nor None is written as JSON; no partition: the key decides."""

    topic: str
    key: str | None
    value: object
    headers: Mapping[str, str] = {}
    partition: int | None = None


def produce(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Write the records, in order, with Kafka's default partitioner, and wait until the broker has all of them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.max.bytes": 8_000_000,
            "linger.ms": 5,
        }
    )
    refused: list[KafkaError] = []
    for record in records:
        while True:
            try:
                producer.produce(
                    record.topic,
                    key=record.key,
                    value=record.value if isinstance(record.value, bytes | None) else encode(record.value),
                    headers=[(name, value.encode()) for name, value in record.headers.items()],
                    partition=-1 if record.partition is None else record.partition,
                    on_delivery=lambda error, _message: refused.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(_TIMEOUT_S) or refused:
        raise AssertionError(f"not written: {refused or 'the broker did not answer'}")


def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Every committed record of the topic, in the order of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"test-reader-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        partitions = set(consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions)
        if not partitions:
            raise AssertionError(f"no such topic: {topic}")
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: list[Record] = []
        while partitions:
            message = consumer.poll(_TIMEOUT_S)
            if message is None:
                raise AssertionError(f"no answer from {bootstrap} within {_TIMEOUT_S} s")
            if message.error() is None:
                found.append(_record(message))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())
        return found
    finally:
        consumer.close()


def _record(message: Any) -> Record:
    key = message.key()
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=None if key is None else key.decode(errors="replace"),
        value=message.value(),
        headers={name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()},
    )
