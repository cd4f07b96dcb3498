"""What is remembered of a vehicle: how much, for how long, and that nothing counts twice."""

import msgspec
import pytest

from models.units import kwh_from_wh
from sessions.events import Counted, TelemetryReceived
from sessions.grid import QUARTER_US, micros
from sessions.readings import Quarter, Readings, forget, has_before, quarter_at, quarters_of, remember
from sessions.samples import rewalked
from sessions.totals import frame_of
from tests.builders import minute, plug, sample, unplug
from tests.support.statistics import Visit, context, seen, told

FIRST = micros(minute(0)) // QUARTER_US

# Histories of a visit that begins at minute 10, in which each message may come again at every later moment.
HISTORIES: dict[str, list[TelemetryReceived]] = {
    "one of everything": [sample(11, 1.0, level=50, rate=6, charging=True), sample(25, 2.0, level=51, charging=False)],
    "every minute": [sample(10 + n, 0.1 * n, level=20 + n / 10, rate=6 + n % 3, charging=n % 7 > 0) for n in range(40)],
    "every second": [sample(10 + n / 60, 0.002 * n, level=20, rate=n % 5, charging=n % 4 > 0) for n in range(100)],
    "in reverse": [sample(50 - n, 4 - 0.1 * n, level=24 - n / 10, rate=6, charging=True) for n in range(40)],
    "counter and level run down and up": [
        plug(10, level=50),
        sample(11, 5.0, level=51),
        sample(12, 4.95, level=50),
        sample(13, 0.0, level=52),
        sample(14, 0.5, level=51),
        sample(12.5, 5.0, level=60),
    ],
    "a late peak where readings were dropped": [sample(16, 1.0), sample(17, 1.1), sample(18, 1.2), sample(16.5, 9.0)],
    "a late state in a row": [sample(16 + n / 2, charging=True) for n in range(9)] + [sample(18.2, charging=False)],
    "rates within one minute": [
        sample(16, 1.0, rate=1),
        sample(16.1, 1.1, rate=2),
        sample(16.2, rate=3),
        sample(16.05, rate=4),
        sample(17.5, 1.2, rate=5),
    ],
    "everything at one moment": [
        plug(10),
        sample(10, 1.0, level=5, rate=1, charging=False),
        unplug(10),
        sample(10, 2.0, level=6, rate=2, charging=True),
        sample(10, 1.5, level=5.5, rate=1.5),
    ],
    "for days": [sample(10 + 100 * n, 0.1 * n, level=20 + n / 3, rate=0.1, charging=True) for n in range(40)],
    "levels of the plug-in": [sample(12, level=20), sample(6, level=18), sample(10, level=19), sample(7, level=17)],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_a_duplicate_changes_nothing(history: list[TelemetryReceived]) -> None:
    """Every message of the history may come again at every later moment: the very same values stand."""
    visit = Visit(context())
    for length, event in enumerate(history, start=1):
        visit.tell(event)
        readings, part = visit.readings, visit.part
        for again in history[:length]:
            visit.tell(again)
            assert visit.readings is readings
            assert visit.part is part


def test_a_duplicate_of_what_is_forgotten_changes_nothing() -> None:
    """What was forgotten while nothing was plugged in is not taken again during the next visit."""
    visit = Visit().tell(sample(1, 1.0, level=20), sample(40))
    assert visit.readings.kept_from == FIRST + 2
    visit.plug_in(context(41)).tell(sample(42, 3.0))
    readings, part = visit.readings, visit.part
    visit.tell(sample(1, 1.0, level=20))
    assert (visit.readings, visit.part) == (readings, part)
    assert visit.counted == [Counted.LATE_READING_IGNORED]


def test_what_is_kept_while_nothing_is_plugged_in() -> None:
    """Quarter-hours of the last 10 min are kept, and what is told of older ones is ignored."""
    visit = Visit().tell(sample(14, 1.0), sample(24.99, 2.0))
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings)] == [0, 1]
    visit.tell(sample(25, 2.1))
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings)] == [1]
    visit.tell(sample(14.5, 1.1))
    assert visit.counted == [Counted.LATE_READING_IGNORED]


