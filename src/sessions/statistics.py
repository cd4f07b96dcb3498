"""The energy and the battery levels of a visit part, folded sample by sample from what a vehicle tells.

Energy comes from differences of a cumulative counter, taken in runs (`read_counter`); it lies in whole Wh on the UTC
quarter-hour grid, so every sum is exact. A reading or level not newer than the last one applied changes nothing, which
is what makes a repeated message harmless.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from sessions.events import Counted
from sessions.evidence import Observation
from sessions.grid import clipped, quarter_index, spread
from sessions.state import Charging, CounterRun, Level, Part, Vehicle, Visit

# What was told shortly before the plug-in still describes it.
BASELINE_WINDOW: Final = timedelta(minutes=5)
# Counters of real vehicles fall a little after a charge is complete (10.21 to 10.11 kWh); more is a new run.
COUNTER_NOISE_WH: Final = 100
# No vehicle charges faster; a larger step is a placeholder or a register of another kind.
STEP_LIMIT_W: Final = 400_000
# Lossiest charging seen: a counter on the grid side may exceed the battery by so much.
EFFICIENCY: Final = 0.9
# Changes between charging and not between two counter readings; beyond it the oldest two become one.
SPANS_LIMIT: Final = 64

# The shortest time: a moment on the grid belongs to the quarter-hour that it ends.
MOMENT: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1)


def begin_part(part: Part, vehicle: Vehicle) -> Part:
    """A part that begins now takes over the level told shortly before."""
    level = vehicle.level
    if level is None or level.at < part.started_at - BASELINE_WINDOW:
        return part
    return structs.replace(part, level_from=level.percent, level_to=level.percent)


def fold_level(vehicle: Vehicle, seen: Observation) -> Vehicle:
    """Take the battery level that a message tells, if it is news."""
    percent, level = seen.level_percent, vehicle.level
    if percent is None or (level is not None and seen.at <= level.at):
        return vehicle
    vehicle = structs.replace(vehicle, level=Level(seen.at, percent))
    visit = vehicle.visit
    if visit is None or seen.at < visit.part.started_at:
        return vehicle
    part = visit.part
    index = quarter_index(part.started_at, seen.at)
    part = structs.replace(
        part,
        # What the plug-in itself tells is nearer to it than what came shortly before.
        level_from=percent if part.level_from is None or seen.at == part.started_at else part.level_from,
        level_to=percent,
        levels=_put(part.levels, index, percent),
    )
    return _with_part(vehicle, visit, part)


def fold_charging(vehicle: Vehicle, seen: Observation) -> Vehicle:
    """Take whether the vehicle charges; the state holds until the next message that says so."""
    known = vehicle.charging
    if seen.is_charging is None or (known is not None and seen.at <= known.at):
        return vehicle
    spans = known.spans if known is not None else ()
    if known is not None and known.is_charging:
        spans = _joined((*spans, (known.at, seen.at)))
    return structs.replace(vehicle, charging=Charging(seen.at, seen.is_charging, spans))


def fold_counter(vehicle: Vehicle, seen: Observation) -> tuple[Vehicle, Counted | None]:
    """Take a counter reading: the vehicle with its energy added, and what about it is to be counted."""
    reading_wh, run = seen.counter_wh, vehicle.counter
    if reading_wh is None:
        return vehicle, None
    if run is not None and seen.at <= run.read_at:
        return vehicle, Counted.LATE_READING_IGNORED if seen.at < run.read_at else None
    visit = vehicle.visit
    if run is None or visit is None or run.read_at < visit.plugged_in_at - BASELINE_WINDOW:
        return _read_until(vehicle, seen.at, reading_wh), None
    step_wh = reading_wh - run.highest_wh
    if step_wh < -COUNTER_NOISE_WH and not _is_drain(vehicle, reading_wh, run):
        return _read_until(vehicle, seen.at, reading_wh), Counted.COUNTER_RESTARTED
    if step_wh > _step_limit_wh(vehicle, seen.at - run.read_at):
        return _read_until(vehicle, seen.at, reading_wh), Counted.IMPLAUSIBLE_ENERGY_STEP
    part = _with_energy(visit, vehicle, max(step_wh, 0), (run.read_at, seen.at))
    vehicle = _with_part(vehicle, visit, part)
    return _read_until(vehicle, seen.at, max(run.highest_wh, reading_wh)), None


def moved_back(part: Part, started_at: datetime, level_percent: float | None) -> Part:
    """The part with an earlier start, and the level told with it; its quarter-hours keep their places in time."""
    shift = quarter_index(started_at, part.started_at)
    levels = (None,) * shift + part.levels
    if level_percent is not None and (not levels or levels[0] is None):
        levels = _put(levels, 0, level_percent)
    return structs.replace(
        part,
        started_at=started_at,
        energy_wh=(0,) * shift + part.energy_wh,
        levels=levels,
        level_from=part.level_from if level_percent is None else level_percent,
        level_to=level_percent if part.level_to is None else part.level_to,
    )


def cut_off(part: Part, ended_at: datetime) -> Part:
    """The part as it ends: energy that lies beyond its end goes into the last interval."""
    kept = max(quarter_index(part.started_at, ended_at - MOMENT), 0) + 1
    if len(part.energy_wh) <= kept:
        return part
    energy_wh = (*part.energy_wh[: kept - 1], sum(part.energy_wh[kept - 1 :]))
    return structs.replace(part, energy_wh=energy_wh, levels=part.levels[:kept])


def energy_sum_wh(part: Part) -> int:
    """All energy of the part."""
    return sum(part.energy_wh)


def _step_limit_wh(vehicle: Vehicle, passed: timedelta) -> float:
    limit_wh = STEP_LIMIT_W * (passed / _HOUR)
    return limit_wh if vehicle.capacity is None else min(limit_wh, vehicle.capacity.capacity_wh / EFFICIENCY)


def _is_drain(vehicle: Vehicle, reading_wh: int, run: CounterRun) -> bool:
    """Tell a slow fall of a car that stands full from a counter that began anew.

    Seen in a real log: after Complete the counter went 10.21, 10.0, 9.79 over four hours and back up by 0.1 now and
    then. Taken as new runs, each way up would count as energy.
    """
    charging = vehicle.charging
    return charging is not None and not charging.is_charging and 2 * reading_wh >= run.highest_wh


def _read_until(vehicle: Vehicle, at: datetime, highest_wh: int) -> Vehicle:
    charging = vehicle.charging
    if charging is not None:
        # A charge that goes on is remembered from its own sample; what lies before the reading is clipped away there.
        charging = structs.replace(charging, spans=())
    return structs.replace(vehicle, counter=CounterRun(at, highest_wh), charging=charging)


def _with_energy(visit: Visit, vehicle: Vehicle, energy_wh: int, between: tuple[datetime, datetime]) -> Part:
    part = structs.replace(visit.part, is_energy_known=True)
    if energy_wh == 0:
        return part
    # Nothing flows before the plug-in or after the unplug, whenever the counter was read.
    until = between[1] if visit.unplugged_at is None else min(between[1], visit.unplugged_at)
    start = max(between[0], part.started_at)
    if start >= until:
        index = max(quarter_index(part.started_at, until - MOMENT), 0)
        return structs.replace(part, energy_wh=_added(part.energy_wh, {index: energy_wh}))
    spans = clipped(_charging_spans(vehicle, until), start, until) or [(start, until)]
    return structs.replace(part, energy_wh=_added(part.energy_wh, spread(energy_wh, spans, part.started_at)))


def _charging_spans(vehicle: Vehicle, until: datetime) -> tuple[tuple[datetime, datetime], ...]:
    charging = vehicle.charging
    if charging is None:
        return ()
    if charging.is_charging and charging.at < until:
        return (*charging.spans, (charging.at, until))
    return charging.spans


def _joined(spans: tuple[tuple[datetime, datetime], ...]) -> tuple[tuple[datetime, datetime], ...]:
    if len(spans) <= SPANS_LIMIT:
        return spans
    return ((spans[0][0], spans[1][1]), *spans[2:])


def _added(energy_wh: tuple[int, ...], shares: dict[int, int]) -> tuple[int, ...]:
    grown = list(energy_wh) + [0] * (max(shares) + 1 - len(energy_wh))
    for index, share_wh in shares.items():
        grown[index] += share_wh
    return tuple(grown)


def _put(levels: tuple[float | None, ...], index: int, percent: float) -> tuple[float | None, ...]:
    grown = list(levels) + [None] * (index + 1 - len(levels))
    grown[index] = percent
    return tuple(grown)


def _with_part(vehicle: Vehicle, visit: Visit, part: Part) -> Vehicle:
    return structs.replace(vehicle, visit=structs.replace(visit, part=part))
