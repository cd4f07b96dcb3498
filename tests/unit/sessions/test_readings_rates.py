"""Rates: how long one holds, what of them is kept, and that a counter replaces them."""

from typing import TYPE_CHECKING

import pytest

from sessions.events import Counted, TelemetryReceived
from sessions.rates import Rate, put_rate, useful_rates
from tests.builders import plug, sample
from tests.support.statistics import Visit, context, told

if TYPE_CHECKING:
    from sessions.counters import Reading

# What is told after a plug-in at minute 10 -> the energies of the quarter-hours in Wh.
INTEGRALS: dict[str, tuple[list[TelemetryReceived], list[int]]] = {
    "held to the next": ([sample(10, rate=6), sample(20, rate=12), sample(30, rate=0)], [500, 2_500]),
    "held for 15 minutes": ([sample(10, rate=6), sample(60, rate=0)], [500, 1_000]),
    "held as far as time has passed": ([sample(10, rate=6), sample(22)], [500, 700]),
    "a message that tells nothing lets time pass": ([sample(10, rate=6), plug(22)], [500, 700]),
    "one rate, and nothing more": ([sample(10, rate=6)], []),
    "told before the plug-in": ([sample(9, rate=6), sample(20)], []),
    "discharging counts 0": ([sample(10, rate=-6), sample(16, rate=6), sample(20)], [0, 400]),
    "while it does not charge": ([sample(10, rate=6, charging=False), sample(20)], []),
    "until it stops": ([sample(10, rate=6), sample(12, charging=False), sample(20)], [200]),
    "until it stops, and on": (
        [sample(10, rate=6), sample(12, charging=False), sample(13, charging=True), sample(20)],
        [400, 500],
    ),
    "charging, as nobody denies": ([sample(10, rate=6, charging=True), sample(15)], [500]),
    "400 kW": ([sample(10, rate=400), sample(10.15)], [1_000]),
    "above 400 kW: a mistake": ([sample(10, rate=6), sample(11, rate=400.001), sample(15)], [500]),
    "rounded over all": ([sample(10, rate=0.05), *(sample(10 + number, rate=0.05) for number in range(1, 5))], [3]),
    "rounded at the end of each quarter-hour": (
        [sample(10, rate=0.006), sample(20, rate=0.006), sample(34, rate=0.006), sample(40)],
        [1, 1, 1],
    ),
}


@pytest.mark.parametrize(("events", "energies"), INTEGRALS.values(), ids=INTEGRALS)
def test_integral(events: list[TelemetryReceived], energies: list[int]) -> None:
    """A rate holds until the next, for 15 minutes at most, and counts 0 while the vehicle is known not to charge."""
    assert told(events).energy_wh == energies


def test_a_rate_after_the_unplug() -> None:
    """Nothing flows after the unplug, whatever rate was told last."""
    visit = told([sample(10, rate=6), sample(14)], context(until=16)).tell(sample(17, rate=6), sample(18))
    assert visit.energy_wh == [500, 100]


def test_rates_tell_of_energy() -> None:
    """Energy is known once a rate has held for a while, even if it is none."""
    visit = told([sample(10, rate=0)])
    assert not visit.part.is_energy_known
    assert visit.tell(sample(11)).part.is_energy_known


def test_a_visit_that_begins_between_distant_readings() -> None:
    """The rates since the plug-in count where the counter's reading before it is too old, and the next comes late."""
    before = Visit().tell(sample(1, 0.1, charging=True), sample(2, 0.1))
    rates = [sample(at_min, rate=6) for at_min in (7.5, 9, 11)]
    assert before.plug_in(context(7.5)).tell(*rates, sample(14, 1.5)).energy_wh == [650]


REPLACED: dict[str, tuple[list[TelemetryReceived], list[int]]] = {
    "a counter replaces the rates of its stretch": (
        [sample(10, 0.0, rate=6), sample(20, rate=6), sample(40, 1.2)],
        [200, 600, 400],
    ),
    "but not those before its first reading": (
        [sample(10, rate=6), sample(20, rate=6), sample(25, 7.0, rate=6), sample(30, 7.3)],
        [500, 1_000 + 300],
    ),
    "and not those after its last": ([sample(10, 0.0), sample(15, 0.2, rate=6), sample(20)], [200, 500]),
    "nor those between two runs": (
        [sample(15, 5.0, rate=6), sample(25, 1.0, rate=6), sample(30, 1.1)],
        [0, 1_000 + 100],
    ),
    "one reading replaces nothing": ([sample(10, rate=6), sample(15, 5.0, rate=6), sample(20)], [500, 500]),
    "less than the rates said": ([sample(15, 0.0, rate=6), sample(30, 0.1, rate=6)], [0, 100]),
    "nothing at all": ([sample(15, 5.0, rate=6), sample(30, 5.0, rate=6)], []),
    "over several quarter-hours": (
        [sample(15, 0.0, rate=6), sample(28, rate=6), sample(40, rate=6), sample(60, 3.0)],
        [0, 1_000, 1_000, 1_000],
    ),
}


@pytest.mark.parametrize(("events", "energies"), REPLACED.values(), ids=REPLACED)
def test_counters_are_better(events: list[TelemetryReceived], energies: list[int]) -> None:
    """Where a difference of two readings covers a stretch, rates say nothing of it, however late it comes."""
    assert told(events).energy_wh == energies


