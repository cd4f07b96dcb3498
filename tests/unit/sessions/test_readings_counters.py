"""Counters: baselines, runs, noise, resets, drains, placeholders, and steps that no vehicle can make."""

import pytest

from sessions.counters import QUARTER_LIMIT_READINGS, Reading, Run, Step, put_reading, read
from sessions.events import Counted, TelemetryReceived
from sessions.samples import begin
from tests.builders import minute, plug, sample
from tests.support.statistics import Visit, context, told

RESTARTED, IMPLAUSIBLE, LATE = (
    Counted.COUNTER_RESTARTED,
    Counted.IMPLAUSIBLE_ENERGY_STEP,
    Counted.LATE_READING_IGNORED,
)

# Readings (minute, kWh) around a plug-in at minute 60 -> energy in Wh.
BASELINES: dict[str, tuple[list[tuple[float, float]], int]] = {
    "newest within 5 min before": ([(50, 1.0), (55, 2.0), (59, 3.0), (70, 5.0)], 2_000),
    "newest within the quarter-hour of the plug-in": ([(55, 2.0), (58, 2.5), (59, 3.0), (62, 3.4), (63, 5.0)], 2_000),
    "exactly 5 min before": ([(55, 2.0), (70, 5.0)], 3_000),
    "older: the first after": ([(54.99, 2.0), (70, 5.0), (80, 6.5)], 1_500),
    "none before: the first after": ([(70, 5.0), (80, 6.5)], 1_500),
    "with the plug-in": ([(60, 5.0), (80, 6.5)], 1_500),
    "a single reading": ([(70, 5.0)], 0),
    "no reading": ([], 0),
    "higher than the first after: the counter began anew": ([(59, 9.0), (61, 0.5), (70, 1.5)], 1_000),
}


@pytest.mark.parametrize(("readings", "energy_wh"), BASELINES.values(), ids=BASELINES)
def test_baseline(readings: list[tuple[float, float]], energy_wh: int) -> None:
    """Energy counts from the newest reading at most 5 min before the plug-in, else from the first after it."""
    visit = Visit().tell(*(sample(at, kwh) for at, kwh in readings if at < 60))
    visit.plug_in(context(60)).tell(*(sample(at, kwh) for at, kwh in readings if at >= 60))
    assert visit.sum_wh == energy_wh


@pytest.mark.parametrize("start", [61.5, 63], ids=["between readings", "with a reading"])
def test_baseline_in_the_middle_of_readings(start: float) -> None:
    """A plug-in between readings of one quarter-hour starts from the one before it, whatever is kept of them later."""
    visit = Visit().tell(*(sample(60 + number, number / 10) for number in range(4) if 60 + number < start))
    visit.plug_in(context(start)).tell(
        *(sample(60 + number, number / 10) for number in range(4) if 60 + number >= start)
    )
    visit.tell(sample(64, 0.4), sample(65, 0.5))
    assert visit.sum_wh == (400 if start == 61.5 else 300)


def test_a_baseline_that_comes_late() -> None:
    """The newest reading of the 5 min before the plug-in is the baseline, whenever it comes."""
    visit = told([sample(70, 5.0)], context(60))
    assert visit.tell(sample(56, 2.0)).sum_wh == 3_000
    assert visit.tell(sample(58, 3.0)).sum_wh == 2_000
    assert visit.tell(sample(57, 1.0), sample(54, 0.0)).sum_wh == 2_000


# Readings one minute apart from the plug-in on -> energy in Wh, and what is counted.
RUNS: dict[str, tuple[list[float], int, list[Counted]]] = {
    "rises": ([1.0, 1.5, 3.0], 2_000, []),
    "noise: a fall of 0.1 kWh": ([1.0, 2.0, 1.9, 1.9], 1_000, []),
    "only what exceeds the highest adds": ([1.0, 2.0, 1.9, 2.1], 1_100, []),
    "a larger fall begins anew": ([1.0, 2.0, 1.899, 2.5], 1_601, [RESTARTED]),
    "reset to zero": ([5.0, 6.0, 0.0, 1.5], 2_500, [RESTARTED]),
    "reset to zero, and stays there": ([5.0, 6.0, 0.0, 0.0, 0.0, 1.5], 2_500, [RESTARTED]),
    "leading placeholder zero": ([0.0, 50.0, 51.0], 1_000, [IMPLAUSIBLE]),
    "400 kW": ([0.0, 6.666], 6_666, []),
    "above 400 kW": ([0.0, 6.667], 0, [IMPLAUSIBLE]),
    "to a lifetime register and back": ([1.0, 2.0, 9_000.0, 2.5, 3.0], 1_500, [IMPLAUSIBLE, RESTARTED]),
    "to a lifetime register for good": ([1.0, 2.0, 20_000.0, 20_000.5, 20_001.5], 2_500, [IMPLAUSIBLE]),
    "placeholder zero": ([12.0, 0.0, 12.3, 12.5], 200, [RESTARTED, IMPLAUSIBLE]),
    "placeholder zeros in a row": ([12.0, 0.0, 0.0, 12.3, 12.5], 200, [RESTARTED, IMPLAUSIBLE]),
    "two resets": ([1.0, 2.0, 0.5, 1.0, 0.2, 0.7], 2_000, [RESTARTED, RESTARTED]),
}


