"""How much of a part's energy each of its started blocks has delivered.

A block gets what was charged within it. Energy that is measured after a block's end, while nobody says that the vehicle
charges, is the late news of that block, or the first of one that begins within the next quarter-hour.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from operator import itemgetter

from msgspec import Struct

from sessions.energy import charging_spans
from sessions.grid import QUARTER_US, Span, SpanUs, clipped, micros
from sessions.totals import Totals


class BlockEnergies(Struct, frozen=True):
    """The energies of a part's started blocks as of its newest update, kept so that a sample need not divide days anew.

    `started_wh`: of those that ended. `running_since`: the one that runs. Quarter-hours before the place `divided_to`
    hold `divided_wh` in all, of which `running_wh` belong to the running one; whatever comes after them is its own.
    """

    started_wh: tuple[int, ...] = ()
    running_since: datetime | None = None
    divided_to: int = 0
    divided_wh: int = 0
    running_wh: int = 0
    sum_wh: int = 0


def carried(
    known: BlockEnergies, sum_wh: int, ended: int, running_since: datetime | None, kept: int
) -> BlockEnergies | None:
    """The energies when the part has `sum_wh` in all, and so many blocks have ended; null where they must be divided.

    The first `kept` quarter-hours are as they were when `known` was made.
    """
    if ended != len(known.started_wh) or running_since != known.running_since or kept < known.divided_to:
        return None
    if sum_wh == known.sum_wh:
        return known
    if running_since is None:
        return None
    own_wh = known.running_wh
    return BlockEnergies(known.started_wh, running_since, known.divided_to, known.divided_wh, own_wh, sum_wh)


def energies_of(totals: Totals, ended: Sequence[Span], running: Span | None, until: datetime) -> BlockEnergies:
    """The energies of a part at `until`."""
    sum_wh = totals.tip.sum_wh
    running_since = None if running is None else running[0]
    blocks = ended if running is None else [*ended, running]
    energies_wh = block_energies_wh(totals, blocks, until)
    if running is None:
        return BlockEnergies(tuple(energies_wh), None, len(totals.energy_wh), sum_wh, 0, sum_wh)
    divided_to = micros(running[0]) // QUARTER_US - totals.started_us // QUARTER_US + 1
    after_wh = sum(totals.energy_wh[divided_to:])
    return BlockEnergies(
        tuple(energies_wh[:-1]), running_since, divided_to, sum_wh - after_wh, energies_wh[-1] - after_wh, sum_wh
    )


def running_wh(energies: BlockEnergies) -> int:
    """What the running block has delivered so far."""
    return energies.running_wh + energies.sum_wh - energies.divided_wh


def block_energies_wh(totals: Totals, blocks: Sequence[Span], until: datetime) -> list[int]:
    """The energy of each started block; `blocks` are disjoint and in the order of their times.

    `until`: how far the part goes. A vehicle that was unplugged while it charged did not charge beyond that, whatever
    it says later.

    Their sum is at most that of the part, and equals it where all charging lay in blocks. A block that ended before the
    quarter-hour `totals.changed_from` has what it had before the newest message.
    """
    spans = [(micros(start), micros(end)) for start, end in blocks]
    first, energy_wh = totals.started_us // QUARTER_US, totals.energy_wh
    given_wh = [0] * len(spans)
    for number, (start_us, end_us) in enumerate(spans):
        # Whole quarter-hours within one block need no further look, and those are nearly all.
        inner = (-(-start_us // QUARTER_US) - first, end_us // QUARTER_US - first)
        if inner[0] < inner[1]:
            given_wh[number] += sum(energy_wh[max(inner[0], 0) : inner[1]])
    charging = clipped(charging_spans(totals.tip), 0, micros(until))
    for place in _outer(spans, first, len(energy_wh)):
        if energy_wh[place]:
            _divide(energy_wh[place], first + place, spans, charging, given_wh)
    return given_wh


def _outer(spans: Sequence[SpanUs], first: int, length: int) -> list[int]:
    """The places of quarter-hours that no block fills."""
    inner = [(-(-start_us // QUARTER_US) - first, end_us // QUARTER_US - first) for start_us, end_us in spans]
    filled = [(0, 0), *((max(start, 0), end) for start, end in inner if start < end), (length, length)]
    return [place for (_, end), (start, _) in pairwise(filled) for place in range(end, min(start, length))]


def _divide(
    energy_wh: int, quarter: int, spans: Sequence[SpanUs], charging: Sequence[SpanUs], given_wh: list[int]
) -> None:
    """Divide a quarter-hour's energy among the blocks in it and what lies outside, by the time charged in each."""
    start_us, end_us = quarter * QUARTER_US, (quarter + 1) * QUARTER_US
    # Of hundreds of blocks few lie in this quarter-hour.
    first, following = _places(spans, start_us, end_us)
    inside = spans[first:following]
    known = clipped(charging[slice(*_places(charging, start_us, end_us))], start_us, end_us)
    if known:
        shares_us = [_length_us(known, *span) for span in inside]
        total_us = sum(b - a for a, b in known)
    else:
        shares_us = [_length_us([span], start_us, end_us) for span in inside]
        total_us = sum(shares_us)
    if not total_us:
        if following < len(spans) and spans[following][0] <= end_us + QUARTER_US:
            # It charged before it said so.
            given_wh[following] += energy_wh
        elif following:
            given_wh[following - 1] += energy_wh
        return
    passed_us = running_wh = 0
    for number, share_us in enumerate(shares_us, first):
        passed_us += share_us
        reached_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us)
        given_wh[number] += reached_wh - running_wh
        running_wh = reached_wh


def _places(spans: Sequence[SpanUs], start_us: int, end_us: int) -> tuple[int, int]:
    """From which place to which lie, of spans in order of time, those that may share a moment with that one."""
    first = bisect_right(spans, start_us, key=itemgetter(1))
    return first, bisect_left(spans, end_us, lo=first, key=itemgetter(0))


def _length_us(spans: Sequence[SpanUs], start_us: int, end_us: int) -> int:
    return sum(b - a for a, b in clipped(spans, start_us, end_us))
