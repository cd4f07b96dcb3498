"""Where partitions begin and end, for who reads committed records."""

from collections.abc import Collection
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

# A topic as on the broker, and a partition.
At = tuple[str, int]


class LogOffsets:
    """Asks the broker. Any thread may call it."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        self._has_failed = False

    def ask(self, partitions: Collection[At], spec: Any, timeout_s: float) -> dict[At, int]:
        """The offset of each partition that `spec` (confluent_kafka.admin.OffsetSpec) means. Raises KafkaException."""
        if not partitions:
            return {}
        if self._has_failed:
            # Who knew the broker before its death would ask by the old leaders' epochs, and be refused, for ever.
            self._admin.list_topics(timeout=timeout_s)
        asked = {TopicPartition(topic, number): spec for topic, number in partitions}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=timeout_s
        )
        failed = next((error for answer in answers.values() if (error := answer.exception()) is not None), None)
        found = {} if failed else {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}
        if failed is None and any(offset < 0 for offset in found.values()):
            # So the client answers where it was given no answer in time.
            failed = KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # its only name
        self._has_failed = failed is not None
        if failed is not None:
            # Another one: raised itself, it would refer to this frame, which refers to the answers, which refer to it.
            # A worker looks for no such circles.
            raise KafkaException(*failed.args)
        return found
