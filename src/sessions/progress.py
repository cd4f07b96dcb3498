"""Does the vehicle charge as much as was planned: by what was measured, and nothing else."""

from datetime import datetime, timedelta
from typing import Final

from sessions.planner import Plan, energy_by
from sessions.prices import EPOCH
from sessions.state import Control
from sessions.totals import Totals

# Behind by more than a tenth, and by more than a few minutes' worth.
BEHIND_SHARE: Final = 0.1
BEHIND_TIME_H: Final = 1 / 6
_HOUR: Final = timedelta(hours=1)


def is_behind(control: Control, totals: Totals, now: datetime) -> bool:
    """Tell whether less was charged than planned. What nobody has measured yet may have been charged."""
    done_wh = totals.energy_sum_wh - control.energy_at_plan_wh
    if not totals.is_energy_known or not _is_short(control.plan, now, done_wh):
        return False
    return _is_short(control.plan, min(now, _measured_at(totals)), done_wh)


def _measured_at(totals: Totals) -> datetime:
    """When a counter or a rate told last."""
    run, rate = totals.tip.run, totals.tip.rate
    told_us = max(0 if run is None else run.read_us, 0 if rate is None else rate[0])
    return EPOCH + timedelta(microseconds=told_us)


def _is_short(plan: Plan, moment: datetime, done_wh: int) -> bool:
    expected_wh = energy_by(plan, moment)
    behind_wh = expected_wh - done_wh
    return behind_wh > BEHIND_SHARE * expected_wh and behind_wh > BEHIND_TIME_H * planned_power_w(plan)


def planned_power_w(plan: Plan) -> float:
    """The power that a plan with blocks counts on."""
    block = plan.blocks[-1]
    return block.energy_wh / ((block.end_at - block.start_at) / _HOUR)
