"""The fleet: its vehicles' events in the order of their times, and the commands that change what comes next.

Per vehicle times never fall; across vehicles the stream is merged by time, with one waiting event per vehicle.
"""

import heapq
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from ingest.records import InputRecord
from models.command import ChargeCommand
from models.topics import VEHICLE_POLICIES
from simulator.faults import with_faults
from simulator.households import household, number_of, policy
from simulator.telling import record_of
from simulator.vehicle import Order, State, Vehicle, delay_s

# A vehicle that begins lives more than a day unseen, in about so many steps.
_STEPS_TO_BEGIN: Final = 200


class Answer(StrEnum):
    """What becomes of a command: accepted, or why not."""

    ACCEPTED = "accepted"
    # Not JSON, or not a command.
    MALFORMED = "malformed"
    # Another fleet's vehicle, or another user's.
    FOREIGN = "foreign"
    # The fleet is still in the past, where its vehicles follow their own timers.
    IN_THE_PAST = "in_the_past"
    # It would take effect only after its validUntil.
    EXPIRED = "expired"
    NOT_PLUGGED_IN_AT_HOME = "not_plugged_in_at_home"


def policies(seed: int, numbers: range, at: datetime) -> Iterator[InputRecord]:
    """One enabled policy per vehicle."""
    for number in numbers:
        record = policy(household(seed, number), at)
        yield InputRecord(at, VEHICLE_POLICIES, record.id, record)


class Fleet:
    """Vehicles 1 to `size` from `start_s` on (seconds since 1970), or from where their kept states left them."""

    def __init__(self, seed: int, size: int, start_s: int, kept: Mapping[int, State] | None = None) -> None:
        self._seed = seed
        self._size = size
        self._start_s = start_s
        self._kept = {number: state for number, state in (kept or {}).items() if number <= size}
        # Made when first looked at: a large fleet should hear a stop while it is being made.
        self._vehicles: dict[int, Vehicle] = {}
        # When to look at which vehicle, never later than its next event. An entry that is not the one in `_due_s` is
        # left from before a command, and is thrown away when its time comes.
        self._heap: list[tuple[int, int]] = []
        self._due_s: dict[int, int] = {}
        for number in range(1, size + 1):
            self._look_at(number, start_s)
        # Every event up to here has been told.
        self.reached_s = start_s - 1

    def events(self, horizon_s: int, live_from_s: int, limit_steps: int) -> Iterator[InputRecord]:
        """Events up to the horizon and including it. After `limit_steps` it stops short, and `reached_s` says where.

        Visits that begin at or after `live_from_s` are live.
        """
        steps = 0
        while steps < limit_steps and self._heap[0][0] <= horizon_s:
            at_s, number = heapq.heappop(self._heap)
            if self._due_s[number] != at_s:
                continue
            steps += 1 if number in self._vehicles else _STEPS_TO_BEGIN
            vehicle = self._vehicle(number)
            told = vehicle.step(live_from_s) if vehicle.next_s <= at_s else None
            self._look_at(number, vehicle.next_s)
            if told is not None:
                yield from with_faults(self._seed, [record_of(vehicle, told)])
        self.reached_s = max(self.reached_s, min(horizon_s, self._heap[0][0] - 1))

    def command(self, command: ChargeCommand, live_from_s: int) -> Answer:
        """Hand a command to its vehicle."""
        number = number_of(command.vehicle_id)
        if number is None or number > self._size:
            return Answer.FOREIGN
        vehicle = self._vehicle(number)
        if command.user_id != vehicle.owner.user_id:
            return Answer.FOREIGN
        if self.reached_s < live_from_s:
            return Answer.IN_THE_PAST
        effect_s = max(int(command.at.timestamp()), self.reached_s) + delay_s(command.command_id)
        if effect_s > command.valid_until.timestamp():
            return Answer.EXPIRED
        if not vehicle.can_obey:
            return Answer.NOT_PLUGGED_IN_AT_HOME
        vehicle.take(Order(effect_s, command.action))
        if effect_s < self._due_s[number]:
            self._look_at(number, effect_s)
        return Answer.ACCEPTED

    def states(self) -> dict[int, State]:
        """What a restart needs, by vehicle. One that has not been looked at yet begins anew just as well."""
        return self._kept | {number: vehicle.state for number, vehicle in self._vehicles.items()}

    def _look_at(self, number: int, at_s: int) -> None:
        self._due_s[number] = at_s
        heapq.heappush(self._heap, (at_s, number))

    def _vehicle(self, number: int) -> Vehicle:
        known = self._vehicles.get(number)
        if known is None:
            owner, state = household(self._seed, number), self._kept.pop(number, None)
            known = Vehicle.begin(owner, self._start_s) if state is None else Vehicle(owner, state)
            self._vehicles[number] = known
        return known
