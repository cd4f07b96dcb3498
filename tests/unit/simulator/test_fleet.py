"""The simulated fleet that nobody commands: the same for the same seed, in order, and true to itself."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import codec
from models.telemetry import ChargeSample, PlugEvent
from models.topics import VEHICLE_CHARGE
from simulator.days import Place, day_of, plan_day
from simulator.fleet import Fleet, policies
from simulator.households import household, number_of
from simulator.prices import ZONES
from simulator.vehicle import NEVER_S, Vehicle
from tests.support.fleets import DAY_S, HOUR_S, MOMENTS, NO_LIMIT_STEPS, SEEDS, START_S, second, told, until


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_the_same_seed_gives_the_same_events(seed: int, start_s: int) -> None:
    """Two runs of one seed from one moment are the same, event for event."""
    first, other = (told(seed, 4, start_s, start_s + 12 * HOUR_S) for _ in range(2))
    assert first == other
    assert first


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS, st.integers(1, 40 * HOUR_S))
def test_a_later_beginning_tells_what_the_first_run_would_have(seed: int, start_s: int, later_s: int) -> None:
    """Events from any later moment on are those of a run that began before it: no history is needed."""
    end_s = start_s + 48 * HOUR_S
    whole = told(seed, 3, start_s, end_s)
    later = told(seed, 3, start_s + later_s, end_s)
    assert later == [record for record in whole if second(record) >= start_s + later_s]


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_a_vehicle_tells_its_events_in_order(seed: int, start_s: int) -> None:
    """Per vehicle times rise strictly, but for exact duplicates, and so do the fleet's, but for ties."""
    found = told(seed, 5, start_s, start_s + 30 * HOUR_S)
    assert [record.at for record in found] == sorted(record.at for record in found if record.at is not None)
    for key in {record.key for record in found}:
        own = [record for record in found if record.key == key]
        assert all(second(one) < second(other) or one == other for one, other in pairwise(own))


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_a_counter_never_falls_within_a_visit(seed: int, start_s: int) -> None:
    """From plug-in to plug-out energyAdded only rises, from nearly nothing, and levels rise with it."""
    highest: dict[str | None, tuple[float, float]] = {}
    for record in told(seed, 5, start_s, start_s + 72 * HOUR_S):
        if isinstance(record.message, PlugEvent):
            highest.pop(record.key, None)
            if record.message.is_plugged_in:
                highest[record.key] = (0.0, 0.0)
        elif isinstance(record.message, ChargeSample) and record.key in highest:
            energy, level = highest[record.key]
            now = (record.message.energy_added or energy, record.message.battery_level or level)
            assert now[0] >= energy
            assert now[1] >= level
            highest[record.key] = now


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 300), MOMENTS)
def test_a_day_has_no_gap(seed: int, number: int, moment_s: int) -> None:
    """Each leg begins when the one before ended, the last one at the next departure."""
    owner = household(seed, number)
    day = day_of(owner, moment_s)
    today, tomorrow = plan_day(owner, day), plan_day(owner, day + timedelta(days=1))
    assert today[0].start_s <= moment_s < tomorrow[0].start_s
    for one, other in pairwise((*today, tomorrow[0])):
        assert one.start_s < one.end_s == other.start_s
    assert [leg.place for leg in today].count(Place.PLUGGED) in (1, 2)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 300), MOMENTS)
def test_a_vehicle_leaves_home_as_its_household_wants_it(seed: int, number: int, moment_s: int) -> None:
    """Left to itself it departs at its usual level, whatever the day took, and is never empty."""
    vehicle = Vehicle.begin(household(seed, number), moment_s)
    levels = set()
    while vehicle.next_s < moment_s + 5 * DAY_S:
        vehicle.step(NEVER_S)
        assert 5 <= vehicle.level_at(vehicle.state.told_s) <= 100
        if vehicle.left.location_id == vehicle.owner.home and vehicle.state.told_s == vehicle.leg.start_s:
            levels.add((vehicle.leg.place, vehicle.state.level_percent))
    assert {level for place, level in levels if place is Place.DRIVING} == {vehicle.owner.usual_percent}


@pytest.mark.parametrize("hour", range(24))
def test_some_managed_visit_ends_soon_whatever_the_hour(hour: int) -> None:
    """Of 20 vehicles one unplugs at home within 2.5 simulated hours, and tells again within 10 minutes after."""
    start_s = START_S + hour * HOUR_S
    found = told(1, 20, start_s, start_s + 3 * HOUR_S)
    out = next(
        record
        for record in found
        if isinstance(record.message, PlugEvent)
        and record.message.is_plugged_in is False
        and (record.message.location_id or "").startswith("sim-home-")
    )
    samples = [record.message for record in found if isinstance(record.message, ChargeSample)]
    assert any(sample.is_charging and "home" in (sample.location_id or "") for sample in samples)
    after = [second(record) - second(out) for record in found if record.key == out.key]
    assert second(out) - start_s < 2.5 * HOUR_S
    assert any(60 <= seconds <= 600 for seconds in after)


