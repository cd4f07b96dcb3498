"""Battery levels: from and to, of each interval, what they tell of energy, and how one is carried on."""

import pytest

from sessions.events import Counted, TelemetryReceived
from sessions.samples import begin, moved_back
from sessions.totals import Context, estimated_level
from tests.builders import plug, sample, unplug
from tests.support.statistics import Visit, context, told

# Of 60 kWh at an efficiency of 0.9.
POINT_WH = 60_000 / 0.9 / 100

# Around a plug-in at minute 60: what is told before, what from then on -> from and to.
FROM_AND_TO: dict[str, tuple[list[TelemetryReceived], list[TelemetryReceived], tuple[float | None, float | None]]] = {
    "unrounded": ([], [plug(60, level=20.99), sample(70, level=39.99)], (20.99, 39.99)),
    "newest within 5 min before": ([sample(55, level=30), sample(58, level=31)], [sample(70, level=40)], (31, 40)),
    "5 min before": ([sample(55, level=30)], [sample(70, level=40)], (30, 40)),
    "older": ([sample(54.99, level=30)], [sample(70, level=40), sample(80, level=50)], (40, 50)),
    "the plug-in itself tells": ([sample(58, level=31)], [plug(60, level=32), sample(70, level=40)], (32, 40)),
    "one level": ([], [sample(70, level=40)], (40, 40)),
    "only before": ([sample(58, level=31)], [], (31, 31)),
    "none": ([sample(50, level=31)], [sample(70, 1.0)], (None, None)),
    "late, the first": ([], [sample(70, level=40), sample(80, level=50), sample(65, level=39)], (39, 50)),
    "late, before": ([], [sample(70, level=40), sample(57, level=38), sample(56, level=37)], (38, 40)),
    "late, too early": ([], [sample(70, level=40), sample(54, level=37)], (40, 40)),
    "late, of the plug-in itself": ([sample(58, level=31)], [sample(70, level=40), plug(60, level=32)], (32, 40)),
    "late, neither": ([], [sample(70, level=40), sample(80, level=50), sample(75, level=99)], (40, 50)),
    "falls": ([], [sample(60, level=50), sample(70, level=40)], (50, 40)),
    "two for one moment": ([], [sample(60, level=50), sample(60, level=51), sample(60, level=49)], (51, 51)),
    "two for one moment after": ([], [sample(61, level=50), sample(61, level=51), sample(61, level=49)], (51, 51)),
}


def battery_of(known: Context) -> tuple[int, float]:
    """Capacity and efficiency, as the level is carried on by them."""
    return known.capacity_wh or known.default_capacity_wh, known.efficiency


@pytest.mark.parametrize(("before", "after", "levels"), FROM_AND_TO.values(), ids=FROM_AND_TO)
def test_from_and_to(
    before: list[TelemetryReceived], after: list[TelemetryReceived], levels: tuple[float | None, float | None]
) -> None:
    """A part begins with what its plug-in tells, else the newest of 5 min before, else the first after."""
    visit = Visit().tell(*before).plug_in(context(60)).tell(*after)
    assert (visit.part.level_from, visit.part.level_to) == levels


def test_a_plug_in_that_comes_late_finds_its_levels() -> None:
    """Levels told before anybody knew of the plug-in are those of the part."""
    visit = Visit().tell(sample(58, level=30), sample(61, level=31), sample(63, level=33)).plug_in(context(60))
    assert (visit.part.level_from, visit.part.level_to, visit.part.levels) == (30, 33, (33,))
    alone = Visit().tell(sample(61, level=31), sample(64, level=32), sample(72, level=33)).plug_in(context(60))
    assert (alone.part.level_from, alone.part.level_to) == (31, 33)


def test_what_a_late_plug_in_tells() -> None:
    """What the plug-in itself tells begins the part, though more was told before and after it meanwhile."""
    visit = Visit().tell(sample(61, level=30)).plug_in(context(66)).tell(sample(67, level=34), sample(80, level=40))
    assert (visit.part.level_from, visit.sum_wh) == (30, 6_667)
    visit.context = context(63)
    visit.totals = moved_back(visit.readings, visit.part, visit.context, level_percent=32)
    assert (visit.part.level_from, visit.part.level_to, visit.sum_wh) == (32, 40, 5_333)
    visit.tell(plug(63, level=32), sample(62, level=31))
    assert (visit.part.level_from, visit.part.level_to, visit.sum_wh) == (32, 40, 5_333)
    assert begin(visit.readings, visit.context).level_from == 30
    assert begin(visit.readings, visit.context, level_percent=32).level_from == 32


