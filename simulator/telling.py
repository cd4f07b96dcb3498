"""A vehicle's events as records of the input topics: plug events and charge samples, true to the vehicle's state."""

from datetime import UTC, datetime

from ingest.records import InputRecord
from models.telemetry import ChargeSample, PlugEvent
from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG
from simulator.days import Place
from simulator.vehicle import Told, Vehicle


def record_of(vehicle: Vehicle, told: Told) -> InputRecord:
    """What the vehicle tells at its last event."""
    if told is Told.SAMPLE:
        return _sample(vehicle)
    return _plug(vehicle, is_plugged_in=told is Told.PLUG_IN)


def _plug(vehicle: Vehicle, *, is_plugged_in: bool) -> InputRecord:
    owner, at_s = vehicle.owner, vehicle.state.told_s
    at = datetime.fromtimestamp(at_s, UTC)
    message = PlugEvent(
        event_id=f"{owner.vehicle_id}-{at_s}-p",
        vehicle_id=owner.vehicle_id,
        user_id=owner.user_id,
        at=at,
        is_plugged_in=is_plugged_in,
        location_id=(vehicle.leg if is_plugged_in else vehicle.left).location_id,
        battery_level=round(vehicle.level_at(at_s), 1),
        battery_capacity=owner.capacity_kwh,
    )
    return InputRecord(at, VEHICLE_PLUG, owner.vehicle_id, message)


def _sample(vehicle: Vehicle) -> InputRecord:
    owner, at_s = vehicle.owner, vehicle.state.told_s
    at, level = datetime.fromtimestamp(at_s, UTC), vehicle.level_at(at_s)
    is_plugged_in = vehicle.leg.place is Place.PLUGGED
    energy_kwh = vehicle.energy_kwh(level)
    message = ChargeSample(
        event_id=f"{owner.vehicle_id}-{at_s}-c",
        vehicle_id=owner.vehicle_id,
        user_id=owner.user_id,
        at=at,
        is_plugged_in=is_plugged_in,
        is_charging=vehicle.state.is_charging,
        battery_level=round(level, 1),
        charge_limit=owner.limit_percent,
        charge_rate=round(vehicle.rate_kw(level), 2) if is_plugged_in else None,
        energy_added=None if energy_kwh is None else round(energy_kwh, 3),
        power_delivery_state=vehicle.power_at(at_s).value,
        location_id=vehicle.leg.location_id,
    )
    return InputRecord(at, VEHICLE_CHARGE, owner.vehicle_id, message)
