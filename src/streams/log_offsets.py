"""Where partitions begin and end, for who reads committed records."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

# A topic as on the broker, and a partition.
At = tuple[str, int]


class LogOffsets:
    """Asks the broker. Any thread may call it."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._admin: Any = None

    def ask(self, partitions: Iterable[At], spec: Any, timeout_s: float) -> dict[At, int]:
        """The offset of each partition that `spec` (confluent_kafka.admin.OffsetSpec) means. Raises KafkaException."""
        admin = self._admin or AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        asked = {TopicPartition(topic, number): spec for topic, number in partitions}
        if not asked:
            return {}
        try:
            answers = admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=timeout_s
            )
            found = {(at.topic, at.partition): future.result().offset for at, future in answers.items()}
            if any(offset < 0 for offset in found.values()):
                # So the client answers where it was given no answer in time.
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001, TRY301  # its only name
        except KafkaException:
            # One that knew the broker before its death may ask by the old leaders' epochs, and be refused, for ever.
            self._admin = None
            raise
        self._admin = admin
        return found
