"""The worker's state: it outlives the worker, is written only where it has changed, and is rebuilt where it must be."""

import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.topics import ensure_topics
from models.ids import ChargingEventId, SessionId, VehicleId
from models.topics import CHANGELOG, VEHICLE_CHARGE
from runtime.partitions import partition_of
from sessions.state import ChargingEvent, Vehicle
from streams.states import EVENTS, VEHICLE, decode_vehicle, encode_charging_events, encode_vehicle, vehicle_key
from streams.store import Store
from tests.support.command import Running, flex
from tests.support.records import Outgoing, Record, produce, read_all
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
# By the wall these vehicles were silent for a week: after so many seconds without a record they are forgotten.
QUIET_S = 60
# So that a store's data fill more than one block.
OTHERS = 400


def changelog(topics: Topics, kind: bytes, vehicle: str) -> list[Record]:
    """What was ever written of a vehicle's state."""
    found = read_all(topics.bootstrap, topics.name(CHANGELOG))
    return [record for record in found if record.key == kind.decode() + vehicle]


def vehicles_on(topics: Topics) -> set[str]:
    """Whose state was ever written."""
    keys = {str(record.key) for record in read_all(topics.bootstrap, topics.name(CHANGELOG))}
    return {key for key in keys if key.startswith(VEHICLE.decode())}


def seed(topics: Topics, state: Vehicle) -> None:
    """A vehicle's state as an earlier worker has left it, in both of its records."""
    parts = {VEHICLE: encode_vehicle(state), EVENTS: encode_charging_events(state)}
    partition = partition_of(state.id, topics.partitions)
    name = topics.name(CHANGELOG)
    produce(
        topics.bootstrap,
        [
            Outgoing(topic=name, key=kind.decode() + state.id, value=raw, partition=partition)
            for kind, raw in parts.items()
        ],
    )


def folders(state: Path) -> list[Path]:
    """The stores of a worker."""
    return sorted((state / "worker").glob("*/partition-*"))


def recovered(worker: Running) -> list[str]:
    """The lines in which a worker says how it recovered."""
    return [line for line in worker.stderr.splitlines() if '"partition recovered"' in line]


@pytest.mark.parametrize("lost", [False, True], ids=["with its state", "state folder lost"])
def test_charging_events_survive_a_kill(topics: Topics, tmp_path: Path, lost: bool) -> None:
    """A vehicle's charging events are joined to its state after kill -9, and not written again with every sample."""
    vehicle = VehicleId(new_vehicle("events"))
    event = ChargingEvent(ChargingEventId("e-1"), SessionId("s-1"), T0 - minutes(90), T0 - minutes(30), is_managed=True)
    seed(topics, Vehicle(id=vehicle, newest_at=T0 - minutes(30), charging_events=(event,)))

    def states() -> int:
        return len(changelog(topics, VEHICLE, vehicle))

    with flex("worker", env=topics.env(state_dir=tmp_path / "first", timer_quiet_s=QUIET_S), folder=tmp_path) as worker:
        worker.wait_for(READY)
        System(topics, worker).send(sample(vehicle, T0, batteryLevel=50))
        wait_until(lambda: states() == 2, 20, "the first sample in the state")
        worker.end(signal.SIGKILL)
    with running_system(
        topics, tmp_path, state_dir=tmp_path / ("second" if lost else "first"), timer_quiet_s=QUIET_S
    ) as system:
        system.send(sample(vehicle, T0 + timedelta(minutes=5), batteryLevel=49))
        wait_until(lambda: states() >= 3, 30, "the second sample in the state")
    # Without the join, the second sample would have taken the events for gone and written a null value.
    (written,) = changelog(topics, EVENTS, vehicle)
    newest = changelog(topics, VEHICLE, vehicle)[-1].value
    assert newest is not None
    assert decode_vehicle(newest, written.value).charging_events == (event,)


def damage(store: Path) -> None:
    """Break whatever the store needs to be opened."""
    for path in store.glob("MANIFEST-*"):
        path.write_bytes(b"\xff" * 64)


def bend(store: Path) -> None:
    """Break what is found only when all vehicles are read: data behind the store's first block."""
    path = max(store.glob("*.sst"), key=lambda table: table.stat().st_size)
    found = path.read_bytes()
    place = len(found) // 4
    path.write_bytes(found[:place] + b"\xff" * 64 + found[place + 64 :])


def remove(store: Path) -> None:
    shutil.rmtree(store)


