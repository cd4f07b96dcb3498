"""Whether a plan must be made anew for what the vehicle tells or does."""

from datetime import datetime, timedelta
from typing import Final

from models.session import ImmediateStartTarget, RegularTarget
from sessions.battery import Battery
from sessions.blocks import wanted_block
from sessions.planner import BlockType
from sessions.progress import BEHIND_TIME_H, is_ahead, is_behind, planned_power_w
from sessions.state import Control, Target
from sessions.step import Step

# How long a vehicle may take to begin before the plan is made anew, and how often that may happen for its behaviour.
GRACE: Final = timedelta(minutes=10)
OFF_PLAN_PAUSE: Final = timedelta(minutes=15)


def is_off_plan(step: Step, target: Target, battery: Battery, now: datetime, *, is_heard: bool) -> bool:
    """Tell whether the plan must be made anew for what the vehicle tells or does."""
    control = step.control
    if control.reached_at is not None and not control.is_in_reserve:
        return bool(control.plan.blocks)
    planned_for = control.plan_target_id, control.goal_percent, control.is_level_told or not battery.is_told
    if planned_for != (target.id, battery.goal(target.minimum_charge_target), True):
        return True
    if _ends_too_soon(step, target, battery, now):
        return True
    if not is_heard or (control.off_plan_at is not None and now < control.off_plan_at + OFF_PLAN_PAUSE):
        return False
    if not _deviates(step, battery, target, now):
        return False
    control.off_plan_at = now
    return True


def _ends_too_soon(step: Step, target: Target, battery: Battery, now: datetime) -> bool:
    """A block that should last until a level is reached is over, and it is not: the vehicle must not stop now."""
    control = step.control
    if not control.plan.blocks or wanted_block(control.plan, now) is not None:
        return False
    is_over = control.plan.blocks[-1].end_at <= now
    if not control.is_in_reserve and not isinstance(target, ImmediateStartTarget) and not is_over:
        return False
    missing_wh = still_missing_wh(control, target, battery)
    if not missing_wh or control.plan.blocks[0].start_at > now:
        return False
    # What a silent vehicle does nobody knows: its plan goes on, but not by seconds.
    return step.visit.newest_at > control.planned_at or missing_wh > BEHIND_TIME_H * planned_power_w(control.plan)


def is_plan_over(control: Control, now: datetime) -> bool:
    """Tell whether what the plan wanted to do by now is done: all of it, or the reserve."""
    blocks = control.plan.blocks
    if control.is_in_reserve and blocks and blocks[0].type is BlockType.BATTERY_RESERVE:
        return blocks[0].end_at <= now
    return bool(blocks) and blocks[-1].end_at <= now


def still_missing_wh(control: Control, target: Target, battery: Battery) -> int:
    """The energy (Wh) without which the target, or the reserve, is not reached."""
    needed_wh = 0 if control.reached_at is not None else battery.missing_wh(target.minimum_charge_target)
    if control.is_in_reserve and isinstance(target, RegularTarget):
        needed_wh = max(needed_wh, battery.missing_wh(target.battery_reserve))
    return needed_wh


def _deviates(step: Step, battery: Battery, target: Target, now: datetime) -> bool:
    control, charging = step.control, step.charging
    wanted = wanted_block(control.plan, now)
    if wanted is None:
        # A counter that does not grow now may have stood since the end of the block.
        is_on = charging is not None and charging.is_charging and (charging.is_told or charging.at >= now)
        if is_on and control.running is None:
            return True
        is_over = not control.plan.blocks or control.plan.blocks[-1].end_at <= now
        if is_over and still_missing_wh(control, target, battery) > 0:
            return True
    elif charging is not None and not charging.is_charging and now >= max(wanted.start_at, charging.since) + GRACE:
        return True
    totals = step.visit.part.totals
    return is_ahead(control, totals) or is_behind(control, totals, battery, now)
