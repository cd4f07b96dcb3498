"""The words by which a perfect device tells of its car."""

from typing import TYPE_CHECKING, Final

from models.telemetry import ChargeSample, PlugEvent, PowerDeliveryState
from simulator.world.moments import moment

if TYPE_CHECKING:
    from simulator.world.car import Car

_CHARGING: Final = PowerDeliveryState.CHARGING.value
_COMPLETE: Final = PowerDeliveryState.COMPLETE.value
_INITIALIZING: Final = PowerDeliveryState.INITIALIZING.value
_STOPPED: Final = PowerDeliveryState.STOPPED.value
_UNPLUGGED: Final = PowerDeliveryState.UNPLUGGED.value


def plug_event(car: "Car", *, is_plugged_in: bool) -> PlugEvent:
    """What is told of the plug, now."""
    now_ms, person = car.now_ms, car.person
    return PlugEvent(
        event_id=f"{now_ms}-p",
        vehicle_id=car.vehicle_id,
        user_id=car.user_id,
        at=moment(now_ms),
        is_plugged_in=is_plugged_in,
        location_id=car.location_id,
        charger_id=car.charger_id,
        battery_level=round(car.level, 2),
        battery_capacity=person.capacity_kwh,
    )


def sample(car: "Car", now_ms: int) -> ChargeSample:
    """What is told of level, power and energy."""
    level = car.level_at(now_ms)
    is_plugged_in = car.is_plugged_in
    return ChargeSample(
        event_id=f"{now_ms}-c",
        vehicle_id=car.vehicle_id,
        user_id=car.user_id,
        at=moment(now_ms),
        is_plugged_in=is_plugged_in,
        is_charging=car.is_charging,
        battery_level=round(level, 2),
        charge_limit=car.limit_percent,
        charge_rate=round(car.rate_kw(level), 3) if is_plugged_in else None,
        energy_added=round(car.energy_kwh(now_ms, level), 3) if is_plugged_in else None,
        power_delivery_state=_power_state(car, now_ms, level),
        location_id=car.location_id,
    )


def _power_state(car: "Car", now_ms: int, level: float) -> str:
    if not car.is_plugged_in:
        return _UNPLUGGED
    if car.is_charging:
        return _CHARGING
    if now_ms < car.ready_ms:  # charger and car have not agreed yet
        return _INITIALIZING
    return _COMPLETE if level >= car.limit_percent else _STOPPED
