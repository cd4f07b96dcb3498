"""One batch of one partition number, from events to what is published and kept. Knows no broker and no store.

`decide` applies the session logic record by record, `decide_timers` lets time pass: nothing outside of the batch has
changed then, so a batch whose transaction fails is decided anew. `keep` takes over what was committed.

A change of prices changes no state by itself: the vehicles concerned are asked anew when to wake them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from msgspec import Struct

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
    TimerDue,
    new_vehicle,
)
from sessions.state import Vehicle, managed_by
from streams.logic import SessionLogic
from streams.open_visits import OpenVisits, zone_of
from streams.outbox import OutputRecord, dead_letter, output_record, tell_cause
from streams.records import InputRecord, ReadEvent, Unreadable
from streams.states import (
    Summary,
    encode_charging_events,
    encode_vehicle,
    events_key,
    policy_key,
    rules_hash,
    vehicle_key,
)
from streams.timers import Timers
from streams.updates import UpdateEncoder
from streams.vehicles import Vehicles

# A recovery is seen to move with so many vehicles.
MOVED_VEHICLES: Final = 1_000


class Arrived(Struct, frozen=True):
    """A record with what could be read from it."""

    record: InputRecord
    reading: ReadEvent | Unreadable


@dataclass(slots=True)
class Decided:
    """What a batch comes to, not published or kept yet. `wall_now` null: no command is written.

    `tally`: counts by fact. `unchanged`: vehicles whose timers changed nothing.
    """

    wall_now: datetime | None
    vehicles: dict[VehicleId, Vehicle] = field(default_factory=dict)
    policies: dict[PolicyId, VehicleId | None] = field(default_factory=dict)
    outputs: list[OutputRecord] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    unchanged: list[VehicleId] = field(default_factory=list)
    summaries: dict[VehicleId, Summary] = field(default_factory=dict)


class PartitionProcessor:
    """Applies the session logic to one partition number."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        *,
        logic: SessionLogic,
        vehicles: Vehicles,
        timers: Timers,
        generation: bytes = b"",
    ) -> None:
        """`partitions`: how many the vehicle topics have. `generation`: of the state."""
        self._partition = partition
        self._partitions = partitions
        self._generation = generation
        self._logic = logic
        self._rules_hash = rules_hash(logic.rules)
        self._vehicles = vehicles
        self.timers = timers
        # The event clock of this partition: the newest time that a vehicle told and that was taken.
        self.newest_at: datetime | None = None
        self.visits = OpenVisits()
        self._updates = UpdateEncoder()
        # Vehicles that are to be asked anew when to wake them, and when each was last heard.
        self._to_ask: dict[VehicleId, float] = {}

    def recover(self, heard_s: float, moved: Callable[[], None] = lambda: None) -> int:
        """Set the timers of every vehicle in the store, as if each had just been heard. How many vehicles there are.

        The timers stand as they were set when the vehicle was written. Those that were set by other rules, or without
        prices that have come since, are asked anew, by and by. `moved`: is called now and then.
        """
        count = 0
        for vehicle_id, summary in self._vehicles.summaries():
            count += 1
            if count % MOVED_VEHICLES == 0:
                moved()
            self._remember(vehicle_id, summary, heard_s)
            prices = 0 if summary.zone is None else self._logic.price_counts[summary.zone]
            if (summary.rules_hash, summary.prices) != (self._rules_hash, prices):
                self._to_ask[vehicle_id] = heard_s
        return count

    def decide(self, arrived: Iterable[Arrived], wall_now: datetime | None) -> Decided:
        """Apply a batch in its order. `wall_now`: the wall's time; null with the event clock, by which nobody could
        obey a command.
        """
        batch = Decided(wall_now)
        for each in arrived:
            batch.tally[f"read {each.record.topic}"] += 1
            before = len(batch.outputs)
            refused = self._take(batch, each.reading)
            for output in batch.outputs[before:]:
                tell_cause(output, each.record)
            if refused is not None:
                batch.tally[f"refused {refused.reason}"] += 1
                batch.outputs.append(dead_letter(each.record, refused))
        return batch

    def decide_timers(self, due: Iterable[VehicleId], event: TimerDue, wall_now: datetime | None) -> Decided:
        """Let the timers of some vehicles fire. `wall_now`: as of now, null with the event clock."""
        batch = Decided(wall_now)
        for vehicle_id in due:
            self._decide(batch, vehicle_id, event)
            if vehicle_id not in batch.vehicles:
                batch.unchanged.append(vehicle_id)
                batch.tally["timer_changed_nothing"] += 1
        return batch

    def states(self, batch: Decided) -> list[tuple[bytes, bytes | None]]:
        """The records of the states that a batch has changed, for changelog and store; null: it is no more."""
        records: list[tuple[bytes, bytes | None]] = []
        for vehicle in batch.vehicles.values():
            summary = batch.summaries[vehicle.id] = self._summary(vehicle)
            raw = None if _is_forgotten(vehicle) else encode_vehicle(vehicle, summary)
            records.append((vehicle_key(vehicle.id), raw))
            before = self._vehicles.vehicle(vehicle.id)
            if vehicle.charging_events != (() if before is None else before.charging_events):
                records.append((events_key(vehicle.id), encode_charging_events(vehicle)))
        for policy_id, vehicle_id in batch.policies.items():
            records.append((policy_key(policy_id), None if vehicle_id is None else vehicle_id.encode()))
        return records

    def keep(self, batch: Decided, heard_s: float) -> None:
        """Take over what is committed. `heard_s`: monotonic seconds when the batch was read, or its timers fired."""
        for vehicle in batch.vehicles.values():
            if _is_forgotten(vehicle):
                self._vehicles.drop(vehicle.id)
            else:
                self._vehicles.put(vehicle)
            self._remember(vehicle.id, batch.summaries[vehicle.id], heard_s)
            self._to_ask.pop(vehicle.id, None)
        for vehicle_id in batch.unchanged:
            self.timers.rest(vehicle_id, heard_s)

    def prices_changed(self, zones: Iterable[Zone]) -> None:
        """Note whose timers may be others now: the vehicles whose open visit is managed in one of the zones."""
        for zone in zones:
            self._to_ask |= self.visits.of(zone)

    def policy_vehicle(self, policy_id: PolicyId) -> VehicleId | None:
        """Whose policy it is, by what is committed; None: nobody's."""
        return self._vehicles.policy_vehicle(policy_id)

    @property
    def is_asking(self) -> bool:
        """Whether vehicles are still to be asked: until then timers may be set too late."""
        return bool(self._to_ask)

    def ask_anew(self, limit: int) -> bool:
        """Set the timers of at most `limit` of the vehicles so noted. Tells whether there were any."""
        asked = 0
        while self._to_ask and asked < limit:
            vehicle_id, heard_s = self._to_ask.popitem()
            vehicle = self._vehicles.peek(vehicle_id)
            if vehicle is not None:
                self.timers.schedule(vehicle_id, self._logic.wake(vehicle), heard_s)
            asked += 1
        return asked > 0

    def _take(self, batch: Decided, reading: ReadEvent | Unreadable) -> Refused | None:
        if isinstance(reading, Unreadable):
            if reading.shown is not None:
                self._restore(batch, reading.shown)
            return reading.refused
        for name in reading.absurd_fields:
            batch.tally[f"out_of_range {name}"] += 1
        vehicle_id = reading.vehicle_id
        if reading.policy_id is not None:
            known_id = self._policy_vehicle(batch, reading.policy_id)
            if vehicle_id is not None and known_id is not None and known_id != vehicle_id:
                # Its state lies with the other vehicle, which refuses to lose it.
                vehicle_id = known_id
            vehicle_id = vehicle_id or known_id
        if vehicle_id is None:
            # A deletion of a policy that nobody has, or our own restored one.
            batch.tally["unknown_policy"] += 1
            return None
        if self._is_astray(batch, vehicle_id):
            if reading.policy_id is not None:
                batch.outputs.append(self._record(PolicyRestored(reading.policy_id, None)))
            return Refused(Refusal.WRONG_PARTITION, f"{vehicle_id} belongs on another partition")
        decision = self._decide(batch, vehicle_id, reading.event)
        if decision.refused is None:
            _note_policy(batch, reading.event, decision.vehicle)
        return decision.refused

    def _is_astray(self, batch: Decided, vehicle_id: VehicleId) -> bool:
        """Whether a vehicle belongs on another partition; asked only of one that is not known yet."""
        if vehicle_id in batch.vehicles or self._vehicles.vehicle(vehicle_id) is not None:
            return False
        return partition_of(vehicle_id, self._partitions) != self._partition

    def _restore(self, batch: Decided, shown: PolicyShown) -> None:
        vehicle_id = self._policy_vehicle(batch, shown.policy_id)
        if vehicle_id is None:
            batch.outputs.append(self._record(PolicyRestored(shown.policy_id, None)))
        else:
            self._decide(batch, vehicle_id, shown)

    def _decide(self, batch: Decided, vehicle_id: VehicleId, event: Event) -> Decision:
        known = batch.vehicles.get(vehicle_id) or self._vehicles.vehicle(vehicle_id)
        # One of which nothing comes to be known is not kept.
        vehicle = known or new_vehicle(vehicle_id)
        decision = self._logic.apply(vehicle, event)
        if decision.vehicle is not vehicle and decision.refused is None:
            batch.vehicles[vehicle_id] = decision.vehicle
        batch.outputs.extend(self._record(output) for output in decision.outputs if self._is_written(output, batch))
        for fact in decision.counted:
            batch.tally[fact] += 1
        return decision

    def _record(self, output: Output) -> OutputRecord:
        return output_record(output, self._partition, self._updates, self._generation)

    def _is_written(self, output: Output, batch: Decided) -> bool:
        """Tell whether an output goes to its topic: all do, but for commands that nobody may obey any more."""
        if not isinstance(output, CommandIssued):
            return True
        why = _why_withheld(output.command, batch.wall_now)
        batch.tally["command_written" if why is None else f"command_withheld {why}"] += 1
        return why is None

    def _summary(self, vehicle: Vehicle) -> Summary:
        zone = zone_of(vehicle)
        prices = 0 if zone is None else self._logic.price_counts[zone]
        return Summary(
            self._rules_hash, self._logic.wake(vehicle), vehicle.newest_at, zone, prices, vehicle.visit is not None
        )

    def _remember(self, vehicle_id: VehicleId, summary: Summary, heard_s: float) -> None:
        if summary.newest_at is not None:
            self.newest_at = max(summary.newest_at, self.newest_at or summary.newest_at)
        self.timers.schedule(vehicle_id, summary.wake, heard_s)
        self.visits.put(vehicle_id, summary.zone, heard_s, is_open=summary.is_open)

    def _policy_vehicle(self, batch: Decided, policy_id: PolicyId) -> VehicleId | None:
        return batch.policies[policy_id] if policy_id in batch.policies else self.policy_vehicle(policy_id)


def _is_forgotten(vehicle: Vehicle) -> bool:
    """Whether nothing is known of it: such a one has no record."""
    return vehicle.newest_at is None and not vehicle.policies and vehicle == new_vehicle(vehicle.id)


def _why_withheld(command: ChargeCommand, wall_now: datetime | None) -> str | None:
    if wall_now is None:
        return "event_clock"
    return "expired" if command.valid_until <= wall_now else None


def _note_policy(batch: Decided, event: Event, vehicle: Vehicle) -> None:
    match event:
        case PolicyWritten():
            policy_id = event.policy.id
        case PolicyDeleted():
            policy_id = event.policy_id
        case _:
            return
    # What an earlier worker has restored may not count.
    batch.policies[policy_id] = None if managed_by(vehicle, policy_id) is None else vehicle.id