def test_the_fleet_knows_home_public_and_unknown_places() -> None:
    """Visits are at home, at the public charger and at places without a name; plug and sample agree to the second."""
    found = told(1, 10, START_S, START_S + 7 * DAY_S)
    places = {record.message.location_id for record in found if isinstance(record.message, PlugEvent)}
    assert {"public-dc-01", None, "sim-home-0001"} <= places
    for one, other in pairwise(record for record in found if record.key == "sim-vehicle-0001"):
        if isinstance(one.message, PlugEvent):
            assert second(other) - second(one) == 2
            assert isinstance(other.message, ChargeSample)
            assert other.message.is_plugged_in in (one.message.is_plugged_in, None)


def test_a_change_is_told_within_seconds_and_then_every_five_minutes() -> None:
    """While plugged in no two samples are more than 5 minutes apart, and none says a new state late."""
    vehicle = Vehicle.begin(household(1, 1), START_S)
    was_charging, changed_s, sampled_s = False, None, START_S
    while vehicle.next_s < START_S + 3 * DAY_S:
        told_now = vehicle.step(NEVER_S)
        now_s = vehicle.state.told_s
        if vehicle.state.is_charging != was_charging:
            was_charging, changed_s = vehicle.state.is_charging, now_s
        if told_now is not None:
            assert vehicle.leg.place is not Place.PLUGGED or now_s - max(sampled_s, vehicle.leg.start_s) <= 300
            assert changed_s is None or now_s - changed_s <= 2
            sampled_s, changed_s = now_s, None


def test_defects_are_mild_and_present() -> None:
    """A few exact duplicates, unknown states and missing fields, never more than a tenth of the samples."""
    found = told(7, 10, START_S, START_S + 72 * HOUR_S)
    samples = [record.message for record in found if isinstance(record.message, ChargeSample)]
    twice = len(samples) - len({sample.event_id for sample in samples})
    unknown = sum(sample.power_delivery_state == "UNKNOWN" for sample in samples)
    for count in (twice, unknown, sum(sample.battery_level is None for sample in samples)):
        assert 0 < count < len(samples) / 10


def test_every_event_is_one_that_the_worker_takes() -> None:
    """What the fleet tells decodes as it is, with every number in its range."""
    for record in told(3, 5, START_S, START_S + DAY_S):
        assert isinstance(record.message, PlugEvent | ChargeSample)
        decode = codec.decode_charge if record.topic == VEHICLE_CHARGE else codec.decode_plug
        assert decode(codec.encode(record.message)) == (record.message, ())


def test_every_vehicle_has_its_policy_at_home() -> None:
    """Policies name the vehicle, its user, its home and a price zone, want it ready at seven, and decode."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    capacities = set()
    for number, record in enumerate(policies(5, range(1, 30), at), 1):
        assert record.key == f"sim-policy-{number:04d}"
        assert not isinstance(record.message, bytes | None)
        found = codec.decode_policy(codec.encode(record.message))
        owner = household(5, number)
        assert (found.vehicle_id, found.user_id) == (f"sim-vehicle-{number:04d}", f"sim-user-{number:04d}")
        assert (found.location_id, found.is_enabled, found.at) == (f"sim-home-{number:04d}", True, at)
        assert found.zone in {zone.name for zone in ZONES}
        assert found.timezone_name == owner.zone.key
        assert found.schedule.sunday is not None
        assert (found.schedule.sunday.deadline, found.max_charge_rate) == ("07:00", owner.wall_box_kw)
        assert 70 <= found.schedule.sunday.minimum_charge_target <= owner.limit_percent
        assert 10 <= found.battery_reserve <= 30
        capacities.add(found.battery_capacity is None)
    assert capacities == {True, False}


@given(SEEDS, st.integers(1, 100_000))
def test_a_vehicles_id_leads_back_to_it(seed: int, number: int) -> None:
    """An id names one vehicle, and what only looks like one names none."""
    found = household(seed, number).vehicle_id
    assert number_of(found) == number
    for other in (
        "",
        "sim-vehicle-",
        f"{found} ",
        f"x{found}",
        f"sim-vehicle-0{found[12:]}",
        "sim-vehicle-" + "9" * 60,
    ):
        assert number_of(other) is None
    assert number_of("sim-vehicle-0000") is None


@settings(max_examples=10, deadline=None)
@given(SEEDS, MOMENTS, st.integers(1, 2_000))
def test_a_fleet_that_is_cut_short_goes_on(seed: int, start_s: int, limit_steps: int) -> None:
    """However few steps a round takes, all is told in the end, and everything up to `reached_s` has been told."""
    end_s = start_s + 3 * HOUR_S
    fleet = Fleet(seed, 5, start_s)
    found = list(fleet.events(start_s, NEVER_S, limit_steps))
    while fleet.reached_s < end_s:
        found += fleet.events(end_s, NEVER_S, limit_steps)
        assert all(second(record) <= fleet.reached_s + 1 for record in found)
    assert found == told(seed, 5, start_s, end_s)
    assert until(fleet, end_s) == []
    assert list(fleet.events(end_s - HOUR_S, NEVER_S, NO_LIMIT_STEPS)) == []
