"""A transaction that fails in a worker that lives on: its partition begins anew with another client, and nothing of the
batch is lost or told twice.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.command import flex
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
VEHICLES = 3
LIMIT_S = 60


def is_whole(system: System, vehicle: str) -> None:
    """Every version of the vehicle's sessions is there once, and in order."""
    versions: dict[str | None, list[int]] = {}
    for record in system.updates(vehicle):
        versions.setdefault(record.key, []).append(int(record.headers["session-version"]))
    assert versions
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


@pytest.mark.parametrize("crash_at", ["produced:1:undo", "produced:3:undo", "committed:2:undo"])
def test_a_batch_that_is_undone_is_taken_again_by_a_new_client(topics: Topics, tmp_path: Path, crash_at: str) -> None:
    """Every version of every session is there once and in order, and the worker's process is the same."""
    vehicles = [new_vehicle("undone") for _ in range(VEHICLES)]
    with running_system(topics, tmp_path, crash_at=crash_at) as system:
        for vehicle in vehicles:
            system.send(
                system.policy(vehicle),
                plug(vehicle, T0, True, locationId="home", batteryLevel=40),
                sample(vehicle, T0 + minutes(20), isPluggedIn=True, energyAdded=1.0),
            )
            # So that the next one's records are in another transaction.
            system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", timeout_s=LIMIT_S)
        wait_until(lambda: "partition begins anew" in system.worker.stderr, LIMIT_S, "a partition to begin anew")
        for vehicle in vehicles:
            system.send(plug(vehicle, T0 + minutes(70), False), sample(vehicle, T0 + minutes(80)))
        for vehicle in vehicles:
            system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING", timeout_s=LIMIT_S)
            is_whole(system, vehicle)
        assert system.worker.process.poll() is None


def test_a_partition_whose_every_transaction_fails_ends_the_worker(topics: Topics, tmp_path: Path) -> None:
    """It is not tried for ever: one line says which partition, and the next worker finds everything as it was."""
    vehicle, state = new_vehicle("refused"), tmp_path / "state"
    with flex("worker", env=topics.env(state_dir=state, crash_at="produced:1:refuse"), folder=tmp_path) as worker:
        worker.wait_for(READY)
        system = System(topics, worker)
        system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home", batteryLevel=40))
        wait_until(lambda: worker.process.poll() is not None, LIMIT_S, "the worker to leave")
        assert worker.process.returncode == 1
        assert "transactions in a row have failed" in worker.stderr
    with running_system(topics, tmp_path, state_dir=state) as system:
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", timeout_s=LIMIT_S)
        is_whole(system, vehicle)
