"""The series of a session: quarter-hours of the UTC grid, and how a difference of two readings lies on them."""

import pytest

from sessions.events import Event
from sessions.state import Vehicle
from sessions.walker import SPANS_LIMIT
from tests.builders import HOME, VEHICLE, kwh, kwh_sum, minute, plug, policy, run, sample, timer, unplug


def _bounds(events: list[Event]) -> list[float]:
    series = run(*events).settled[0].statistics.timeseries
    starts = [(point.start_at - minute(0)).total_seconds() / 60 for point in series]
    return [*starts, (series[-1].end_at - minute(0)).total_seconds() / 60]


VISITS: dict[str, tuple[float, float, list[float]]] = {
    "within a quarter": (2, 9, [2, 9]),
    "first and last clipped": (10, 50, [10, 15, 30, 45, 50]),
    "on the grid": (15, 45, [15, 30, 45]),
    "one quarter": (15, 30, [15, 30]),
    "just over the boundary": (14.999, 15.001, [14.999, 15, 15.001]),
}


@pytest.mark.parametrize(("plug_in", "plug_out", "bounds"), VISITS.values(), ids=VISITS)
def test_series_of_a_visit(plug_in: float, plug_out: float, bounds: list[float]) -> None:
    """The series is contiguous from plug-in to plug-out on the UTC quarter-hour grid, with no empty interval."""
    assert _bounds([policy(0), plug(plug_in, where=HOME), unplug(plug_out), timer(99)]) == pytest.approx(bounds)


def test_plugged_in_and_out_at_once() -> None:
    """A visit of no length has no interval."""
    (session,) = run(policy(0), plug(10, where=HOME), unplug(10), timer(20)).settled
    assert session.statistics.timeseries == ()