INTERVALS: dict[str, tuple[list[TelemetryReceived], tuple[int | None, ...]]] = {
    "rounded down": ([plug(10, level=20.5), sample(12, level=21.9), sample(50, level=30)], (21, None, None, 30)),
    "none": ([sample(12, 0.0)], ()),
    "before the start": ([sample(9, level=20)], ()),
    "late, the last of its interval": (
        [sample(16, level=20), sample(40, level=30), sample(20, level=21)],
        (None, 21, 30),
    ),
    "late, not the last": ([sample(20, level=20), sample(40, level=30), sample(16, level=21)], (None, 20, 30)),
    "late, the only one": ([sample(10, level=20), sample(40, level=30), sample(16, level=21)], (20, 21, 30)),
    "at a boundary": ([sample(15, level=20), sample(30, level=21)], (None, 20, 21)),
}


@pytest.mark.parametrize(("events", "levels"), INTERVALS.values(), ids=INTERVALS)
def test_levels_of_the_intervals(events: list[TelemetryReceived], levels: tuple[int | None, ...]) -> None:
    """An interval shows the last level told in it, rounded down, and null where none was."""
    assert told(events).part.levels == levels


# What is told after a plug-in at minute 10, and the points of level whose energy lies in each quarter-hour.
RISES: dict[str, tuple[list[TelemetryReceived], list[float]]] = {
    "a rise": ([sample(10, level=20), sample(25, level=23)], [1, 2]),
    "from the first level on": ([sample(15, level=20), sample(30, level=23)], [0, 3]),
    "told before the plug-in": ([sample(8, level=20), sample(25, level=23)], [1, 2]),
    "twice in a quarter-hour": ([sample(10, level=20), sample(11, level=20.5), sample(14, level=21)], [1]),
    "level by level": (
        [sample(10, level=20), sample(25, level=22), sample(40, level=23)],
        [2 / 3, 4 / 3 + 1 / 3, 2 / 3],
    ),
    "only above the highest": ([sample(10, level=20), sample(25, level=18), sample(40, level=21)], [0, 1 / 3, 2 / 3]),
    "a fall of 2 points is none": ([sample(10, level=20), sample(25, level=18), sample(40, level=20)], []),
    "a larger fall begins a run": (
        [sample(10, level=20), sample(30, level=17.9), sample(45, level=20.9)],
        [0, 0, 3],
    ),
    "over the charging": (
        [
            sample(10, level=20, charging=False),
            sample(20, charging=True),
            sample(25, charging=False),
            sample(40, level=23),
        ],
        [0, 3],
    ),
    "a gap of a quarter-hour between rates": (
        [sample(10, level=20, rate=4), sample(40, level=26, rate=4)],
        [0.5, 1 + 4.5 / 3, 3],
    ),
    "all covered by rates": ([sample(15, level=20, rate=4), sample(30, level=29, rate=4)], [0, 1.5]),
    "the rates gave more": ([sample(15, level=20, rate=400), sample(45, level=22, rate=0)], [0, 150]),
    "while it is known to rest, 2 points": ([sample(10, level=20, charging=False), sample(25, level=22)], []),
    "while it is known to rest, more": ([sample(10, level=20, charging=False), sample(25, level=23)], [1, 2]),
    "while it is known to rest, 2 and more": (
        [sample(10, level=20, charging=False), sample(25, level=22), sample(40, level=23)],
        [0.5, 1.5, 1],
    ),
    "above 400 kW": ([sample(10, level=20), sample(11, level=31)], []),
    "400 kW": ([sample(10, level=20), sample(11, level=29.9)], [9.9]),
    "one level": ([sample(10, level=20)], []),
    "late": ([sample(10, level=20), sample(40, level=23), sample(25, level=23)], [1, 2]),
}


@pytest.mark.parametrize(("events", "points"), RISES.values(), ids=RISES)
def test_rises(events: list[TelemetryReceived], points: list[float]) -> None:
    """Where neither counter nor rate covers, a rise above the run's highest level tells the energy."""
    known = context(capacity_wh=60_000)
    assert told(events, known).energy_wh == pytest.approx([point * POINT_WH for point in points], abs=1)


