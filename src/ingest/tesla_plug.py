"""Is the plug in? What each field of Tesla Fleet Telemetry proves, and which one wins when two disagree.

DetailedChargeState decides. Without it, presence (a fast charger, a named cable, an open port door) and power do. The
old ChargeState names states of the on-board AC converter: it reads Idle during a whole DC charge, Standby beside a
plugged cable and ClearFaults at both ends of a visit, so those words prove nothing; power does.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ingest.tesla_values import flag, number, word
from models.telemetry import PowerDeliveryState

STATES: Final = {
    "Disconnected": PowerDeliveryState.UNPLUGGED,
    "NoPower": PowerDeliveryState.NO_POWER,
    "Starting": PowerDeliveryState.INITIALIZING,
    "Charging": PowerDeliveryState.CHARGING,
    "Complete": PowerDeliveryState.COMPLETE,
    "Stopped": PowerDeliveryState.STOPPED,
}
# Powers are sent every 10 to 60 s: one that stands this close after the plug went out is from before.
STALE_POWER: Final = timedelta(seconds=60)
_DRIVING: Final = frozenset({"D", "R", "N"})
_NO_CABLE: Final = frozenset({"SNA", "Unknown", "<invalid>", "None"})


class PlugEvidence:
    """What one vehicle has told so far that bears on its plug."""

    def __init__(self) -> None:
        self.fast_charger: bool | None = None
        self._detailed: PowerDeliveryState | None = None
        self._cable: bool | None = None
        self._door_open: bool | None = None
        self._is_driving = False
        self._gone_at: datetime | None = None

    def told(self, fields: Mapping[str, Any], at: datetime) -> tuple[PowerDeliveryState | None, bool | None]:
        """Take in one message: the state that it names, and whether it says plugged in (None: it does not say)."""
        state = self._named_state(fields)
        presence = self._presence(fields)
        drives_off = self._drives_off(fields)
        if state not in (None, PowerDeliveryState.UNKNOWN):
            self._detailed = state
            plugged: bool | None = state is not PowerDeliveryState.UNPLUGGED
        elif drives_off:
            self._detailed = None  # it was left behind: no vehicle drives with a cable in
            plugged = False
        elif presence is False and self._detailed not in (None, PowerDeliveryState.UNPLUGGED):
            plugged = None
        else:
            plugged = presence
        if plugged is not None:
            self._gone_at = None if plugged else at
        return state, plugged

    def believes_power(self, at: datetime) -> bool:
        """Tell whether a positive power means a plug now: not while driving, nor right after the plug went out."""
        return not self._is_driving and (self._gone_at is None or at - self._gone_at > STALE_POWER)

    def _named_state(self, fields: Mapping[str, Any]) -> PowerDeliveryState | None:
        detailed = word(fields.get("DetailedChargeState"), "DetailedChargeState")
        if detailed is not None:
            return STATES.get(detailed, PowerDeliveryState.UNKNOWN)
        # A few versions send these same words as ChargeState; its converter words are not among them.
        return STATES.get(word(fields.get("ChargeState"), "ChargeState") or "")

    def _presence(self, fields: Mapping[str, Any]) -> bool | None:
        """Presence proves a plug-in where it is there, and a plug-out only where it was there before."""
        fast, cable = flag(fields.get("FastChargerPresent")), _cable(fields)
        door = flag(fields.get("ChargePortDoorOpen"))
        if fast or cable:
            found: bool | None = True
        elif (
            (fast is False and self.fast_charger)
            or (cable is False and self._cable)
            or (door is False and self._door_open)
        ):
            found = False
        else:
            found = None
        self.fast_charger = self.fast_charger if fast is None else fast
        self._cable = self._cable if cable is None else cable
        self._door_open = self._door_open if door is None else door
        return found

    def _drives_off(self, fields: Mapping[str, Any]) -> bool:
        gear = word(fields.get("Gear"), "ShiftState")
        if gear is None:
            return False
        was_driving, self._is_driving = self._is_driving, gear in _DRIVING
        return self._is_driving and not was_driving


def positive(power_kw: float | None) -> bool:
    """Tell whether a power was told and is above zero."""
    return power_kw is not None and power_kw > 0


def power_kw(fields: Mapping[str, Any], fast_charger: bool | None) -> float | None:
    """Charge power in kW: the DC side beside a fast charger, else the AC side.

    A capture that never told FastChargerPresent may still tell a DC power; its zero beside an AC charge is no news.
    """
    direct, alternating = number(fields.get("DCChargingPower")), number(fields.get("ACChargingPower"))
    if fast_charger:
        return direct
    if fast_charger is None and positive(direct) and not positive(alternating):
        return direct
    return alternating


def _cable(fields: Mapping[str, Any]) -> bool | None:
    cable = word(fields.get("ChargingCableType"), "CableType") or word(fields.get("ChargeCableType"), "CableType")
    return None if cable is None else cable not in _NO_CABLE
