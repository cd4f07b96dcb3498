"""Will the target be met, and was it: a forecast from the plan while ACTIVE, a verdict once SETTLED."""

from datetime import UTC, datetime, timedelta
from math import floor
from typing import Final

from models.session import Outcome, RegularTarget
from sessions.battery import Battery
from sessions.planner import done_at, energy_by
from sessions.state import Control, Judged, Target
from sessions.targets import ready_by

ON_TRACK: Final = "ON_TRACK"
AT_RISK: Final = "AT_RISK"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
# A forecast that falls short by less is a rounding error.
SHORTFALL_PERCENT: Final = 1.0
ROUNDING: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def forecast(control: Control, target: Target, battery: Battery, now: datetime) -> Outcome:
    """How the target will stand, if all goes by the plan."""
    due, judged = ready_by(target), control.judged
    if judged is not None and judged.target.id == target.id:
        # Its time has passed: the level then stands.
        reached_at = control.reached_at or _expected_at(control, target, battery, now)
        is_met = due is not None and judged.reached_at is not None and judged.reached_at <= due
        return _outcome(target, ON_TRACK if is_met else AT_RISK, judged.percent, reached_at)
    goal = battery.goal(target.minimum_charge_target)
    if control.reached_at is not None:
        return _outcome(target, ON_TRACK, battery.percent if battery.is_told else None, control.reached_at)
    until_due_wh = 0 if due is None or due <= now else energy_by(control.plan, due) - energy_by(control.plan, now)
    percent_then = min(max(goal, battery.percent), battery.percent_after(until_due_wh))
    is_short = due is not None and percent_then < goal - SHORTFALL_PERCENT
    return _outcome(
        target,
        AT_RISK if is_short else ON_TRACK,
        percent_then if battery.is_told else None,
        _expected_at(control, target, battery, now),
    )


def _expected_at(control: Control, target: Target, battery: Battery, now: datetime) -> datetime | None:
    passed_wh = energy_by(control.plan, now)
    done = done_at(control.plan, passed_wh + battery.missing_wh(target.minimum_charge_target))
    return None if done is None else _rounded_up(done)


def verdict(control: Control, target: Target, battery: Battery, ended_at: datetime) -> Outcome:
    """What became of the last target whose time passed in the session, else of the one in force at its end."""
    percent = battery.percent if battery.is_told else None
    judged, reached_at = control.judged, control.reached_at
    if control.heard is not None:
        # Deadlines have passed since the newest message, or users have wanted others: that lies after the end.
        target, reached_at, judged = control.heard.target, control.heard.reached_at, control.heard.judged
    if judged is None:
        judged = Judged(target, reached_at, percent)
    elif judged.target.id == target.id and judged.reached_at is None:
        # Reached late counts for the time of reaching, not for the verdict.
        judged = Judged(target, reached_at, judged.percent)
    due = ready_by(judged.target)
    by = ended_at if due is None or due > ended_at else due
    is_met = judged.reached_at is not None and judged.reached_at <= by
    return _outcome(judged.target, SUCCEEDED if is_met else FAILED, judged.percent, judged.reached_at)


def _outcome(target: Target, state: str, percent: float | None, reached_at: datetime | None) -> Outcome:
    """`percent`: the level when the target's time comes, or came; null where nobody told one."""
    return Outcome(
        target_id=target.id,
        type="REGULAR" if isinstance(target, RegularTarget) else "IMMEDIATE_START",
        state=state,
        battery_level_at_ready_by=None if ready_by(target) is None or percent is None else floor(percent),
        minimum_charge_target_reached_at=reached_at,
    )


def _rounded_up(moment: datetime) -> datetime:
    past = (moment - _EPOCH) % ROUNDING
    return moment if not past else moment - past + ROUNDING
