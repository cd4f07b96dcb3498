"""The two topics as this sidecar reads them: what they are, where they begin and end, and batches of their records.

No consumer group: every sidecar reads every partition, from offsets that it keeps itself.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from api.view.meta import LogBounds
from api.view.meta import TopicPartition as Partition

# Seconds for one question to the brokers.
_REQUEST_TIMEOUT_S: Final = 5.0
# Records per batch, thus per atomic write: a few milliseconds of work, so requests never wait long for the GIL.
BATCH_RECORDS: Final = 500
# Memory of what was fetched and not yet taken, over all partitions, in KiB.
_FETCHED_KIB: Final = 32_768
# Seconds that one poll may wait for a record: how late a stop is noticed.
POLL_S: Final = 0.2


class SessionLog:
    """Questions to the brokers. Every method raises KafkaException where they do not answer in time."""

    def __init__(
        self, bootstrap_servers: str, updates_topic: str, policies_topic: str, now: Callable[[], datetime]
    ) -> None:
        self.policies_topic = policies_topic
        self._servers = bootstrap_servers
        self._topics = (updates_topic, policies_topic)
        self._now = now
        self._admin: Any = AdminClient(
            {"bootstrap.servers": bootstrap_servers}, logger=logging.getLogger("librdkafka.admin")
        )

    def bounds(self) -> LogBounds:
        """The topics as they are now. A topic that does not exist is a KafkaException too."""
        asked_at = self._now()
        described = self._admin.describe_topics(TopicCollection(list(self._topics)), request_timeout=_REQUEST_TIMEOUT_S)
        found = [future.result() for future in described.values()]
        partitions = [TopicPartition(topic.name, part.id) for topic in found for part in topic.partitions]
        return LogBounds(
            at=asked_at,
            topic_ids={topic.name: str(topic.topic_id) for topic in found},
            first=self._offsets(partitions, OffsetSpec.earliest()),
            end=self._offsets(partitions, OffsetSpec.latest()),
        )

    def read_from(self, positions: Mapping[Partition, int]) -> "LogReader":
        """Records from these offsets on."""
        return LogReader(self._servers, positions)

    def _offsets(self, partitions: list[Any], spec: Any) -> dict[Partition, int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(partitions, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_REQUEST_TIMEOUT_S,
        )
        found = {(at.topic, at.partition): future.result().offset for at, future in asked.items()}
        if any(offset < 0 for offset in found.values()):
            # So the client answers where it was given no answer in time.
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # librdkafka's codes have no other name
        return found


class LogReader:
    """Committed records of all partitions; also says when the end of one is reached."""

    def __init__(self, bootstrap_servers: str, positions: Mapping[Partition, int]) -> None:
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                # librdkafka wants a name; no group forms under it, since nothing subscribes and nothing commits.
                "group.id": "flex-sessions-api-no-group",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                # The only way to see an end that lies behind transaction markers or compacted records.
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _FETCHED_KIB,
                # How long fetching rests once that much lies ready; the default of 1 s would stall a rebuild.
                "fetch.queue.backoff.ms": 10,
                "reconnect.backoff.max.ms": 1_000,
            },
            logger=logging.getLogger("librdkafka.consumer"),
        )
        self._consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()])

    def batch(self) -> list[Any]:
        """What is there, at most BATCH_RECORDS messages and events; waits up to POLL_S for the first."""
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        return [first, *self._consumer.consume(BATCH_RECORDS - 1, timeout=0)]

    def known_ends(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """The end of each partition as of its latest fetch; asks nobody."""
        ends = {}
        for topic, number in positions:
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            if high >= 0:
                ends[topic, number] = high
        return ends

    def close(self) -> None:
        self._consumer.close()
