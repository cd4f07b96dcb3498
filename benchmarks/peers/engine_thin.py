"""The engine itself with the thin fold in the place of the session logic."""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from benchmarks.thin import FOLD, Fold, raw, step, update
from models.telemetry import ChargeSample
from models.topics import SESSION_UPDATED
from runtime.settings import load_settings
from sessions.events import TelemetryReceived
from streams.outbox import OutputRecord
from streams.processor import Arrived, Decided, PartitionProcessor
from streams.records import ReadEvent
from streams.run import run_worker
from streams.states import vehicle_key


class ThinProcessor(PartitionProcessor):
    """Folds samples; no timers, no policies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._records = kwargs["vehicles"].records
        self._folds: dict[str, Fold] = {}
        self._changed: dict[str, Fold] = {}

    def recover(self, heard_s: float, moved: Callable[[], None] = lambda: None) -> int:
        del heard_s, moved
        return 0

    def decide(self, arrived: Iterable[Arrived], wall_now: datetime | None) -> Decided:
        batch = Decided(wall_now)
        changed = self._changed = {}
        for each in arrived:
            reading = each.reading
            if not isinstance(reading, ReadEvent) or not isinstance(reading.event, TelemetryReceived):
                continue
            sample = reading.event.message
            assert isinstance(sample, ChargeSample)
            vehicle = sample.vehicle_id
            state = changed.get(vehicle) or self._folds.get(vehicle) or self._stored(vehicle)
            state = changed[vehicle] = step(state, sample.energy_added)
            value = update(vehicle, state)
            batch.outputs.append(OutputRecord(SESSION_UPDATED, self._partition, vehicle.encode(), value, []))
        return batch

    def _stored(self, vehicle: Any) -> Fold:
        found = self._records.get(vehicle_key(vehicle))
        return Fold() if found is None else FOLD.decode(found)

    def states(self, batch: Decided) -> list[tuple[bytes, bytes | None]]:
        del batch
        return [(vehicle_key(vehicle), raw(state)) for vehicle, state in self._changed.items()]  # type: ignore[arg-type]

    def keep(self, batch: Decided, heard_s: float) -> None:
        del batch, heard_s
        self._folds |= self._changed


if __name__ == "__main__":
    sys.exit(run_worker(load_settings(os.environ), ThinProcessor))
