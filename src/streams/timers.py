"""The timers of one partition's vehicles: a queue by when they fire, so that work follows what is due, not the fleet.

With the wall clock a timer waits beyond its due time for the delay that the session logic names, and until the vehicle
has been quiet for a while: a burst of old records must be heard before time passes over it. With the event clock it
fires at its due time, and `now` is the partition's newest event time. Times come in as arguments.
"""

from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from models.ids import VehicleId
from sessions.timers import Wake

# Entries of timers that were set anew are dropped when they come up, or when they are half of the queue and more than
# so many.
STALE_LIMIT = 64
# How long a timer rests that was fired and changed nothing, so that it cannot keep the others from their turn.
REST_S = 1.0


class _Entry(NamedTuple):
    """Of equal times the vehicle's id decides, so that the order is the same after a restart.

    `number` tells it from the entries of earlier settings.
    """

    fires_at: datetime
    vehicle_id: VehicleId
    number: int


class _Timer(NamedTuple):
    """`not_before_s`: in monotonic seconds, whatever the times say."""

    entry: _Entry
    not_before_s: float


class Timers:
    """The next timer of each vehicle of one partition."""

    def __init__(self, quiet_s: float, *, is_wall: bool) -> None:
        """`quiet_s`: with the wall clock, seconds without a record of a vehicle before its overdue timer may fire."""
        self._quiet_s = quiet_s
        self._is_wall = is_wall
        self._timers: dict[VehicleId, _Timer] = {}
        self._heap: list[_Entry] = []
        self._numbers = 0

    def __len__(self) -> int:
        """How many vehicles have a timer."""
        return len(self._timers)

    def schedule(self, vehicle_id: VehicleId, wake: Wake | None, heard_s: float) -> None:
        """Set or clear (None) a vehicle's timer. `heard_s`: monotonic seconds when the vehicle was last heard."""
        if wake is None:
            self._timers.pop(vehicle_id, None)
            return
        fires_at = wake.due_at + timedelta(seconds=wake.delay_s) if self._is_wall else wake.due_at
        not_before_s = heard_s + self._quiet_s if self._is_wall else 0.0
        known = self._timers.get(vehicle_id)
        if known is not None and known.entry.fires_at == fires_at:
            # Its entry stands in the queue already; a second one would make it fire twice.
            self._timers[vehicle_id] = _Timer(known.entry, not_before_s)
            return
        self._numbers += 1
        entry = _Entry(fires_at, vehicle_id, self._numbers)
        self._timers[vehicle_id] = _Timer(entry, not_before_s)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._timers) + STALE_LIMIT:
            self._heap = [timer.entry for timer in self._timers.values()]
            heapify(self._heap)

    def rest(self, vehicle_id: VehicleId, since_s: float) -> None:
        """A vehicle's timer was fired at that monotonic second and changed nothing: not again for a while."""
        known = self._timers.get(vehicle_id)
        if known is not None:
            self._timers[vehicle_id] = _Timer(known.entry, since_s + REST_S)

    def next_fires_at(self) -> datetime | None:
        """When the first timer fires, or a little before; None: there is none."""
        return self._heap[0].fires_at if self._heap else None

    def fires_at(self, vehicle_id: VehicleId) -> datetime:
        """When the timer of a vehicle that has one fires."""
        return self._timers[vehicle_id].entry.fires_at

    def due(self, now: datetime, monotonic_s: float, limit: int) -> list[VehicleId]:
        """Vehicles, at most `limit`, whose timers fire at `now`, earliest first.

        They stay set until the session logic, once it has fired them, says otherwise.
        """
        due: list[VehicleId] = []
        live: list[_Entry] = []
        while self._heap and self._heap[0].fires_at <= now and len(due) < limit:
            entry = heappop(self._heap)
            timer = self._timers.get(entry.vehicle_id)
            if timer is None or timer.entry is not entry:
                continue
            live.append(entry)
            if monotonic_s >= timer.not_before_s:
                due.append(entry.vehicle_id)
        for entry in live:
            heappush(self._heap, entry)
        return due
