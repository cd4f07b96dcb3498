"""The worker's tables: Faust tables on RocksDB with a changelog, read and written for one partition number at a time.

`vehicles`: vehicle id to its state. `charging-events`: vehicle id to the charging events of its open visit and of the
last days, by which a charge is listed once; they change seldom, so they are kept apart. `policy-vehicles`: policy id to
its vehicle, for a deletion names only the policy.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from faust import streams as faust_streams

from models.ids import PolicyId, VehicleId
from models.topics import CHARGING_EVENTS_TABLE, POLICY_VEHICLES_TABLE, VEHICLES_TABLE
from runtime.partitions import partition_of
from sessions.state import Vehicle
from streams.states import decode_vehicle, encode_charging_events, encode_vehicle

MIB: Final = 1_024 * 1_024
# Each partition has its own database in each table: keep their caches small (Faust's default is 2 GiB apiece).
STORE_OPTIONS: Final = {"block_cache_size": 32 * MIB, "write_buffer_size": 16 * MIB}


class _PartitionContext:
    """Stands in for the event by which Faust's tables learn the partition that they work on."""

    def __init__(self, topic: str, partition: int) -> None:
        self.message = self
        self.topic = topic
        self.partition = partition


class Tables:
    """All tables of an app."""

    def __init__(self, app: Any, source_topic: str, partitions: int) -> None:
        """`source_topic`: an input whose partitions the tables share, `partitions` many."""
        self._source_topic = source_topic
        self._partitions = partitions
        self._vehicles = _new_table(app, VEHICLES_TABLE, partitions)
        self._policy_vehicles = _new_table(app, POLICY_VEHICLES_TABLE, partitions)
        self._charging_events = _new_table(app, CHARGING_EVENTS_TABLE, partitions)

    def on_recovered(self, callback: Any) -> None:
        """Call `callback` (a coroutine function) whenever the state of the assigned partitions is complete."""
        # Faust recovers all tables together and calls back table by table: the last one is told last.
        self._charging_events.on_recover(callback)

    def vehicle(self, partition: int, vehicle_id: VehicleId) -> Vehicle | None:
        """The state of a vehicle."""
        key = vehicle_id.encode()
        with self._at(partition):
            raw = self._vehicles.get(key)
            return None if raw is None else decode_vehicle(raw, self._charging_events.get(key))

    def put_vehicle(self, partition: int, vehicle: Vehicle) -> None:
        """Keep the state of a vehicle."""
        key, events = vehicle.id.encode(), encode_charging_events(vehicle)
        with self._at(partition):
            self._vehicles[key] = encode_vehicle(vehicle)
            if events == self._charging_events.get(key):
                return
            if events is None:
                self._charging_events.pop(key, None)
            else:
                self._charging_events[key] = events

    def policy_vehicle(self, partition: int, policy_id: PolicyId) -> VehicleId | None:
        """Whose policy it is."""
        with self._at(partition):
            raw = self._policy_vehicles.get(policy_id.encode())
        return None if raw is None else VehicleId(raw.decode())

    def put_policy_vehicle(self, partition: int, policy_id: PolicyId, vehicle_id: VehicleId | None) -> None:
        """Remember whose policy it is; None forgets it."""
        with self._at(partition):
            if vehicle_id is None:
                self._policy_vehicles.pop(policy_id.encode(), None)
            else:
                self._policy_vehicles[policy_id.encode()] = vehicle_id.encode()

    def vehicles(self) -> Iterator[tuple[int, Vehicle]]:
        """Every vehicle of the assigned partitions, with its partition number."""
        for key, raw in self._vehicles.items():
            partition = partition_of(key.decode(), self._partitions)
            with self._at(partition):
                events = self._charging_events.get(key)
            yield partition, decode_vehicle(raw, events)

    @contextmanager
    def _at(self, partition: int) -> Iterator[None]:
        context = _PartitionContext(self._source_topic, partition)
        # Faust keeps the current event in this variable, weakly; tables have no other way to be told their partition.
        token = faust_streams._current_event.set(weakref.ref(context))  # noqa: SLF001
        try:
            yield
        finally:
            faust_streams._current_event.reset(token)  # noqa: SLF001


def _new_table(app: Any, name: str, partitions: int) -> Any:
    return app.Table(
        name, key_type=bytes, value_type=bytes, partitions=partitions, options=dict(STORE_OPTIONS), default=None
    )
