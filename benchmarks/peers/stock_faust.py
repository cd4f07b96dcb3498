"""Stock Faust: an agent, a table on RocksDB with its changelog, `topic.send`; at least once.

`--logic thin` folds as a first Faust app would: records, table and updates are JSON by Faust's own codec.
`--logic thin-raw` folds bytes, decoded and encoded as in the bare loop: what a user comes to who has measured.
`--logic full` runs the same session logic as the worker, with its codec.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faust
from msgspec.json import Decoder

from benchmarks.system import PARTITIONS, READY
from benchmarks.thin import FOLD, UPDATE_BYTES, Fold, Sample, raw, step, update
from models.topics import SESSION_UPDATED, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES, WORKER_GROUP
from runtime.logs import configure_logs
from runtime.settings import load_settings
from sessions.events import SessionChanged, new_vehicle
from streams.logic import SessionLogic
from streams.outbox import output_record
from streams.prices import PriceFeed
from streams.records import InputRecord, ReadEvent, read
from streams.settings import rules_from
from streams.states import decode_vehicle, encode_vehicle
from streams.updates import UpdateEncoder

DECODER = Decoder(Sample)
# Of the update without its padding, about.
HEAD_BYTES = 70


def _record(message: Any, prefix: str) -> InputRecord:
    """A record of Faust as the worker's reader knows it."""
    logged_at = datetime.fromtimestamp(message.timestamp, UTC)
    topic = message.topic.removeprefix(prefix)
    return InputRecord(topic, message.partition, message.offset, message.key, message.value, logged_at)


def make_app(kind: str) -> Any:
    """The app; `kind`: thin or full."""
    settings = load_settings(os.environ)
    prefix = settings.topic_prefix
    Path(settings.state_dir).mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"{prefix}{WORKER_GROUP}",
        broker=f"kafka://{settings.kafka_bootstrap_servers}",
        store="rocksdb://",
        datadir=str(Path(settings.state_dir) / "faust"),
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        # The default of 2.8 s is too coarse to be measured by.
        broker_commit_interval=0.25,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    raw_topic: dict[str, Any] = {
        "key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw",
    }  # fmt: skip
    if kind == "thin":
        return _first_app(app, prefix)
    out = app.topic(prefix + SESSION_UPDATED, **raw_topic)
    names = [VEHICLE_CHARGE] if kind == "thin-raw" else [VEHICLE_POLICIES, VEHICLE_PLUG, VEHICLE_CHARGE]
    source = app.topic(*(prefix + name for name in names), **raw_topic)

    table = app.Table("states", key_type=bytes, value_type=bytes, partitions=PARTITIONS, default=None)
    if kind == "thin-raw":

        @app.agent(source)
        async def fold(stream: Any) -> None:
            async for key, value in stream.items():
                sample = DECODER.decode(value)
                found = table.get(key)
                state = step(Fold() if found is None else FOLD.decode(found), sample.energy_added)
                table[key] = raw(state)
                await out.send(key=key, value=update(sample.vehicle_id, state))

        return app

    prices = PriceFeed(settings)
    logic, encoder = SessionLogic(rules_from(settings), prices.book), UpdateEncoder()

    @app.agent(source)
    async def apply(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            reading = read(_record(message, prefix))
            assert isinstance(reading, ReadEvent)
            vehicle_id = reading.vehicle_id
            assert vehicle_id is not None
            key = vehicle_id.encode()
            found = table.get(key)
            vehicle = new_vehicle(vehicle_id) if found is None else decode_vehicle(found, None)
            decision = logic.apply(vehicle, reading.event)
            table[key] = encode_vehicle(decision.vehicle)
            for output in decision.outputs:
                if isinstance(output, SessionChanged):
                    record = output_record(output, message.partition, encoder)
                    await out.send(
                        key=record.key, value=record.value, partition=record.partition, headers=record.headers
                    )

    return app


def _first_app(app: Any, prefix: str) -> Any:
    out = app.topic(prefix + SESSION_UPDATED, key_type=str, value_serializer="json")
    table = app.Table("states", key_type=str, partitions=PARTITIONS, default=dict)
    pad = "x" * UPDATE_BYTES

    @app.agent(app.topic(prefix + VEHICLE_CHARGE, key_type=str, value_serializer="json"))
    async def fold(stream: Any) -> None:
        async for vehicle, value in stream.items():
            before = table[vehicle]
            state = {"samples": before.get("samples", 0) + 1, "kwh": value["energyAdded"]}
            table[vehicle] = state
            head = {"vehicleId": vehicle, **state}
            await out.send(key=vehicle, value=head | {"pad": pad[HEAD_BYTES:]})

    return app


def main() -> int:
    configure_logs("warning", "stock-faust")
    app = make_app(sys.argv[sys.argv.index("--logic") + 1])

    @app.task
    async def say() -> None:
        print(READY.decode(), flush=True)

    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
