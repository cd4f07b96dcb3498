"""The shared broker and the helpers that every other integration test stands on."""

import pytest

from models.topics import VEHICLE_PLUG
from runtime.partitions import partition_of
from tests.support.records import Outgoing, produce, read_all
from tests.support.system import Topics

pytestmark = pytest.mark.integration


def test_what_is_written_is_read_back_where_the_key_belongs(topics: Topics) -> None:
    """A record lands on the partition that murmur2 over its key names, and is read back whole."""
    topic = topics.name(VEHICLE_PLUG)
    keys = [f"vehicle-{number}" for number in range(50)]
    produce(topics.bootstrap, [Outgoing(topic=topic, key=key, value={"at": key}, headers={"h": key}) for key in keys])

    found = read_all(topics.bootstrap, topic)

    assert sorted(str(record.key) for record in found) == sorted(keys)
    for record in found:
        assert record.partition == partition_of(str(record.key), topics.partitions)
        assert record.value == f'{{"at":"{record.key}"}}'.encode()
        assert record.headers == {"h": record.key}
