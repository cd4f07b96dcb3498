"""What people do with their cars, one act at a time. Acts that make no sense (a plug-out of nothing) change nothing.

None holds what could hold it (`gc=False`): there are many, and the collector need not look at them.
"""

from msgspec import Struct

from models.ids import ChargerId, LocationId, PolicyId, UserId
from models.policy import VehiclePolicy


class Drive(Struct, frozen=True, gc=False):
    """The car leaves; until `end_ms` it uses `used_kwh` of its battery."""

    at_ms: int
    end_ms: int
    used_kwh: float


class Park(Struct, frozen=True, gc=False):
    """The car arrives; null: at a place that nobody named."""

    at_ms: int
    location_id: LocationId | None


class PlugIn(Struct, frozen=True, gc=False):
    """`rate_kw` is the most that the charger gives, measured at the grid; `is_cold`: the battery takes less of it."""

    at_ms: int
    charger_id: ChargerId | None
    rate_kw: float
    is_fast: bool = False
    is_cold: bool = False


class PlugOut(Struct, frozen=True, gc=False):
    at_ms: int


class WritePolicy(Struct, frozen=True, gc=False):
    at_ms: int
    policy: VehiclePolicy


class DeletePolicy(Struct, frozen=True, gc=False):
    at_ms: int
    policy_id: PolicyId


class Wish(Struct, frozen=True, gc=False):
    """A target for the current session of a policy; `percent` null takes it back, `ready_ms` null means at once."""

    at_ms: int
    policy_id: PolicyId
    percent: float | None
    ready_ms: int | None = None
    reserve_percent: float = 0.0


class PressStart(Struct, frozen=True, gc=False):
    """The driver starts the charge at the car: for the rest of the visit it obeys nobody else."""

    at_ms: int


class SetLimit(Struct, frozen=True, gc=False):
    at_ms: int
    percent: float


class Precondition(Struct, frozen=True, gc=False):
    """The cabin is warmed from the grid until `end_ms`: it draws `rate_kw`, and the battery does not charge."""

    at_ms: int
    end_ms: int
    rate_kw: float


class Sell(Struct, frozen=True, gc=False):
    at_ms: int
    user_id: UserId


Act = Drive | Park | PlugIn | PlugOut | WritePolicy | DeletePolicy | Wish | PressStart | SetLimit | Precondition | Sell
