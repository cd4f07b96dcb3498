"""Forecasts and verdicts: will the target be met, and was it."""

import pytest

from sessions.outcome import forecast, verdict
from sessions.state import Heard, Judged
from tests.builders import minute
from tests.support.controls import battery, control, minutes, plan, wanted, wanted_at_once


@pytest.mark.parametrize(
    ("percent", "by", "state", "level", "reached"),
    [
        # 30 % of 60 kWh at 6 kW are 180 min; the plan has them from 60 to 240.
        (50.0, 600, "ON_TRACK", 80, 240),
        (50.0, 240, "ON_TRACK", 80, 240),
        # A minute is a sixth of a point: 79.0 is no more than one short, 78.8 is.
        (50.0, 234, "ON_TRACK", 79, 240),
        (50.0, 233, "AT_RISK", 78, 240),
        (50.0, 60, "AT_RISK", 50, 240),
        (50.0, None, "ON_TRACK", None, 240),
        # With less missing it is reached sooner: 10 min after the start, and told in whole 5 min, rounded up.
        (78.4, 600, "ON_TRACK", 80, 70),
        (78.2, 600, "ON_TRACK", 80, 75),
        # More than wanted is not lost.
        (85.5, 600, "ON_TRACK", 85, 60),
    ],
)
def test_a_forecast_from_the_plan(
    percent: float, by: float | None, state: str, level: int | None, reached: float
) -> None:
    """now..60======240  The level at the deadline by the plan, at risk if more than a point short."""
    found = forecast(control(plan((60, 240))), wanted(80.0, by), battery(percent), minute(0))
    assert (found.state, found.battery_level_at_ready_by) == (state, level)
    assert (minutes(found.minimum_charge_target_reached_at), found.target_id, found.type) == (reached, 1, "REGULAR")


def test_a_forecast_in_the_middle_of_a_plan() -> None:
    """What the plan has delivered by now is in the level already."""
    half = battery(65.0)
    found = forecast(control(plan((60, 240))), wanted(80.0, 234), half, minute(150))
    assert (found.state, found.battery_level_at_ready_by) == ("ON_TRACK", 79)
    assert minutes(found.minimum_charge_target_reached_at) == 240


def test_a_plan_with_too_little_reaches_nothing() -> None:
    """No time is told, and the level is what the plan comes to."""
    found = forecast(control(plan((60, 120))), wanted(80.0), battery(50.0), minute(0))
    assert (found.state, found.battery_level_at_ready_by) == ("AT_RISK", 60)
    assert found.minimum_charge_target_reached_at is None


def test_a_limit_is_as_good_as_a_target() -> None:
    """As far as the vehicle allows is all that can be wanted."""
    found = forecast(control(plan((60, 120))), wanted(80.0), battery(50.0, limit=60.0), minute(0))
    assert (found.state, found.battery_level_at_ready_by) == ("ON_TRACK", 60)


def test_an_assumed_level_is_never_told() -> None:
    """Null where nobody told one, whatever was assumed."""
    found = forecast(control(plan((60, 240))), wanted(80.0), battery(20.0, told=False), minute(0))
    assert (found.state, found.battery_level_at_ready_by) == ("AT_RISK", None)


@pytest.mark.parametrize(("told", "level"), [(True, 81), (False, None)])
def test_reached_is_on_track(told: bool, level: int | None) -> None:
    """With the time at which it was, not rounded, and the level of then."""
    state = control(plan())
    state.reached_at = minute(33.3)
    found = forecast(state, wanted(80.0), battery(81.9, told=told), minute(40))
    assert (found.state, found.battery_level_at_ready_by) == ("ON_TRACK", level)
    assert minutes(found.minimum_charge_target_reached_at) == 33.3


def test_at_once_has_no_deadline() -> None:
    """So no level at it, and no risk."""
    found = forecast(control(plan((0, 180))), wanted_at_once(80.0, 3), battery(50.0), minute(0))
    assert (found.target_id, found.type, found.state) == (3, "IMMEDIATE_START", "ON_TRACK")
    assert (found.battery_level_at_ready_by, minutes(found.minimum_charge_target_reached_at)) == (None, 180)


