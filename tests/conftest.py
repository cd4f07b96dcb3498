"""Fixtures for every test: one real broker per test session, and for each test topics of its own on it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute
from local.ports import free_port
from local.stopping import StopRequest
from local.topics import ensure_topics
from runtime.settings import load_settings
from tests.support.system import Topics, delete_topics

pytest_plugins = ["tests.support.named_skips"]

# How long an example takes is the machine's matter: no test is about time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Enough to tell partitions apart, few enough that creating them costs a fraction of a second.
PARTITIONS = 2


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Kafka on a free port; `.bootstrap` is its address. Shared by the session: never stop it in a test."""
    stop = StopRequest()
    folder = tmp_path_factory.mktemp("kafka")
    libs = fetch_jars(absolute(load_settings({}).cache_dir), stop)
    kafka = Kafka(java=find_java(), libs=libs, data_dir=folder, log_dir=folder / "logs", port=free_port())
    try:
        kafka.start(stop)
        yield kafka
    finally:
        kafka.stop(10)


@pytest.fixture
def prefix() -> str:
    """A topic prefix that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def topics(broker: Kafka, prefix: str) -> Iterator[Topics]:
    """All topics of the table, with two partitions, under this test's prefix; removed afterwards."""
    made = Topics(bootstrap=broker.bootstrap, prefix=prefix, partitions=PARTITIONS)
    ensure_topics(made.settings())
    yield made
    delete_topics(broker.bootstrap, prefix)


@pytest.fixture
def flex_env(topics: Topics, tmp_path: Path) -> dict[str, str]:
    """FLEX_ variables with which worker and API of this test run: its topics, its state folder, a free API port."""
    return topics.env(state_dir=tmp_path / "state", api_port=free_port())
