"""On which partition a policy's records belong: that of its vehicle, which a deletion (a null value) does not name.

It is known from an earlier record of the same run, else from the policies topic itself, read once and only then.
"""

from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from msgspec import Struct

from ingest.client_log import LIBRDKAFKA_LOG
from ingest.errors import WriteError
from runtime.clock import monotonic_s
from runtime.partitions import partition_of

# The topic is compacted: a record or a few per policy. Longer than this means that the broker does not answer.
READ_LIMIT_S: Final = 60.0
_BATCH_RECORDS: Final = 1_000
_SLICE_S: Final = 0.2


class _Owner(Struct, rename="camel"):
    vehicle_id: str


_OWNER: Final = msgspec.json.Decoder(_Owner)


class PolicyHomes:
    """The partition of every policy seen; bounded by the number of policies."""

    def __init__(self, bootstrap_servers: str, topic: str, partitions: int) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._partitions = partitions
        self._known: dict[str, int] = {}
        self._has_read = False

    def partition(self, policy_id: str, value: bytes | None) -> int:
        """The partition for this record. A policy that nobody knows goes by its own id; the worker ignores it there."""
        home = None if value is None else self._of_value(value)
        if home is None and policy_id not in self._known and not self._has_read:
            self._known = self._read() | self._known
            self._has_read = True
        if home is None:
            home = self._known.get(policy_id, partition_of(policy_id, self._partitions))
        self._known[policy_id] = home
        return home

    def _of_value(self, value: bytes) -> int | None:
        try:
            return partition_of(_OWNER.decode(value).vehicle_id, self._partitions)
        except (ValueError, RecursionError):
            return None  # bad input is written too, wherever its key belongs: the worker sorts it out

    def _read(self) -> dict[str, int]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": "flex-ingest-reads-no-group",  # required by the client; it never joins or commits
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
            logger=LIBRDKAFKA_LOG,
        )
        try:
            return self._read_with(consumer)
        except KafkaException as error:
            raise WriteError(f"cannot read {self._topic}: {error.args[0].str()}") from error
        finally:
            consumer.close()

    def _read_with(self, consumer: Any) -> dict[str, int]:
        consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in range(self._partitions)])
        unread = set(range(self._partitions))
        homes: dict[str, int] = {}
        deadline = monotonic_s() + READ_LIMIT_S
        while unread:
            if monotonic_s() >= deadline:
                raise WriteError(f"cannot read {self._topic} within {READ_LIMIT_S:g} s")
            for message in consumer.consume(_BATCH_RECORDS, timeout=_SLICE_S):
                error = message.error()
                if error is None and message.key() is not None:
                    homes[message.key().decode(errors="replace")] = message.partition()
                elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                    unread.discard(message.partition())
                elif error is not None and not error.retriable():
                    raise KafkaException(error)
        return homes
