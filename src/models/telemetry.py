"""What vehicles tell: plug events and charge samples, as they stand on their topics.

An absent or null field means "no news", never zero and never "unplugged". Unknown extra fields are ignored.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from models.ids import ToldChargerId, ToldEventId, ToldLocationId, ToldUserId, ToldVehicleId
from models.units import AwareTime


class PowerDeliveryState(Enum):
    """What the vehicle says of its plug and of the power in it; a word that is not listed reads as UNKNOWN."""

    UNKNOWN = "UNKNOWN"
    UNPLUGGED = "UNPLUGGED"
    INITIALIZING = "PLUGGED_IN:INITIALIZING"
    CHARGING = "PLUGGED_IN:CHARGING"
    STOPPED = "PLUGGED_IN:STOPPED"
    COMPLETE = "PLUGGED_IN:COMPLETE"
    NO_POWER = "PLUGGED_IN:NO_POWER"
    FAULT = "PLUGGED_IN:FAULT"
    DISCHARGING = "PLUGGED_IN:DISCHARGING"


POWER_DELIVERY_STATES: Final = {state.value: state for state in PowerDeliveryState}


class PlugEvent(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `vehicle.plug`: the plug went in or out. Levels in %, capacity in kWh."""

    event_id: ToldEventId
    vehicle_id: ToldVehicleId
    user_id: ToldUserId
    at: AwareTime
    is_plugged_in: bool | None = None
    location_id: ToldLocationId | None = None
    charger_id: ToldChargerId | None = None
    battery_level: float | None = None
    battery_capacity: float | None = None


class ChargeSample(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `vehicle.charge`: levels in %, capacity and counter in kWh, rate in kW.

    `energy_added` is a cumulative counter since some earlier moment that the producer chose.
    """

    event_id: ToldEventId
    vehicle_id: ToldVehicleId
    user_id: ToldUserId
    at: AwareTime
    is_plugged_in: bool | None = None
    is_charging: bool | None = None
    battery_level: float | None = None
    battery_capacity: float | None = None
    charge_limit: float | None = None
    charge_rate: float | None = None
    energy_added: float | None = None
    power_delivery_state: str | None = None
    location_id: ToldLocationId | None = None
