"""A log that is not in time order across its vehicles, and what a worker on the event clock makes of it."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from models.topics import SESSION_UPDATED
from tests.support.records import Outgoing, Record, read_all
from tests.support.system import Topics
from tests.support.worker import System, minutes, plug, sample

T0 = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SAMPLES = 12


def vehicles(count: int) -> list[str]:
    """The vehicles of the log; their names decide nothing but their partitions."""
    return [f"car-{number:03}" for number in range(count)]


def write_log(topics: Topics, count: int, seed: int) -> int:
    """Write two visits of each vehicle: uploaded vehicle by vehicle, in pieces, in no order. How many records.

    The same seed writes the same records, event ids included.
    """
    chance = random.Random(seed)
    system = System(topics, worker=None)  # type: ignore[arg-type]  # nothing runs yet
    pieces: list[list[Outgoing]] = []
    for vehicle in vehicles(count):
        pieces += [a_visit(vehicle, visit, chance) for visit in range(2)]
    # A vehicle's own second visit comes after its first; whose turn it is, chance decides.
    order = [vehicle for vehicle in range(count) for _ in range(2)]
    chance.shuffle(order)
    upload = [pieces[2 * vehicle + order[:place].count(vehicle)] for place, vehicle in enumerate(order)]
    records = [
        *(system.policy(vehicle) for vehicle in vehicles(count)),
        *(record for piece in upload for record in piece),
    ]
    system.send(*records)
    return len(records)


def a_visit(vehicle: str, visit: int, chance: random.Random) -> list[Outgoing]:
    """A plug-in, samples, a plug-out, and a sample that confirms it: plug events and samples lie in two topics."""
    start = T0 + minutes(600 * visit + chance.randrange(120))
    records = [plug(vehicle, start, True, locationId="home", batteryLevel=30)]
    records += [
        sample(
            vehicle, start + minutes(10 * number), energyAdded=float(number), isPluggedIn=True, batteryLevel=30 + number
        )
        for number in range(1, SAMPLES + 1)
    ]
    records.append(plug(vehicle, start + minutes(10 * SAMPLES + 5), False))
    records.append(sample(vehicle, start + minutes(10 * SAMPLES + 9), batteryLevel=50))
    # Uuids of the builders differ from run to run.
    return [
        Outgoing(topic=each.topic, key=each.key, value=_named(each.value, f"{vehicle}-{visit}-{number}"))
        for number, each in enumerate(records)
    ]


def _named(value: object, name: str) -> object:
    assert isinstance(value, dict)
    return value | {"eventId": name}


def updates(topics: Topics) -> dict[int, list[tuple[str | None, bytes | None, dict[str, str]]]]:
    """Every update, byte for byte, by partition and in its order."""
    found: dict[int, list[tuple[str | None, bytes | None, dict[str, str]]]] = {}
    for record in read_all(topics.bootstrap, topics.name(SESSION_UPDATED)):
        found.setdefault(record.partition, []).append((record.key, record.value, dict(record.headers)))
    return found


def settled(topics: Topics) -> int:
    """How many sessions are settled."""
    return sum(state(record) == "SETTLED" for record in read_all(topics.bootstrap, topics.name(SESSION_UPDATED)))


def state(record: Record) -> Any:
    """The state that an update tells; None: it is a tombstone."""
    return None if record.value is None else json.loads(record.value)["session"]["state"]


def versions(records: Sequence[Record]) -> dict[str | None, list[int]]:
    """The versions of each session, in the order in which they lie in the log."""
    found: dict[str | None, list[int]] = {}
    for record in records:
        if record.value is not None:
            found.setdefault(record.key, []).append(int(record.headers["session-version"]))
    return found
