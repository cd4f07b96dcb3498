"""From plug evidence to plug events: an event is due only where the known plug state changes.

What counts as evidence is each adapter's decision; this holds the last known state of one vehicle.
"""

from datetime import datetime

from ingest.records import InputRecord, Naming, event_id
from models.ids import VehicleId
from models.telemetry import PlugEvent
from models.topics import VEHICLE_PLUG


class PlugWatch:
    """The last known plug state of one vehicle: None until it told one."""

    def __init__(self) -> None:
        self.is_plugged_in: bool | None = None

    def changed(self, evidence: bool | None) -> bool:
        """Take in evidence (None: no news); tell whether a plug event is due.

        The first "unplugged" of a vehicle changes nothing that was known, so it is no plug-out.
        """
        if evidence is None or evidence is self.is_plugged_in:
            return False
        due = evidence or self.is_plugged_in is not None
        self.is_plugged_in = evidence
        return due


def plug_record(
    naming: Naming, vehicle_id: VehicleId, at: datetime, *, content: bytes, is_plugged_in: bool, level: float | None
) -> InputRecord:
    """A plug event that the line `content` gave cause for; `level` in %, where that line told it."""
    message = PlugEvent(
        event_id=event_id(vehicle_id, at, "p", content),
        vehicle_id=vehicle_id,
        user_id=naming.user_id,
        at=at,
        is_plugged_in=is_plugged_in,
        location_id=naming.location_id,
        battery_level=level,
    )
    return InputRecord(at, VEHICLE_PLUG, vehicle_id, message)
