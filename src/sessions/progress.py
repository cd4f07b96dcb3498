"""Does the vehicle charge as much as was planned: by what was measured, and nothing else.

A counter or a rate measures; where there is neither, the level does, to a percent of the battery.
"""

from datetime import datetime, timedelta
from typing import Final

from sessions.battery import Battery
from sessions.planner import Plan, energy_by
from sessions.prices import EPOCH
from sessions.state import Control
from sessions.totals import Totals

# Behind by more than a tenth, and by more than a few minutes' worth.
BEHIND_SHARE: Final = 0.1
BEHIND_TIME_H: Final = 1 / 6
# Faster by a fifth, as a mean over 5 min that is borne out: the rest takes less time than was planned. The power
# of a last visit that charged in its taper only is less by more than that.
AHEAD_SHARE: Final = 0.2
_HOUR: Final = timedelta(hours=1)


def is_behind(control: Control, totals: Totals, battery: Battery, now: datetime) -> bool:
    """Tell whether less was charged than planned. What nobody has measured yet may have been charged."""
    done_wh = totals.energy_sum_wh - control.energy_at_plan_wh
    if not totals.is_energy_known:
        # All energy is that of levels. Told in whole percents, they lag behind by up to one.
        done_wh += battery.wh_per_percent
    if not control.plan.blocks or not _is_short(control.plan, now, done_wh):
        return False
    return _is_short(control.plan, min(now, _measured_at(totals)), done_wh)


def is_ahead(control: Control, totals: Totals) -> bool:
    """Tell whether the vehicle charges so much faster than planned that the plan takes too much time.

    The plan made anew counts on that power, so only a still higher one can make another: plans do not flap.
    """
    peak_w = totals.peak_w
    return peak_w is not None and 0 < control.planned_w * (1 + AHEAD_SHARE) <= peak_w


def _measured_at(totals: Totals) -> datetime:
    """When a counter or a rate told last, or where none does, a level; long ago: nothing has told."""
    if not totals.is_energy_known:
        return EPOCH + timedelta(microseconds=totals.level_to_us)
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
