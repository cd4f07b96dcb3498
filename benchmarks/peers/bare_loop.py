"""The least that exactly-once can cost in Python: one loop, no framework, no rebalancing, no recovery, no merge.

aiokafka brings batches of a partition; each goes through one transaction of confluent-kafka and one write of RocksDB.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from msgspec.json import Decoder
from rocksdict import Options, Rdict, WriteBatch

from benchmarks.system import PARTITIONS, READY
from benchmarks.thin import FOLD, Fold, Sample, raw, step, update
from models.topics import CHANGELOG, SESSION_UPDATED, VEHICLE_CHARGE, WORKER_GROUP
from runtime.settings import Settings, load_settings

DECODER = Decoder(Sample)
COMMIT_EVERY_S = 0.1


class Partition:
    """One partition's producer, store and states."""

    def __init__(self, settings: Settings, number: int) -> None:
        self._prefix = settings.topic_prefix
        self._number = number
        self._producer: Any = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap_servers,
                "transactional.id": f"{settings.topic_prefix}bare-{number}",
                "linger.ms": 5,
                "batch.size": 1_048_576,
            }
        )
        self._producer.init_transactions()
        folder = Path(settings.state_dir) / f"bare-{number}"
        folder.mkdir(parents=True)
        options = Options(raw_mode=True)
        self._db: Any = Rdict(str(folder), options=options)
        self._states: dict[str, Fold] = {}

    def take(self, records: list[Any]) -> None:
        """One batch, in one transaction."""
        changed: dict[str, Fold] = {}
        producer, updates = self._producer, self._prefix + SESSION_UPDATED
        producer.begin_transaction()
        for record in records:
            sample = DECODER.decode(record.value)
            vehicle = sample.vehicle_id
            state = changed.get(vehicle) or self._states.get(vehicle) or self._stored(vehicle)
            state = changed[vehicle] = step(state, sample.energy_added)
            producer.produce(updates, update(vehicle, state), vehicle.encode(), self._number)
        batch = WriteBatch(raw_mode=True)
        for vehicle, state in changed.items():
            value = raw(state)
            producer.produce(self._prefix + CHANGELOG, value, vehicle.encode(), self._number)
            batch.put(vehicle.encode(), value)
        offset = str(records[-1].offset + 1).encode()
        producer.produce(self._prefix + CHANGELOG, offset, b"offset", self._number)
        producer.commit_transaction()
        batch.put(b"offset", offset)
        self._db.write(batch)
        self._states |= changed

    def _stored(self, vehicle: str) -> Fold:
        found = self._db.get(vehicle.encode())
        return Fold() if found is None else FOLD.decode(found)


async def main() -> None:
    settings = load_settings(os.environ)
    topic = settings.topic_prefix + VEHICLE_CHARGE
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.topic_prefix + WORKER_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    parts = [Partition(settings, number) for number in range(PARTITIONS)]
    print(READY.decode(), flush=True)
    committed_s = time.monotonic()
    while True:
        for at, records in (
            await consumer.getmany(timeout_ms=200, max_records=PARTITIONS * settings.batch_limit_records)
        ).items():
            parts[at.partition].take(records)
        if time.monotonic() - committed_s > COMMIT_EVERY_S:
            committed_s = time.monotonic()
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
