"""The energy of each started block."""

import pytest

from sessions.block_energy import block_energies_wh
from sessions.events import TelemetryReceived
from tests.builders import minute, sample
from tests.support.statistics import told

ONE: list[tuple[float, float]] = [(20, 50)]
TWO: list[tuple[float, float]] = [(20, 40), (50, 70)]


def _charge(start: float, end: float, from_kwh: float, to_kwh: float) -> list[TelemetryReceived]:
    return [sample(start, from_kwh, charging=True), sample(end, to_kwh, charging=False)]


# What is told after a plug-in at minute 10 -> the energies of the blocks in Wh; the part's energy in all.
BLOCKS: dict[str, tuple[list[TelemetryReceived], list[tuple[float, float]], list[int], int]] = {
    "all of it": (_charge(20, 50, 0, 3), ONE, [3_000], 3_000),
    "no block": (_charge(20, 50, 0, 3), [], [], 3_000),
    "two": ([*_charge(20, 40, 0, 2), *_charge(50, 70, 2, 5)], TWO, [2_000, 3_000], 5_000),
    "two in one quarter-hour": (
        [*_charge(31, 34, 0, 0.3), *_charge(36, 42, 0.3, 0.9)],
        [(31, 34), (36, 42)],
        [300, 600],
        900,
    ),
    "charging before the block": (_charge(15, 45, 0, 3), [(35, 45)], [1_000], 3_000),
    "charging after the block": (_charge(15, 45, 0, 3), [(15, 25)], [1_000], 3_000),
    "charging outside, in quarter-hours of its own": (_charge(15, 60, 0, 4.5), [(30, 45)], [1_500], 4_500),
    "nobody says when: of the block in the quarter-hour": ([sample(20, 0.0), sample(50, 3.0)], ONE, [3_000], 3_000),
    "nobody says when: of the blocks in the quarter-hour, by their time": (
        [sample(30, 0.0), sample(45, 0.9)],
        [(30, 33), (36, 42)],
        [300, 600],
        900,
    ),
    "measured later: of the block before": ([sample(20, 0.0), sample(64, 4.4)], [(20, 40)], [4_400], 4_400),
    "measured later: of the last that began": ([sample(20, 0.0), sample(90, 7.0)], TWO, [2_500, 4_500], 7_000),
    "long before every block": ([sample(10, 0.0), sample(40, 3.0)], [(75, 80)], [0], 3_000),
    "shortly before a block: it charged before it said so": (
        [sample(10, 0.0), sample(40, 3.0)],
        [(45, 50)],
        [2_500],
        3_000,
    ),
    "charging known, but none in a block": (_charge(30, 40, 0, 1), [(45, 50)], [0], 1_000),
    "not started yet: nothing in it": (_charge(20, 40, 0, 2), [(20, 40), (45, 60)], [2_000, 0], 2_000),
    "a running block, planned beyond now": (_charge(20, 40, 0, 2), [(20, 100)], [2_000], 2_000),
    "a block from before the part": (_charge(20, 40, 0, 2), [(0, 100)], [2_000], 2_000),
    "a block of no length": ([sample(30, 0.0), sample(45, 0.9)], [(30, 40), (42, 42)], [900, 0], 900),
    "a block of no length, alone": ([sample(30, 0.0), sample(45, 0.9)], [(42, 42)], [900], 900),
    "rounded": ([*_charge(30, 45, 0, 0.005)], [(30, 35), (36, 41)], [2, 1], 5),
    "energy of a rate": ([sample(15, rate=6), sample(30, rate=6), sample(40, rate=0)], [(15, 40)], [2_500], 2_500),
}


@pytest.mark.parametrize(("events", "blocks", "energies", "sum_wh"), BLOCKS.values(), ids=BLOCKS)
def test_blocks(
    events: list[TelemetryReceived], blocks: list[tuple[float, float]], energies: list[int], sum_wh: int
) -> None:
    """A block gets what was charged within it, and what is measured after it while nobody says what charges."""
    part = told(events).part
    found = block_energies_wh(part, [(minute(start), minute(end)) for start, end in blocks], minute(10_000))
    assert (found, part.energy_sum_wh) == (energies, sum_wh)
    assert sum(found) <= part.energy_sum_wh
