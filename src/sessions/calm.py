"""What nearly every message says: the vehicle goes on with its block as planned, or stands and is meant to stand.

Then `control.follow` has nothing to do, and few questions tell so: those that it asks itself. Whatever is not plain is
left to it.
"""

from datetime import datetime
from typing import Final

from models.command import Action
from models.session import ImmediateStartTarget
from sessions.battery import Battery
from sessions.blocks import kind_of, next_boundary, wanted_block
from sessions.faults import TOLD_BY_VEHICLE
from sessions.progress import is_ahead, is_behind
from sessions.state import Control, Target, Vehicle, Visit

# A tuple: it is searched by identity, where a set would ask for the slow hash of an enumeration.
_FAULTS: Final = tuple(TOLD_BY_VEHICLE)
_START: Final = Action.START


def goes_on(vehicle: Vehicle, visit: Visit, target: Target | None, battery: Battery, at: datetime) -> bool:
    """Whether nothing is to be done about a message that came at `at`, the newest of its vehicle."""
    part, charging = visit.part, vehicle.charging
    control = part.control
    if control is None or charging is None or target is None:
        return False
    if charging.at < visit.plugged_in_at or visit.unplugged_at is not None or at < control.checked_at:
        return False
    if not _waits_for_nothing(vehicle, control, target, at):
        return False
    if not charging.is_charging and control.reached_at is not None:
        return _is_done(control, target, battery)
    return (
        (_is_in_its_block(control, target, at) if charging.is_charging else _is_between_blocks(control, target, at))
        and _is_for_this_target(control, target, battery)
        and not is_ahead(control, part.totals)
        and not is_behind(control, part.totals, battery, at)
    )


def _waits_for_nothing(vehicle: Vehicle, control: Control, target: Target, at: datetime) -> bool:
    sent, outcome, power_state, charging = control.sent, control.outcome, vehicle.power_state, vehicle.charging
    if control.errors or control.asks_at is not None or control.heard is not None:
        return False
    if control.reserve_again_at is not None or control.paused_at is not None:
        return False
    if power_state is not None and power_state.state in _FAULTS:
        return False
    if sent is not None:
        if sent.is_open or sent.at > at:
            return False
        if sent.is_lapsed and charging is not None and charging.is_charging is (sent.action is _START):
            # What it asked for is done after all.
            return False
    return outcome is not None and outcome.target_id == target.id


def _is_in_its_block(control: Control, target: Target, at: datetime) -> bool:
    running, wanted = control.running, wanted_block(control.plan, control.checked_at)
    return (
        running is not None and wanted is not None and at < wanted.end_at and running.type is kind_of(control, target)
    )


def _is_between_blocks(control: Control, target: Target, at: datetime) -> bool:
    """It is not meant to charge now, and some of its plan is still to come."""
    if control.running is not None or control.is_in_reserve or isinstance(target, ImmediateStartTarget):
        return False
    next_at = next_boundary(control.plan, control.checked_at)
    return next_at is not None and at < next_at and wanted_block(control.plan, at) is None


def _is_done(control: Control, target: Target, battery: Battery) -> bool:
    """Its target is reached, and nothing is planned."""
    if control.running is not None or control.is_in_reserve or isinstance(target, ImmediateStartTarget):
        return False
    if control.plan.blocks or not battery.has_reached(target.minimum_charge_target):
        return False
    if battery.percent < battery.goal(target.battery_reserve) and not battery.is_complete:
        return False
    judged = control.judged
    return _is_allowed(target, battery) and (judged is None or judged.target.id != target.id)


def _is_for_this_target(control: Control, target: Target, battery: Battery) -> bool:
    if control.reached_at is not None or battery.is_complete or not _is_allowed(target, battery):
        return False
    goal_percent = battery.goal(target.minimum_charge_target)
    if control.plan_target_id != target.id or control.goal_percent != goal_percent:
        return False
    if battery.is_told and (battery.percent >= goal_percent or not control.is_level_told):
        return False
    if isinstance(target, ImmediateStartTarget):
        return not battery.is_done(target.minimum_charge_target)
    return (battery.percent < battery.goal(target.battery_reserve)) is control.is_in_reserve


def _is_allowed(target: Target, battery: Battery) -> bool:
    """Whether the vehicle lets itself be charged up to the target, or nobody asked for that."""
    if target.minimum_charge_target <= battery.limit_percent:
        return True
    return not isinstance(target, ImmediateStartTarget) and target.ready_by is None
