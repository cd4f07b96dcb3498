"""Minute logs exported from TeslaFi to plug events and charge samples (format `teslafi-csv`, .csv or .csv.gz).

The car answers a fifth of the polls with nothing, plugged in or not: an empty cell is no news. Stamps are naive local
time, so the zone is the operator's to name, and a repeated hour is told by the clock stepping back. The counter is
charge_energy_added, the car's own count of energy into the battery.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import Final, NamedTuple

from ingest.errors import CaptureError
from ingest.evidence import PlugWatch, plug_record
from ingest.files import Line
from ingest.records import ID_MAX_CHARS, InputRecord, Naming, Skipped, event_id
from models.ids import VehicleId
from models.telemetry import ChargeSample, PowerDeliveryState
from models.topics import VEHICLE_CHARGE

_STATES: Final = {
    "Charging": PowerDeliveryState.CHARGING,
    "Complete": PowerDeliveryState.COMPLETE,
    "Stopped": PowerDeliveryState.STOPPED,
    "NoPower": PowerDeliveryState.NO_POWER,
    "Starting": PowerDeliveryState.INITIALIZING,
    "Disconnected": PowerDeliveryState.UNPLUGGED,
}
_NO_NEWS: Final = frozenset({"", "None"})
_NEEDED: Final = frozenset({"Date", "charging_state"})


class Poll(NamedTuple):
    """One row of one vehicle, its stamp already in UTC."""

    at: datetime
    vehicle_id: VehicleId
    row: Mapping[str, str]
    content: bytes


def vehicle_of(file_name: str) -> VehicleId:
    """A vehicle id from a file's name, for logs that name no vehicle."""
    stem = PurePath(file_name).name.removesuffix(".gz").removesuffix(".csv")
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "._:-") else "-" for char in stem)
    return VehicleId(kept[:ID_MAX_CHARS] or "teslafi")


def polls(lines: Iterable[Line], vehicle_id: VehicleId, zone: tzinfo, skipped: Skipped) -> Iterator[Poll]:
    """The rows of one log. A row that cannot be read is counted. Raises CaptureError where the header is another's."""
    numbered = iter(lines)
    head = next(numbered, None)
    header = [] if head is None else _cells(head.text.removeprefix(b"\xef\xbb\xbf")) or []
    if not _NEEDED.issubset(header):
        name = "empty file" if head is None else head.where
        raise CaptureError(f"{name}: no TeslaFi export: the first line must name the columns Date and charging_state")
    newest: datetime | None = None
    for line in numbered:
        if not line.text.strip():
            continue
        cells = _cells(line.text)
        if cells is None or len(cells) != len(header):
            skipped.add("broken row", line.where)
            continue
        row = dict(zip(header, cells, strict=True))
        at = _in_utc(row["Date"], zone, newest)
        if at is None:
            skipped.add("unreadable Date", line.where)
            continue
        newest = at if newest is None else max(newest, at)
        yield Poll(at, vehicle_id, row, line.text)


def records(polled: Iterable[Poll], naming: Naming) -> Iterator[InputRecord]:
    """Events of any number of vehicles, told in the order of `polled` (which should be that of time)."""
    watches: dict[str, PlugWatch] = {}
    for poll in polled:
        state = _state(poll.row)
        plugged = None if state in (None, PowerDeliveryState.UNKNOWN) else state is not PowerDeliveryState.UNPLUGGED
        level = _number(poll.row, "battery_level")
        watch = watches.setdefault(poll.vehicle_id, PlugWatch())
        if watch.changed(plugged) and plugged is not None:
            yield plug_record(
                naming, poll.vehicle_id, poll.at, content=poll.content, is_plugged_in=plugged, level=level
            )
        message = ChargeSample(
            event_id=event_id(poll.vehicle_id, poll.at, "c", poll.content),
            vehicle_id=poll.vehicle_id,
            user_id=naming.user_id,
            at=poll.at,
            is_plugged_in=plugged,
            is_charging=None if plugged is None or state is PowerDeliveryState.INITIALIZING else _charges(state),
            battery_level=level,
            charge_limit=_number(poll.row, "charge_limit_soc"),
            charge_rate=_number(poll.row, "charger_power"),
            energy_added=_number(poll.row, "charge_energy_added"),
            power_delivery_state=None if state is None else state.value,
            location_id=naming.location_id,
        )
        if _tells_something(message):
            yield InputRecord(poll.at, VEHICLE_CHARGE, poll.vehicle_id, message)


def _charges(state: PowerDeliveryState | None) -> bool:
    return state is PowerDeliveryState.CHARGING


def _tells_something(sample: ChargeSample) -> bool:
    told = (
        sample.battery_level,
        sample.charge_limit,
        sample.charge_rate,
        sample.energy_added,
        sample.power_delivery_state,
    )
    return any(value is not None for value in told)


def _state(row: Mapping[str, str]) -> PowerDeliveryState | None:
    text = row["charging_state"].strip()
    return None if text in _NO_NEWS else _STATES.get(text, PowerDeliveryState.UNKNOWN)


def _number(row: Mapping[str, str], column: str) -> float | None:
    try:
        value = float(row.get(column, ""))
    except ValueError:
        return None  # empty, "None" or "<invalid>": no news
    return value if math.isfinite(value) else None


def _cells(line: bytes) -> list[str] | None:
    """The cells of one line. Read alone, so that a stray quote cannot swallow the lines after it."""
    try:
        return next(csv.reader([line.decode("utf-8", errors="replace")]), None)
    except csv.Error:
        return None


def _in_utc(stamp: str, zone: tzinfo, newest: datetime | None) -> datetime | None:
    """Naive local time to UTC. Of a repeated hour it is the first, until the clock has stepped back."""
    try:
        local = datetime.fromisoformat(stamp.strip())
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError):
        return None
    return second if newest is not None and first < newest and second > first else first
