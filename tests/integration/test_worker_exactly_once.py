"""Exactly once: wherever a worker is killed, and however it is paced, a log gives the same updates byte for byte."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from local.kafka import Kafka
from local.topics import ensure_topics
from models.topics import SESSION_UPDATED, WORKER_GROUP
from streams.inputs import MERGED_TOPICS
from tests.support.command import flex
from tests.support.records import read_all
from tests.support.replay_log import settled, updates, vehicles, versions, write_log
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, running_system

pytestmark = pytest.mark.integration

VEHICLES = 30
SEED = 7
SETTLED = 2 * VEHICLES


@pytest.fixture(scope="module")
def undisturbed(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The updates of a worker that nothing happens to, with batches of the default size."""
    topics = Topics(bootstrap=broker.bootstrap, prefix="undisturbed.", partitions=2)
    ensure_topics(topics.settings())
    write_log(topics, VEHICLES, SEED)
    with running_system(topics, tmp_path_factory.mktemp("undisturbed"), clock="event"):
        wait_until(lambda: settled(topics) == SETTLED, 60, "every session to settle")
        yield updates(topics)
    delete_topics(broker.bootstrap, topics.prefix)


def test_two_replays_of_a_log_in_no_order_agree(topics: Topics, tmp_path: Path, undisturbed: Any) -> None:
    """Of a log in which vehicles lie in no order of time, batches of any size give the same updates."""
    write_log(topics, VEHICLES, SEED)
    with running_system(topics, tmp_path, clock="event", batch_limit_records=7):
        wait_until(lambda: settled(topics) == SETTLED, 60, "every session to settle")
        assert updates(topics) == undisturbed


@pytest.mark.parametrize("lost", [False, True], ids=["with its store", "store lost"])
@pytest.mark.parametrize("step", ["produced", "committed", "stored"])
def test_wherever_it_dies_nothing_is_lost_or_doubled(
    topics: Topics, tmp_path: Path, undisturbed: Any, step: str, lost: bool
) -> None:
    """Killed again and again at one step of a batch, the workers together write what one undisturbed worker writes."""
    write_log(topics, VEHICLES, SEED)
    for number, count in enumerate((1, 4, 9)):
        state = tmp_path / (f"state-{number}" if lost else "state")
        env = topics.env(state_dir=state, clock="event", batch_limit_records=20, crash_at=f"{step}:{count}")
        with flex("worker", env=env, folder=tmp_path) as worker:
            wait_until(lambda worker=worker: worker.process.poll() is not None, 60, "the worker to die")  # type: ignore[misc]
            assert worker.process.returncode == -signal.SIGKILL
    with running_system(topics, tmp_path, state_dir=tmp_path / "state", clock="event"):
        wait_until(lambda: settled(topics) == SETTLED, 60, "every session to settle")
        assert updates(topics) == undisturbed


@pytest.mark.parametrize("where", ["at the beginning", "at the end"])
def test_reading_goes_on_where_the_state_says(topics: Topics, tmp_path: Path, undisturbed: Any, where: str) -> None:
    """Whatever the group's offsets say after a kill, nothing is skipped or done again: the state has its own."""
    write_log(topics, VEHICLES, SEED)
    paced = {"state_dir": tmp_path / "state", "clock": "event", "batch_limit_records": 20}
    with flex("worker", env=topics.env(**paced, crash_at="stored:12"), folder=tmp_path) as worker:
        wait_until(lambda: worker.process.poll() is not None, 60, "the worker to die")
    assert 0 < settled(topics) < SETTLED
    move_group(topics, where)
    with running_system(topics, tmp_path, **paced):
        wait_until(lambda: settled(topics) == SETTLED, 60, "every session to settle")
        assert updates(topics) == undisturbed


def move_group(topics: Topics, where: str) -> None:
    """Set the group's offsets of the merged inputs, once nobody is taken for a member any more."""
    admin = AdminClient({"bootstrap.servers": topics.bootstrap})
    asked = [
        TopicPartition(topics.name(topic), number) for topic in MERGED_TOPICS for number in range(topics.partitions)
    ]
    if where == "at the end":
        found = admin.list_offsets(dict.fromkeys(asked, OffsetSpec.latest()))
        wanted = [TopicPartition(at.topic, at.partition, future.result().offset) for at, future in found.items()]
    else:
        wanted = [TopicPartition(at.topic, at.partition, 0) for at in asked]

    def moved() -> bool:
        group = ConsumerGroupTopicPartitions(topics.name(WORKER_GROUP), wanted)
        try:
            (done,) = admin.alter_consumer_group_offsets([group]).values()
            return all(each.error is None for each in done.result().topic_partitions)
        except KafkaException:
            return False

    wait_until(moved, 30, "the group to be without members", step_s=0.5)


def test_a_worker_that_was_frozen_writes_nothing_and_leaves(topics: Topics, tmp_path: Path, undisturbed: Any) -> None:
    """A worker that wakes up after another has taken its partitions is shut out: it says so, and ends with an error."""
    env = topics.env(state_dir=tmp_path / "frozen", clock="event", batch_limit_records=5)
    with flex("worker", env=env, folder=tmp_path) as frozen:
        frozen.wait_for(READY)
        write_log(topics, VEHICLES, SEED)
        wait_until(lambda: sum(map(len, updates(topics).values())) > 10, 30, "the worker to be at work")
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            assert settled(topics) < SETTLED, "it was done before it was frozen: the test shows nothing"
            with running_system(topics, tmp_path, state_dir=tmp_path / "other", clock="event"):
                wait_until(lambda: settled(topics) == SETTLED, 60, "the other worker to do the work")
                frozen.process.send_signal(signal.SIGCONT)
                wait_until(lambda: frozen.process.poll() is not None, 60, "the frozen worker to leave")
                assert frozen.process.returncode == 1
                assert "was shut out" in frozen.stderr
                assert updates(topics) == undisturbed
        finally:
            frozen.process.send_signal(signal.SIGCONT)


def test_workers_come_and_go_and_nothing_is_lost_or_doubled(topics: Topics, tmp_path: Path, undisturbed: Any) -> None:
    """A worker joins, another leaves, one is killed: the updates are those of one worker, on each partition."""
    write_log(topics, VEHICLES, SEED)
    paced = {"clock": "event", "batch_limit_records": 3}
    with flex("worker", env=topics.env(state_dir=tmp_path / "a", **paced), folder=tmp_path) as first:
        first.wait_for(READY)
        with running_system(topics, tmp_path, state_dir=tmp_path / "b", **paced) as second:
            with running_system(topics, tmp_path, state_dir=tmp_path / "c", **paced):
                first.end(signal.SIGKILL)
                wait_until(lambda: settled(topics) == SETTLED, 90, "every session to settle")
            assert second.worker.process.poll() is None, second.worker.tail()
    assert updates(topics) == undisturbed
    found = versions(read_all(topics.bootstrap, topics.name(SESSION_UPDATED)))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in found.values())
    # Two that are settled and the one that is awaited, of each vehicle.
    assert len(found) == 3 * len(vehicles(VEHICLES))
