"""A recovery that cannot go on ends the worker: here its broker stands still in the midst of it."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute
from local.ports import free_port
from local.stopping import StopRequest
from local.topics import ensure_topics
from models.topics import CHANGELOG
from runtime.clock import monotonic_s
from runtime.settings import load_settings
from tests.support.command import flex
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY

pytestmark = pytest.mark.integration

STALL_LIMIT_S: Final = 5
# A round of the watchdog beyond the limit, and a machine that is busy with other tests.
LEAVE_LIMIT_S: Final = STALL_LIMIT_S + 20
# Several times what the client fetches ahead, so that much is left to read when the broker stops.
RECORDS: Final = 60_000
RECORD_BYTES: Final = 2_000


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Kafka]:
    """A Kafka that may be stopped."""
    stop = StopRequest()
    libs = fetch_jars(absolute(load_settings({}).cache_dir), stop)
    folder = tmp_path / "kafka"
    folder.mkdir()
    kafka = Kafka(java=find_java(), libs=libs, data_dir=folder, log_dir=folder / "logs", port=free_port())
    try:
        kafka.start(stop)
        yield kafka
    finally:
        os.kill(kafka.children[1].pid, signal.SIGCONT)
        kafka.stop(10)


def test_a_broker_that_stands_still_in_a_restore_ends_the_worker(own_broker: Kafka, tmp_path: Path) -> None:
    """The worker leaves with status 1 within the limit, and says which partition, and at what; once the broker goes on,
    the next one is ready.
    """
    topics = Topics(bootstrap=own_broker.bootstrap, prefix=f"r{uuid.uuid4().hex[:8]}.", partitions=1)
    ensure_topics(topics.settings())
    name, value = topics.name(CHANGELOG), os.urandom(RECORD_BYTES)
    produce(
        topics.bootstrap,
        [Outgoing(topic=name, key=f"p{number}", value=value, partition=0) for number in range(RECORDS)],
    )
    env = topics.env(state_dir=tmp_path / "state", stall_limit_s=STALL_LIMIT_S)
    with flex("worker", env=env, folder=tmp_path) as worker:
        stores = tmp_path / "state" / "worker"
        wait_until(lambda: list(stores.glob("*/partition-0/*.log")), 60, "the restore to begin", step_s=0.002)
        os.kill(own_broker.children[1].pid, signal.SIGSTOP)
        frozen_s = monotonic_s()
        wait_until(lambda: worker.process.poll() is not None, LEAVE_LIMIT_S, "the worker to leave")
        assert monotonic_s() - frozen_s >= STALL_LIMIT_S
        assert worker.process.returncode == 1
        assert f"partition 0 cannot be recovered: it reads {name}" in worker.stderr
        assert '"partition recovered"' not in worker.stderr
    os.kill(own_broker.children[1].pid, signal.SIGCONT)
    with flex("worker", env=env, folder=tmp_path) as worker:
        worker.wait_for(READY)