def test_a_late_reading_replaces_rates() -> None:
    """A reading that comes late replaces the rates of the stretch that it ends."""
    visit = told([sample(15, 0.0, rate=6), sample(30, rate=6), sample(45, rate=6), sample(60, rate=6)])
    assert visit.energy_wh == [0, 1_500, 1_500, 1_500]
    assert visit.tell(sample(30, 0.3)).energy_wh == [0, 300, 1_500, 1_500]


def test_a_late_rate_fills_a_gap() -> None:
    """A rate that comes late counts from its own time on."""
    visit = told([sample(15, rate=6), sample(60, rate=0)])
    assert visit.energy_wh == [0, 1_500]
    assert visit.tell(sample(40, rate=3)).energy_wh == [0, 1_500, 250, 500]


def test_implausible_rates_are_counted() -> None:
    """A rate that no vehicle reaches is no news, and is counted."""
    visit = told([sample(10, rate=400), sample(11, rate=400.001)])
    assert visit.counted == [Counted.IMPLAUSIBLE_ENERGY_STEP]
    assert visit.readings.newest is not None
    assert visit.readings.newest.rates == ((visit.part.started_us, 400_000),)


def _minutes(*told_min: float) -> tuple[Rate, ...]:
    return tuple((round(at_min * 60_000_000), round(at_min * 100)) for at_min in told_min)


def _put(*told_min: float) -> tuple[Rate, ...]:
    rates: tuple[Rate, ...] = ()
    for at_us, rate_w in _minutes(*told_min):
        rates = put_rate(rates, at_us, rate_w)
    return rates


MINUTES: dict[str, tuple[list[float], list[float]]] = {
    "one a minute": ([1, 2, 3], [1, 2, 3]),
    "two in a minute": ([1, 1.99, 2], [1, 1.99, 2]),
    "three in a minute": ([1, 1.5, 1.9], [1, 1.9]),
    "four in a minute": ([0.5, 1, 1.2, 1.5, 1.9, 2.5], [0.5, 1, 1.9, 2.5]),
    "in reverse": ([2.5, 1.9, 1.5, 1.2, 1, 0.5], [0.5, 1, 1.9, 2.5]),
    "the middle late": ([1, 1.9, 1.5], [1, 1.9]),
    "the first late": ([1.5, 1.9, 1], [1, 1.9]),
    "late, alone in its minute": ([1, 3, 2], [1, 2, 3]),
    "late, second in its minute": ([1.5, 3, 1.2], [1.2, 1.5, 3]),
    "late, third in its minute": ([1, 1.5, 3, 1.9], [1, 1.9, 3]),
    "late, third in its minute, at its start": ([1.2, 1.5, 3, 1], [1, 1.5, 3]),
    "again": ([1, 1.5, 1.9, 2, 1, 1.5, 1.9, 2], [1, 1.9, 2]),
}


@pytest.mark.parametrize(("told_min", "kept_min"), MINUTES.values(), ids=MINUTES)
def test_of_each_minute_two_rates_are_kept(told_min: list[float], kept_min: list[float]) -> None:
    """Of each minute the first and the last rate are kept, in whatever order they come."""
    assert _put(*told_min) == _minutes(*kept_min)


def test_two_rates_for_one_moment() -> None:
    """Of two rates of one moment the higher is the later, and holds."""
    for pair in ((100, 200), (200, 100)):
        rates: tuple[Rate, ...] = ()
        for rate_w in pair:
            rates = put_rate(rates, 60_000_000, rate_w)
        assert rates == ((60_000_000, 100), (60_000_000, 200))


# Counter readings (minute, whether some were dropped before) among rates at minutes 0 to 9 -> what stays.
CLEARED: dict[str, tuple[list[tuple[float, bool]], list[float]]] = {
    "one reading": ([(4, False)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "close readings": ([(2, False), (7, False)], [0, 1, 2, 7, 8, 9]),
    "not close": ([(2, False), (7.001, False)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "not close, but with readings between": ([(1, False), (7.5, True)], [0, 1, 7, 8, 9]),
    "close ones in a row": ([(1, False), (4, False), (6, False)], [0, 1, 6, 7, 8, 9]),
    "close ones apart": ([(0, False), (2, False), (7.5, False), (9, False)], [0, 2, 3, 4, 5, 6, 7, 9]),
    "within a minute": ([(2.2, False), (2.9, False)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "the newest stays": ([(5, False), (9.99, False)], [0, 1, 2, 3, 4, 5, 9]),
    "the newest stays, though minutes lie between": ([(6, False), (11, False)], [0, 1, 2, 3, 4, 5, 6, 9]),
}


@pytest.mark.parametrize(("read", "kept_min"), CLEARED.values(), ids=CLEARED)
def test_rates_between_close_readings_are_let_go(read: list[tuple[float, bool]], kept_min: list[float]) -> None:
    """Of the whole minutes between counter readings at most 5 min apart no rate is kept, but for the newest."""
    counters: tuple[Reading, ...] = tuple((round(at_min * 60_000_000), 0, merged) for at_min, merged in read)
    assert useful_rates(_minutes(*range(10)), counters) == _minutes(*kept_min)


def test_the_minutes_of_the_readings_keep_their_rates() -> None:
    """Of the minutes in which close counter readings begin and end, all kept rates stay."""
    counters = ((30_000_000, 0, False), (174_000_000, 0, False))
    assert useful_rates(_minutes(0.2, 0.8, 1, 1.99, 2, 2.6, 3), counters) == _minutes(0.2, 0.8, 2, 2.6, 3)
    assert useful_rates(_minutes(3, 4), counters) == _minutes(3, 4)
    assert useful_rates(_minutes(1.5), counters) == _minutes(1.5)