@pytest.mark.parametrize(("readings", "energy_wh", "counted"), RUNS.values(), ids=RUNS)
def test_runs(readings: list[float], energy_wh: int, counted: list[Counted]) -> None:
    """Within a run only what exceeds its highest reading adds; a larger fall or an impossible step begins another."""
    visit = told(sample(60 + at, kwh) for at, kwh in enumerate(readings))
    assert (visit.sum_wh, visit.counted) == (energy_wh, counted)


# Readings 20 minutes apart, in which no step is too steep -> energy in Wh.
ZEROS: dict[str, tuple[list[float], int]] = {
    "back to where it was": ([12.0, 0.0, 12.3, 12.5], 200),
    "back within noise": ([12.0, 0.0, 11.9, 12.5], 600),
    "below noise: it began anew": ([12.0, 0.0, 11.899, 12.5], 12_500),
    "back to twice as much, still nearer to it than to zero": ([12.0, 0.0, 24.0, 24.5], 500),
    "far above: it began anew": ([12.0, 0.0, 24.001, 24.5], 24_500),
    "a value near zero is no placeholder": ([12.0, 0.001, 12.3], 12_299),
    "a zero at first": ([0.0, 12.3, 12.5], 12_500),
    "a zero that the run rose from": ([12.0, 0.0, 1.0, 12.3], 12_300),
    "zeros in a row": ([12.0, 0.0, 0.0, 12.3, 12.5], 200),
    "a counter that had hardly begun": ([0.0, 0.499, 0.0, 0.0, 0.6], 1_099),
    "a counter that had begun": ([0.0, 0.5, 0.0, 0.0, 0.6, 0.7], 600),
}


@pytest.mark.parametrize(("readings", "energy_wh"), ZEROS.values(), ids=ZEROS)
def test_placeholder_zeros(readings: list[float], energy_wh: int) -> None:
    """A zero from which a counter comes back to where it stood was none: coming back adds nothing."""
    assert told(sample(60 + 20 * at, kwh) for at, kwh in enumerate(readings)).sum_wh == energy_wh


DRAINS: dict[str, tuple[list[TelemetryReceived], int]] = {
    "falls slowly while it does not charge": (
        [sample(30, 9.79, charging=False), sample(40, 9.9), sample(50, 9.79), sample(60, 9.9)],
        10_210,
    ),
    "to the half": ([sample(30, 5.105, charging=False), sample(40, 5.5)], 10_210),
    "below the half: it began anew": ([sample(30, 5.104, charging=False), sample(40, 5.5)], 10_606),
    "while it charges: it began anew": ([sample(30, 9.79, charging=True), sample(40, 9.9)], 10_320),
    "while nobody knows: it began anew": ([sample(30, 9.79), sample(40, 9.9)], 10_320),
    "charges again, above the highest": (
        [sample(30, 9.79, charging=False), sample(40, 10.15, charging=True), sample(50, 11.0)],
        11_000,
    ),
    "charges again, below it: it began anew": (
        [sample(30, 9.79, charging=False), sample(31, 9.8, charging=True), sample(32, 9.9), sample(33, 10.0)],
        10_410,
    ),
}


@pytest.mark.parametrize(("events", "energy_wh"), DRAINS.values(), ids=DRAINS)
def test_drains(events: list[TelemetryReceived], energy_wh: int) -> None:
    """A fall to no less than half, while the vehicle is known not to charge, begins no run (decision 5)."""
    assert told([sample(10, 0.0), sample(20, 10.21), *events]).sum_wh == energy_wh


