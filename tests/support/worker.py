"""A running worker on topics of its own, and the words to talk to it: policies, plug events, samples, what came out."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from models.topics import SESSION_UPDATED, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES, dead_letter_topic
from runtime.partitions import partition_of
from tests.support.command import Running, flex
from tests.support.records import Outgoing, Record, produce, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until

READY = '"event": "worker ready"'


class System:
    """Topics with a worker on them. Vehicles of one test keep out of the way of another's by their names."""

    def __init__(self, topics: Topics, worker: Running) -> None:
        self.topics = topics
        self.worker = worker

    def send(self, *records: Outgoing) -> None:
        """Write input records, topics named without the prefix."""
        produce(
            self.topics.bootstrap,
            [
                Outgoing(
                    topic=self.topics.name(record.topic),
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                    partition=record.partition,
                )
                for record in records
            ],
        )

    def policy(self, vehicle: str, **changes: Any) -> Outgoing:
        """A policy record of this vehicle, on the vehicle's partition; `delete=True`: its tombstone."""
        policy_id = changes.pop("id", f"policy-of-{vehicle}")
        value = None if changes.pop("delete", False) else policy_value(vehicle, policy_id, **changes)
        partition = partition_of(vehicle, self.topics.partitions)
        return Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=value, partition=partition)

    def updates(self, vehicle: str) -> list[Record]:
        """Every update of the vehicle's sessions so far (not the tombstones), in order."""
        found = read_all(self.topics.bootstrap, self.topics.name(SESSION_UPDATED))
        return [record for record in found if record.headers.get("vehicle-id") == vehicle]

    def sessions(self, vehicle: str) -> list[dict[str, Any]]:
        """The session object of each of the vehicle's updates."""
        return [body(record)["session"] for record in self.updates(vehicle)]

    def wait_for_states(self, vehicle: str, *states: str, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The vehicle's sessions, once the states of its updates, repetitions aside, are these."""

        def seen() -> list[dict[str, Any]] | None:
            sessions = self.sessions(vehicle)
            return sessions if distinct_states(sessions) == list(states) else None

        try:
            return wait_until(seen, timeout_s, f"{vehicle} to go through {states}") or []
        except AssertionError as error:
            states_seen = distinct_states(self.sessions(vehicle))
            raise AssertionError(f"{error}; it went through {states_seen}\n{self.worker.tail()}") from error

    def dead_letters(self, topic: str) -> list[Record]:
        """Every dead letter of an input topic."""
        return read_all(self.topics.bootstrap, self.topics.name(dead_letter_topic(topic)))


@contextmanager
def running_system(topics: Topics, folder: Path, **settings: object) -> Iterator[System]:
    """Run a worker while inside; on leaving, it must stop cleanly."""
    env = topics.env(**({"state_dir": folder / "state"} | settings))
    with flex("worker", env=env, folder=folder) as worker:
        worker.wait_for(READY)
        yield System(topics, worker)


def new_vehicle(name: str) -> str:
    """A vehicle id that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def plug(vehicle: str, at: datetime, is_plugged_in: bool | None, **fields: Any) -> Outgoing:
    """A record of `vehicle.plug`."""
    value = message(vehicle, at, isPluggedIn=is_plugged_in, **fields)
    return Outgoing(topic=VEHICLE_PLUG, key=vehicle, value=value)


def sample(vehicle: str, at: datetime, **fields: Any) -> Outgoing:
    """A record of `vehicle.charge`."""
    return Outgoing(topic=VEHICLE_CHARGE, key=vehicle, value=message(vehicle, at, **fields))


def message(vehicle: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """A telemetry message with its required fields."""
    return {"eventId": uuid.uuid4().hex, "vehicleId": vehicle, "userId": "user-1", "at": stamp(at)} | fields


def policy_value(vehicle: str, policy_id: str, **changes: Any) -> dict[str, Any]:
    """A policy of user-1 for this vehicle at `home`."""
    return {
        "id": policy_id,
        "userId": "user-1",
        "vehicleId": vehicle,
        "locationId": "home",
        "isEnabled": True,
        "timezoneName": "Europe/Berlin",
        "zone": "DE-LU",
        "batteryReserve": 20,
        "schedule": {"monday": {"deadline": "07:00", "minimumChargeTarget": 80}},
        "at": "2026-01-01T00:00:00Z",
    } | changes


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with Z."""
    return moment.isoformat().replace("+00:00", "Z")


def minutes(count: float) -> timedelta:
    """A stretch of time."""
    return timedelta(minutes=count)


def body(record: Record) -> Any:
    """A record's value, parsed."""
    assert record.value is not None
    return json.loads(record.value)


def distinct_states(sessions: list[dict[str, Any]]) -> list[str]:
    """The states in order, each repetition of the one before left out."""
    states: list[str] = []
    for session in sessions:
        if not states or states[-1] != session["state"]:
            states.append(session["state"])
    return states