# The same, where there are counters.
GAPS: dict[str, tuple[list[TelemetryReceived], list[float]]] = {
    "before the first reading": (
        [sample(10, level=20), sample(40, 7.0, level=26), sample(50, 7.0 + POINT_WH / 1_000, level=28)],
        [1, 3, 2.5, 0.5],
    ),
    "between two runs": ([sample(15, 9.0, level=20), sample(45, 1.0, level=26), sample(50, 1.0)], [0, 3, 3]),
    "after the last reading, once it is 15 min old": (
        [sample(15, 0.0, level=20), sample(30, POINT_WH / 1_000, level=21), sample(45, level=24)],
        [0, 1, 3],
    ),
    "not before": (
        [sample(15, 0.0, level=20), sample(30, POINT_WH / 1_000, level=21), sample(44.99, level=24)],
        [0, 1],
    ),
    "until the counter is read again": (
        [sample(15, 0.0, level=20), sample(45, level=24), sample(60, POINT_WH / 1_000, level=24)],
        [0, 1 / 3, 1 / 3, 1 / 3],
    ),
    "a level told with the last reading is where the next rise begins": (
        [sample(15, 0.0, level=20), sample(30, POINT_WH / 1_000, level=24), sample(60, level=25)],
        [0, 1, 0.5, 0.5],
    ),
    "a level told before the last reading: what the counter gave since is no rise": (
        [sample(15, 0.0, level=20), sample(29, level=24), sample(30, 4 * POINT_WH / 1_000), sample(60, level=25)],
        [0, 4, (1 - 4 / 15) / 2, (1 - 4 / 15) / 2],
    ),
    "a short gap gets no more than its share": (
        [sample(15, 9.0, level=20), sample(20, 1.0), sample(45, 1.0, level=26)],
        [0, 1],
    ),
    "a reading between does not end the wait for a level": (
        [sample(15, 9.0, level=20), sample(45, 1.0), sample(46, 1.0), sample(50, level=26)],
        [0, 3, 3],
    ),
}


@pytest.mark.parametrize(("events", "points"), GAPS.values(), ids=GAPS)
def test_gaps_of_the_counter(events: list[TelemetryReceived], points: list[float]) -> None:
    """Where a counter leaves a gap, the level fills it with what the counter did not show."""
    known = context(capacity_wh=60_000)
    assert told(events, known).energy_wh == pytest.approx([point * POINT_WH for point in points], abs=1)


@pytest.mark.parametrize(("capacity_wh", "energy_wh"), [(None, 667), (90_000, 1_000)])
def test_a_point_of_level(capacity_wh: int | None, energy_wh: int) -> None:
    """A point of level is a hundredth of the capacity over the efficiency; 60 kWh where nobody told the capacity."""
    assert told([sample(10, level=20), sample(14, level=21)], context(capacity_wh=capacity_wh)).sum_wh == energy_wh


def test_levels_tell_no_energy_for_sure() -> None:
    """A level only guesses at the energy, so an unmanaged visit is judged by the rise itself."""
    visit = told([sample(10, level=20), sample(30, level=30)])
    assert (visit.sum_wh > 0, visit.part.is_energy_known) == (True, False)


def test_an_impossible_rise_is_counted() -> None:
    """A level that rises faster than any vehicle charges tells nothing, and is counted."""
    visit = told([sample(10, level=0), sample(11, level=55)])
    assert (visit.sum_wh, visit.counted) == (0, [Counted.IMPLAUSIBLE_ENERGY_STEP])


def test_gaps_are_bounded() -> None:
    """However many gaps rates leave before a level is told, what is remembered of them stays small."""
    visit = told([sample(10, level=20), *(sample(10 + 20 * number, rate=1) for number in range(100))])
    assert len(visit.part.tip.bare) == 64
    assert visit.part.tip.bare[1][0] - visit.part.tip.bare[0][1] == 15 * 60_000_000


