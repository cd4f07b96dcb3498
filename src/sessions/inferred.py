"""A charge that nobody saw: between two samples an unplugged vehicle's level has risen as only a charger can do it."""

from datetime import timedelta
from math import floor
from typing import Final

from msgspec import structs

from sessions.battery import known_capacity_wh
from sessions.dedup import event_id_at
from sessions.evidence import Observation
from sessions.grid import MOMENT, quarter_index, spread
from sessions.parts import publish_observed
from sessions.readings import Readings
from sessions.samples import begin
from sessions.state import Level, Part, Visit
from sessions.step import Step
from sessions.totals import FULL_PERCENT, Context

RISE_PERCENT: Final = 5.0
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=24)
# Mean power: less is the sun on a cold battery, more is another vehicle's level.
LEAST_POWER_W: Final = 1_000
MOST_POWER_W: Final = 400_000
_HOUR: Final = timedelta(hours=1)


def infer_charge(step: Step, seen: Observation, before: Level | None) -> None:
    """Publish the session that lies between the level told before and this one, if there must have been one.

    Call it for a vehicle that is not plugged in. Nobody knows where it was.
    """
    vehicle, percent = step.vehicle, seen.level_percent
    if before is None or percent is None or vehicle.visit is not None or seen.is_plugged_in or seen.at <= before.at:
        return
    if vehicle.evidence is not None and vehicle.evidence.is_plugged_in:
        return
    if vehicle.visit_over_at is not None and before.at < vehicle.visit_over_at:
        # The first of the two was told in a visit: the rise may be that visit's.
        return
    passed, rise = seen.at - before.at, percent - before.percent
    if rise < RISE_PERCENT or not SHORTEST <= passed <= LONGEST:
        return
    capacity_wh = known_capacity_wh(vehicle, None) or step.rules.default_capacity_wh
    energy_wh = round(rise / FULL_PERCENT * capacity_wh / step.rules.efficiency)
    if not LEAST_POWER_W <= energy_wh / (passed / _HOUR) <= MOST_POWER_W:
        return
    _publish(step, before, Level(seen.at, percent), energy_wh, seen)


def _publish(step: Step, start: Level, end: Level, energy_wh: int, seen: Observation) -> None:
    vehicle, span = step.vehicle, (start.at, end.at)
    shares = spread(energy_wh, [span], start.at)
    last = quarter_index(start.at, end.at - MOMENT)
    levels: list[int | None] = [None] * (last + 1)
    levels[0], levels[last] = floor(start.percent), floor(end.percent)
    context = Context(started_at=start.at, plugged_in_at=start.at)
    empty = begin(Readings(), context)
    totals = structs.replace(
        empty,
        energy_wh=tuple(shares.get(index, 0) for index in range(last + 1)),
        tip=structs.replace(empty.tip, sum_wh=energy_wh, is_known=True),
        levels=tuple(levels),
        level_from=start.percent,
        level_to=end.percent,
    )
    part = Part(start.at, event_id_at(vehicle, start.at), totals)
    visit = Visit(plugged_in_at=start.at, user_id=seen.user_id, newest_at=end.at, part=part)
    publish_observed(step, visit, span, seen.at, error=None, is_guess=True)
