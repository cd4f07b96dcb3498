"""Captures of Tesla Fleet Telemetry to plug events and charge samples (format `tesla-fleet-telemetry`).

One JSON message a line, maybe behind a log prefix. Each message that tells something of the battery or the plug becomes
one sparse sample. The counter is DCChargingEnergyIn (battery side) in AC and DC alike: it is the only one that runs in
both, and a counter must not change sides (docs/reference/captures.md).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from ingest.errors import CaptureError
from ingest.evidence import PlugWatch, plug_record
from ingest.files import Line
from ingest.records import InputRecord, Naming, Skipped, event_id
from ingest.tesla_plug import PlugEvidence, positive, power_kw
from ingest.tesla_values import decode_message, fields_of, number
from models.ids import VehicleId, is_id
from models.telemetry import ChargeSample, PowerDeliveryState
from models.topics import VEHICLE_CHARGE
from models.units import utc

# Where the message begins: log prefixes end in text such as "*** FT: " and hold no opening brace before a quote.
_START: Final = re.compile(rb"\{\s*\"")

_IS_CHARGING: Final = {
    PowerDeliveryState.CHARGING: True,
    PowerDeliveryState.COMPLETE: False,
    PowerDeliveryState.STOPPED: False,
    PowerDeliveryState.NO_POWER: False,
    PowerDeliveryState.UNPLUGGED: False,
}


class Observation(NamedTuple):
    """One message of one vehicle: its fields with a value, and its bytes."""

    at: datetime
    vin: str
    fields: dict[str, Any]
    content: bytes


def observations(lines: Iterable[Line], skipped: Skipped) -> Iterator[Observation]:
    """The messages in a capture, in its order. A line that is none is counted, with its reason."""
    for line in lines:
        if not line.text.strip():
            continue
        start = _START.search(line.text)
        if start is None:
            skipped.add("no message", line.where)
            continue
        content = line.text[start.start() :].strip()
        try:
            message = decode_message(content)
            at = utc(message.created_at)
        except (ValueError, OverflowError, RecursionError):
            skipped.add("broken message", line.where)
            continue
        if is_id(message.vin):
            yield Observation(at, message.vin, fields_of(message), content)
        else:
            skipped.add("vin is no id", line.where)


def records(captured: Iterable[Observation], naming: Naming) -> Iterator[InputRecord]:
    """Events of any number of vehicles, told in the order of `captured` (which should be that of time)."""
    vehicles: dict[str, _Vehicle] = {}
    for seen in captured:
        vehicle = vehicles.get(seen.vin)
        if vehicle is None:
            if naming.vehicle_id is not None and vehicles:
                raise CaptureError(f"--vehicle names one vehicle, but the capture holds {seen.vin} and {min(vehicles)}")
            vehicle = vehicles[seen.vin] = _Vehicle(naming, naming.vehicle_id or VehicleId(seen.vin))
        yield from vehicle.records(seen)


class _Vehicle:
    def __init__(self, naming: Naming, vehicle_id: VehicleId) -> None:
        self._naming = naming
        self._id = vehicle_id
        self._evidence = PlugEvidence()
        self._watch = PlugWatch()
        self._told_soc = False

    def records(self, seen: Observation) -> Iterator[InputRecord]:
        """The plug event that this message gives cause for, then its charge sample, where it tells one."""
        state, plugged = self._evidence.told(seen.fields, seen.at)
        rate = power_kw(seen.fields, self._evidence.fast_charger)
        evidence = plugged
        if positive(rate):
            if not self._evidence.believes_power(seen.at):
                rate = None
            elif plugged is None:
                evidence = True
        level = self._level(seen.fields)
        if self._watch.changed(evidence) and evidence is not None:
            yield plug_record(
                self._naming, self._id, seen.at, content=seen.content, is_plugged_in=evidence, level=level
            )
        told = {
            "is_plugged_in": plugged,
            "is_charging": None if state is None else _IS_CHARGING.get(state),
            "battery_level": level,
            "charge_limit": number(seen.fields.get("ChargeLimitSoc")),
            "charge_rate": rate,
            "energy_added": number(seen.fields.get("DCChargingEnergyIn")),
            "power_delivery_state": None if state is None else state.value,
        }
        if any(value is not None for value in told.values()):
            yield self._sample(seen, told)

    def _level(self, fields: dict[str, Any]) -> float | None:
        """Soc in %; BatteryLevel (it counts the reserve, so it stands a little higher) only until a Soc was told."""
        soc = number(fields.get("Soc"))
        self._told_soc = self._told_soc or soc is not None
        return soc if self._told_soc else number(fields.get("BatteryLevel"))

    def _sample(self, seen: Observation, told: dict[str, Any]) -> InputRecord:
        message = ChargeSample(
            event_id=event_id(self._id, seen.at, "c", seen.content),
            vehicle_id=self._id,
            user_id=self._naming.user_id,
            at=seen.at,
            location_id=self._naming.location_id,
            **told,
        )
        return InputRecord(seen.at, VEHICLE_CHARGE, self._id, message)
