"""A broker that stands still beyond its session while transactions end: what it does with their markers decides whether
each is seen whole. Kafka 4.3.0 and 4.3.1 leave markers out then (docs/decisions/0015-transactions-of-others.md).
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from models.topics import CHANGELOG, SESSION_UPDATED, topic_name
from streams.crash import CrashPlan
from streams.errors import AbortedError, WorkerError
from streams.outbox import OutputRecord
from streams.transactions import StoppedError, Transactions
from tests.support.chaos.cluster import Cluster, cluster
from tests.support.chaos.log import read_topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

PREFIX: Final = "halves."
# One producer each: so many transactions may be under way when the broker freezes. They rest in between, since other
# tests run beside this one.
PARTITIONS: Final = 30
FREEZES: Final = 3
# Longer than `broker.session.timeout.ms`: when it wakes up, all its partitions are without a leader for a moment.
FREEZE_S: Final = 6.0
# Between two freezes, each producer ends so many more transactions.
ROUNDS: Final = 3
PAUSE_S: Final = 0.1
ROUNDS_LIMIT_S: Final = 60.0
WHOLE_LIMIT_S: Final = 60.0
FLUSH_LIMIT_S: Final = 60.0


class Writer(threading.Thread):
    """Writes the numbers 1, 2, 3 ... to two topics, each in a transaction, and one more that it takes back."""

    def __init__(self, bootstrap: str, number: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self.ended = 0
        # Numbers whose commit was not answered: the broker took too long, and shut this producer out.
        self.unsure: set[int] = set()
        self._servers = bootstrap
        self._number = number
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.is_set():
            session = Transactions(
                self._servers, PREFIX, f"writer-{self._number}", CrashPlan(""), self._stopping.is_set
            )
            try:
                session.begin_session()
                while not self._stopping.is_set():
                    self._write(session)
                    self._stopping.wait(PAUSE_S)
            except (AbortedError, WorkerError, StoppedError):
                self.unsure.add(self.ended)
            finally:
                session.close()

    def _write(self, session: Transactions) -> None:
        value = b"%d" % (self.ended + 1)
        self.ended += 1
        session.commit([self._record(SESSION_UPDATED, value)], self._record(CHANGELOG, value))
        self._take_back(session)

    def _take_back(self, session: Transactions) -> None:
        """An abort right behind a commit: were that without its marker, both would be undone."""
        producer = session._producer
        producer.begin_transaction()
        for topic in (SESSION_UPDATED, CHANGELOG):
            producer.produce(topic_name(PREFIX, topic), b"taken back", partition=self._number)
        # What the client gives up unanswered would spoil its next transaction.
        if producer.flush(FLUSH_LIMIT_S):
            raise WorkerError("the broker does not answer")
        session._call("abort", producer.abort_transaction)

    def _record(self, topic: str, value: bytes) -> OutputRecord:
        return OutputRecord(topic, self._number, b"number", value, [])


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A broker that this test may freeze."""
    with cluster(tmp_path / "kafka", nodes=1) as running:
        yield running


def test_a_transaction_that_ends_while_the_broker_stands_still_is_whole(single: Cluster) -> None:
    """What was committed is seen in both topics, once and in order, and nothing else is."""
    topics = [topic_name(PREFIX, topic) for topic in (SESSION_UPDATED, CHANGELOG)]
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
        made.result()
    stopping = threading.Event()
    writers = [Writer(single.bootstrap, number, stopping) for number in range(PARTITIONS)]
    for writer in writers:
        writer.start()
    for _ in range(FREEZES):
        _await_rounds(writers)
        single.freeze(1, FREEZE_S)
    _await_rounds(writers)
    stopping.set()
    for writer in writers:
        writer.join(ROUNDS_LIMIT_S)
        assert not writer.is_alive()

    def findings() -> list[str]:
        updates, states = (_numbers(single.bootstrap, topic) for topic in topics)
        return [finding for writer in writers for finding in _judged(writer, updates, states)]

    # A commit is answered before its records are seen.
    wait_until(lambda: not findings(), WHOLE_LIMIT_S, "every transaction to be seen whole", step_s=2.0)
    assert "find leader endpoint" not in single.log(1), "the broker left out a marker"


def _await_rounds(writers: list[Writer]) -> None:
    goals = [writer.ended + ROUNDS for writer in writers]

    def is_reached() -> bool:
        return all(writer.ended >= goal for writer, goal in zip(writers, goals, strict=True))

    wait_until(is_reached, ROUNDS_LIMIT_S, "every producer to end some transactions")


def _numbers(bootstrap: str, topic: str) -> dict[int, list[bytes | None]]:
    found: dict[int, list[bytes | None]] = defaultdict(list)
    for record in read_topics(bootstrap, [topic]):
        found[record.partition].append(record.value)
    return found


def _judged(writer: Writer, updates: dict[int, list[bytes | None]], states: dict[int, list[bytes | None]]) -> list[str]:
    number = writer._number
    if updates[number] != states[number]:
        return [f"partition {number} differs from one topic to the other"]
    unsure = {b"%d" % each for each in writer.unsure}
    seen = [value for value in states[number] if value not in unsure]
    if seen != [b"%d" % each for each in range(1, writer.ended + 1) if each not in writer.unsure]:
        return [f"partition {number} has not every number once and in order"]
    return []
