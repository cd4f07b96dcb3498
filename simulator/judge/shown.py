"""What a settled session shows of its course, held against what was shown before and what really flowed."""

from math import floor
from typing import Final

from models.session import Block, SessionState
from simulator.judge.course import Course
from simulator.judge.verdicts import Truth
from simulator.world.moments import QUARTER_MS, SECOND_MS, millis, moment

_TYPES: Final = {
    SessionState.ACTIVE_BATTERY_RESERVE: "BATTERY_RESERVE",
    SessionState.ACTIVE_REGULAR: "REGULAR",
    SessionState.ACTIVE_IMMEDIATE_START: "IMMEDIATE_START",
}
_ROUNDED_PERCENT: Final = 0.01
_LATE_MS: Final = 3 * SECOND_MS
_ROUNDED_KWH: Final = 0.02
_EDGE_PARTS: Final = 4


def wrong_block(course: Course) -> str | None:
    """A block that is not of the kind that was shown when it began."""
    blocks: tuple[Block, ...] = () if course.settled is None else course.settled.blocks
    for block in blocks:
        start_ms = millis(block.start_at)
        shown = {_TYPES[state] for state in course.states_at(start_ms, start_ms) if state in _TYPES}
        if shown and block.type not in shown:
            return f"{block} while {sorted(shown)} was shown"
    return None


def wrong_level(course: Course, truth: Truth, *, may_be_null: bool) -> str | None:
    """A quarter-hour whose level is not the last one told in it, or that has none though there was one."""
    part = truth.part
    for point in course.points():
        start_ms, end_ms = millis(point.start_at), millis(point.end_at)
        told_from_ms = end_ms - truth.every_ms - _LATE_MS
        level = point.battery_level
        if level is None:
            if not may_be_null and told_from_ms >= start_ms:
                return f"{point} has none"
            continue
        lowest = part.level_at(max(start_ms, told_from_ms)) - _ROUNDED_PERCENT
        highest = part.level_at(end_ms) + _ROUNDED_PERCENT
        if not floor(lowest) <= level <= floor(highest):
            return f"{point} for {lowest:.2f} to {highest:.2f} %"
    return None


def wrong_energy(course: Course, truth: Truth) -> str | None:
    """A quarter-hour whose energy is not what flowed in it, but for what flowed between two words across its edges."""
    told = {millis(point.start_at) // QUARTER_MS: point.kwh for point in course.points()}
    true = dict.fromkeys(told, 0.0)
    for quarter, energy in truth.part.by_quarter():
        true[quarter] = true.get(quarter, 0.0) + energy
    for quarter, energy in true.items():
        off = abs(told.get(quarter, 0.0) - energy)
        if off <= _ROUNDED_KWH:
            continue
        edges = _edge_kwh(truth, quarter * QUARTER_MS) + _edge_kwh(truth, (quarter + 1) * QUARTER_MS)
        if off > _ROUNDED_KWH + edges:
            start_at = moment(quarter * QUARTER_MS)
            return f"{start_at}: {told.get(quarter)} kWh for {energy:.3f}, give or take {edges:.3f}"
    return None


def _edge_kwh(truth: Truth, at_ms: int) -> float:
    """What may lie on either side of a moment: two words around it tell what flowed between them, evenly.

    Where power falls in a straight line that is an eighth of the difference between the time before and after it.
    """
    before = truth.energy_kwh(at_ms - truth.every_ms, at_ms)
    return abs(before - truth.energy_kwh(at_ms, at_ms + truth.every_ms)) / _EDGE_PARTS
