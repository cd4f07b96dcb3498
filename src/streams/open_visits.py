"""Whose visit is open; and which of these a change of prices concerns: the managed ones, by their policy's zone."""

from models.ids import VehicleId, Zone
from sessions.state import Vehicle, managed_by


class OpenVisits:
    """The open visits of one partition; bounded by their number."""

    def __init__(self) -> None:
        self._open: set[VehicleId] = set()
        self._zones: dict[VehicleId, Zone] = {}
        self._heard_s: dict[Zone, dict[VehicleId, float]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def put(self, vehicle_id: VehicleId, zone: Zone | None, heard_s: float, *, is_open: bool) -> None:
        """Take a vehicle as it stands now. `zone`: of its open visit. `heard_s`: monotonic seconds when last heard."""
        (self._open.add if is_open else self._open.discard)(vehicle_id)
        known = self._zones.get(vehicle_id)
        if known is not None and known != zone:
            del self._zones[vehicle_id]
            del self._heard_s[known][vehicle_id]
            if not self._heard_s[known]:
                del self._heard_s[known]
        if zone is not None:
            self._zones[vehicle_id] = zone
            self._heard_s.setdefault(zone, {})[vehicle_id] = heard_s

    def of(self, zone: Zone) -> dict[VehicleId, float]:
        """The vehicles of a zone, and when each was last heard."""
        return dict(self._heard_s.get(zone, {}))


def zone_of(vehicle: Vehicle) -> Zone | None:
    """The price zone of a vehicle's ACTIVE session; None: it has none, or no prices."""
    visit = vehicle.visit
    if visit is None or visit.part.policy_id is None:
        return None
    managed = managed_by(vehicle, visit.part.policy_id)
    return None if managed is None else managed.policy.zone
