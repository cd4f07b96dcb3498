"""The words by which a perfect device says how power stands."""

from typing import Final

from models.telemetry import PowerDeliveryState

_CHARGING: Final = PowerDeliveryState.CHARGING.value
_COMPLETE: Final = PowerDeliveryState.COMPLETE.value
_INITIALIZING: Final = PowerDeliveryState.INITIALIZING.value
_STOPPED: Final = PowerDeliveryState.STOPPED.value
_UNPLUGGED: Final = PowerDeliveryState.UNPLUGGED.value


def power_state(*, is_plugged_in: bool, is_charging: bool, is_ready: bool, is_full: bool) -> str:
    """`is_ready`: charger and car have agreed. `is_full`: at the car's own limit."""
    if not is_plugged_in:
        return _UNPLUGGED
    if is_charging:
        return _CHARGING
    if not is_ready:
        return _INITIALIZING
    return _COMPLETE if is_full else _STOPPED
