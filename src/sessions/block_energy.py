"""How much of a part's energy each of its started blocks has delivered.

A block gets what was charged within it. Energy that is measured after a block's end, while nobody says that the vehicle
charges, is the late news of that block.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from sessions.energy import charging_spans
from sessions.grid import QUARTER_US, Span, SpanUs, clipped, micros
from sessions.totals import Totals


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
    known = clipped(charging, start_us, end_us)
    if known:
        shares_us = [_length_us(known, *span) for span in spans]
        total_us = sum(b - a for a, b in known)
    else:
        shares_us = [_length_us([span], start_us, end_us) for span in spans]
        total_us = sum(shares_us)
    if not total_us:
        begun = [number for number, span in enumerate(spans) if span[0] < end_us]
        if begun:
            given_wh[begun[-1]] += energy_wh
        return
    passed_us = running_wh = 0
    for number, share_us in enumerate(shares_us):
        passed_us += share_us
        reached_wh = (2 * energy_wh * passed_us + total_us) // (2 * total_us)
        given_wh[number] += reached_wh - running_wh
        running_wh = reached_wh


def _length_us(spans: Sequence[SpanUs], start_us: int, end_us: int) -> int:
    return sum(b - a for a, b in clipped(spans, start_us, end_us))
