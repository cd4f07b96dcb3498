"""What a worker keeps is bounded: a vehicle without policy and open visit is forgotten a week after its last word."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.topics import ensure_topics
from models.topics import CHANGELOG
from runtime.partitions import partition_of
from streams.states import EVENTS, VEHICLE
from tests.support.command import flex
from tests.support.records import Outgoing, read_all
from tests.support.replay_log import updates
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import System, minutes, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CASUAL = [f"casual-{number}" for number in range(20)]


def kept(topics: Topics, kind: bytes = VEHICLE) -> set[str]:
    """Vehicles whose newest record on the changelog is none of a deletion."""
    newest = {record.key or "": record.value for record in read_all(topics.bootstrap, topics.name(CHANGELOG))}
    prefix = kind.decode()
    return {key.removeprefix(prefix) for key, value in newest.items() if key.startswith(prefix) and value is not None}


def vehicle_on(partition: int, topics: Topics, name: str) -> str:
    return next(
        each
        for each in (f"{name}-{number}" for number in range(99))
        if partition_of(each, topics.partitions) == partition
    )


def named(record: Outgoing, number: int) -> Outgoing:
    """With an event id that is the same each time."""
    value = record.value
    if not isinstance(value, dict) or "eventId" not in value:
        return record
    return Outgoing(topic=record.topic, key=record.key, value=value | {"eventId": f"e-{number}"})


def write_weeks(topics: Topics) -> list[str]:
    """Visits of twenty vehicles that nobody manages, and of one that somebody does; nine days later one of the twenty
    comes again. Those that tell the time of each partition at the end.
    """
    system = System(topics, worker=None)  # type: ignore[arg-type]  # nothing runs yet
    records = [system.policy("managed")]
    for vehicle in [*CASUAL, "managed"]:
        records += [
            plug(vehicle, T0, True, locationId="home"),
            sample(vehicle, T0 + minutes(10), isPluggedIn=True, energyAdded=5.0),
            sample(vehicle, T0 + minutes(40), isPluggedIn=True, energyAdded=9.0),
            plug(vehicle, T0 + minutes(50), False),
            sample(vehicle, T0 + minutes(60)),
        ]
    late = [vehicle_on(partition, topics, "late") for partition in range(topics.partitions)]
    records += [sample(vehicle, T0 + 9 * DAY) for vehicle in late]
    records += [
        plug(CASUAL[0], T0 + 9 * DAY, True, locationId="home"),
        sample(CASUAL[0], T0 + 9 * DAY + minutes(10), isPluggedIn=True, energyAdded=5.0),
        sample(CASUAL[0], T0 + 9 * DAY + minutes(40), isPluggedIn=True, energyAdded=9.0),
        plug(CASUAL[0], T0 + 9 * DAY + minutes(50), False),
    ]
    # What confirms the unplug, and moves the clock of both partitions behind it.
    records += [sample(vehicle, T0 + 9 * DAY + minutes(60)) for vehicle in late]
    system.send(*(named(record, number) for number, record in enumerate(records)))
    return late


def test_a_replay_forgets_and_gives_the_same(broker: Kafka, topics: Topics, tmp_path: Path) -> None:
    """By the event clock only those stay whom the last week heard, or somebody manages; a restart without its store
    finds no others; and a replay with other batches, killed on its way, has the same updates byte for byte.
    """
    late = write_weeks(topics)
    staying = {"managed", CASUAL[0], *late}
    with running_system(topics, tmp_path, state_dir=tmp_path / "first", clock="event"):
        wait_until(lambda: kept(topics) == staying, 60, "the others to be forgotten")
        assert kept(topics, EVENTS) <= staying
    with running_system(topics, tmp_path, state_dir=tmp_path / "second", clock="event") as system:
        lines = [line for line in system.worker.stderr.splitlines() if '"partition recovered"' in line]
        assert sum(int(line.split('"vehicles": ')[1].split(",")[0].rstrip("}")) for line in lines) == len(staying)
    again = Topics(bootstrap=broker.bootstrap, prefix=f"again{topics.prefix}", partitions=topics.partitions)
    ensure_topics(again.settings())
    write_weeks(again)
    paced = {"state_dir": tmp_path / "third", "clock": "event", "batch_limit_records": 3}
    for _ in range(2):
        with flex("worker", env=again.env(**paced, crash_at="committed:9"), folder=tmp_path) as worker:
            wait_until(lambda worker=worker: worker.process.poll() is not None, 60, "the worker to die")  # type: ignore[misc]
    with running_system(again, tmp_path, **paced):
        wait_until(lambda: kept(again) == staying, 60, "the others to be forgotten")
    found, expected = updates(again), updates(topics)
    assert any(expected.values())
    assert found == expected
    delete_topics(broker.bootstrap, again.prefix)