@pytest.mark.parametrize(("step_kwh", "energy_wh"), [(66.666, 66_666), (66.667, 0)])
def test_step_above_capacity(step_kwh: float, energy_wh: int) -> None:
    """A step above the capacity over the efficiency (60 kWh / 0.9) adds nothing."""
    told_both = [sample(10, 0.0), sample(600, step_kwh)]
    assert told(told_both, context(capacity_wh=60_000)).sum_wh == energy_wh


def test_a_battery_of_unknown_size_takes_any_step() -> None:
    """Where nobody told the capacity, only the power limits a step."""
    assert told([sample(10, 0.0), sample(600, 90.0)]).sum_wh == 90_000


def test_idle_readings_between_visits() -> None:
    """What a counter gains while nothing is plugged in belongs to no part."""
    visit = told([sample(10, 0.0), sample(20, 1.0)])
    assert visit.sum_wh == 1_000
    visit.plug_out().tell(sample(40, 5.0)).plug_in(context(50)).tell(sample(52, 6.0), sample(60, 7.0))
    assert visit.sum_wh == 1_000


def test_one_reading_tells_no_energy() -> None:
    """Energy is known from the second reading of a run on, even if it is none."""
    visit = told([sample(10, 5.0)])
    assert not visit.part.is_energy_known
    assert visit.tell(sample(20, 5.0)).part.is_energy_known
    restarted = told([sample(10, 5.0), sample(20, 1.0)])
    assert not restarted.part.is_energy_known


LATE_READINGS: dict[str, tuple[list[tuple[float, float]], list[Counted]]] = {
    "between its neighbours": ([(20, 1.5)], []),
    "of another quarter-hour": ([(40, 1.7)], []),
    "again": ([(15, 1.0)], []),
    "again, as the newest": ([(70, 2.0)], []),
    "that does not fit where readings were dropped": ([(62, 1.0), (64, 1.9), (66, 1.95), (65, 9.0)], [LATE]),
    "that fits there": ([(62, 1.0), (64, 1.9), (66, 1.95), (65, 1.92)], []),
    "from before all that is known": ([(3_000, 2.0), (100, 1.0)], [LATE]),
}


@pytest.mark.parametrize(("late", "counted"), LATE_READINGS.values(), ids=LATE_READINGS)
def test_late_readings(late: list[tuple[float, float]], counted: list[Counted]) -> None:
    """A late reading finds its place; one that cannot is counted."""
    visit = told([sample(15, 1.0), sample(70, 2.0)])
    visit.tell(*(sample(at, kwh) for at, kwh in late))
    assert (visit.sum_wh, visit.counted) == (1_000, counted)


def test_a_late_reading_that_begins_a_run_takes_energy_back() -> None:
    """What lay across a late break of the counter is no difference of one run any more."""
    visit = told([sample(15, 1.0), sample(70, 2.0), sample(40, 0.5)])
    assert (visit.sum_wh, visit.counted) == (1_500, [RESTARTED])


def test_two_values_for_one_moment() -> None:
    """Of two readings of one moment the higher stands, whichever comes first."""
    for values in ([2.0, 2.5], [2.5, 2.0]):
        visit = told([sample(10, 1.0), *(sample(20, kwh) for kwh in values), sample(30, 3.0)])
        assert visit.sum_wh == 2_000
        assert visit.tell(sample(20, 2.25)).sum_wh == 2_000


def _put(*told_readings: tuple[float, int], flip: float = 0) -> list[tuple[float, int, bool]]:
    readings: tuple[Reading, ...] = ()
    for at_min, counter_wh in told_readings:
        readings = put_reading(readings, round(at_min * 60_000_000), counter_wh, round(flip * 60_000_000))
    return [(at_us / 60_000_000, counter_wh, is_merged) for at_us, counter_wh, is_merged in readings]


