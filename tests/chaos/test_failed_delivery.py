"""A transaction of which a record cannot be delivered while others are still handed over: it is undone, as one is that
fails at its commit.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from models.topics import CHANGELOG, SESSION_UPDATED, topic_name
from streams.crash import CrashPlan
from streams.errors import AbortedError
from streams.outbox import OutputRecord
from streams.transactions import Transactions
from tests.support.chaos.cluster import Cluster, cluster
from tests.support.chaos.log import read_topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

PREFIX: Final = "failed."
TOPICS: Final = (SESSION_UPDATED, CHANGELOG)
# A record is given up sooner than the broker stands still, and that sooner than it gives up the transaction.
DELIVERY_LIMIT_S: Final = 2.0
FREEZE_S: Final = 5.0
WAIT_LIMIT_S: Final = 60.0


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A broker that this test may freeze."""
    with cluster(tmp_path / "kafka", nodes=1) as running:
        yield running


def test_a_record_that_fails_before_the_last_is_handed_over_undoes_the_batch(single: Cluster) -> None:
    """It is the broker's fault and no defect of ours, and the next client writes the batch once."""
    topics = [topic_name(PREFIX, topic) for topic in TOPICS]
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
        made.result()
    update, state = (OutputRecord(topic, 0, b"k", b"v", []) for topic in TOPICS)
    session = Transactions(single.bootstrap, PREFIX, "0", CrashPlan(""), lambda: False)
    session._producer = impatient(single.bootstrap)
    session.begin_session()
    with pytest.raises(AbortedError, match="could not produce"):
        session.commit(handed_over(single, session._producer, update), state)
    session.close()
    session = Transactions(single.bootstrap, PREFIX, "0", CrashPlan(""), lambda: False)
    session.begin_session()
    session.commit([update, update], state)
    session.close()
    assert sorted(record.topic for record in read_topics(single.bootstrap, topics)) == sorted([*topics, topics[0]])


def impatient(bootstrap: str) -> Any:
    """A client that gives up a record soon, and its transaction late."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{PREFIX}0",
            "transaction.timeout.ms": round(WAIT_LIMIT_S * 1_000),
            "message.timeout.ms": round(DELIVERY_LIMIT_S * 1_000),
            "log_level": 0,
        }
    )


def handed_over(single: Cluster, producer: Any, record: OutputRecord) -> Iterator[OutputRecord]:
    """The record three times: it is taken, it is given up while the broker stands still, and after that."""
    yield record
    producer.flush(WAIT_LIMIT_S)
    freezing = threading.Thread(target=single.freeze, args=(1, FREEZE_S))
    freezing.start()
    wait_until(lambda: single.is_frozen(1), WAIT_LIMIT_S, "the broker to stand still")
    yield record
    wait_until(lambda: producer.poll(0.1) is not None and not len(producer), WAIT_LIMIT_S, "the record to be given up")
    freezing.join(WAIT_LIMIT_S)
    yield record
