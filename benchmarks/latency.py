"""From a sample's `at` to the moment at which a reader of committed records has its update."""

import threading
import time
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec import Struct
from msgspec.json import Decoder

from benchmarks.system import Site, await_true, done, ends, names, now, plugged_in, prices, produce, sample
from benchmarks.system import worker as running_worker
from models.topics import SESSION_UPDATED, VEHICLE_CHARGE, VEHICLE_PLUG

# Bursts so short that a sample is hardly older than its `at` when it is sent.
PACE_S: Final = 0.005
# The broker is slow until its code is compiled.
WARM_UP_S: Final = 15.0
FIRST_NUMBER: Final = 5


class _Update(Struct, rename="camel"):
    created_at: datetime


_UPDATE: Final = Decoder(_Update)


class Reader(threading.Thread):
    """Follows the updates and notes how old each is when it comes."""

    def __init__(self, at: Site) -> None:
        super().__init__(daemon=True)
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": at.bootstrap,
                "group.id": "latency-no-group",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 500,
                "fetch.min.bytes": 1,
                "log_level": 0,
            }
        )
        name = at.name(SESSION_UPDATED)
        first = {}
        for number in range(at.partitions):
            _, first[number] = self._consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)
        self._consumer.assign([TopicPartition(name, number, offset) for number, offset in first.items()])
        self.is_counting = threading.Event()
        self.is_over = threading.Event()
        self.ages_ms: list[float] = []

    def run(self) -> None:
        while not self.is_over.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None or message.value() is None:
                continue
            at = now()
            if self.is_counting.is_set():
                created_at = _UPDATE.decode(message.value()).created_at
                self.ages_ms.append((at - created_at).total_seconds() * 1_000)
        self._consumer.close()


def latency(at: Site, per_s: int, *, vehicles: int, seconds: float) -> dict[str, float]:
    """p50 and p99 in ms, at so many samples a second, the broker, the load and the worker on one machine.

    `vehicles`: so many that each tells enough for every sample to publish an update, or fewer are measured than sent.
    """
    fleet, start = names(vehicles), now() - timedelta(minutes=5)
    produce(at, prices(start))
    produce(at, plugged_in(fleet, start, at.partitions))
    # As it is by default: the site's own interval is there for throughput to be measured by.
    with running_worker(at, commit_interval_s=1.0):
        await_true(lambda: done(at, VEHICLE_PLUG) >= ends(at, VEHICLE_PLUG), "the plug-ins", 120)
        reader = Reader(at)
        reader.start()
        send_paced(at, fleet, per_s, WARM_UP_S)
        reader.is_counting.set()
        sent = send_paced(at, fleet, per_s, seconds, first=round(per_s * WARM_UP_S))
        reader.is_counting.clear()
        await_true(lambda: done(at, VEHICLE_CHARGE) >= ends(at, VEHICLE_CHARGE), "the samples", 120)
        reader.is_over.set()
        reader.join(10)
    cuts = quantiles(reader.ages_ms, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "updates_share": len(reader.ages_ms) / sent}


def send_paced(at: Site, fleet: list[str], per_s: int, seconds: float, first: int = 0) -> int:
    """Samples of the present, each vehicle in its turn, from the `first`-th on. How many were sent."""
    producer: Any = Producer(
        {
            "bootstrap.servers": at.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "queue.buffering.max.messages": 500_000,
            "log_level": 0,
        }
    )
    topic = at.name(VEHICLE_CHARGE)
    gap_s = len(fleet) / per_s
    began_s, sent = time.monotonic(), first
    while (passed_s := time.monotonic() - began_s) < seconds:
        while sent < first + passed_s * per_s:
            vehicle = fleet[sent % len(fleet)]
            value = sample(vehicle, now(), FIRST_NUMBER + sent // len(fleet), gap_s)
            producer.produce(topic, value, vehicle)
            sent += 1
        producer.poll(0)
        time.sleep(PACE_S)
    producer.flush(30)
    return sent - first
