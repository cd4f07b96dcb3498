"""Faults under load, a few of each from a fixed seed (`make chaos` does many): read committed, every session's versions
are 1, 2, 3 ... once and in order, all updates are byte for byte those of a run in which nothing broke, each settled
session is what its vehicle did, and every bad record has one dead letter.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos.cluster import Cluster, cluster
from tests.support.chaos.faults import Setting, freeze, kill_brokers, kill_workers, lose_broker, rebalance
from tests.support.chaos.load import Load
from tests.support.chaos.log import Logged

pytestmark = pytest.mark.integration


def test_kill_9_of_the_worker_at_any_moment(setting: Setting) -> None:
    """Killed six times, with batches of another size than the undisturbed run had: the same updates, byte for byte."""
    outcome = kill_workers(setting, 6, seed=1, batch_limit_records=37)
    assert outcome.findings == []
    assert outcome.endings == []


def test_workers_that_come_and_go(setting: Setting) -> None:
    """A third worker joins, one leaves: partitions move, and nothing of them is lost, doubled or reordered."""
    outcome = rebalance(setting, 2, seed=1)
    assert outcome.findings == []


def test_a_worker_that_was_frozen_beyond_both_time_outs(setting: Setting) -> None:
    """A worker that wakes up after its partitions have moved writes nothing of its own."""
    outcome = freeze(setting, 1, seed=1)
    assert outcome.findings == []


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    """Three brokers."""
    with cluster(tmp_path / "kafka", nodes=3) as running:
        yield running


def test_kill_9_of_a_broker(three: Cluster, load: Load, undisturbed: list[Logged], tmp_path: Path) -> None:
    """With three replicas and two in sync, a broker that is killed takes nothing with it."""
    setting = Setting(
        bootstrap=three.bootstrap, load=load, undisturbed=undisturbed, folder=tmp_path / "trial", replication=3
    )
    outcome = kill_brokers(setting, three, 2, seed=1)
    assert outcome.findings == []


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A broker that this test may kill."""
    with cluster(tmp_path / "kafka", nodes=1) as running:
        yield running


def test_no_broker_for_a_while(single: Cluster, load: Load, undisturbed: list[Logged], tmp_path: Path) -> None:
    """While the only broker is away the worker waits, or ends with a line and is started again; then it goes on."""
    setting = Setting(bootstrap=single.bootstrap, load=load, undisturbed=undisturbed, folder=tmp_path / "trial")
    outcome = lose_broker(setting, single, gone_s=15, seed=1)
    assert outcome.findings == []
