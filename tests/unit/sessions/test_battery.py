"""What a plan knows of the battery: levels, capacity, power, and where each comes from."""

import pytest
from msgspec import structs

from models.ids import LocationId
from models.policy import VehiclePolicy
from models.telemetry import PowerDeliveryState
from sessions.battery import battery_of, known_capacity_wh, power_w, remember_peak
from sessions.events import Rules
from sessions.power import Power
from sessions.state import Capacity, ChargeLimit, PeakPower, PowerState, Vehicle, Visit
from tests.builders import HOME, RULES, WORK, Story, minute, plug, policy, run, sample
from tests.support.controls import battery


@pytest.mark.parametrize(("limit", "wanted", "goal"), [(100, 80, 80), (70, 80, 70), (80, 80, 80)])
def test_a_goal_goes_as_far_as_the_vehicle_allows(limit: float, wanted: float, goal: float) -> None:
    """The lower of what is wanted and the vehicle's own limit."""
    assert battery(limit=limit).goal(wanted) == goal


@pytest.mark.parametrize(
    ("percent", "told", "limit", "complete", "reached"),
    [
        (79.9, True, 100, False, False),
        (80.0, True, 100, False, True),
        (70.0, True, 70, False, True),
        (69.9, True, 70, False, False),
        (10.0, True, 100, True, True),
        (10.0, False, 100, True, True),
        (90.0, False, 100, False, False),
    ],
)
def test_reached(percent: float, told: bool, limit: float, complete: bool, reached: bool) -> None:
    """A target is reached by a level that was told, up to the limit, or by the vehicle's word that it is done."""
    assert battery(percent, told=told, limit=limit, complete=complete).has_reached(80.0) == reached


@pytest.mark.parametrize(
    ("percent", "limit", "efficiency", "missing"),
    [(50, 100, 1.0, 18_000), (50, 100, 0.9, 20_000), (50, 60, 1.0, 6_000), (80, 100, 1.0, 0), (90, 100, 1.0, 0)],
)
def test_missing_energy(percent: float, limit: float, efficiency: float, missing: int) -> None:
    """What is missing of 80 % of 60 kWh, with its losses; never less than nothing."""
    assert battery(percent, limit=limit, efficiency=efficiency).missing_wh(80.0) == missing


@pytest.mark.parametrize(("energy_wh", "percent"), [(0, 50), (6_000, 59), (60_000, 100)])
def test_the_level_after_more_energy(energy_wh: int, percent: float) -> None:
    """Energy less its losses, over the capacity; no battery is fuller than full."""
    assert battery(50.0, efficiency=0.9).percent_after(energy_wh) == pytest.approx(percent)


def visit_of(story: Story) -> tuple[Vehicle, Visit, VehiclePolicy]:
    assert story.vehicle.visit is not None
    return story.vehicle, story.vehicle.visit, story.vehicle.policies[0].policy


def test_nobody_told_a_level() -> None:
    """Then 20 % at plug-in are assumed, and carried on by energy: 6 kWh x 0.9 of 60 kWh are 9 points."""
    story = run(policy(0), plug(10, where=HOME), sample(20, 1.0, charging=True), sample(80, 7.0, charging=True))
    found = battery_of(*visit_of(story), RULES)
    assert (found.percent, found.is_told, found.efficiency) == pytest.approx((29.0, False, 0.9))


def test_an_assumed_level_ends_at_full() -> None:
    """However much was charged."""
    story = run(policy(0), plug(10, where=HOME), sample(20, 1.0, rate=6), sample(1_000, 91.0, rate=6))
    assert battery_of(*visit_of(story), RULES).percent == 100.0


def test_a_level_is_carried_on_by_energy() -> None:
    """The last level told in this visit, and what was charged since."""
    told = [plug(10, where=HOME), sample(20, 1.0, level=40, charging=True), sample(80, 7.0, charging=True)]
    found = battery_of(*visit_of(run(policy(0), *told)), RULES)
    assert (found.percent, found.is_told) == pytest.approx((49.0, True))


