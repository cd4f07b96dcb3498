"""When it is a record's turn in the merge, and whose turn that is.

A record that its time alone refuses has no turn: it is taken at the head of its topic, and holds back nobody. The
deletion of a policy names no vehicle, but it is the vehicle's own record: taken among those of others, it could be
overtaken by a policy that was written later.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from models.ids import PolicyId, VehicleId
from sessions.arrival import refusal_by_time
from streams.records import InputRecord, ReadEvent, Unreadable

# The event time by which a record is ordered, and its vehicle; None, None: at the head.
Turn = tuple[datetime | None, VehicleId | None]
NO_TURN: Turn = (None, None)

# A record waits for topics that are at their end for this share of the time that it took to arrive: one that is live
# waits for nothing, and what is uploaded late hardly gets later.
WAIT_SHARE: Final = 0.05
# A wait shorter than this costs more than it brings: to rest and to be woken takes as long.
LEAST_WAIT: Final = timedelta(milliseconds=2)
_LEAST_LATE: Final = LEAST_WAIT / WAIT_SHARE


class Turns:
    """Of one partition number, in the order in which its records are read."""

    def __init__(self, limit: int, known: Callable[[PolicyId], VehicleId | None], wait_limit_s: float) -> None:
        """`known`: whose policy it is, by the records that are done. `limit`: policy records that may wait at once.

        `wait_limit_s`: the longest that a record waits for topics that are at their end.
        """
        self._limit = limit
        self._known = known
        self._wait_limit_s = wait_limit_s
        # Whose each policy is once the records that wait are done; None: nobody's. The newest ones.
        self._vehicles: OrderedDict[PolicyId, VehicleId | None] = OrderedDict()

    def turn(self, record: InputRecord, reading: ReadEvent | Unreadable) -> Turn:
        """The turn of the next record of its topic."""
        if not isinstance(reading, ReadEvent):
            return NO_TURN
        vehicle_id = reading.vehicle_id
        if reading.policy_id is not None:
            vehicle_id = self._policy(reading.policy_id, vehicle_id)
        if vehicle_id is None or refusal_by_time(reading.at, record.logged_at) is not None:
            return NO_TURN
        return reading.at, vehicle_id

    def ready_s(self, late: timedelta, now_s: float) -> float:
        """Until when, in monotonic seconds, a record that took so long to arrive waits for others; 0: not at all."""
        if late < _LEAST_LATE:
            return 0.0
        return now_s + min(self._wait_limit_s, late.total_seconds() * WAIT_SHARE)

    def _policy(self, policy_id: PolicyId, named: VehicleId | None) -> VehicleId | None:
        """Whose record of a policy it is. `named`: whom it names, None where it deletes the policy."""
        vehicles = self._vehicles
        owner = vehicles.pop(policy_id) if policy_id in vehicles else self._known(policy_id)
        vehicles[policy_id] = None if named is None else owner or named
        if len(vehicles) > self._limit:
            vehicles.popitem(last=False)
        # A record that would give the policy to another vehicle is refused: its turn is that vehicle's all the same.
        return named or owner
