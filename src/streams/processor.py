"""One batch of one partition number, from events to what is published and kept. The order is the delivery guarantee:

1. decide: the session logic is applied record by record; nothing outside memory has changed;
2. publish: updates and dead letters are produced, and their delivery awaited;
3. keep: the changed states go into the tables;
4. the caller acknowledges the batch.

If it dies before 3, the batch is read again and publishes the same updates again; after 3, what is read again changes
nothing. So an update may come twice (with the same version), but none is lost.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from models.codec import Refusal
from models.ids import PolicyId, VehicleId
from runtime.partitions import partition_of
from sessions.events import (
    Decision,
    Event,
    PolicyDeleted,
    PolicyRestored,
    PolicyShown,
    PolicyWritten,
    Refused,
    Rules,
    new_vehicle,
)
from sessions.lifecycle import apply
from sessions.state import Vehicle
from sessions.visits import next_timer_at
from streams.outbox import OutputRecord, dead_letter, output_record
from streams.records import InputRecord, ReadEvent, Unreadable
from streams.timers import Timers

if TYPE_CHECKING:
    from datetime import datetime

Publish = Callable[[Sequence[OutputRecord]], Awaitable[None]]


class StateTables(Protocol):
    """Where states are kept between batches."""

    def vehicle(self, partition: int, vehicle_id: VehicleId) -> Vehicle | None: ...
    def put_vehicle(self, partition: int, vehicle: Vehicle) -> None: ...
    def policy_vehicle(self, partition: int, policy_id: PolicyId) -> VehicleId | None: ...
    def put_policy_vehicle(self, partition: int, policy_id: PolicyId, vehicle_id: VehicleId | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record with what could be read from it."""

    record: InputRecord
    reading: ReadEvent | Unreadable


@dataclass(slots=True)
class _Batch:
    """What a batch has decided and not published or kept yet."""

    vehicles: dict[VehicleId, Vehicle] = field(default_factory=dict)
    policies: dict[PolicyId, VehicleId | None] = field(default_factory=dict)
    outputs: list[OutputRecord] = field(default_factory=list)


class PartitionProcessor:
    """Applies the session logic to one partition number."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        *,
        rules: Rules,
        tables: StateTables,
        publish: Publish,
        timers: Timers,
        tally: Counter[str],
    ) -> None:
        """`partitions`: how many the vehicle topics have. `tally`: counts by fact, for the operator."""
        self._partition = partition
        self._partitions = partitions
        self._rules = rules
        self._tables = tables
        self._publish = publish
        self._tally = tally
        self.timers = timers
        # The event clock of this partition: the newest time that a vehicle told and that was taken.
        self.newest_at: datetime | None = None

    async def process(self, arrived: Iterable[Arrived], heard_s: float) -> None:
        """Apply a batch in its order. `heard_s`: monotonic seconds when it was read."""
        batch = _Batch()
        for each in arrived:
            self._tally[f"read {each.record.topic}"] += 1
            refused = self._take(batch, each.reading)
            if refused is not None:
                self._tally[f"refused {refused.reason}"] += 1
                batch.outputs.append(dead_letter(each.record, refused))
        await self._finish(batch, heard_s)

    async def fire(self, due: Iterable[tuple[VehicleId, Event]], heard_s: float) -> None:
        """Let timers fire."""
        batch = _Batch()
        for vehicle_id, event in due:
            self._decide(batch, vehicle_id, event)
        await self._finish(batch, heard_s)

    def remember(self, vehicle: Vehicle, heard_s: float) -> None:
        """Set the timer of a vehicle as its state has it, and the partition's clock."""
        if vehicle.newest_at is not None:
            self.newest_at = max(vehicle.newest_at, self.newest_at or vehicle.newest_at)
        self.timers.schedule(vehicle.id, next_timer_at(vehicle, self._rules), vehicle.delay_s, heard_s)

    def _take(self, batch: _Batch, reading: ReadEvent | Unreadable) -> Refused | None:
        if isinstance(reading, Unreadable):
            if reading.shown is not None:
                self._restore(batch, reading.shown)
            return reading.refused
        for name in reading.absurd_fields:
            self._tally[f"out_of_range {name}"] += 1
        vehicle_id = reading.vehicle_id
        if reading.policy_id is not None:
            known_id = self._policy_vehicle(batch, reading.policy_id)
            if vehicle_id is not None and known_id is not None and known_id != vehicle_id:
                # Its state lies with the other vehicle, which refuses to lose it.
                vehicle_id = known_id
            vehicle_id = vehicle_id or known_id
        if vehicle_id is None:
            # A deletion of a policy that nobody has, or our own restored one.
            self._tally["unknown_policy"] += 1
            return None
        if partition_of(vehicle_id, self._partitions) != self._partition:
            if reading.policy_id is not None:
                batch.outputs.append(output_record(PolicyRestored(reading.policy_id, None), self._partition))
            return Refused(Refusal.WRONG_PARTITION, f"{vehicle_id} belongs on another partition")
        decision = self._decide(batch, vehicle_id, reading.event)
        if decision.refused is None:
            _note_policy(batch, reading.event, vehicle_id)
        return decision.refused

    def _restore(self, batch: _Batch, shown: PolicyShown) -> None:
        vehicle_id = self._policy_vehicle(batch, shown.policy_id)
        if vehicle_id is None:
            batch.outputs.append(output_record(PolicyRestored(shown.policy_id, None), self._partition))
        else:
            self._decide(batch, vehicle_id, shown)

    def _decide(self, batch: _Batch, vehicle_id: VehicleId, event: Event) -> Decision:
        vehicle = batch.vehicles.get(vehicle_id) or self._tables.vehicle(self._partition, vehicle_id)
        decision = apply(vehicle or new_vehicle(vehicle_id), event, self._rules)
        if decision.vehicle is not vehicle and decision.refused is None:
            batch.vehicles[vehicle_id] = decision.vehicle
        batch.outputs.extend(output_record(output, self._partition) for output in decision.outputs)
        for fact in decision.counted:
            self._tally[fact] += 1
        return decision

    async def _finish(self, batch: _Batch, heard_s: float) -> None:
        await self._publish(batch.outputs)
        for vehicle in batch.vehicles.values():
            self._tables.put_vehicle(self._partition, vehicle)
            self.remember(vehicle, heard_s)
        for policy_id, vehicle_id in batch.policies.items():
            self._tables.put_policy_vehicle(self._partition, policy_id, vehicle_id)

    def _policy_vehicle(self, batch: _Batch, policy_id: PolicyId) -> VehicleId | None:
        if policy_id in batch.policies:
            return batch.policies[policy_id]
        return self._tables.policy_vehicle(self._partition, policy_id)


def _note_policy(batch: _Batch, event: Event, vehicle_id: VehicleId) -> None:
    match event:
        case PolicyWritten():
            batch.policies[event.policy.id] = vehicle_id
        case PolicyDeleted():
            batch.policies[event.policy_id] = None
        case _:
            return