@pytest.mark.parametrize(
    ("reached", "state", "told"),
    [(590, "ON_TRACK", 590), (600, "ON_TRACK", 600), (601, "AT_RISK", 601), (None, "AT_RISK", 630)],
)
def test_once_its_time_has_passed_the_level_stands(reached: float | None, state: str, told: float) -> None:
    """The level at the deadline is history; missed is missed, whenever it is reached after all."""
    after = control(plan((600, 700)), at=600)
    after.reached_at = None if reached is None else minute(reached)
    after.judged = Judged(wanted(80.0, 600), after.reached_at, 72.9)
    found = forecast(after, wanted(80.0, 600), battery(77.0), minute(610))
    assert (found.state, found.battery_level_at_ready_by) == (state, 72)
    assert minutes(found.minimum_charge_target_reached_at) == told


def test_the_deadline_of_another_target_says_nothing() -> None:
    """One that was judged before does not count for the next."""
    state = control(plan((60, 240)))
    state.judged = Judged(wanted(80.0, -10), None, 30.0)
    found = forecast(state, wanted(80.0, number=2), battery(50.0), minute(0))
    assert (found.state, found.battery_level_at_ready_by) == ("ON_TRACK", 80)


@pytest.mark.parametrize(
    ("by", "reached", "state"),
    [
        # The plug is out at 500.
        (600, 400, "SUCCEEDED"),
        (600, 500, "SUCCEEDED"),
        (600, 501, "FAILED"),
        (600, None, "FAILED"),
        (None, 500, "SUCCEEDED"),
        (None, None, "FAILED"),
        (450, 450, "SUCCEEDED"),
        (450, 451, "FAILED"),
    ],
)
def test_a_verdict_on_the_target_in_force(by: float | None, reached: float | None, state: str) -> None:
    """Reached by its time, or by the plug-out where that is earlier or it has none."""
    after = control()
    after.reached_at = None if reached is None else minute(reached)
    found = verdict(after, wanted(80.0, by, number=4), battery(77.7), minute(500))
    assert (found.state, found.target_id, minutes(found.minimum_charge_target_reached_at)) == (state, 4, reached)
    assert found.battery_level_at_ready_by == (None if by is None else 77)


@pytest.mark.parametrize(("told", "level"), [(True, 77), (False, None)])
def test_a_verdict_tells_no_assumed_level(told: bool, level: int | None) -> None:
    """Null where nobody told one."""
    assert verdict(control(), wanted(), battery(77.7, told=told), minute(5)).battery_level_at_ready_by == level


@pytest.mark.parametrize(
    ("judged_number", "judged_reached", "reached", "state", "told"),
    [
        # The target in force is number 2; what is judged is the last whose time passed, at 450.
        (1, 440, 480, "SUCCEEDED", 440),
        (1, None, 480, "FAILED", None),
        (1, 460, 480, "FAILED", 460),
        (2, None, 480, "FAILED", 480),
        (2, None, None, "FAILED", None),
        (2, 440, 440, "SUCCEEDED", 440),
        # Told late: it had been reached in time.
        (2, None, 449, "SUCCEEDED", 449),
    ],
)
def test_a_verdict_on_the_last_target_whose_time_passed(
    judged_number: int, judged_reached: float | None, reached: float | None, state: str, told: float | None
) -> None:
    """It counts, not the one in force, and with the level that it had then."""
    after = control()
    after.judged = Judged(
        wanted(80.0, 450, number=judged_number), None if judged_reached is None else minute(judged_reached), 70.2
    )
    after.reached_at = None if reached is None else minute(reached)
    found = verdict(after, wanted(80.0, 450 if judged_number == 2 else 900, number=2), battery(90.0), minute(500))
    assert (found.state, found.target_id, found.battery_level_at_ready_by) == (state, judged_number, 70)
    assert minutes(found.minimum_charge_target_reached_at) == told


def test_deadlines_that_passed_after_the_end_do_not_count() -> None:
    """A vehicle that fell silent is judged by how it stood at its newest message."""
    after = control()
    after.heard = Heard(wanted(80.0, 900, number=1), minute(300), None)
    after.judged, after.reached_at = Judged(wanted(80.0, 2_340, number=2), None, 70.0), None
    found = verdict(after, wanted(80.0, 3_780, number=3), battery(81.0), minute(310))
    assert (found.state, found.target_id) == ("SUCCEEDED", 1)
    assert minutes(found.minimum_charge_target_reached_at) == 300
