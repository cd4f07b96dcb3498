"""One batch of one partition number, from events to what is published and kept. The order is the delivery guarantee:

1. decide: the session logic is applied record by record; nothing outside memory has changed;
2. publish: updates, commands and dead letters are produced, and their delivery awaited;
3. keep: the changed states go into the tables;
4. the caller acknowledges the batch.

If it dies before 3, the batch is read again and publishes the same updates again; after 3, what is read again changes
nothing. So an update may come twice (with the same version), but none is lost.

A change of prices changes no state by itself: the vehicles concerned are asked anew when to wake them.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from models.codec import Refusal
from models.command import ChargeCommand
from models.ids import PolicyId, VehicleId, Zone
from runtime.partitions import partition_of
from sessions.events import (
    CommandIssued,
    Decision,
    Event,
    Output,
    PolicyDeleted,
    PolicyRestored,
    PolicyShown,
    PolicyWritten,
    Refused,
    new_vehicle,
)
from sessions.state import Vehicle
from streams.logic import SessionLogic
from streams.open_visits import OpenVisits
from streams.outbox import OutputRecord, dead_letter, output_record
from streams.records import InputRecord, ReadEvent, Unreadable
from streams.timers import Timers
from streams.updates import UpdateEncoder

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
    """What a batch has decided and not published or kept yet. `wall_now` null: no command is written."""

    wall_now: datetime | None
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
        logic: SessionLogic,
        tables: StateTables,
        publish: Publish,
        timers: Timers,
        tally: Counter[str],
    ) -> None:
        """`partitions`: how many the vehicle topics have. `tally`: counts by fact, for the operator."""
        self._partition = partition
        self._partitions = partitions
        self._logic = logic
        self._tables = tables
        self._publish = publish
        self._tally = tally
        self.timers = timers
        # The event clock of this partition: the newest time that a vehicle told and that was taken.
        self.newest_at: datetime | None = None
        self._visits = OpenVisits()
        self._updates = UpdateEncoder()
        # Vehicles that are to be asked anew when to wake them, and when each was last heard.
        self._to_ask: dict[VehicleId, float] = {}

    async def process(self, arrived: Iterable[Arrived], heard_s: float, wall_now: datetime | None) -> None:
        """Apply a batch in its order. `heard_s`: monotonic seconds when it was read.

        `wall_now`: the wall's time; null with the event clock, by which nobody could obey a command.
        """
        batch = _Batch(wall_now)
        for each in arrived:
            self._tally[f"read {each.record.topic}"] += 1
            refused = self._take(batch, each.reading)
            if refused is not None:
                self._tally[f"refused {refused.reason}"] += 1
                batch.outputs.append(dead_letter(each.record, refused))
        await self._finish(batch, heard_s)

    async def fire(self, due: Iterable[tuple[VehicleId, Event]], heard_s: float, wall_now: datetime | None) -> None:
        """Let timers fire. `heard_s`, `wall_now`: as of now."""
        batch = _Batch(wall_now)
        unchanged: list[VehicleId] = []
        for vehicle_id, event in due:
            self._decide(batch, vehicle_id, event)
            if vehicle_id not in batch.vehicles:
                unchanged.append(vehicle_id)
        await self._finish(batch, heard_s)
        for vehicle_id in unchanged:
            self._tally["timer_changed_nothing"] += 1
            self.timers.rest(vehicle_id, heard_s)

    def remember(self, vehicle: Vehicle, heard_s: float) -> None:
        """Set the timer of a vehicle as its state has it, and the partition's clock."""
        if vehicle.newest_at is not None:
            self.newest_at = max(vehicle.newest_at, self.newest_at or vehicle.newest_at)
        self.timers.schedule(vehicle.id, self._logic.wake(vehicle), heard_s)
        self._visits.put(vehicle, heard_s)

    def prices_changed(self, zones: Iterable[Zone]) -> None:
        """Note whose timers may be others now: the vehicles whose open visit is managed in one of the zones."""
        for zone in zones:
            self._to_ask |= self._visits.of(zone)

    def ask_anew(self, limit: int) -> bool:
        """Set the timers of at most `limit` of the vehicles so noted. Tells whether there were any."""
        asked = 0
        while self._to_ask and asked < limit:
            vehicle_id, heard_s = self._to_ask.popitem()
            vehicle = self._tables.vehicle(self._partition, vehicle_id)
            if vehicle is not None:
                self.timers.schedule(vehicle_id, self._logic.wake(vehicle), heard_s)
            asked += 1
        return asked > 0

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
                batch.outputs.append(self._record(PolicyRestored(reading.policy_id, None)))
            return Refused(Refusal.WRONG_PARTITION, f"{vehicle_id} belongs on another partition")
        decision = self._decide(batch, vehicle_id, reading.event)
        if decision.refused is None:
            _note_policy(batch, reading.event, vehicle_id)
        return decision.refused

    def _restore(self, batch: _Batch, shown: PolicyShown) -> None:
        vehicle_id = self._policy_vehicle(batch, shown.policy_id)
        if vehicle_id is None:
            batch.outputs.append(self._record(PolicyRestored(shown.policy_id, None)))
        else:
            self._decide(batch, vehicle_id, shown)

    def _decide(self, batch: _Batch, vehicle_id: VehicleId, event: Event) -> Decision:
        known = batch.vehicles.get(vehicle_id) or self._tables.vehicle(self._partition, vehicle_id)
        # One of which nothing comes to be known is not kept.
        vehicle = known or new_vehicle(vehicle_id)
        decision = self._logic.apply(vehicle, event)
        if decision.vehicle is not vehicle and decision.refused is None:
            batch.vehicles[vehicle_id] = decision.vehicle
        batch.outputs.extend(self._record(output) for output in decision.outputs if self._is_written(output, batch))
        for fact in decision.counted:
            self._tally[fact] += 1
        return decision

    def _record(self, output: Output) -> OutputRecord:
        return output_record(output, self._partition, self._updates)

    def _is_written(self, output: Output, batch: _Batch) -> bool:
        """Tell whether an output goes to its topic: all do, but for commands that nobody may obey any more."""
        if not isinstance(output, CommandIssued):
            return True
        why = _why_withheld(output.command, batch.wall_now)
        self._tally["command_written" if why is None else f"command_withheld {why}"] += 1
        return why is None

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


def _why_withheld(command: ChargeCommand, wall_now: datetime | None) -> str | None:
    if wall_now is None:
        return "event_clock"
    return "expired" if command.valid_until <= wall_now else None


def _note_policy(batch: _Batch, event: Event, vehicle_id: VehicleId) -> None:
    match event:
        case PolicyWritten():
            batch.policies[event.policy.id] = vehicle_id
        case PolicyDeleted():
            batch.policies[event.policy_id] = None
        case _:
            return
