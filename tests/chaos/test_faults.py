"""Faults under load, a few of each from a fixed seed (`make chaos` does many): read committed, every session's versions
are 1, 2, 3 ... once and in order, all updates are byte for byte those of a run in which nothing broke, each settled
session is what its vehicle did, and every bad record has one dead letter.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import Kafka
from tests.support.captures import recorded_data
from tests.support.chaos.cluster import Cluster, cluster
from tests.support.chaos.faults import (
    Setting,
    fill_disk,
    freeze,
    fuzz,
    kill_after_commit,
    kill_brokers,
    kill_workers,
    kill_workers_live,
    live_load,
    lose_broker,
    protect_disk,
    rebalance,
    set_clock_back,
    transactional_input,
)
from tests.support.chaos.fleet import kill_under_fleet
from tests.support.chaos.load import Load, Spec, make_load
from tests.support.chaos.log import Logged
from tests.support.chaos.surroundings import SmallDisk, shifted_clock, small_disk
from tests.support.system import Topics

pytestmark = pytest.mark.integration

SEED = 20_261_122


def test_kill_9_of_the_worker_at_any_moment(setting: Setting) -> None:
    """Killed six times, with batches of another size than the undisturbed run had: the same updates, byte for byte."""
    outcome = kill_workers(setting, 6, seed=1, batch_limit_records=37)
    assert outcome.findings == []
    assert outcome.endings == []


def test_kill_9_under_the_fleet_that_knows_the_truth(topics: Topics, tmp_path: Path) -> None:
    """Killed three times while a simulated fleet is told: every true visit comes out once, and no law breaks."""
    outcome = kill_under_fleet(topics, topics.env(state_dir=tmp_path / "state", clock="event"), tmp_path, 3, seed=4)
    assert outcome.findings == []
    assert outcome.endings == []
    assert outcome.faults == 3


def test_kill_9_between_commit_and_store(setting: Setting) -> None:
    """Killed ten times when a transaction was committed and the store did not know: no batch is lost or done twice."""
    assert kill_after_commit(setting, 10, seed=1).findings == []


def test_many_partitions(broker: Kafka, tmp_path: Path) -> None:
    """With 32 partition numbers on two workers, one of which is killed, every vehicle is heard as it is on few."""
    load = make_load(Spec(seed=SEED, vehicles=120, steps=40, partitions=32))
    setting = Setting(bootstrap=broker.bootstrap, load=load, undisturbed=None, folder=tmp_path)
    assert rebalance(setting, 1, seed=1).findings == []


def test_kill_9_on_the_wall_clock(broker: Kafka, tmp_path: Path) -> None:
    """Killed twice while time itself settles visits: none is lost, doubled or settled otherwise than it was."""
    load = live_load(SEED, vehicles=60, steps=30, partitions=4)
    setting = Setting(bootstrap=broker.bootstrap, load=load, undisturbed=None, folder=tmp_path)
    assert kill_workers_live(setting, 2, seed=1).findings == []


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
    outcome = lose_broker(setting, single, gone_s=10, seed=1)
    assert outcome.findings == []


def test_input_in_transactions(setting: Setting) -> None:
    """Input that was written in Kafka transactions is taken when it is committed; what was aborted is never seen."""
    assert transactional_input(setting).findings == []


def test_hostile_messages(broker: Kafka, load: Load, tmp_path: Path) -> None:
    """Messages cut, bent, inflated and mislabelled, amid the load: the worker lives, each has one dead letter or is
    taken, those that no reading can save are refused, and the load's vehicles are not touched.
    """
    setting = Setting(bootstrap=broker.bootstrap, load=load, undisturbed=None, folder=tmp_path)
    outcome = fuzz(setting, 3_000, seed=1, data=recorded_data())
    assert outcome.findings == []
    assert outcome.records > 3_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small file system of its own."""
    with small_disk(tmp_path / "disk", mebibytes=64) as made:
        if made is None:
            pytest.skip("a small disk needs the right to mount a file system, which this user has not")
        yield made


def test_a_full_disk(setting: Setting, disk: SmallDisk) -> None:
    """On a full disk the worker ends with a word about it, and loses nothing: with room again it goes on."""
    assert fill_disk(setting, disk, seed=1).findings == []


def test_a_read_only_folder(setting: Setting, disk: SmallDisk) -> None:
    """On a read-only folder the worker ends with a word about it; once it can write it goes on where it was."""
    assert protect_disk(setting, disk, seed=1).findings == []


def test_a_clock_that_is_set_back(broker: Kafka, tmp_path: Path) -> None:
    """The worker's time of day falls back by an hour: what vehicles tell goes on, and nothing is lost or doubled."""
    clock = shifted_clock(tmp_path / "clock")
    if clock is None:
        pytest.skip("a clock that can be set for one process needs a C compiler (cc) and Linux")
    load = live_load(SEED, vehicles=60, steps=30, partitions=4)
    setting = Setting(bootstrap=broker.bootstrap, load=load, undisturbed=None, folder=tmp_path / "trial")
    assert set_clock_back(setting, clock, seed=1).findings == []
