"""What nearly every message of a charge says: the vehicle goes on with its block, as planned.

Then `control.follow` has nothing to do, and few questions tell so: those that it asks of a vehicle that charges in a
block that runs. Whatever is not plain is left to it.
"""

from datetime import datetime

from models.command import Action
from models.session import ImmediateStartTarget
from models.telemetry import PowerDeliveryState
from sessions.battery import Battery
from sessions.blocks import kind_of, wanted_block
from sessions.progress import is_ahead, is_behind
from sessions.state import Control, Target, Vehicle, Visit


def goes_on(vehicle: Vehicle, visit: Visit, target: Target | None, battery: Battery, at: datetime) -> bool:
    """Whether nothing is to be done about a message that came at `at`, the newest of its vehicle."""
    control, charging = visit.part.control, vehicle.charging
    if control is None or charging is None or target is None:
        return False
    if not charging.is_charging or charging.at < visit.plugged_in_at or visit.unplugged_at is not None:
        return False
    return (
        _is_in_its_block(control, target, at)
        and _waits_for_nothing(control, target, at)
        and _is_as_planned(control, target, battery)
        and (vehicle.power_state is None or vehicle.power_state.state is PowerDeliveryState.CHARGING)
        and not is_ahead(control, visit.part.totals)
        and not is_behind(control, visit.part.totals, battery, at)
    )


def _is_in_its_block(control: Control, target: Target, at: datetime) -> bool:
    running, wanted = control.running, wanted_block(control.plan, control.checked_at)
    if running is None or wanted is None or control.paused_at is not None:
        return False
    return control.checked_at <= at < wanted.end_at and running.type is kind_of(control, target)


def _waits_for_nothing(control: Control, target: Target, at: datetime) -> bool:
    sent, outcome = control.sent, control.outcome
    if control.errors or control.asks_at is not None or control.heard is not None:
        return False
    if control.reserve_again_at is not None:
        return False
    if sent is not None and (sent.is_open or sent.at > at or (sent.is_lapsed and sent.action is Action.START)):
        return False
    return outcome is not None and outcome.target_id == target.id


def _is_as_planned(control: Control, target: Target, battery: Battery) -> bool:
    percent, wanted_percent = battery.percent, target.minimum_charge_target
    if control.reached_at is not None or wanted_percent > battery.limit_percent or battery.has_reached(wanted_percent):
        return False
    if control.plan_target_id != target.id or control.goal_percent != wanted_percent:
        return False
    if battery.is_told and not control.is_level_told:
        return False
    if isinstance(target, ImmediateStartTarget):
        return not battery.is_done(wanted_percent)
    return (percent < battery.goal(target.battery_reserve)) is control.is_in_reserve
