"""A transaction that fails in a worker that lives on: its partition begins anew with another client, and nothing of the
batch is lost or told twice.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
VEHICLES = 3
LIMIT_S = 60


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
        wait_until(lambda: "partition begins anew" in system.worker.stderr, LIMIT_S, "a partition to begin anew")
        for vehicle in vehicles:
            system.send(plug(vehicle, T0 + minutes(70), False), sample(vehicle, T0 + minutes(80)))
        for vehicle in vehicles:
            system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING", timeout_s=LIMIT_S)
            versions: dict[str | None, list[int]] = {}
            for record in system.updates(vehicle):
                versions.setdefault(record.key, []).append(int(record.headers["session-version"]))
            assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
        assert system.worker.process.poll() is None