@pytest.mark.parametrize(
    ("told", "by_policy", "known"), [(50.0, 70.0, 50_000), (None, 70.0, 70_000), (None, None, None)]
)
def test_capacity(told: float | None, by_policy: float | None, known: int | None) -> None:
    """By the vehicle's newest word, else the policy's, else 60 kWh."""
    story = run(policy(0, capacity=by_policy), plug(10, where=HOME, capacity=told))
    vehicle, visit, its_policy = visit_of(story)
    assert known_capacity_wh(vehicle, its_policy) == known
    assert battery_of(vehicle, visit, its_policy, RULES).capacity_wh == (known or 60_000)
    assert battery_of(vehicle, visit, its_policy, Rules(default_capacity_wh=5)).capacity_wh == (known or 5)
    vehicle.capacity = Capacity(minute(20), 30_000)
    assert known_capacity_wh(vehicle, None) == 30_000


def test_no_policy_no_capacity() -> None:
    """Of an unmanaged visit only the vehicle's word counts."""
    assert known_capacity_wh(run(plug(0)).vehicle, None) is None


@pytest.mark.parametrize(("at", "state", "complete"), [
    (10, "COMPLETE", True), (11, "COMPLETE", True), (9, "COMPLETE", False), (11, "STOPPED", False)
])  # fmt: skip
def test_complete_counts_since_the_plug_in(at: float, state: str, complete: bool) -> None:
    """What was said before is of another visit."""
    vehicle, visit, its_policy = visit_of(run(policy(0), plug(10, where=HOME)))
    vehicle.power_state = PowerState(minute(at), PowerDeliveryState[state])
    vehicle.charge_limit = ChargeLimit(minute(at), 70.0)
    found = battery_of(vehicle, visit, its_policy, RULES)
    assert (found.is_complete, found.limit_percent) == (complete, 70.0)


def test_without_a_limit_or_a_state() -> None:
    """A vehicle goes to 100 % and is not done."""
    found = battery_of(*visit_of(run(policy(0), plug(10, where=HOME))), RULES)
    assert (found.is_complete, found.limit_percent) == (False, 100.0)


@pytest.mark.parametrize(
    ("peak", "there", "rate", "power"),
    [
        (6_000, 5_000, 4.0, 6_000),
        (1_000, 5_000, 4.0, 1_000),
        (999, 5_000, 4.0, 5_000),
        (None, 5_000, 4.0, 5_000),
        (None, None, 4.0, 4_000),
        (None, None, None, 7_000),
        (None, None, 0.0, 1),
    ],
)
def test_power(peak: int | None, there: int | None, rate: float | None, power: int) -> None:
    """What this visit has shown, else the last one there, else the policy's word, else 7 kW."""
    vehicle, visit, its_policy = visit_of(run(policy(0, rate=rate), plug(10, where=HOME)))
    visit.part.totals = structs.replace(visit.part.totals, power=Power(peak_w=peak))
    vehicle.peaks = (PeakPower(WORK, 22_000),)
    if there is not None:
        vehicle.peaks = (*vehicle.peaks, PeakPower(HOME, there))
    assert power_w(vehicle, visit, its_policy, battery_of(vehicle, visit, its_policy, RULES)) == power


def test_places_are_remembered_newest_first() -> None:
    """Of the last eight places with charging the power is kept, one for each; less than 1 kW is none."""
    vehicle, visit, _ = visit_of(run(policy(0), plug(10, where=HOME)))
    vehicle.peaks = tuple(PeakPower(LocationId(f"place-{number}"), 7_000) for number in range(8))
    visit.part.totals = structs.replace(visit.part.totals, power=Power(peak_w=999))
    remember_peak(vehicle, visit)
    assert len(vehicle.peaks) == 8
    assert HOME not in {peak.location_id for peak in vehicle.peaks}
    for peak_w in (1_000, 3_000):
        visit.part.totals = structs.replace(visit.part.totals, power=Power(peak_w=peak_w))
        remember_peak(vehicle, visit)
        assert vehicle.peaks[0] == PeakPower(HOME, peak_w)
        assert [peak.location_id for peak in vehicle.peaks[1:]] == [f"place-{number}" for number in range(7)]
    visit.location_id = None
    visit.part.totals = structs.replace(visit.part.totals, power=Power(peak_w=9_000))
    remember_peak(vehicle, visit)
    assert vehicle.peaks[0] == PeakPower(HOME, 3_000)
    visit.location_id, visit.part.totals = HOME, structs.replace(visit.part.totals, power=Power())
    remember_peak(vehicle, visit)
    assert vehicle.peaks[0] == PeakPower(HOME, 3_000)
