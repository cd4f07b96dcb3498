"""The table of charging events: it outlives the worker, and is written only where it has changed."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.ids import ChargingEventId, SessionId, VehicleId
from models.topics import CHARGING_EVENTS_TABLE, VEHICLES_TABLE, changelog_topic
from runtime.partitions import partition_of
from sessions.state import ChargingEvent, Vehicle
from streams.states import decode_vehicle, encode_charging_events, encode_vehicle
from tests.support.command import flex
from tests.support.records import Outgoing, Record, produce, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, minutes, new_vehicle, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


def changelog(topics: Topics, table: str, vehicle: str) -> list[Record]:
    """What was ever written of a vehicle to a table."""
    found = read_all(topics.bootstrap, topics.name(changelog_topic(table)))
    return [record for record in found if record.key == vehicle]


def seed(topics: Topics, state: Vehicle) -> None:
    """A vehicle's state as an earlier worker has left it, in both of its tables."""
    parts = {VEHICLES_TABLE: encode_vehicle(state), CHARGING_EVENTS_TABLE: encode_charging_events(state)}
    partition = partition_of(state.id, topics.partitions)
    produce(
        topics.bootstrap,
        [
            Outgoing(topic=topics.name(changelog_topic(table)), key=state.id, value=raw, partition=partition)
            for table, raw in parts.items()
        ],
    )


@pytest.mark.parametrize("lost", [False, True], ids=["with its state", "state folder lost"])
def test_charging_events_survive_a_kill(topics: Topics, tmp_path: Path, lost: bool) -> None:
    """A vehicle's charging events are joined to its state after kill -9, and not written again with every sample."""
    vehicle = VehicleId(new_vehicle("events"))
    event = ChargingEvent(ChargingEventId("e-1"), SessionId("s-1"), T0 - minutes(90), T0 - minutes(30), is_managed=True)
    seed(topics, Vehicle(id=vehicle, newest_at=T0 - minutes(30), charging_events=(event,)))

    def states() -> int:
        return len(changelog(topics, VEHICLES_TABLE, vehicle))

    with flex("worker", env=topics.env(state_dir=tmp_path / "first"), folder=tmp_path) as worker:
        worker.wait_for(READY)
        System(topics, worker).send(sample(vehicle, T0, batteryLevel=50))
        wait_until(lambda: states() == 2, 20, "the first sample in the state")
        worker.end(signal.SIGKILL)
    with running_system(topics, tmp_path, state_dir=tmp_path / ("second" if lost else "first")) as system:
        system.send(sample(vehicle, T0 + timedelta(minutes=5), batteryLevel=49))
        wait_until(lambda: states() >= 3, 30, "the second sample in the state")
    # Without the join, the first put would have taken the events for gone and left a null value.
    (written,) = changelog(topics, CHARGING_EVENTS_TABLE, vehicle)
    newest = changelog(topics, VEHICLES_TABLE, vehicle)[-1].value
    assert newest is not None
    assert decode_vehicle(newest, written.value).charging_events == (event,)
