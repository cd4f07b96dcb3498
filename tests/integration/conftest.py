"""One worker for all tests of a module: starting it takes seconds, and vehicles do not meet."""

import uuid
from collections.abc import Iterator

import pytest

from local.kafka import Kafka
from local.topics import ensure_topics
from tests.support.system import Topics, delete_topics
from tests.support.worker import System, running_system


@pytest.fixture(scope="module")
def system(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Topics with two partitions and a worker on the wall clock with the default debounce."""
    topics = Topics(bootstrap=broker.bootstrap, prefix=f"w{uuid.uuid4().hex[:10]}.", partitions=2)
    ensure_topics(topics.settings())
    try:
        with running_system(topics, tmp_path_factory.mktemp("worker")) as running:
            yield running
    finally:
        delete_topics(broker.bootstrap, topics.prefix)
