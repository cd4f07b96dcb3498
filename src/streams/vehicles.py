"""The states of one partition number as the session logic sees them: decoded, the newest used ones kept in memory."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Protocol

from models.ids import PolicyId, VehicleId
from models.zones import is_zone
from runtime.logs import get_log
from sessions.state import Vehicle
from streams.states import (
    VEHICLE,
    Summary,
    decode_summary,
    decode_vehicle,
    events_key,
    policy_key,
    vehicle_key,
)

log: Final = get_log()

# Policies whose unknown zone is told: who reads so many lines knows what has happened.
TOLD_LIMIT: Final = 1_000


class Records(Protocol):
    """Where the encoded states lie."""

    def get(self, key: bytes) -> bytes | None: ...
    def with_prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]: ...


class Vehicles:
    """Reads states; what changes is put only once it is committed."""

    def __init__(self, records: Records, limit: int) -> None:
        """`limit`: vehicles kept decoded, some 5 to 30 KB each."""
        self.records = records
        self._limit = limit
        self._cache: OrderedDict[VehicleId, Vehicle] = OrderedDict()
        self._told: set[PolicyId] = set()
        self.hits = 0
        self.misses = 0

    def vehicle(self, vehicle_id: VehicleId) -> Vehicle | None:
        """The state of a vehicle; None: nothing is known of it."""
        known = self._cache.get(vehicle_id)
        if known is not None:
            self.hits += 1
            self._cache.move_to_end(vehicle_id)
            return known
        self.misses += 1
        vehicle = self._read(vehicle_id)
        if vehicle is not None:
            self.put(vehicle)
        return vehicle

    def peek(self, vehicle_id: VehicleId) -> Vehicle | None:
        """The same, without keeping it: for one who goes through many."""
        return self._cache.get(vehicle_id) or self._read(vehicle_id)

    def put(self, vehicle: Vehicle) -> None:
        """Keep a state that is committed."""
        cache = self._cache
        cache[vehicle.id] = vehicle
        cache.move_to_end(vehicle.id)
        if len(cache) > self._limit:
            cache.popitem(last=False)

    def drop(self, vehicle_id: VehicleId) -> None:
        """Nothing is known of a vehicle any more, and that is committed."""
        self._cache.pop(vehicle_id, None)

    def policy_vehicle(self, policy_id: PolicyId) -> VehicleId | None:
        """Whose policy it is."""
        raw = self.records.get(policy_key(policy_id))
        return None if raw is None else VehicleId(raw.decode())

    def _read(self, vehicle_id: VehicleId) -> Vehicle | None:
        raw = self.records.get(vehicle_key(vehicle_id))
        if raw is None:
            return None
        vehicle = decode_vehicle(raw, self.records.get(events_key(vehicle_id)))
        self._tell_unknown_zones(vehicle)
        return vehicle

    def _tell_unknown_zones(self, vehicle: Vehicle) -> None:
        """Warn of policies that were taken with a zone which this release does not have, of each once."""
        for managed in vehicle.policies:
            policy = managed.policy
            if is_zone(policy.timezone_name) or policy.id in self._told or len(self._told) >= TOLD_LIMIT:
                continue
            self._told.add(policy.id)
            log.warning(
                "the zone of a policy is not known: it counts without deadlines",
                policy=policy.id,
                vehicle=vehicle.id,
                timezone=policy.timezone_name,
            )

    def summaries(self) -> Iterator[tuple[VehicleId, Summary]]:
        """What every vehicle's record begins with."""
        for key, raw in self.records.with_prefix(VEHICLE):
            yield VehicleId(key[len(VEHICLE) :].decode()), decode_summary(raw)
