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
        found, cause = self._asked(partitions, spec, timeout_s)
        if cause is not None:
            # Another one: raised itself, it would refer to a frame, which refers to the answers, which refer to it.
            # A worker looks for no such circles.
            raise KafkaException(*cause)
        return found

    def ask_for_some(self, partitions: Collection[At], spec: Any, timeout_s: float) -> dict[At, int]:
        """As `ask`, of those partitions for which there is an answer. Raises KafkaException where there is none."""
        found, cause = self._asked(partitions, spec, timeout_s)
        if cause is not None and not found:
            raise KafkaException(*cause)
        return found

    def _asked(
        self, partitions: Collection[At], spec: Any, timeout_s: float
    ) -> tuple[dict[At, int], tuple[Any, ...] | None]:
        """What was answered, and what the first error was made of; None: there was none. Raises KafkaException."""
        if not partitions:
            return {}, None
        if self._has_failed:
            # Who knew the broker before its death would ask by the old leaders' epochs, and be refused, for ever.
            self._admin.list_topics(timeout=timeout_s)
        asked = {TopicPartition(topic, number): spec for topic, number in partitions}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=timeout_s
        )
        found: dict[At, int] = {}
        cause: tuple[Any, ...] | None = None
        for at, answer in answers.items():
            error = answer.exception()
            if error is not None:
                cause = cause or error.args
            elif answer.result().offset < 0:
                # So the client answers where it was given no answer in time.
                cause = cause or (KafkaError(KafkaError._TIMED_OUT),)  # noqa: SLF001  # its only name
            else:
                found[at.topic, at.partition] = answer.result().offset
        self._has_failed = cause is not None
        return found, cause
