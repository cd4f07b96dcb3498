"""The timers of one partition's vehicles: a queue by due time, so that work follows what is due, not the fleet.

With the wall clock a timer waits for the vehicle's usual delay, and until the vehicle has been quiet for a while: a
burst of old records must be heard before time passes over it. With the event clock only the partition's newest event
time counts. Times come in as arguments.
"""

from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from models.ids import VehicleId


class _Timer(NamedTuple):
    fires_at: datetime
    due_at: datetime
    heard_s: float


class Timers:
    """Due times of one partition; at most one a vehicle, the next one."""

    def __init__(self, quiet_s: float) -> None:
        """`quiet_s`: seconds without a record of a vehicle before its overdue timer may fire on the wall clock."""
        self._quiet_s = quiet_s
        self._timers: dict[VehicleId, _Timer] = {}
        self._heap: list[tuple[datetime, VehicleId]] = []

    def __len__(self) -> int:
        """How many vehicles have a timer."""
        return len(self._timers)

    def schedule(self, vehicle_id: VehicleId, due_at: datetime | None, delay_s: float, heard_s: float) -> None:
        """Set or clear (None) a vehicle's timer. `heard_s`: monotonic seconds when the vehicle was last heard."""
        if due_at is None:
            self._timers.pop(vehicle_id, None)
            return
        timer = _Timer(due_at + timedelta(seconds=delay_s), due_at, heard_s)
        self._timers[vehicle_id] = timer
        heappush(self._heap, (timer.fires_at, vehicle_id))
        if len(self._heap) > 2 * len(self._timers) + 64:
            # Entries of timers that were set anew are dropped when they come up, or here if they grow too many.
            self._heap = [(each.fires_at, name) for name, each in self._timers.items()]
            heapify(self._heap)

    def due_by_wall(self, now: datetime, monotonic_s: float, limit: int) -> list[VehicleId]:
        """Vehicles, at most `limit`, whose timers fire at the wall time `now`."""
        due: list[VehicleId] = []
        restless: list[VehicleId] = []
        while self._heap and self._heap[0][0] <= now and len(due) < limit:
            fires_at, vehicle_id = heappop(self._heap)
            timer = self._timers.get(vehicle_id)
            if timer is None or timer.fires_at != fires_at:
                continue
            if monotonic_s - timer.heard_s < self._quiet_s:
                restless.append(vehicle_id)
            elif vehicle_id not in due:
                due.append(vehicle_id)
        for vehicle_id in (*restless, *due):
            # Still set: it is cleared when the session logic has fired it.
            heappush(self._heap, (self._timers[vehicle_id].fires_at, vehicle_id))
        return due

    def due_by_event_time(self, newest_at: datetime, limit: int) -> list[VehicleId]:
        """Vehicles, at most `limit`, whose timers are due by the partition's newest event time, earliest first."""
        due = sorted((timer.due_at, name) for name, timer in self._timers.items() if timer.due_at <= newest_at)
        return [name for _, name in due[:limit]]