ESTIMATES: dict[str, tuple[list[TelemetryReceived], float | None]] = {
    "as told": ([sample(10, level=20.5)], 20.5),
    "carried on by the counter": ([sample(10, 0.0, level=20), sample(40, 2.0)], 20 + 2 / 60 * 90),
    "carried on by the rate": ([sample(10, level=20, rate=6), sample(20)], 20 + 1 / 60 * 90),
    "the rate is replaced": (
        [sample(10, 0.0, level=20, rate=6), sample(20, rate=6), sample(25, 2.0)],
        20 + 2 / 60 * 90,
    ),
    "told since": ([sample(10, 0.0, level=20), sample(40, 2.0, level=26)], 26),
    "told within the stretch": ([sample(10, 0.0), sample(30, level=26), sample(40, 3.0)], 26 + 1 / 60 * 90),
    "told before the plug-in": ([sample(9, level=20), sample(10, 0.0), sample(40, 2.0)], 20 + 2 / 60 * 90),
    "never above 100 %": ([sample(10, 0.0, level=99), sample(40, 2.0)], 100),
    "never told": ([sample(10, 0.0), sample(40, 2.0)], None),
    "told by the unplug": ([sample(10, 0.0, level=20), unplug(40, level=30)], 30),
}


@pytest.mark.parametrize(("events", "level"), ESTIMATES.values(), ids=ESTIMATES)
def test_estimated_level(events: list[TelemetryReceived], level: float | None) -> None:
    """The level now is the last one told, carried on by the energy since, times efficiency over capacity."""
    visit = Visit().tell(*(event for event in events if event.message.at < context(10).started_at)).plug_in(context(10))
    visit.tell(*(event for event in events if event.message.at >= context(10).started_at))
    assert estimated_level(visit.part, *battery_of(context(10))) == pytest.approx(level)


def test_a_known_capacity_carries_a_level_on() -> None:
    """The larger the battery, the less its level rises."""
    known = context(10, capacity_wh=90_000, efficiency=0.8)
    visit = told([sample(10, 0.0, level=20), sample(40, 9.0)], known)
    assert estimated_level(visit.part, *battery_of(known)) == pytest.approx(28)


def test_levels_move_with_the_start() -> None:
    """Where the start moves back, each level stays in its interval."""
    visit = told([plug(20, level=50)], context(20))
    visit.totals = moved_back(visit.readings, visit.part, context(5))
    assert visit.part.levels == (None, 50)
    assert visit.part.level_from == 50


def test_a_level_that_is_not_kept_does_not_count() -> None:
    """Of a quarter-hour's levels one between the first and the last that comes late says nothing, plug-in or not."""
    visit = (
        Visit().tell(sample(11, level=20)).plug_in(context(13)).tell(sample(14, level=25), sample(12, 1.0, level=22))
    )
    assert visit.part.level_from == 20


def test_a_plug_in_that_moves_back_keeps_the_level_before_it() -> None:
    """The level shortly before the plug-in still begins the part, though it is no longer among those kept."""
    visit = Visit().tell(sample(6, level=20), sample(6.5, level=21)).plug_in(context(8)).tell(sample(12, level=25))
    visit.context = context(7)
    assert moved_back(visit.readings, visit.part, visit.context).level_from == 21


@pytest.mark.parametrize(
    ("stopped", "energy_wh"),
    [
        # Ten points are 6,667 Wh, the counter told 6,000 of them: half a minute of the 11.5 that it may have charged.
        (25.5, 6_000 + 289),
        (25.05, 6_000 + 30),
        (25, 6_000),
        (None, 6_000 + 555),
    ],
)
def test_a_rise_is_shared_by_the_time_in_which_the_vehicle_may_have_charged(
    stopped: float | None, energy_wh: int
) -> None:
    """Of a minute that no counter covers only what passed before the vehicle stopped has a share in a level's rise."""
    known = context(capacity_wh=60_000)
    visit = told([sample(14, 0.0, level=50, charging=True), sample(25, 6.0, level=60)], known)
    if stopped is not None:
        visit.tell(sample(stopped, charging=False))
    visit.tell(sample(26, 0.0, level=60))
    assert visit.sum_wh == energy_wh


def test_what_is_bare_since_before_a_rise_takes_no_more_than_all_of_it() -> None:
    """It stood for longer than the level has risen, then charged for half a minute: a point is a point."""
    visit = told([sample(14, 0.0, level=50, charging=True)], context(capacity_wh=60_000))
    visit.tell(sample(25, 6.0, level=60), sample(25.5, charging=False), sample(28, 0.0), sample(29.5, level=60))
    before_wh = visit.sum_wh
    visit.tell(sample(30.5, charging=True), sample(31, 100.0, level=61))
    assert visit.sum_wh == before_wh + round(POINT_WH)
