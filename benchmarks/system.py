"""What the benchmarks of the whole worker stand on: a broker of their own, load, worker processes, their progress."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from msgspec import Struct
from msgspec.json import encode

from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute
from local.ports import free_port
from local.stopping import StopRequest
from local.topics import ensure_topics
from models.topics import ENERGY_PRICES, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES, WORKER_GROUP
from models.zones import get_zone
from runtime.partitions import partition_of
from runtime.settings import Settings, load_settings

PARTITIONS: Final = 4
ZONE: Final = "BENCH"
TIMEZONE: Final = "Europe/Berlin"
PRICED_H: Final = 48
STEP_S: Final = 0.02
READY: Final = b'"worker ready"'
START_LIMIT_S: Final = 120.0
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# A group that is new has none for a moment.
_NO_COORDINATOR: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
)

T = TypeVar("T")
# Topic without the prefix, key, value, partition (None: by the key).
Record = tuple[str, str, bytes | None, int | None]


@contextmanager
def broker() -> Iterator[Kafka]:
    """One node on a free port, with its data in a folder that goes with it."""
    stop = StopRequest()
    with tempfile.TemporaryDirectory(prefix="flex-bench-") as name:
        folder = Path(name)
        libs = fetch_jars(absolute(load_settings({}).cache_dir), stop)
        kafka = Kafka(java=find_java(), libs=libs, data_dir=folder, log_dir=folder / "logs", port=free_port())
        try:
            kafka.start(stop)
            yield kafka
        finally:
            kafka.stop(10)


class Site(Struct, frozen=True):
    """Fresh topics under a prefix of their own, and a folder."""

    bootstrap: str
    prefix: str
    folder: Path
    partitions: int = PARTITIONS

    def env(self, **settings: object) -> dict[str, str]:
        """The FLEX_ variables of its parts."""
        values = {
            "kafka_bootstrap_servers": self.bootstrap,
            "topic_prefix": self.prefix,
            "topic_partitions": self.partitions,
            "state_dir": self.folder / "state",
            "commit_interval_s": 0.1,
        } | settings
        return {f"FLEX_{name.upper()}": str(value) for name, value in values.items()}

    def settings(self, **settings: object) -> Settings:
        """The same, parsed."""
        return load_settings(self.env(**settings))

    def name(self, topic: str) -> str:
        """As on the broker."""
        return self.prefix + topic


@contextmanager
def site(kafka: Kafka, partitions: int = PARTITIONS) -> Iterator[Site]:
    """A site that is removed afterwards. `partitions`: of the vehicle topics."""
    with tempfile.TemporaryDirectory(prefix="flex-bench-site-") as name:
        made = Site(kafka.bootstrap, f"b{uuid.uuid4().hex[:8]}.", Path(name), partitions)
        ensure_topics(made.settings())
        try:
            yield made
        finally:
            admin = _admin(kafka.bootstrap)
            names = [each for each in admin.list_topics(timeout=10).topics if each.startswith(made.prefix)]
            for future in admin.delete_topics(names, operation_timeout=10).values():
                future.result()


class Process:
    """A started program whose output is kept in a file."""

    def __init__(self, argv: list[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        outer = {name: value for name, value in os.environ.items() if not name.startswith("FLEX_")}
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603  # our own programs
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=outer | dict(env)
            )

    def wait_for(self, text: bytes) -> None:
        """Until it has written `text`."""
        await_true(lambda: text in self._said(), f"{text!r} in {self.log}", START_LIMIT_S)

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Memory that it holds now."""
        return int(self._status()["VmRSS"].split()[0]) / 1_024

    def threads(self) -> int:
        """How many threads it has."""
        return int(self._status()["Threads"])

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it and wait."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(30)

    def _status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def _said(self) -> bytes:
        said = self.log.read_bytes()
        if self._process.poll() is not None:
            raise RuntimeError(f"ended with {self._process.returncode}: {said[-2_000:].decode(errors='replace')}")
        return said


@contextmanager
def worker(at: Site, **settings: object) -> Iterator[Process]:
    """A worker process that is ready; it is ended afterwards."""
    process = start_worker(at, **settings)
    try:
        process.wait_for(READY)
        yield process
    finally:
        process.end()


def start_worker(at: Site, **settings: object) -> Process:
    """A worker process, without waiting for it."""
    argv = [sys.executable, "-P", "-m", "cli.main", "worker"]
    return Process(argv, at.env(**settings), at.folder / f"worker-{uuid.uuid4().hex[:6]}.log")


def produce(at: Site, records: Iterable[Record]) -> None:
    """Write records as fast as it goes, and wait until the broker has them."""
    producer: Any = Producer(
        {
            "bootstrap.servers": at.bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000,
            "log_level": 0,
        }
    )
    for topic, key, value, partition in records:
        while True:
            try:
                producer.produce(at.name(topic), key=key, value=value, partition=-1 if partition is None else partition)
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(60):
        raise RuntimeError("the broker did not take the load")