KEPT: dict[str, tuple[list[tuple[float, int]], list[tuple[float, int, bool]]]] = {
    "a rise": ([(1, 10), (2, 20), (3, 30), (4, 40)], [(1, 10, False), (4, 40, True)]),
    "two": ([(1, 10), (2, 20)], [(1, 10, False), (2, 20, False)]),
    "5 min apart": ([(1, 10), (6, 20), (11, 30)], [(1, 10, False), (11, 30, True)]),
    "after a longer silence": ([(1, 10), (6.1, 20), (7, 30)], [(1, 10, False), (6.1, 20, False), (7, 30, False)]),
    "before a longer silence": ([(1, 10), (2, 20), (7.1, 30)], [(1, 10, False), (2, 20, False), (7.1, 30, False)]),
    "closely for long": ([(1, 10), (5, 20), (9, 30), (13, 40)], [(1, 10, False), (13, 40, True)]),
    "a silence that is filled late": ([(1, 10), (2, 20), (9, 40), (6, 30)], [(1, 10, False), (9, 40, True)]),
    "no change": ([(1, 10), (2, 10), (3, 10)], [(1, 10, False), (3, 10, True)]),
    "a peak": ([(1, 10), (2, 30), (3, 20)], [(1, 10, False), (2, 30, False), (3, 20, False)]),
    "a dip": ([(1, 10), (2, 5), (3, 20)], [(1, 10, False), (2, 5, False), (3, 20, False)]),
    "in reverse": ([(4, 40), (3, 30), (2, 20), (1, 10)], [(1, 10, False), (4, 40, True)]),
    "the middle late": ([(1, 10), (3, 30), (2, 20)], [(1, 10, False), (3, 30, True)]),
    "the middle late, twice": ([(1, 10), (3, 30), (2, 20), (2, 20)], [(1, 10, False), (3, 30, True)]),
    "a late peak": ([(1, 10), (3, 30), (2, 40)], [(1, 10, False), (2, 40, False), (3, 30, False)]),
    "late where some were dropped": ([(1, 10), (2, 20), (4, 40), (3, 99)], [(1, 10, False), (4, 40, True)]),
    "after a zero": ([(1, 0), (2, 10), (3, 20), (4, 30)], [(1, 0, False), (2, 10, False), (4, 30, True)]),
    "zeros": ([(1, 0), (2, 0), (3, 10), (4, 30)], [(1, 0, False), (3, 10, True), (4, 30, False)]),
    "two for one moment, the lower later": ([(1, 10), (2, 20), (2, 15)], [(1, 10, False), (2, 20, False)]),
    "two for one moment, the higher later": ([(1, 10), (2, 20), (2, 25)], [(1, 10, False), (2, 25, False)]),
    "two for one moment, not the newest": (
        [(1, 10), (2, 30), (3, 20), (2, 40), (2, 35)],
        [(1, 10, False), (2, 40, False), (3, 20, False)],
    ),
    "two for one moment, where some were dropped": (
        [(1, 10), (2, 20), (3, 30), (4, 25), (3, 31)],
        [(1, 10, False), (3, 31, True), (4, 25, False)],
    ),
    "late, before all": ([(2, 20), (1, 10)], [(1, 10, False), (2, 20, False)]),
    "late, then one more": (
        [(1, 10), (3, 30), (4, 20), (6, 60), (2, 20), (5, 50)],
        [(1, 10, False), (3, 30, True), (4, 20, False), (6, 60, True)],
    ),
    "late, makes its neighbours useless": (
        [(1, 10), (3, 25), (4, 23), (5, 40), (3.5, 24)],
        [(1, 10, False), (3, 25, False), (3.5, 24, False), (4, 23, False), (5, 40, False)],
    ),
    "too steep": ([(1, 10), (2, 6_677), (3, 6_678)], [(1, 10, False), (2, 6_677, False), (3, 6_678, False)]),
    "too steep after": ([(1, 10), (2, 11), (3, 6_678)], [(1, 10, False), (2, 11, False), (3, 6_678, False)]),
    "as steep as can be": ([(1, 10), (2, 6_676), (3, 13_342)], [(1, 10, False), (3, 13_342, True)]),
}


@pytest.mark.parametrize(("told_readings", "kept"), KEPT.values(), ids=KEPT)
def test_what_is_kept(told_readings: list[tuple[float, int]], kept: list[tuple[float, int, bool]]) -> None:
    """Of a quarter-hour's readings those are dropped that lie between close neighbours in time and in value."""
    assert _put(*told_readings) == kept


@pytest.mark.parametrize(("flip", "count"), [(1, 2), (1.01, 3), (2, 3), (2.01, 3)])
def test_readings_next_to_a_change_are_kept(flip: float, count: int) -> None:
    """A reading is kept beside the moment at which the vehicle began or stopped charging."""
    assert len(_put((1, 10), (2, 20), (3, 30), flip=flip)) == count


def test_readings_of_a_quarter_hour_are_limited() -> None:
    """A counter that goes up and down all the time is remembered by its first and its newest readings."""
    kept = _put(*((number / 10, 100 + 90 * (number % 2)) for number in range(100)))
    assert len(kept) == QUARTER_LIMIT_READINGS
    assert kept[:2] == [(0, 100, False), (8.5, 190, True)]
    assert kept[-1] == (9.9, 190, False)