# What is told after a plug-in at minute 10 -> the energies of the intervals until a plug-out at minute 60.
SPREADS: dict[str, tuple[list[Event], list[float]]] = {
    "evenly over all of the stretch": ([sample(10, 0.0), sample(40, 3.0)], [0.5, 1.5, 1.0, 0.0]),
    "over the charging in it": (
        [sample(10, 0.0), sample(20, charging=True), sample(30, charging=False), sample(40, 3.0)],
        [0.0, 3.0, 0.0, 0.0],
    ),
    "over two charges": (
        [
            sample(10, 0.0, charging=True),
            sample(15, charging=False),
            sample(45, charging=True),
            sample(50, 2.0, charging=False),
        ],
        [1.0, 0.0, 0.0, 1.0],
    ),
    "a charge that began before the reading": (
        [sample(10, 0.0, charging=True), sample(20, 1.0), sample(30, charging=False), sample(50, 2.0)],
        [0.5, 1.5, 0.0, 0.0],
    ),
    "a charge that goes on": ([sample(10, 0.0), sample(40, charging=True), sample(50, 2.0)], [0.0, 0.0, 1.0, 1.0]),
    "by the state of the power": (
        [sample(10, 0.0), sample(30, state="PLUGGED_IN:CHARGING"), sample(60, 3.0, state="PLUGGED_IN:COMPLETE")],
        [0.0, 0.0, 1.5, 1.5],
    ),
    "by another state of the power": (
        [sample(10, 0.0, state="PLUGGED_IN:CHARGING"), sample(20, state="PLUGGED_IN:STOPPED"), sample(60, 1.0)],
        [0.5, 0.5, 0.0, 0.0],
    ),
    "ends on the boundary": ([sample(15, 0.0), sample(30, 1.0)], [0.0, 1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize(("events", "energies"), SPREADS.values(), ids=SPREADS)
def test_spread(events: list[Event], energies: list[float]) -> None:
    """A difference lies evenly over the parts of its stretch known to be charging, else over all of it."""
    (session,) = run(policy(0), plug(10, where=HOME), *events, unplug(60), timer(61)).settled
    assert kwh(session) == energies


def test_baseline_before_the_plug_in() -> None:
    """Energy since a baseline before the plug-in lies after the plug-in."""
    story = run(policy(0), sample(12, 0.0), plug(16, where=HOME), sample(46, 3.0))
    assert kwh(story.latest) == [1.4, 1.5, 0.1]


@pytest.mark.parametrize("out", [50, 45], ids=["inside a quarter", "on the grid"])
def test_energy_after_the_unplug(out: float) -> None:
    """Energy seen after the first unplug evidence goes into the last interval."""
    story = run(
        policy(0),
        plug(30, where=HOME),
        sample(30, 0.0),
        sample(out, 1.5),
        unplug(out),
        sample(out + 0.5, 1.7),
        timer(60),
    )
    (session,) = story.settled
    assert kwh_sum(session) == 1.7
    assert kwh(session)[-1] == pytest.approx(1.7 if out == 45 else 0.575)
    assert session.statistics.timeseries[-1].end_at == minute(out)


def test_unplug_learnt_late() -> None:
    """Where an unplug is learnt late, what already lay beyond it goes into the last interval."""
    (session,) = run(policy(0), plug(10, where=HOME), sample(10, 0.0), sample(70, 6.0), unplug(40)).settled
    assert kwh(session) == [0.5, 1.5, 4.0]


@pytest.mark.parametrize("total_wh", [1, 2, 3, 5, 7, 1001, 9999])
def test_sums_are_exact(total_wh: int) -> None:
    """Spread energies are whole Wh whose sum is the session's energy, however they divide."""
    story = run(policy(0), plug(1, where=HOME), sample(1, 0.0), sample(98, total_wh / 1000))
    assert kwh_sum(story.latest) == total_wh / 1000
    assert sum(round(each * 1000) for each in kwh(story.latest)) == total_wh


def test_a_level_of_an_interval_is_news() -> None:
    """The first level of an interval that carries energy is published, though battery from and to stay as they are."""
    told = (policy(0), plug(10, where=HOME, level=50), sample(12, 1.0), sample(16, 2.0))
    assert [point.battery_level for point in run(*told).latest.statistics.timeseries] == [50, None]
    latest = run(*told, sample(18, level=50)).latest
    assert [point.battery_level for point in latest.statistics.timeseries] == [50, 50]


def test_levels_of_the_intervals() -> None:
    """An interval shows the last level told in it, rounded down, and null where none was."""
    story = run(
        policy(0), plug(10, where=HOME, level=20.5), sample(12, level=21.9), sample(50, level=30), unplug(55), timer(56)
    )
    assert [point.battery_level for point in story.settled[0].statistics.timeseries] == [21, None, None, 30]


def test_reading_across_the_unplug() -> None:
    """What a reading from after the unplug shows for a stretch from before it lies before the unplug."""
    told = (policy(0), plug(30, where=HOME), sample(40, 0.0), unplug(46), sample(46.8, 0.6), timer(60))
    assert kwh(run(*told).settled[0]) == [0.5, 0.1]


def test_levels_move_with_the_start() -> None:
    """Where the start moves back, each level stays in its interval."""
    story = run(policy(0), plug(20, where=HOME, level=50), plug(5))
    assert [point.battery_level for point in story.latest.statistics.timeseries] == [None, 50]


def test_charging_without_readings_is_bounded() -> None:
    """However often a charge starts and stops between two readings, what is remembered of it stays small."""
    toggles = [sample(20 + number / 10, charging=number % 2 == 0) for number in range(1_000)]
    story = run(plug(10), sample(10, 0.0), *toggles, before=Vehicle(VEHICLE))
    assert story.vehicle.visit is not None
    assert len(story.vehicle.visit.part.totals.tip.charging.spans) <= SPANS_LIMIT
    told = run(sample(125, 7.0), before=story.vehicle).vehicle
    assert told.visit is not None
    assert told.visit.part.totals.energy_wh[0] == 0
    assert sum(told.visit.part.totals.energy_wh) == told.visit.part.totals.energy_sum_wh == 7_000
