"""What the judge reads, and what it finds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from models.ids import ChargingEventId, VehicleId
from models.session import Session


class Intervals(Protocol):
    """The quarter-hours of an update: energies in Wh, from the one that holds `started_at` on."""

    @property
    def started_at(self) -> datetime: ...

    @property
    def until(self) -> datetime: ...

    @property
    def energy_wh(self) -> Sequence[int]: ...

    @property
    def levels(self) -> Sequence[int | None]: ...

    @property
    def count(self) -> int: ...


class Update(Struct, frozen=True, kw_only=True):
    """One update as it would be published. `head` need not carry the timeseries, which `intervals` tells."""

    head: Session
    intervals: Intervals | None
    version: int
    created_at: datetime
    charging_event_id: ChargingEventId
    represents: bool


class Finding(Struct, frozen=True, kw_only=True):
    """A difference: which law, at whose car, when, and what was seen."""

    law: str
    vehicle_id: VehicleId
    at: datetime
    detail: str
