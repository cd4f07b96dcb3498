"""A walk over what is remembered of a quarter-hour's readings: from an `Energy` to the next one.

A past that nobody can change any more is walked once; to let a late reading count, the same quarter-hours are walked
again. What a walk decides depends on nothing but the readings, where it began, and what bounds the part.
"""

from sessions.energy import Energy, Frame
from sessions.grid import QUARTER_US
from sessions.readings import Quarter
from sessions.walker import COUNTER, LEVEL, OFF, ON, RATE, Walker


def walk(energy: Energy, quarter: Quarter, frame: Frame) -> tuple[Energy, list[int]]:
    """Take the readings of one quarter-hour: what comes of them, and the energies from `energy.tail_from` on."""
    walker = Walker(energy, frame, quarter.levels[-1] if quarter.levels else None)
    for told in _told(quarter, energy, frame):
        walker.take(*told)
    return walker.end()


def walk_newest(
    energy: Energy, quarter: Quarter, frame: Frame, until_us: int
) -> tuple[Energy, list[int], Energy | None]:
    """The same for the newest quarter-hour; time is known to have passed until `until_us`.

    Third: the walk before its last step, if that was a level which found time that the counter does not cover. The next
    level takes its place: then `walk_on` goes on from there.
    """
    walker = Walker(energy, frame, quarter.levels[-1] if quarter.levels else None)
    told, unlevelled = _told(quarter, energy, frame), None
    for each in told[:-1]:
        walker.take(*each)
    if told:
        last = told[-1]
        if last[:2] == (until_us, LEVEL) and walker.has_bare_before_counter() and frame.unplugged_us is None:
            unlevelled, _ = walker.end()
        walker.take(*last)
    walker.pass_to(until_us)
    return *walker.end(), unlevelled


def walk_on(
    unlevelled: Energy, at_us: int, counter_wh: int, rate_w: int | None, percent: float, frame: Frame
) -> tuple[Energy, list[int], Energy]:
    """Take one message more, with a level too, of the same quarter-hour: what `walk_newest` gives for all of it."""
    walker = Walker(unlevelled, frame, (at_us, percent))
    walker.read_counter(at_us, counter_wh)
    if rate_w is not None:
        walker.take_rate(at_us, rate_w)
    following, _ = walker.end()
    walker.take_level(at_us, percent)
    return *walker.end(), following


def _told(quarter: Quarter, energy: Energy, frame: Frame) -> list[tuple[int, int, float]]:
    told: list[tuple[int, int, float]] = [(at_us, COUNTER, counter_wh) for at_us, counter_wh, _ in quarter.counters]
    told += [(at_us, RATE, rate_w) for at_us, rate_w in quarter.rates]
    told += [(at_us, ON if is_on else OFF, 0) for at_us, _, is_on in quarter.states]
    if quarter.levels:
        at_us, percent = quarter.levels[-1]
        told.append((at_us, LEVEL, percent))
    first = frame.first_level
    if energy.rise is None and first is not None and first[0] // QUARTER_US <= quarter.index:
        told.append((max(first[0], frame.started_us), LEVEL, first[1]))
    told.sort()
    return told