@cache
def _admin(bootstrap: str) -> Any:
    """One client for all questions: one for each would cost more than the answer."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


@cache
def _group(bootstrap: str, group: str) -> Any:
    """Asks for a group's offsets without joining it. (librdkafka's admin call crashes where there is no group yet.)"""
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0})


def done(at: Site, topic: str = VEHICLE_CHARGE, group: str = WORKER_GROUP) -> int:
    """How many offsets of a topic the worker has processed, by what it tells the group."""
    asked = [TopicPartition(at.name(topic), number) for number in range(at.partitions)]
    found = await_true(lambda: _committed(_group(at.bootstrap, at.name(group)), asked), "the group's offsets", 30)
    return sum(max(0, each.offset) for each in found)


def _committed(consumer: Any, asked: list[TopicPartition]) -> list[TopicPartition] | None:
    """None: its coordinator is not known yet."""
    try:
        found: list[TopicPartition] = consumer.committed(asked, timeout=10)
    except KafkaException as error:
        if error.args[0].code() in _NO_COORDINATOR:
            return None
        raise
    return found


def ends(at: Site, topic: str = VEHICLE_CHARGE) -> int:
    """How many offsets a topic has."""
    admin = _admin(at.bootstrap)
    asked = {TopicPartition(at.name(topic), number): OffsetSpec.latest() for number in range(at.partitions)}
    return sum(future.result().offset for future in admin.list_offsets(asked).values())


def committed(at: Site, topic: str) -> Iterator[bytes]:
    """The value of every committed record of a topic that has one, each partition in its order."""
    config = {"bootstrap.servers": at.bootstrap, "group.id": "bench-reader", "enable.partition.eof": True}
    consumer: Any = Consumer(config | {"enable.auto.commit": False, "isolation.level": "read_committed"})
    try:
        for number in range(at.partitions):
            consumer.assign([TopicPartition(at.name(topic), number, OFFSET_BEGINNING)])
            is_end = False
            while not is_end:
                for message in consumer.consume(1_000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        if message.value() is not None:
                            yield message.value()
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # it has no other name
                        is_end = True
                    else:
                        raise KafkaException(error)
    finally:
        consumer.close()


def rate(at: Site, total: int, group: str = WORKER_GROUP, limit_s: float = 300.0) -> float:
    """Events/s with which a worker goes through a backlog of `vehicle.charge` up to offset count `total`.

    From the first 20 % on, so that its start does not count.
    """
    first = done(at, group=group)
    begin = first + (total - first) // 5
    await_true(lambda: done(at, group=group) >= begin, "the backlog to move", limit_s)
    began, began_s = done(at, group=group), time.monotonic()
    if began >= total:
        raise RuntimeError("the backlog is too small for its rate to be measured")
    await_true(lambda: done(at, group=group) >= total, "the end of the backlog", limit_s)
    return (total - began) / (time.monotonic() - began_s)


def await_true(predicate: Callable[[], T], what: str, limit_s: float) -> T:
    """The first truthy answer. Raises RuntimeError after `limit_s`."""
    until_s = time.monotonic() + limit_s
    while not (answer := predicate()):
        if time.monotonic() > until_s:
            raise RuntimeError(f"not within {limit_s} s: {what}")
        time.sleep(STEP_S)
    return answer


def names(count: int) -> list[str]:
    """Vehicle ids."""
    return [f"vehicle-{number:06}" for number in range(count)]


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with Z."""
    return moment.isoformat().replace("+00:00", "Z")


def prices(start: datetime) -> Iterator[Record]:
    """Hourly prices of the zone that rise from `start` on: whoever plans then charges at once, whatever the hour."""
    value = {
        "zone": ZONE,
        "currency": "EUR",
        "resolution": "PT60M",
        "startAt": stamp(start.replace(minute=0, second=0, microsecond=0)),
        "prices": [0.1 + 0.005 * hour for hour in range(PRICED_H)],
        "at": stamp(start - timedelta(hours=3)),
    }
    yield ENERGY_PRICES, ZONE, encode(value), None


def plugged_in(vehicles: list[str], start: datetime, partitions: int = PARTITIONS) -> Iterator[Record]:
    """A policy with a deadline in half a day, and a plug-in at its location, of each vehicle."""
    deadline = (start + timedelta(hours=12)).astimezone(get_zone(TIMEZONE)).strftime("%H:%M")
    day = {"deadline": deadline, "minimumChargeTarget": 100}
    for vehicle in vehicles:
        policy = {
            "id": f"p-{vehicle}",
            "userId": "u-1",
            "vehicleId": vehicle,
            "locationId": "home",
            "isEnabled": True,
            "timezoneName": TIMEZONE,
            "zone": ZONE,
            "batteryReserve": 20,
            "maxChargeRate": 11,
            "batteryCapacity": 77,
            "schedule": dict.fromkeys(DAYS, day),
            "at": stamp(start - timedelta(days=1)),
        }
        yield VEHICLE_POLICIES, f"p-{vehicle}", encode(policy), partition_of(vehicle, partitions)
        plug = {
            "eventId": f"in-{vehicle}",
            "vehicleId": vehicle,
            "userId": "u-1",
            "at": stamp(start),
            "isPluggedIn": True,
        }
        yield VEHICLE_PLUG, vehicle, encode(plug | {"locationId": "home", "batteryLevel": 40}), None


def sample(vehicle: str, at: datetime, number: int, gap_s: float = 30.0) -> bytes:
    """The `number`-th sample of a vehicle that charges with 11 kW."""
    kwh = 11 * number * gap_s / 3_600
    value = {
        "eventId": f"{vehicle}-{number}",
        "vehicleId": vehicle,
        "userId": "u-1",
        "at": stamp(at),
        "isPluggedIn": True,
        "isCharging": True,
        "batteryLevel": round(min(99.0, 40 + kwh * 0.9 / 77 * 100), 2),
        "batteryCapacity": 77,
        "chargeLimit": 100,
        "chargeRate": 11.0,
        "energyAdded": round(kwh, 4),
        "powerDeliveryState": "PLUGGED_IN:CHARGING",
        "locationId": "home",
    }
    return encode(value)


def now() -> datetime:
    """The present moment; benchmarks stand outside of the purity rule."""
    return datetime.now(UTC)  # noqa: TID251
