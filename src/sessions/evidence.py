"""What one message says, from whichever topic. The first field present decides; null and UNKNOWN say nothing."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from models.ids import ChargerId, LocationId, UserId
from models.telemetry import POWER_DELIVERY_STATES, ChargeSample, PlugEvent, PowerDeliveryState
from models.units import WH_PER_KWH


class Observation(Struct, frozen=True, kw_only=True):
    """A message reduced to what the rules ask for. `is_plug_event`: it comes with a change of the plug.

    `is_plugged_in` null: it says nothing of the plug. `is_decisive`: it speaks of the plug itself rather than of a
    charge, so it may cancel a pending unplug. Energies in Wh, levels in %. `charge_rate_w`: negative while the vehicle
    discharges. `power_state`: UNKNOWN where the message does not tell it.
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
    charge_rate_w: int | None = None
    charge_limit_percent: float | None = None
    power_state: PowerDeliveryState = PowerDeliveryState.UNKNOWN
    is_plug_event: bool = False


# Looked up once: an enumeration finds its members slowly, and these are asked for with every sample.
_UNKNOWN: Final = PowerDeliveryState.UNKNOWN
_CHARGING: Final = PowerDeliveryState.CHARGING
_UNPLUGGED: Final = PowerDeliveryState.UNPLUGGED


def observe(message: PlugEvent | ChargeSample) -> Observation:
    """Reduce a message to what it says."""
    return _observe_plug(message) if isinstance(message, PlugEvent) else _observe_charge(message)


def _observe_plug(event: PlugEvent) -> Observation:
    return Observation(
        at=event.at,
        user_id=event.user_id,
        is_plugged_in=event.is_plugged_in,
        is_decisive=event.is_plugged_in is not None,
        is_charging=None,
        level_percent=event.battery_level,
        capacity_wh=_thousandths(event.battery_capacity),
        counter_wh=None,
        location_id=event.location_id,
        charger_id=event.charger_id,
        is_plug_event=True,
    )


def _observe_charge(sample: ChargeSample) -> Observation:
    told, rate_kw = sample.power_delivery_state, sample.charge_rate
    capacity_kwh, counter_kwh = sample.battery_capacity, sample.energy_added
    state = _UNKNOWN if told is None else POWER_DELIVERY_STATES.get(told, _UNKNOWN)
    is_plugged_in, is_decisive = _plug_evidence(sample, state)
    return Observation(
        at=sample.at,
        user_id=sample.user_id,
        is_plugged_in=is_plugged_in,
        is_decisive=is_decisive,
        is_charging=_is_charging(sample, state),
        level_percent=sample.battery_level,
        capacity_wh=None if capacity_kwh is None else round(capacity_kwh * WH_PER_KWH),
        counter_wh=None if counter_kwh is None else round(counter_kwh * WH_PER_KWH),
        location_id=sample.location_id,
        charger_id=None,
        charge_rate_w=None if rate_kw is None else round(rate_kw * WH_PER_KWH),
        charge_limit_percent=sample.charge_limit,
        power_state=state,
    )


def _plug_evidence(sample: ChargeSample, state: PowerDeliveryState) -> tuple[bool | None, bool]:
    if sample.is_plugged_in is not None:
        return sample.is_plugged_in, True
    if state is not _UNKNOWN:
        return state is not _UNPLUGGED, True
    if sample.is_charging or (sample.charge_rate is not None and sample.charge_rate > 0):
        return True, False
    return None, False


def _is_charging(sample: ChargeSample, state: PowerDeliveryState) -> bool | None:
    if sample.is_charging is not None:
        return sample.is_charging
    if state is not _UNKNOWN:
        return state is _CHARGING
    return None if sample.charge_rate is None else sample.charge_rate > 0


def _thousandths(amount: float | None) -> int | None:
    """Of kWh the Wh, of kW the W."""
    return None if amount is None else round(amount * WH_PER_KWH)