@pytest.mark.parametrize("how", [remove, damage, bend], ids=["missing", "damaged", "data damaged"])
def test_a_store_that_cannot_be_used_is_rebuilt(topics: Topics, tmp_path: Path, how: object) -> None:
    """A visit goes on after its store was lost or damaged; a store that is as it was is not read from the changelog."""
    assert callable(how)
    vehicle = new_vehicle("rebuilt")
    state = tmp_path / "state"
    with running_system(topics, tmp_path, state_dir=state, timer_quiet_s=QUIET_S) as system:
        system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home", batteryLevel=40))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        system.send(*(plug(new_vehicle("other"), T0, True) for _ in range(OTHERS)))
        wait_until(lambda: len(vehicles_on(topics)) > OTHERS, 30, "the states of the others")
    with running_system(topics, tmp_path, state_dir=state, timer_quiet_s=QUIET_S) as system:
        assert all('"rebuilt": null' in line and '"changelog_records": 0' in line for line in recovered(system.worker))
    for store in folders(state):
        how(store)
    with running_system(topics, tmp_path, state_dir=state, timer_quiet_s=QUIET_S) as system:
        lines = recovered(system.worker)
        assert len(lines) == topics.partitions
        assert not any('"rebuilt": null' in line for line in lines)
        system.send(plug(vehicle, T0 + minutes(70), False), sample(vehicle, T0 + minutes(80)))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")


@pytest.mark.parametrize(
    ("beyond", "age", "word"),
    [(1_000_000, timedelta(0), "but the changelog ended at"), (0, timedelta(days=7), "more than 6 days ago")],
    ids=["position outside of the log", "older than deletions are kept"],
)
def test_a_store_whose_position_says_nothing_is_rebuilt(
    topics: Topics, tmp_path: Path, beyond: int, age: timedelta, word: str
) -> None:
    """A store that says it is ahead of the log, or that may have missed deletions, is not built upon, whatever is in
    it: the visit goes on from what the changelog says.
    """
    vehicle, state = VehicleId(new_vehicle("outside")), tmp_path / "state"
    with running_system(topics, tmp_path, state_dir=state) as system:
        system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home", batteryLevel=40))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
    for folder in folders(state):
        store = Store(folder)
        at = store.position()
        assert at is not None
        # Were the store used as it is, nothing would be known of the visit.
        store.write([(vehicle_key(vehicle), None)], at[0] + beyond, at[1] - round(age.total_seconds() * 1_000))
        store.close()
    with running_system(topics, tmp_path, state_dir=state) as system:
        lines = recovered(system.worker)
        assert len(lines) == topics.partitions
        assert all(word in line for line in lines)
        system.send(plug(vehicle, T0 + minutes(70), False), sample(vehicle, T0 + minutes(80)))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")


def test_a_store_of_another_changelog_is_not_used(topics: Topics, tmp_path: Path) -> None:
    """Where all topics were made anew, an old store and its positions are not taken for theirs."""
    vehicle, state = new_vehicle("anew"), tmp_path / "state"
    for _ in range(2):
        with running_system(topics, tmp_path, state_dir=state) as system:
            assert all('"vehicles": 0' in line for line in recovered(system.worker))
            system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home"))
            system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        delete_topics(topics.bootstrap, topics.prefix)
        ensure_topics(topics.settings())


def test_an_input_that_was_made_anew_is_told(topics: Topics, tmp_path: Path) -> None:
    """Records of a new topic must not be taken for those that were processed: the worker stops, and names the topic."""
    vehicle, state = new_vehicle("new-topic"), tmp_path / "state"
    with running_system(topics, tmp_path, state_dir=state) as system:
        system.send(system.policy(vehicle), sample(vehicle, T0))
        system.wait_for_states(vehicle, "UPCOMING")
    delete_topics(topics.bootstrap, topics.name(VEHICLE_CHARGE))
    ensure_topics(topics.settings())
    with flex("worker", env=topics.env(state_dir=state), folder=tmp_path) as worker:
        wait_until(lambda: worker.process.poll() is not None, 40, "the worker to stop")
        assert worker.process.returncode == 1
        assert f"{topics.name(VEHICLE_CHARGE)} was made anew" in worker.stderr


def test_one_folder_serves_one_worker(topics: Topics, tmp_path: Path) -> None:
    """A second worker on the same state folder says so and does not start; the first goes on."""
    vehicle, state = new_vehicle("folder"), tmp_path / "state"
    with running_system(topics, tmp_path, state_dir=state) as system:
        with flex("worker", env=topics.env(state_dir=state), folder=tmp_path) as second:
            wait_until(lambda: second.process.poll() is not None, 40, "the second worker to stop")
            assert second.process.returncode == 1
            assert "another worker is running on" in second.stderr
        system.send(system.policy(vehicle))
        system.wait_for_states(vehicle, "UPCOMING")
