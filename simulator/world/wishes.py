"""A wish as the app writes it: the override of a target, or its taking back."""

from models.ids import SessionId, VehicleId
from models.target import ImmediateStartOverride, RegularOverride, SessionTarget
from simulator.world.acts import Wish
from simulator.world.moments import moment


def target_of(wish: Wish, vehicle_id: VehicleId, session_id: SessionId, now_ms: int) -> SessionTarget:
    """What is written of a wish for this session."""
    target: RegularOverride | ImmediateStartOverride | None = None
    if wish.percent is not None and wish.ready_ms is None:
        target = ImmediateStartOverride(minimum_charge_target=wish.percent)
    elif wish.percent is not None and wish.ready_ms is not None:
        target = RegularOverride(
            battery_reserve=wish.reserve_percent,
            minimum_charge_target=wish.percent,
            ready_by=moment(wish.ready_ms),
        )
    return SessionTarget(vehicle_id=vehicle_id, session_id=session_id, at=moment(now_ms), target=target)