def test_plug_events_tell_no_counter() -> None:
    """A plug event changes no run."""
    assert told([sample(10, 0.0), plug(15), sample(20, 1.0), plug(21)]).sum_wh == 1_000


NINE_SECONDS_US = 9_000_000
STEPS: dict[str, tuple[Run, int, Step, Run]] = {
    "rises": (Run(1, 1, 500), 700, Step.RISES, Run(1, NINE_SECONDS_US + 1, 700)),
    "stands": (Run(1, 1, 500), 500, Step.RISES, Run(1, NINE_SECONDS_US + 1, 500)),
    "noise": (Run(1, 1, 500), 400, Step.RISES, Run(1, NINE_SECONDS_US + 1, 500)),
    "400 kW": (Run(1, 1, 500), 1_500, Step.RISES, Run(1, NINE_SECONDS_US + 1, 1_500)),
    "above": (Run(1, 1, 500), 1_501, Step.IMPLAUSIBLE, Run(NINE_SECONDS_US + 1, NINE_SECONDS_US + 1, 1_501)),
    "falls": (Run(1, 1, 500), 399, Step.RESTARTS, Run(NINE_SECONDS_US + 1, NINE_SECONDS_US + 1, 399)),
    "to zero": (Run(1, 1, 500), 0, Step.RESTARTS, Run(NINE_SECONDS_US + 1, NINE_SECONDS_US + 1, 0, 500)),
    "to a zero that is noise": (Run(1, 1, 100), 0, Step.RISES, Run(1, NINE_SECONDS_US + 1, 100)),
    "stays at zero": (Run(1, 1, 0, 500), 0, Step.RISES, Run(1, NINE_SECONDS_US + 1, 0, 500)),
    "rises from zero": (Run(1, 1, 0, 500), 399, Step.RISES, Run(1, NINE_SECONDS_US + 1, 399)),
    "comes back": (Run(1, 1, 0, 500), 400, Step.IMPLAUSIBLE, Run(NINE_SECONDS_US + 1, NINE_SECONDS_US + 1, 400)),
    "comes back to the double": (
        Run(1, 1, 0, 500),
        1_000,
        Step.IMPLAUSIBLE,
        Run(NINE_SECONDS_US + 1, NINE_SECONDS_US + 1, 1_000),
    ),
    "rises far from zero": (Run(1, 1, 0, 499), 999, Step.RISES, Run(1, NINE_SECONDS_US + 1, 999)),
    "a zero that nothing came before": (Run(1, 1, 0), 1, Step.RISES, Run(1, NINE_SECONDS_US + 1, 1)),
}


@pytest.mark.parametrize(("run", "counter_wh", "step", "following"), STEPS.values(), ids=STEPS)
def test_steps(run: Run, counter_wh: int, step: Step, following: Run) -> None:
    """Each reading goes on with the run or begins the next one."""
    assert read(run, NINE_SECONDS_US + 1, counter_wh, limit_wh=2_000, is_idle=False) == (step, following)


@pytest.mark.parametrize(("limit_wh", "step"), [(200, Step.RISES), (199.9, Step.IMPLAUSIBLE)])
def test_no_step_is_larger_than_the_battery(limit_wh: float, step: Step) -> None:
    """A step of just what a battery takes is plausible."""
    assert read(Run(1, 1, 500), NINE_SECONDS_US + 1, 700, limit_wh=limit_wh, is_idle=False)[0] is step


def test_small_zeros_again_and_again() -> None:
    """0.34 kWh, then nine zeros while the vehicle stands, each followed by 0.34: nothing of it is energy."""
    visit = Visit().plug_in(context(0)).tell(sample(1, 0.0, charging=True), sample(6, 0.34, charging=False))
    for at in range(10, 100, 10):
        visit.tell(sample(at, 0.0, charging=False), sample(at + 2, 0.34, charging=False))
    assert visit.sum_wh == 340


def test_a_zero_before_and_after_a_charge_begins_counts_that_charge() -> None:
    """0.6 kWh, re-plugged, zero, zero as it charges, then 0.65: all of it was charged."""
    visit = Visit().plug_in(context(0)).tell(sample(1, 0.0, charging=True), sample(6, 0.6, charging=False))
    visit.tell(sample(8, 0.0, charging=False), sample(9, 0.0, charging=True), sample(14, 0.65, charging=True))
    assert visit.sum_wh == 1_250


