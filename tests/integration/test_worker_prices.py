"""Prices as the worker reads them: the whole topic before anything is decided, then what comes; bad ones once."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from models.topics import ENERGY_PRICES, SESSION_TARGETS, SESSION_UPDATED, WORKER_GROUP
from tests.support.api_process import Transactions
from tests.support.command import Running, flex
from tests.support.records import Outgoing, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, System, new_vehicle, plug, running_system, stamp

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
PRICES_READ, PRICES_CHANGED = "prices read", "prices changed"
# More than the reader takes at once.
MANY = 2_500


def price(zone: str = "DE-LU", day: int = 0, **changes: Any) -> Outgoing:
    """A day's prices of a zone."""
    value = {
        "zone": zone,
        "currency": "EUR",
        "resolution": "PT60M",
        "startAt": stamp(T0.replace(hour=0) + timedelta(days=day)),
        "prices": [0.25] * 24,
        "at": stamp(T0 - timedelta(days=1)),
    } | changes
    return Outgoing(topic=ENERGY_PRICES, key=zone, value=value)


def bad_price(trace: str) -> Outgoing:
    """A record that begins off the quarter-hour."""
    return Outgoing(
        topic=ENERGY_PRICES, key="DE-LU", value=price(startAt="2026-03-01T00:10:00Z").value, headers={"trace": trace}
    )


def bad_target(vehicle: str, trace: str) -> Outgoing:
    """An override above 100 %."""
    value = {
        "vehicleId": vehicle,
        "sessionId": "s-1",
        "at": stamp(T0),
        "target": {"type": "IMMEDIATE_START", "minimumChargeTarget": 101},
    }
    return Outgoing(topic=SESSION_TARGETS, key=vehicle, value=value, headers={"trace": trace})


def lines(worker: Running, event: str) -> list[dict[str, Any]]:
    """The log lines of this event so far."""
    found = (json.loads(line) for line in worker.stderr.splitlines() if line.startswith("{"))
    return [line for line in found if line.get("event") == event]


def traces(system: System, topic: str) -> list[str]:
    return [letter.headers["trace"] for letter in system.dead_letters(topic)]


def committed(topics: Topics, topic: str, partitions: int) -> int:
    """How many records of a topic the workers' group has acknowledged, to a client that is not ours."""
    name = topics.name(topic)
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": topics.name(WORKER_GROUP)})
    try:
        asked = [TopicPartition(name, number) for number in range(partitions)]
        return sum(max(each.offset, 0) for each in consumer.committed(asked, timeout=10))
    finally:
        consumer.close()


def test_all_prices_are_read_before_anything_is_decided(topics: Topics, tmp_path: Path) -> None:
    """Whatever lies on the topic is read before the first update: committed records, to the last; no aborted ones."""
    vehicle = new_vehicle("priced")
    system = System(topics, worker=None)  # type: ignore[arg-type]  # nothing runs yet
    system.send(*(price(f"zone-{day % 7}", day % 30) for day in range(MANY)), bad_price("old"))
    writer = Transactions(topics.bootstrap, f"{topics.prefix}prices")
    as_named = [Outgoing(topic=topics.name(ENERGY_PRICES), key="FR", value=json.dumps(price("FR").value))]
    writer.write(as_named)
    writer.write(as_named, commit=False)
    system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home"))
    with running_system(topics, tmp_path) as system:
        (read,) = lines(system.worker, PRICES_READ)
        assert (read["records"], read["passed_over"]) == (MANY + 1, 1)
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        (ready,) = lines(system.worker, "worker ready")
        assert read["time"] < ready["time"]
        updates = read_all(topics.bootstrap, topics.name(SESSION_UPDATED))
        first_ms = min(record.timestamp_ms for record in updates)
        assert datetime.fromisoformat(read["time"]).timestamp() * 1_000 <= first_ms + 1
        # An aborted record at the end of the topic does not hide what comes after it.
        system.send(price("AT"))
        wait_until(lambda: lines(system.worker, PRICES_CHANGED), 20, "the price that came later")
        assert lines(system.worker, PRICES_CHANGED)[0]["zones"] == ["AT"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_bad_prices_and_targets_are_dead_lettered_once(topics: Topics, tmp_path: Path, how: int) -> None:
    """What one worker has refused, the next one does not refuse again, though it reads all prices anew."""
    vehicle = new_vehicle("once")
    env = topics.env(state_dir=tmp_path / "state")
    with flex("worker", env=env, folder=tmp_path) as worker:
        worker.wait_for(READY)
        system = System(topics, worker)
        system.send(bad_price("first"), bad_target(vehicle, "first"), price())
        for topic in (ENERGY_PRICES, SESSION_TARGETS):
            wait_until(lambda topic=topic: traces(system, topic) == ["first"], 20, f"the dead letter of {topic}")  # type: ignore[misc]
        (letter,) = system.dead_letters(ENERGY_PRICES)
        assert (letter.key, letter.headers["dlq-reason"], letter.headers["dlq-offset"]) == (
            "DE-LU",
            "INVALID_MESSAGE",
            "0",
        )
        wait_until(
            lambda: committed(topics, SESSION_TARGETS, 2) == 1,
            20,
            "all acknowledged",
        )
        worker.end(how)
    with running_system(topics, tmp_path) as system:
        system.send(bad_price("second"), bad_target(vehicle, "second"))
        for topic in (ENERGY_PRICES, SESSION_TARGETS):
            wait_until(lambda topic=topic: "second" in traces(system, topic), 20, f"the second one of {topic}")  # type: ignore[misc]
            assert traces(system, topic) == ["first", "second"]
        assert lines(system.worker, PRICES_READ)[0]["passed_over"] == 1


def test_of_several_workers_each_reads_every_price_and_one_refuses_it(topics: Topics, tmp_path: Path) -> None:
    """Two workers: both know every price, also one that comes while they run; a bad one has one dead letter."""
    with (
        running_system(topics, tmp_path) as first,
        running_system(topics, tmp_path, state_dir=tmp_path / "2") as second,
    ):
        first.send(price("NO1"), bad_price("both"), price("NO2"))
        for each in (first, second):
            wait_until(
                lambda each=each: (
                    {zone for line in lines(each.worker, PRICES_CHANGED) for zone in line["zones"]}  # type: ignore[misc]
                    == {"NO1", "NO2"}
                ),
                20,
                "both prices in each worker",
            )
        wait_until(lambda: traces(first, ENERGY_PRICES), 20, "the dead letter")
        # Judged in the order of the log: once this one is refused, every earlier one was judged by whoever judges.
        first.send(bad_price("last"))
        wait_until(lambda: "last" in traces(first, ENERGY_PRICES), 20, "the last dead letter")
        assert traces(first, ENERGY_PRICES) == ["both", "last"]