def test_what_is_kept_during_a_visit() -> None:
    """Quarter-hours of the last 24 h are kept, and what comes from there counts."""
    visit = told([sample(10, 0.0), sample(16, 0.1), sample(10 + 24 * 60, 4.0)])
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings)] == [0, 1, 96]
    visit.tell(sample(14.99 + 24 * 60, 4.0))
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings)] == [0, 1, 96]
    visit.tell(sample(15 + 24 * 60, 4.0))
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings)] == [1, 96, 97]
    visit.tell(sample(20, 4.0))
    assert (visit.sum_wh, visit.energy_wh[0], visit.counted) == (4_000, 83, [])
    visit.tell(sample(14.9, 4.0))
    assert (visit.sum_wh, visit.energy_wh[0], visit.counted) == (4_000, 83, [Counted.LATE_READING_IGNORED])


def test_the_memory_of_a_day_is_small() -> None:
    """A visit of three days with a message every minute is remembered in a few KiB, mostly packed."""
    visit = Visit(context())
    for number in range(3 * 24 * 60):
        kwh = kwh_from_wh(min(number * 20, 50_000))
        visit.tell(sample(10 + number, kwh, level=20 + number % 60, rate=1.2, charging=number % 480 < 240))
    assert len(visit.readings.older) == 96
    assert len(msgspec.msgpack.encode(visit.readings)) < 15_000
    assert visit.sum_wh == 50_000


def test_forgetting_changes_no_energy() -> None:
    """What is walked once and then forgotten stays as it was."""
    events = [
        sample(10 + 37 * n, 0.3 * n if n % 5 else None, level=20 + n, rate=n % 4, charging=n % 3 > 0) for n in range(70)
    ]
    visit = told(events)
    assert visit.readings.kept_from > FIRST + 60
    energies = list(visit.energy_wh)
    again = rewalked(visit.part, visit.readings, frame_of(visit.part, context()))
    assert list(again.energy_wh) == energies
    known = told(events[:37])
    assert known.readings.kept_from == 0
    assert known.energy_wh[:20] == energies[:20]


def test_a_visit_of_which_nothing_is_remembered() -> None:
    """A vehicle that says nothing of its charge for more than a day keeps its totals."""
    visit = told([sample(10, 0.0, rate=6), sample(20, 2.0, rate=6), sample(22)])
    assert visit.sum_wh == 2_200
    visit.tell(plug(2_000))
    assert (visit.readings.newest, visit.readings.older, visit.sum_wh) == (None, (), 2_000 + 1_500)
    assert visit.tell(plug(2_001)).sum_wh == 3_500
    assert visit.tell(sample(2_010, 3.0)).sum_wh == 3_000


def test_quarter_hours_are_found() -> None:
    """A quarter-hour is found by its index, and is packed as soon as it is not the newest."""
    visit = told([sample(10, 0.0), sample(40, 1.0), sample(20, 0.5)])
    assert [index - FIRST for index, _ in visit.readings.older] == [0, 1]
    assert quarter_at(visit.readings, FIRST + 1) == Quarter(FIRST + 1, ((micros(minute(20)), 500, False),))
    assert quarter_at(visit.readings, FIRST + 2) is visit.readings.newest
    assert quarter_at(visit.readings, FIRST + 3) is None
    assert [quarter.index - FIRST for quarter in quarters_of(visit.readings, FIRST + 1)] == [1, 2]
    assert quarters_of(visit.readings, FIRST + 3) == []
    assert forget(visit.readings, FIRST + 2) == Readings((), visit.readings.newest, micros(minute(40)), FIRST + 2)


def test_a_message_that_tells_nothing_lets_time_pass() -> None:
    """Of a message without a charge only the time is remembered, if it is the newest."""
    readings = remember(Readings(), micros(minute(10)), seen(plug(10)))
    assert readings == Readings(newest_us=micros(minute(10)))
    assert remember(readings, micros(minute(9)), seen(plug(9))) is readings


def test_what_can_be_forgotten_is_known_without_unpacking() -> None:
    """Whether something lies before a quarter-hour is told by the oldest that is kept, packed or not."""
    visit = told([sample(10, 0.0), sample(40, 1.0)])
    assert not has_before(visit.readings, FIRST)
    assert has_before(visit.readings, FIRST + 1)
    newest = forget(visit.readings, FIRST + 2)
    assert not has_before(newest, FIRST + 2)
    assert has_before(newest, FIRST + 3)
    assert not has_before(Readings(), FIRST)
