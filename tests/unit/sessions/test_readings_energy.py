"""Where a counter's difference lies on the quarter-hour grid."""

from datetime import datetime

import pytest

from sessions.events import TelemetryReceived
from sessions.grid import micros
from sessions.samples import moved_back
from sessions.totals import cut_off
from sessions.walker import SPANS_LIMIT
from tests.builders import minute, plug, sample
from tests.support.statistics import Visit, context, told

PLANNED: list[tuple[datetime, datetime]] = [
    (minute(20), minute(25)),
    (minute(29), minute(29)),
    (minute(40), minute(45)),
]

# What is told after a plug-in at minute 10 -> the energies of the quarter-hours in Wh.
SPREADS: dict[str, tuple[list[TelemetryReceived], list[int]]] = {
    "evenly over all of the stretch": ([sample(10, 0.0), sample(40, 3.0)], [500, 1_500, 1_000]),
    "over the charging in it": (
        [sample(10, 0.0), sample(20, charging=True), sample(30, charging=False), sample(40, 3.0)],
        [0, 3_000],
    ),
    "over two charges": (
        [
            sample(10, 0.0, charging=True),
            sample(15, charging=False),
            sample(45, charging=True),
            sample(50, 2.0, charging=False),
        ],
        [1_000, 0, 0, 1_000],
    ),
    "a charge that began before the reading": (
        [sample(10, 0.0, charging=True), sample(20, 1.0), sample(30, charging=False), sample(50, 2.0)],
        [500, 1_500],
    ),
    "a charge that goes on": ([sample(10, 0.0), sample(40, charging=True), sample(50, 2.0)], [0, 0, 1_000, 1_000]),
    "a charge from before the plug-in": (
        [sample(9, charging=True), sample(10, 0.0), sample(40, 3.0)],
        [500, 1_500, 1_000],
    ),
    "by the state of the power": (
        [sample(10, 0.0), sample(30, state="PLUGGED_IN:CHARGING"), sample(60, 3.0, state="PLUGGED_IN:COMPLETE")],
        [0, 0, 1_500, 1_500],
    ),
    "by another state of the power": (
        [sample(10, 0.0, state="PLUGGED_IN:CHARGING"), sample(20, state="PLUGGED_IN:STOPPED"), sample(60, 1.0)],
        [500, 500],
    ),
    "ends on the boundary": ([sample(15, 0.0), sample(30, 1.0)], [0, 1_000]),
    "a state that comes late": (
        [sample(10, 0.0), sample(40, 3.0), sample(20, charging=True), sample(30, charging=False)],
        [0, 3_000],
    ),
    "nothing while it charges": (
        [sample(10, 0.0, charging=False), sample(40, 3.0)],
        [500, 1_500, 1_000],
    ),
}


@pytest.mark.parametrize(("events", "energies"), SPREADS.values(), ids=SPREADS)
def test_spread(events: list[TelemetryReceived], energies: list[int]) -> None:
    """A difference lies evenly over the parts of its stretch known to be charging, else over all of it."""
    assert told(events).energy_wh == energies


PLANS: dict[str, tuple[list[TelemetryReceived], list[int]]] = {
    "over the blocks in it": ([sample(10, 0.0), sample(60, 2.0)], [0, 1_000, 1_000]),
    "over what of a block lies in it": ([sample(22.5, 0.0), sample(60, 3.0)], [0, 1_000, 2_000]),
    "charging tells more": ([sample(10, 0.0), sample(30, charging=True), sample(60, 2.0)], [0, 0, 1_000, 1_000]),
    "a block of no length": ([sample(26, 0.0), sample(34, 0.8)], [0, 400, 400]),
    "no block in it": ([sample(46, 0.0), sample(74, 2.8)], [0, 0, 0, 1_400, 1_400]),
}


@pytest.mark.parametrize(("events", "energies"), PLANS.values(), ids=PLANS)
def test_spread_over_planned_blocks(events: list[TelemetryReceived], energies: list[int]) -> None:
    """Where nobody says when the vehicle charged, a difference lies in the planned blocks of its stretch, if any."""
    assert told(events, context(planned=lambda: tuple(PLANNED))).energy_wh == energies


def test_baseline_before_the_plug_in() -> None:
    """Energy since a baseline before the plug-in lies after the plug-in."""
    visit = Visit().tell(sample(12, 0.0)).plug_in(context(16)).tell(sample(46, 3.0))
    assert visit.energy_wh == [1_400, 1_500, 100]


@pytest.mark.parametrize("out", [50, 45], ids=["inside a quarter", "on the grid"])
def test_energy_after_the_unplug(out: float) -> None:
    """Energy seen after the first unplug evidence goes into the last interval."""
    visit = told([sample(30, 0.0), sample(out, 1.5)], context(30))
    visit.context = context(30, until=out)
    visit.tell(sample(out + 0.5, 1.7))
    ended = cut_off(visit.part, minute(out))
    assert (ended.energy_sum_wh, sum(ended.energy_wh)) == (1_700, 1_700)
    assert ended.energy_wh == ((1_700,) if out == 45 else (1_125, 575))


