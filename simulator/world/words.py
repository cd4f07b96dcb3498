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
        vehicle_id=person.vehicle_id,
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
    is_plugged_in, is_charging = car.is_plugged_in, car.is_charging
    limit_percent = car.limit_percent
    return ChargeSample(
        event_id=f"{now_ms}-c",
        vehicle_id=car.person.vehicle_id,
        user_id=car.user_id,
        at=moment(now_ms),
        is_plugged_in=is_plugged_in,
        is_charging=is_charging,
        battery_level=round(level, 2),
        charge_limit=limit_percent,
        charge_rate=round(car.rate_kw(level), 3) if is_plugged_in else None,
        energy_added=round(car.energy_kwh(now_ms, level), 3) if is_plugged_in else None,
        power_delivery_state=power_state(
            is_plugged_in=is_plugged_in,
            is_charging=is_charging,
            is_ready=now_ms >= car.ready_ms,
            is_full=level >= limit_percent,
        ),
        location_id=car.location_id,
    )


def power_state(*, is_plugged_in: bool, is_charging: bool, is_ready: bool, is_full: bool) -> str:
    """`is_ready`: charger and car have agreed. `is_full`: at the car's own limit."""
    if not is_plugged_in:
        return _UNPLUGGED
    if is_charging:
        return _CHARGING
    if not is_ready:
        return _INITIALIZING
    return _COMPLETE if is_full else _STOPPED
