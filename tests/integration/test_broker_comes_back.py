"""Clients that live on while the only broker dies and comes back."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from api.view.log import SessionLog
from streams.log_offsets import LogOffsets
from tests.support.chaos.cluster import Cluster, cluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

TOPICS: Final = ("one", "other")
PARTITIONS: Final = 4
Ends = dict[tuple[str, int], int]
ENDS: Final[Ends] = {(topic, number): 0 for topic in TOPICS for number in range(PARTITIONS)}
DEATHS: Final = 2
QUESTION_S: Final = 2.0
# Longer than both questions take to fail: 2 s, and 5 s for each of three that the API asks.
FREEZE_S: Final = 20.0
ANSWER_LIMIT_S: Final = 40.0


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A broker that this test may kill."""
    with cluster(tmp_path / "kafka", nodes=1) as running:
        yield running


def test_where_a_log_ends_is_told_again_once_the_broker_is_back(single: Cluster) -> None:
    """Neither the worker's question nor the API's goes on asking a broker that is no more."""
    questions = _questions(single)
    for death in range(DEATHS + 1):
        if death:
            single.kill(1)
            assert [_answer(ask) for ask in questions] == [None, None]
            single.start(1)
        for ask in questions:
            assert wait_until(lambda ask=ask: _answer(ask), ANSWER_LIMIT_S, "an answer") == ENDS  # type: ignore[misc]


def test_a_broker_that_stands_still_tells_no_offsets(single: Cluster) -> None:
    """An answer that never came is a failure, and no offset."""
    questions = _questions(single)
    for ask in questions:
        assert wait_until(lambda ask=ask: _answer(ask), ANSWER_LIMIT_S, "an answer") == ENDS  # type: ignore[misc]
    freezing = threading.Thread(target=single.freeze, args=(1, FREEZE_S))
    freezing.start()
    wait_until(lambda: single.is_frozen(1), ANSWER_LIMIT_S, "the broker to stand still")
    assert [_answer(ask) for ask in questions] == [None, None]
    freezing.join()


def _questions(single: Cluster) -> list[Callable[[], Ends]]:
    """Where the partitions end: the worker's question and the API's, each by a client that has been answered before."""
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
        made.result()
    offsets = LogOffsets(single.bootstrap)
    log = SessionLog(single.bootstrap, *TOPICS, now=lambda: datetime.now(UTC))
    return [lambda: offsets.ask(list(ENDS), OffsetSpec.latest(), QUESTION_S), lambda: log.bounds().end]


def _answer(ask: Callable[[], Ends]) -> Ends | None:
    try:
        return ask()
    except KafkaException:
        return None