def test_a_held_counter_that_brings_as_much_as_it_held() -> None:
    """8 kWh of the charge before, zero as it charges, then 8.1: that is this charge."""
    visit = Visit().tell(sample(-1, 8.0)).plug_in(context(0))
    visit.tell(sample(1, 8.0, charging=False), sample(2, 0.0, charging=True), sample(7, 8.1, charging=True))
    assert visit.sum_wh == 8_100


def test_a_zero_in_the_middle_of_a_charge_is_a_placeholder() -> None:
    """5 kWh, zero, 5.5: what was counted is not counted again, but for what the zero hides."""
    visit = Visit().plug_in(context(0)).tell(sample(1, 0.0, charging=True), sample(31, 5.0, charging=True))
    visit.tell(sample(34, 0.0, charging=True), sample(37, 5.5, charging=True))
    assert visit.sum_wh == 5_000


@pytest.mark.parametrize(
    ("held", "rate", "after", "energy_wh"),
    [
        # 11 kW for 10 min are 1.833 kWh: on top of what the counter showed, or of nothing.
        (1.8, 11.0, 3.65, 1_800 + 1_833),
        (1.8, 11.0, 1.85, 1_800 + 1_850),
        # 102 kW are 17 kWh, tapering: not 2.85 on top of 12.607.
        (12.607, 102.0, 15.454, 12_607 + 15_454),
    ],
    ids=["back", "begun anew", "begun anew, about as far as it was"],
)
def test_the_rate_tells_what_a_zero_meant(held: float, rate: float, after: float, energy_wh: int) -> None:
    """A counter that comes back, but for what was charged since, never began anew; one that shows just that did."""
    visit = Visit().plug_in(context(0)).tell(sample(1, 0.0), sample(11, held, charging=True, rate=0.0))
    visit.tell(sample(21, 0.0, charging=True, rate=rate), sample(31, after, charging=True, rate=rate))
    assert visit.sum_wh == energy_wh


def test_a_zero_in_the_next_part_of_a_visit_is_a_placeholder() -> None:
    """The part before had 5 kWh of this visit; a zero as the charge goes on, then 5.6: that is 0.6 at most."""
    visit = Visit().plug_in(context(0)).tell(sample(1, 0.0, charging=True), sample(21, 5.0, charging=False))
    visit.context = context(23, plugged_in_at=minute(0))
    visit.totals = begin(visit.readings, visit.context, visit.part)
    visit.tell(sample(24, 0.0, charging=True), sample(29, 5.6, charging=True))
    assert visit.sum_wh == 0


def test_no_rise_beside_a_counter_counts_where_the_vehicle_stood() -> None:
    """It stands for half a minute, its counter begins anew and tells 10 kWh, its level 12: 10 is what it was."""
    visit = Visit().tell(sample(-1, 50.0, level=20)).plug_in(context(0))
    visit.tell(sample(0.5, 50.0, level=20, charging=False), sample(1, 0.0, level=20, charging=True))
    visit.tell(sample(11, 10.0, level=38, charging=True))
    assert visit.sum_wh == 10_000


@pytest.mark.parametrize(
    ("after", "capacity", "energy_wh"),
    [
        # 2 % of 60 kWh in 10 min are no 15 kWh: the zero before was none, and 3.6 kW gave the rest.
        ((70, 15.0, 62.0), 60.0, 600),
        ((63, 15.0, 62.0), 60.0, 180),
        # 25 % are.
        ((70, 15.0, 85.0), 60.0, 15_000),
        ((63, 15.0, 85.0), 60.0, 15_000),
        # Neither a small counter nor one beside a level that nobody told, or a capacity, can be told apart.
        ((70, 1.5, 61.0), 60.0, 1_500),
        ((70, 15.0, None), 60.0, 15_000),
        ((70, 15.0, 62.0), None, 15_000),
    ],
)
def test_levels_tell_what_a_lone_zero_meant(
    after: tuple[float, float, float | None], capacity: float | None, energy_wh: int
) -> None:
    """A zero that is all that a counter showed so far was none if the battery cannot have taken what it shows next."""
    at, kwh, level = after
    visit = Visit().plug_in(context(60, capacity_wh=None if capacity is None else capacity * 1_000))
    visit.tell(sample(60, 0.0, level=60.0, charging=True, rate=3.6), sample(at, kwh, level=level, rate=3.6))
    assert visit.sum_wh == energy_wh
