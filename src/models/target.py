"""Target overrides as they stand on their topic: what a user wants of one session, instead of the policy's target."""

from datetime import timedelta
from typing import Final

from msgspec import Struct

from models.ids import WireSessionId, WireVehicleId
from models.units import AwareTime, Percent

# The API takes deadlines within 7 d from its own present; a day more for whoever writes records directly. Beyond it a
# plan would have no end.
READY_BY_LIMIT: Final = timedelta(days=8)


class RegularOverride(Struct, frozen=True, rename="camel", kw_only=True, tag="REGULAR", tag_field="type"):
    """`minimum_charge_target` % by `ready_by`, with a reserve (%) that is filled first."""

    battery_reserve: Percent
    minimum_charge_target: Percent
    ready_by: AwareTime


class ImmediateStartOverride(
    Struct, frozen=True, rename="camel", kw_only=True, tag="IMMEDIATE_START", tag_field="type"
):
    """`minimum_charge_target` % at once, whatever it costs."""

    minimum_charge_target: Percent


class SessionTarget(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `flex.session-targets`. A null `target` clears the override."""

    vehicle_id: WireVehicleId
    session_id: WireSessionId
    at: AwareTime
    target: RegularOverride | ImmediateStartOverride | None
