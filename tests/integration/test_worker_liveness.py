"""A worker that cannot go on leaves, with a word, within a bounded time; and whoever comes next loses nothing."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from models.topics import CHANGELOG, SESSION_UPDATED
from runtime.clock import monotonic_s
from tests.support.command import flex
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
STALL_LIMIT_S = 5
# Beyond the limit: a round of the watchdog, and its question to Kafka; and a machine that is busy with other tests.
LEAVE_LIMIT_S = STALL_LIMIT_S + 15
# The broker gives a transaction 10 s, and looks every 10 s which ones are over.
FREEZE_S = 21.0


def visit(system: System, vehicle: str) -> None:
    """A whole visit."""
    system.send(
        system.policy(vehicle),
        plug(vehicle, T0, True, locationId="home", batteryLevel=40),
        sample(vehicle, T0 + minutes(20), isPluggedIn=True, energyAdded=1.0),
        plug(vehicle, T0 + minutes(70), False),
        sample(vehicle, T0 + minutes(80)),
    )


def is_whole(system: System, vehicle: str) -> None:
    """Every version of the visit's sessions is there once, and in order."""
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING", timeout_s=60)
    versions: dict[str | None, list[int]] = {}
    for record in system.updates(vehicle):
        versions.setdefault(record.key, []).append(int(record.headers["session-version"]))
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


def test_a_partition_that_hangs_ends_the_worker(topics: Topics, tmp_path: Path) -> None:
    """A thread that goes no further while records wait: the process ends with status 1 and names the partition."""
    vehicle, state = new_vehicle("hangs"), tmp_path / "state"
    env = topics.env(state_dir=state, stall_limit_s=STALL_LIMIT_S, crash_at="produced:1:hang")
    with flex("worker", env=env, folder=tmp_path) as worker:
        worker.wait_for(READY)
        visit(System(topics, worker), vehicle)
        since_s = monotonic_s()
        wait_until(lambda: worker.process.poll() is not None, LEAVE_LIMIT_S, "the worker to leave")
        assert monotonic_s() - since_s >= STALL_LIMIT_S
        assert worker.process.returncode == 1
        assert f"for more than {STALL_LIMIT_S} s, though Kafka answers" in worker.stderr
    with running_system(topics, tmp_path, state_dir=state) as system:
        is_whole(system, vehicle)


def limit_bytes(topics: Topics, topic: str, count: int) -> None:
    """Let the broker take records of at most so many bytes on a topic."""
    entry = ConfigEntry("max.message.bytes", str(count), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topics.name(topic), incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": topics.bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


@pytest.mark.parametrize("topic", [SESSION_UPDATED, CHANGELOG])
def test_what_the_broker_refuses_for_good_ends_the_worker(topics: Topics, tmp_path: Path, topic: str) -> None:
    """An output that its topic can never take is not tried for ever: one line says so at once, and nothing is lost."""
    vehicle, state = new_vehicle("refused"), tmp_path / "state"
    with flex("worker", env=topics.env(state_dir=state), folder=tmp_path) as worker:
        worker.wait_for(READY)
        limit_bytes(topics, topic, 100)
        visit(System(topics, worker), vehicle)
        # Long before the watchdog's 60 s.
        wait_until(lambda: worker.process.poll() is not None, 20, "the worker to leave")
        assert worker.process.returncode == 1
        assert "what it has to write is refused, and would be each time" in worker.stderr
        assert topics.name(topic) in worker.stderr
    limit_bytes(topics, topic, 2 * 1_024 * 1_024)
    with running_system(topics, tmp_path, state_dir=state) as system:
        is_whole(system, vehicle)


def stopped(pid: int) -> bool:
    """Whether a process stands still by a signal."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"


def test_a_worker_that_froze_within_a_transaction_writes_nothing_of_it(topics: Topics, tmp_path: Path) -> None:
    """Frozen for longer than its transaction may last, but not than its session: the broker has undone it, the group
    has noticed nothing. It wakes up, is refused, says so and ends; started again it does that batch once.
    """
    vehicle, state = new_vehicle("froze"), tmp_path / "state"
    env = topics.env(state_dir=state, session_timeout_s=60, crash_at="produced:1:freeze")
    with flex("worker", env=env, folder=tmp_path) as worker:
        worker.wait_for(READY)
        system = System(topics, worker)
        visit(system, vehicle)
        wait_until(lambda: stopped(worker.pid), 30, "the worker to freeze")
        until_s = monotonic_s() + FREEZE_S
        wait_until(lambda: monotonic_s() > until_s, FREEZE_S + 5, "the transaction to run out")
        assert system.updates(vehicle) == []
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: worker.process.poll() is not None, 30, "the worker to leave")
        assert worker.process.returncode == 1
        assert "was shut out" in worker.stderr
        assert system.updates(vehicle) == []
    with running_system(topics, tmp_path, state_dir=state) as system:
        is_whole(system, vehicle)
