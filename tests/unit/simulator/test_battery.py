"""The charge curve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.world.battery import fast_charger, home_charger


def test_below_the_knee_the_level_rises_in_a_straight_line() -> None:
    """7 kW into 70 kWh are 10 % an hour."""
    assert home_charger(7, 70).level_after(20, 3_600, 100) == pytest.approx(30)


@given(
    st.floats(0, 100), st.floats(0, 80_000), st.floats(0, 80_000), st.floats(30, 100), st.booleans(), st.floats(20, 120)
)
def test_a_level_never_falls_and_never_passes_the_limit(
    start: float, one_s: float, other_s: float, limit: float, is_fast: bool, capacity: float
) -> None:
    """Charging longer never gives less, nor more than the limit; a vehicle above it stays where it is."""
    curve = fast_charger(1.8 * capacity, capacity) if is_fast else home_charger(7, capacity)
    less, more = (curve.level_after(start, seconds, limit) for seconds in sorted((one_s, other_s)))
    assert start <= less <= more + 1e-9
    assert more <= max(start, limit)


@given(st.floats(0, 99), st.floats(1, 30_000), st.floats(1, 30_000))
def test_charging_in_two_steps_is_charging_in_one(start: float, one_s: float, other_s: float) -> None:
    """The curve depends on the level alone, not on when the charge began."""
    curve = fast_charger(108, 60)
    between = curve.level_after(start, one_s, 100)
    assert curve.level_after(between, other_s, 100) == pytest.approx(curve.level_after(start, one_s + other_s, 100))


@given(st.floats(0, 99), st.floats(30, 100), st.booleans())
def test_the_time_to_a_level_is_when_it_is_reached(start: float, limit: float, is_fast: bool) -> None:
    """A timer set by seconds_to ends exactly at the limit, and needs none where the level is there already."""
    curve = fast_charger(108, 60) if is_fast else home_charger(7, 60)
    needed_s = curve.seconds_to(start, limit)
    assert curve.level_after(start, needed_s, 100) == pytest.approx(max(start, limit))


@given(st.floats(0, 95))
def test_the_rate_is_the_slope_of_the_level(level: float) -> None:
    """What is told as chargeRate is what the level does."""
    curve = fast_charger(108, 60)
    risen = curve.level_after(level, 1, 100) - level
    assert risen / 100 * 60 * 3_600 == pytest.approx(curve.rate_at(level + risen / 2), rel=1e-3)
