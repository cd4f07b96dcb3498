"""Whole topics, read to the end that they had: whatever lies at that end, and within bounds."""

import pytest

from local.kafka import Kafka
from local.topics import ensure_topics
from models.topics import ENERGY_PRICES, VEHICLE_CHARGE
from streams import topic_reader
from streams.errors import WorkerError
from streams.topic_reader import TopicReader
from tests.support.api_process import Transactions
from tests.support.records import Outgoing, produce
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def numbered(topic: str, first: int, count: int) -> list[Outgoing]:
    """Records whose keys count."""
    return [Outgoing(topic=topic, key=str(number), value=b"{}") for number in range(first, first + count)]


def keys(reader: TopicReader) -> list[int]:
    """The keys of everything up to the end."""
    return [int(message.key()) for messages in reader.to_end() for message in messages]


def test_only_committed_records_are_read_and_markers_hide_no_end(topics: Topics) -> None:
    """Aborted records are left out; transaction markers, first or last, neither stop the reading nor stall it."""
    name = topics.name(ENERGY_PRICES)
    writer = Transactions(topics.bootstrap, f"{topics.prefix}reader")
    writer.write(numbered(name, 100, 3), commit=False)
    writer.write(numbered(name, 0, 3))
    writer.write(numbered(name, 200, 3), commit=False)
    reader = TopicReader(topics.bootstrap, [name])
    assert reader.offsets_ahead() == 12
    assert keys(reader) == [0, 1, 2]
    assert reader.offsets_ahead() == 0
    reader.close()


def test_every_partition_of_every_topic_is_read_in_batches(topics: Topics) -> None:
    """More records than one batch holds, over several partitions and topics, one of them empty: all, each once."""
    name = topics.name(VEHICLE_CHARGE)
    count = 2 * topic_reader.BATCH_RECORDS + 1
    produce(topics.bootstrap, numbered(name, 0, count))
    reader = TopicReader(topics.bootstrap, [name, topics.name(ENERGY_PRICES)])
    assert sorted(keys(reader)) == list(range(count))
    produce(topics.bootstrap, numbered(name, count, 1))
    followed: list[int] = []
    while not followed:
        followed += [int(message.key()) for message in reader.follow()]
    assert followed == [count]
    reader.close()


def test_what_cannot_be_read_ends_in_one_line(broker: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing topic, and a broker that stays away for the time allowed, are errors that say which."""
    with pytest.raises(WorkerError, match=f"topic {prefix}nothing is missing"):
        TopicReader(broker.bootstrap, [f"{prefix}nothing"])
    monkeypatch.setattr(topic_reader, "CONNECT_LIMIT_S", 0.5)
    with pytest.raises(WorkerError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        TopicReader("127.0.0.1:1", ["any"])


def test_a_log_that_is_lost_is_told(topics: Topics) -> None:
    """A topic that is made anew under its reader ends the reading with a line, not with silence."""
    name = topics.name(ENERGY_PRICES)
    produce(topics.bootstrap, numbered(name, 0, 3))
    reader = TopicReader(topics.bootstrap, [name])
    assert keys(reader) == [0, 1, 2]
    delete_topics(topics.bootstrap, name)
    ensure_topics(topics.settings())
    produce(topics.bootstrap, numbered(name, 3, 1))

    def is_told() -> bool:
        try:
            reader.follow()
        except WorkerError as error:
            return f"{name} cannot be read any more" in str(error)
        return False

    wait_until(is_told, 60, "the loss of the topic")
    reader.close()
