"""What one message says, from whichever topic. The first field present decides; null and UNKNOWN say nothing."""

from datetime import datetime

from msgspec import Struct

from models.ids import ChargerId, LocationId, UserId
from models.telemetry import POWER_DELIVERY_STATES, ChargeSample, PlugEvent, PowerDeliveryState
from models.units import WH_PER_KWH


class Observation(Struct, frozen=True, kw_only=True):
    """A message reduced to what the rules ask for.

    `is_plugged_in` null: it says nothing of the plug. `is_decisive`: it speaks of the plug itself rather than of a
    charge, so it may cancel a pending unplug. Energies in Wh, levels in %.
    """

    at: datetime
    user_id: UserId
    is_plugged_in: bool | None
    is_decisive: bool
    is_charging: bool | None
    level_percent: float | None
    capacity_wh: int | None
    counter_wh: int | None
    location_id: LocationId | None
    charger_id: ChargerId | None


def observe(message: PlugEvent | ChargeSample) -> Observation:
    """Reduce a message to what it says."""
    if isinstance(message, PlugEvent):
        is_plugged_in, is_decisive = message.is_plugged_in, message.is_plugged_in is not None
        is_charging, counter_kwh, charger_id = None, None, message.charger_id
    else:
        state = _power_delivery_state(message)
        is_plugged_in, is_decisive = _plug_evidence(message, state)
        is_charging, counter_kwh, charger_id = _is_charging(message, state), message.energy_added, None
    return Observation(
        at=message.at,
        user_id=message.user_id,
        is_plugged_in=is_plugged_in,
        is_decisive=is_decisive,
        is_charging=is_charging,
        level_percent=message.battery_level,
        capacity_wh=_wh(message.battery_capacity),
        counter_wh=_wh(counter_kwh),
        location_id=message.location_id,
        charger_id=charger_id,
    )


def _power_delivery_state(sample: ChargeSample) -> PowerDeliveryState:
    if sample.power_delivery_state is None:
        return PowerDeliveryState.UNKNOWN
    return POWER_DELIVERY_STATES.get(sample.power_delivery_state, PowerDeliveryState.UNKNOWN)


def _plug_evidence(sample: ChargeSample, state: PowerDeliveryState) -> tuple[bool | None, bool]:
    if sample.is_plugged_in is not None:
        return sample.is_plugged_in, True
    if state is not PowerDeliveryState.UNKNOWN:
        return state is not PowerDeliveryState.UNPLUGGED, True
    if sample.is_charging or (sample.charge_rate is not None and sample.charge_rate > 0):
        return True, False
    return None, False


def _is_charging(sample: ChargeSample, state: PowerDeliveryState) -> bool | None:
    if sample.is_charging is not None:
        return sample.is_charging
    if state is not PowerDeliveryState.UNKNOWN:
        return state is PowerDeliveryState.CHARGING
    return None if sample.charge_rate is None else sample.charge_rate > 0


def _wh(energy_kwh: float | None) -> int | None:
    return None if energy_kwh is None else round(energy_kwh * WH_PER_KWH)
