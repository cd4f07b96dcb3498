"""STUB"""

from datetime import datetime
from math import floor
from msgspec import Struct, structs
from sessions.grid import quarter_index, spread
from sessions.readings import Readings
from sessions.totals import Totals


class Context(Struct, frozen=True):
    started_at: datetime
    plugged_in_at: datetime
    unplugged_at: datetime | None
    capacity_wh: int | None
    efficiency: float
    planned: tuple = ()


def take(readings, totals, seen, context):
    if totals is None:
        if seen.counter_wh is not None:
            readings = structs.replace(readings, counter=(seen.at, seen.counter_wh))
        return readings, None, ()
    if seen.counter_wh is not None:
        k = readings.counter
        if k is not None and seen.at > k[0] and seen.counter_wh > k[1]:
            d = seen.counter_wh - k[1]
            sh = spread(d, [(max(k[0], context.started_at), seen.at)], context.started_at)
            e = list(totals.energy_wh) + [0] * (max(sh) + 1 - len(totals.energy_wh))
            for i, w in sh.items():
                e[i] += w
            totals = structs.replace(
                totals,
                energy_wh=tuple(e),
                energy_sum_wh=totals.energy_sum_wh + d,
                is_energy_known=True,
                changed_from=min(sh),
            )
        if k is None or seen.at > k[0]:
            readings = structs.replace(readings, counter=(seen.at, seen.counter_wh))
    if seen.level_percent is not None and (readings.level_at is None or seen.at > readings.level_at):
        readings = structs.replace(readings, level_at=seen.at)
        i = quarter_index(context.started_at, seen.at)
        l = list(totals.levels) + [None] * (i + 1 - len(totals.levels))
        l[i] = floor(seen.level_percent)
        totals = structs.replace(
            totals,
            levels=tuple(l),
            level_to=seen.level_percent,
            level_from=totals.level_from if totals.level_from is not None else seen.level_percent,
        )
    return readings, totals, ()


def begin(readings, context):
    return Totals()


def moved_back(readings, totals, context):
    return totals


def cut_off(totals, started_at, ended_at):
    return totals


def block_energies_wh(readings, totals, started_at, spans):
    return [0 for _ in spans]


def estimated_level(readings, totals, capacity_wh, efficiency):
    return totals.level_to


def has_begun_anew(readings, seen):
    return False
