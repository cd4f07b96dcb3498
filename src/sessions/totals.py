"""The statistics of a visit's part: energies and battery levels on the quarter-hour grid.

A message's level finds its place here; energies come from a walk over the readings (`sessions.samples` calls it).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import floor, inf
from typing import Final

from msgspec import Struct, structs

from sessions.energy import Energy, Frame
from sessions.grid import QUARTER_US, Span, micros
from sessions.power import Power
from sessions.readings import Quarter

# What was told shortly before the plug-in still describes it.
BASELINE_WINDOW: Final = timedelta(minutes=5)
BASELINE_US: Final = BASELINE_WINDOW // timedelta(microseconds=1)
FULL_PERCENT: Final = 100.0


class Context(Struct, frozen=True, kw_only=True):
    """What the statistics of the open part depend on, as known now.

    `capacity_wh`: told by the vehicle or its policy; a level counts by `default_capacity_wh` where nobody told it.
    `planned` gives the planned and started blocks, in the order of their times: seldom is anybody asking.
    """

    started_at: datetime
    plugged_in_at: datetime
    unplugged_at: datetime | None = None
    capacity_wh: int | None = None
    default_capacity_wh: int = 60_000
    efficiency: float = 0.9
    planned: Callable[[], tuple[Span, ...]] = tuple


class Totals(Struct, frozen=True, kw_only=True):
    """Totals of a part. Energies and levels run along the UTC quarter-hours from the one that holds its start.

    Beyond their end there is no energy, and no level was told. `levels`: the last of each quarter-hour, rounded down.
    `level_from_us`, `level_to_us`: when those were told. `changed_from`: the first quarter-hour of which the newest
    `take` may have changed the energy or when the vehicle charged in it. Readings of quarter-hours from `walked_from`
    on are walked, from `base`; `tail` is where the newest of them begins, and `tip` where it ends. `unlevelled`: see
    `walk_newest`.
    """

    started_us: int
    baseline_us: int
    open_us: int
    states_after_us: int
    walked_from: int
    base: Energy
    tail: Energy
    tip: Energy
    unlevelled: Energy | None = None
    energy_wh: tuple[int, ...] = ()
    levels: tuple[int | None, ...] = ()
    level_from: float | None = None
    level_from_us: int = 0
    level_to: float | None = None
    level_to_us: int = 0
    power: Power = Power()
    changed_from: int = 0

    @property
    def energy_sum_wh(self) -> int:
        """All energy of the part."""
        return self.tip.sum_wh

    @property
    def is_energy_known(self) -> bool:
        """Whether a counter or a rate told of energy: one counter reading tells none, and a level only guesses."""
        return self.tip.is_known

    @property
    def peak_w(self) -> int | None:
        """The highest mean power over at least five minutes."""
        return self.power.peak_w


def limit_wh(context: Context) -> float:
    """More than that a battery does not take."""
    return inf if context.capacity_wh is None else context.capacity_wh / context.efficiency


def frame_of(totals: Totals, context: Context) -> Frame:
    """What bounds a walk over the part."""
    capacity_wh = context.capacity_wh
    return Frame(
        totals.started_us,
        totals.baseline_us,
        totals.open_us,
        totals.states_after_us,
        None if context.unplugged_at is None else micros(context.unplugged_at),
        limit_wh(context),
        (capacity_wh or context.default_capacity_wh) / context.efficiency / FULL_PERCENT,
        context.planned,
        None if totals.level_from is None else (totals.level_from_us, totals.level_from),
    )


def cut_off(totals: Totals, ended_at: datetime) -> Totals:
    """The part as it ends: energy that lies beyond its end goes into the last interval."""
    last = max((micros(ended_at) - 1) // QUARTER_US - totals.started_us // QUARTER_US, 0)
    energy_wh = totals.energy_wh
    if len(energy_wh) > last + 1:
        energy_wh = (*energy_wh[:last], sum(energy_wh[last:]))
    return structs.replace(totals, energy_wh=energy_wh, levels=totals.levels[: last + 1])


def estimated_level(totals: Totals, capacity_wh: int, efficiency: float) -> float | None:
    """The level at the newest message, unrounded: the last one told, carried on by the energy since."""
    rise = totals.tip.rise
    if rise is None:
        return None
    risen_percent = rise.since_wh * efficiency / capacity_wh * FULL_PERCENT
    return min(rise.percent + risen_percent, FULL_PERCENT)


def with_level(totals: Totals, quarter: Quarter, at_us: int, percent: float) -> Totals:
    """The totals with a level of that quarter-hour, if it is the first, the last, or the last of its interval."""
    if at_us < totals.started_us - BASELINE_US:
        return totals
    if totals.level_from is None or at_us <= max(totals.started_us, totals.level_from_us):
        totals = with_level_from(totals, at_us, percent)
    level_to, level_to_us, levels = totals.level_to, totals.level_to_us, totals.levels
    if level_to is None or (at_us, percent) > (level_to_us, level_to):
        level_to, level_to_us = percent, at_us
    if at_us >= totals.started_us and quarter.levels[-1] == (at_us, percent):
        levels = with_last_level(levels, quarter.index - totals.started_us // QUARTER_US, floor(percent))
    if level_to_us == totals.level_to_us and level_to == totals.level_to and levels is totals.levels:
        return totals
    return structs.replace(totals, level_to=level_to, level_to_us=level_to_us, levels=levels)


def with_level_from(totals: Totals, at_us: int, percent: float | None) -> Totals:
    """What the plug-in itself tells, else the newest shortly before it, else the first after it."""
    if percent is None:
        return totals
    known = totals.level_from
    rank = _rank(totals.started_us, at_us, percent)
    if known is not None and rank <= _rank(totals.started_us, totals.level_from_us, known):
        return totals
    return structs.replace(totals, level_from=percent, level_from_us=at_us)


def _rank(started_us: int, at_us: int, percent: float) -> tuple[bool, bool, int, float]:
    is_before = at_us <= started_us
    return at_us == started_us, is_before, at_us if is_before else -at_us, percent


def with_last_level(levels: tuple[int | None, ...], place: int, percent: int) -> tuple[int | None, ...]:
    """The last levels of quarter-hours with the one of that place; the same object if that is no news."""
    if place >= len(levels):
        return (*levels, *(None,) * (place - len(levels)), percent)
    return levels if levels[place] == percent else (*levels[:place], percent, *levels[place + 1 :])
