"""A worker that ends, kindly or not, and comes back: its state is there, and nothing that was read is lost."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.partitions import partition_of
from tests.support.command import flex
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, body, minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
STATES = ("UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")


def first_half(system: System, vehicle: str) -> list[Any]:
    return [
        system.policy(vehicle),
        plug(vehicle, T0, True, locationId="home", batteryLevel=40),
        sample(vehicle, T0 + minutes(1), energyAdded=0.0),
        sample(vehicle, T0 + minutes(31), energyAdded=3.0),
    ]


def second_half(vehicle: str) -> list[Any]:
    return [
        sample(vehicle, T0 + minutes(61), energyAdded=6.0, batteryLevel=49),
        plug(vehicle, T0 + minutes(70), False),
        sample(vehicle, T0 + minutes(80)),
    ]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("lost", [False, True], ids=["with its state", "state folder lost"])
def test_a_visit_goes_on_across_a_restart(topics: Topics, tmp_path: Path, how: int, lost: bool) -> None:
    """What came before and after the end of a worker makes one session, also when its folder was lost with it."""
    vehicle = new_vehicle("restart")
    env = topics.env(state_dir=tmp_path / "first")
    with flex("worker", env=env, folder=tmp_path) as worker:
        worker.wait_for(READY)
        system = System(topics, worker)
        system.send(*first_half(system, vehicle))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        # Acknowledged, so that the second worker starts after it.
        worker.end(how)
    with running_system(topics, tmp_path, state_dir=tmp_path / ("second" if lost else "first")) as system:
        system.send(*second_half(vehicle))
        sessions = system.wait_for_states(vehicle, *STATES, timeout_s=40)
    settled = next(session for session in sessions if session["state"] == "SETTLED")
    assert settled["statistics"]["aggregated"] == {"kwhSum": 6.0, "batteryFrom": 40, "batteryTo": 49}


def test_what_arrives_while_no_worker_runs_is_processed_later(topics: Topics, tmp_path: Path) -> None:
    """A whole visit written before any worker runs gives the same updates as one that is watched."""
    vehicle, watched = new_vehicle("before"), new_vehicle("watched")
    with running_system(topics, tmp_path) as system:
        pass
    system.send(*first_half(system, vehicle), *second_half(vehicle))
    with running_system(topics, tmp_path) as system:
        system.wait_for_states(vehicle, *STATES)
        for record in (*first_half(system, watched), *second_half(watched)):
            system.send(record)
        system.wait_for_states(watched, *STATES)
        unwatched, seen = ([shape(body(record)) for record in system.updates(each)] for each in (vehicle, watched))
    assert unwatched == seen


def test_another_vehicles_clock_does_not_matter(topics: Topics, tmp_path: Path) -> None:
    """Read from the log at once, a vehicle's sessions are the same beside a neighbour whose clock is days ahead."""
    with running_system(topics, tmp_path) as system:
        pass
    vehicle = new_vehicle("steady")
    neighbour = same_partition_as(vehicle, topics.partitions)
    ahead = plug(neighbour, T0 + timedelta(days=5), True, locationId="home")
    elsewhere = plug(vehicle, T0 + minutes(120), True, locationId="work")
    system.send(ahead)
    system.send(*first_half(system, vehicle), *second_half(vehicle), elsewhere)
    with running_system(topics, tmp_path) as system:
        sessions = system.wait_for_states(vehicle, *STATES)
    settled = next(session for session in sessions if session["state"] == "SETTLED")
    assert settled["statistics"]["aggregated"] == {"kwhSum": 6.0, "batteryFrom": 40, "batteryTo": 49}


@pytest.mark.parametrize("step", [None, "produced", "committed", "stored"])
def test_an_unplug_is_confirmed_after_a_restart(topics: Topics, tmp_path: Path, step: str | None) -> None:
    """A timer that was set before the worker ended fires once after it is back, wherever in its batch that dies."""
    vehicle, state = new_vehicle("timer"), tmp_path / "state"
    unplug = plug(vehicle, T0 + minutes(70), False, batteryLevel=66)
    with running_system(topics, tmp_path, state_dir=state, timer_quiet_s=60) as system:
        system.send(*first_half(system, vehicle), unplug)
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        wait_until(
            lambda: system.sessions(vehicle)[-1]["statistics"]["aggregated"]["batteryTo"] == 66, 20, "the unplug"
        )
        assert system.sessions(vehicle)[-1]["state"] == "ACTIVE:REGULAR"
    if step is not None:
        env = topics.env(state_dir=state, timer_quiet_s=0.1, crash_at=f"{step}:1")
        with flex("worker", env=env, folder=tmp_path) as worker:
            wait_until(lambda: worker.process.poll() is not None, 60, "the worker to die in the timer's batch")
            assert worker.process.returncode == -signal.SIGKILL
    with running_system(topics, tmp_path, state_dir=state, timer_quiet_s=0.1) as system:
        system.wait_for_states(vehicle, *STATES)
        told = Counter[str | None]()
        for update in system.updates(vehicle):
            told[update.key] += 1
            assert int(update.headers["session-version"]) == told[update.key]


def same_partition_as(vehicle: str, partitions: int) -> str:
    """Another vehicle whose records lie on the same partition."""
    names = (new_vehicle("neighbour") for _ in range(1_000))
    return next(name for name in names if partition_of(name, partitions) == partition_of(vehicle, partitions))


def shape(update: Any) -> Any:
    """An update without what names its vehicle."""
    session = update["session"]
    return {
        "createdAt": update["createdAt"],
        **{name: value for name, value in session.items() if name not in {"id", "policyId", "vehicleId"}},
    }
