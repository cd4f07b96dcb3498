"""Clients that live on while the only broker dies and comes back."""

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
DEATHS: Final = 2
ANSWER_LIMIT_S: Final = 40.0


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A broker that this test may kill."""
    with cluster(tmp_path / "kafka", nodes=1) as running:
        yield running


def test_where_a_log_ends_is_told_again_once_the_broker_is_back(single: Cluster) -> None:
    """Neither the worker's question nor the API's goes on asking a broker that is no more."""
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 4, 1) for topic in TOPICS]).values():
        made.result()
    places = [(topic, number) for topic in TOPICS for number in range(4)]
    offsets = LogOffsets(single.bootstrap)
    log = SessionLog(single.bootstrap, *TOPICS, now=lambda: datetime.now(UTC))

    def ends() -> dict[tuple[str, int], int] | None:
        return _answer(lambda: offsets.ask(places, OffsetSpec.latest(), 2.0))

    def bounds() -> dict[tuple[str, int], int] | None:
        return _answer(lambda: log.bounds().end)

    for death in range(DEATHS + 1):
        if death:
            single.kill(1)
            assert ends() is None
            assert bounds() is None
            single.start(1)
        for asked in (ends, bounds):
            assert wait_until(asked, ANSWER_LIMIT_S, "an answer") == dict.fromkeys(places, 0)


def _answer(ask: Callable[[], dict[tuple[str, int], int]]) -> dict[tuple[str, int], int] | None:
    try:
        return ask()
    except KafkaException:
        return None