def test_unplug_learnt_late() -> None:
    """Where an unplug is learnt late, what already lay beyond it goes into the last interval."""
    visit = told([sample(10, 0.0), sample(70, 6.0)])
    assert cut_off(visit.part, minute(40)).energy_wh == (500, 1_500, 4_000)


def test_reading_across_the_unplug() -> None:
    """What a reading from after the unplug shows for a stretch from before it lies before the unplug."""
    visit = told([sample(40, 0.0)], context(30))
    visit.context = context(30, until=46)
    assert visit.tell(sample(46.8, 0.6)).energy_wh == [500, 100]


def test_readings_long_after_an_unplug() -> None:
    """Once the unplug is known, whatever is told of the time until now lies before it."""
    for later in (71, 80):
        visit = told([sample(10, 0.0), sample(70, 6.0)])
        visit.context = context(until=40)
        visit.tell(sample(later, 6.5))
        assert cut_off(visit.part, minute(40)).energy_wh == (1_000, 3_000, 2_500)


CUTS: dict[str, tuple[float, list[int]]] = {
    "after all": (70, [500, 1_500, 1_000]),
    "at the end": (45, [500, 1_500, 1_000]),
    "on a boundary": (30, [500, 2_500]),
    "just after a boundary": (30.01, [500, 1_500, 1_000]),
    "in the first": (12, [3_000]),
    "at the start": (10, [3_000]),
}


@pytest.mark.parametrize(("out", "energies"), CUTS.values(), ids=CUTS)
def test_cut_off(out: float, energies: list[int]) -> None:
    """A part that ends keeps its energies in the intervals until its end, and its levels with them."""
    visit = told([sample(10, 0.0, level=20), sample(20, level=21), sample(40, 3.0, level=22)])
    ended = cut_off(visit.part, minute(out))
    assert list(ended.energy_wh) == energies
    assert list(ended.levels) == [20, 21, 22][: len(energies)]


@pytest.mark.parametrize("total_wh", [1, 2, 3, 5, 7, 1_001, 9_999])
def test_sums_are_exact(total_wh: int) -> None:
    """Spread energies are whole Wh whose sum is the difference, however they divide."""
    visit = told([sample(1, 0.0), sample(98, total_wh / 1_000)], context(1))
    assert (visit.sum_wh, sum(visit.energy_wh)) == (total_wh, total_wh)


def test_charging_without_readings_is_bounded() -> None:
    """However often a charge starts and stops, what is remembered of it stays small, and the oldest is coarse."""
    toggles = [sample(20 + 5 * number, charging=number % 2 == 0) for number in range(200)]
    visit = told([sample(10, 0.0), *toggles])
    assert len(visit.part.tip.charging.spans) == SPANS_LIMIT
    first, second = visit.part.tip.charging.spans[:2]
    assert first == (micros(minute(20)), micros(minute(20 + 5 * 73)))
    assert second[1] - second[0] == 5 * 60_000_000
    visit.tell(sample(1_020, 7.0))
    assert (visit.energy_wh[0], visit.sum_wh) == (0, 7_000)


CHANGES: list[tuple[TelemetryReceived, int]] = [
    (sample(51, 3.1), 3),
    (sample(52, 3.2), 3),
    (sample(70, 3.3), 2),
    (sample(71, 3.4), 4),
    (sample(45, 2.0), 2),
    (sample(21, 1.0), 1),
    (sample(30, charging=True), 1),
    (sample(64, charging=True), 3),
    (sample(80, 3.4), 3),
]


def test_energy_changed_from() -> None:
    """Before the quarter-hour `changed_from` a message has left every energy as it was."""
    visit = told([sample(10, 0.0), sample(20, 1.0), sample(40, 2.0), sample(50, 3.0)])
    for event, changed_from in CHANGES:
        before = visit.energy_wh
        visit.tell(event)
        assert visit.part.changed_from == changed_from
        assert visit.energy_wh[:changed_from] == before[:changed_from]


def test_the_start_moves_back() -> None:
    """Late news of an earlier plug-in lets earlier readings count, and each level stays in its interval."""
    visit = Visit().tell(sample(5, 0.0), sample(12, 1.0)).plug_in(context(20)).tell(sample(21, 2.0, level=50))
    assert visit.energy_wh == []
    visit.context = context(4)
    visit.totals = moved_back(visit.readings, visit.part, visit.context)
    assert visit.energy_wh == [1_333, 667]
    assert (visit.part.level_from, visit.part.levels) == (50, (None, 50))
    visit.tell(plug(4, level=40))
    assert (visit.part.level_from, visit.part.level_to, visit.part.levels) == (40, 50, (40, 50))
