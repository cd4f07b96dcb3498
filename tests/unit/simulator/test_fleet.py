"""The simulated fleet: the same for the same seed, in order, and true to itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import InputRecord
from models import codec
from models.telemetry import ChargeSample, PlugEvent
from models.topics import VEHICLE_CHARGE
from simulator.days import Place, day_of, plan_day
from simulator.fleet import fleet_events, policies, vehicle_events
from simulator.households import household

START_S = int(datetime(2026, 3, 1, 11, 7, 3, tzinfo=UTC).timestamp())
HOUR_S = 3_600
SEEDS = st.integers(0, 2**32)
MOMENTS = st.integers(
    int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2028, 1, 1, tzinfo=UTC).timestamp())
)


def _until(stream: Iterator[InputRecord], end_s: int) -> list[InputRecord]:
    return list(takewhile(lambda record: _second(record) < end_s, stream))


def _second(record: InputRecord) -> int:
    assert record.at is not None
    return int(record.at.timestamp())


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_the_same_seed_gives_the_same_events(seed: int, start_s: int) -> None:
    """Two runs of one seed from one moment are the same, event for event."""
    first, second = (_until(fleet_events(seed, 4, start_s), start_s + 12 * HOUR_S) for _ in range(2))
    assert first == second
    assert first


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS, st.integers(1, 40 * HOUR_S))
def test_a_restart_tells_what_the_first_run_would_have(seed: int, start_s: int, later_s: int) -> None:
    """Events from any later moment on are those of the run that never stopped: no history is needed."""
    end_s = start_s + 48 * HOUR_S
    whole = _until(vehicle_events(household(seed, 3), start_s), end_s)
    resumed = _until(vehicle_events(household(seed, 3), start_s + later_s), end_s)
    assert resumed == [record for record in whole if _second(record) >= start_s + later_s]


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_a_vehicle_tells_its_events_in_order(seed: int, start_s: int) -> None:
    """Per vehicle times rise strictly, but for exact duplicates, and so do the fleet's, but for ties."""
    found = _until(fleet_events(seed, 5, start_s), start_s + 30 * HOUR_S)
    assert [record.at for record in found] == sorted(record.at for record in found if record.at is not None)
    for key in {record.key for record in found}:
        own = [record for record in found if record.key == key]
        assert all(_second(one) < _second(other) or one == other for one, other in pairwise(own))


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOMENTS)
def test_a_counter_never_falls_within_a_visit(seed: int, start_s: int) -> None:
    """From plug-in to plug-out energyAdded only rises, from nearly nothing, and levels rise with it."""
    highest: dict[str | None, tuple[float, float]] = {}
    for record in _until(fleet_events(seed, 5, start_s), start_s + 72 * HOUR_S):
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
def test_a_day_has_no_gap_in_time_or_level(seed: int, number: int, moment_s: int) -> None:
    """Each leg begins where and when the one before ended, and every day ends at the level at which the next begins."""
    owner = household(seed, number)
    day = day_of(owner, moment_s)
    today, tomorrow = plan_day(owner, day).legs, plan_day(owner, day + timedelta(days=1)).legs
    assert today[0].start_s <= moment_s < tomorrow[0].start_s
    for one, other in pairwise((*today, tomorrow[0])):
        assert one.end_s == other.start_s
        assert one.end_percent == pytest.approx(other.start_percent, abs=1e-6)
        assert one.level_at(one.end_s) == pytest.approx(one.end_percent, abs=1e-6)
    assert [leg.place for leg in today].count(Place.PLUGGED) in (1, 2)
    assert all(5 <= leg.end_percent <= 100 for leg in today)


@pytest.mark.parametrize("hour", range(24))
def test_some_managed_visit_ends_soon_whatever_the_hour(hour: int) -> None:
    """Of 20 vehicles one unplugs at home within 2.5 simulated hours, and tells again within 10 minutes after."""
    start_s = START_S + hour * HOUR_S
    found = _until(fleet_events(1, 20, start_s), start_s + 3 * HOUR_S)
    out = next(
        record
        for record in found
        if isinstance(record.message, PlugEvent)
        and record.message.is_plugged_in is False
        and (record.message.location_id or "").startswith("sim-home-")
    )
    samples = [record.message for record in found if isinstance(record.message, ChargeSample)]
    assert any(sample.is_charging and "home" in (sample.location_id or "") for sample in samples)
    after = [_second(record) - _second(out) for record in found if record.key == out.key]
    assert _second(out) - start_s < 2.5 * HOUR_S
    assert any(60 <= seconds <= 600 for seconds in after)


def test_the_fleet_knows_home_public_and_unknown_places() -> None:
    """Visits are at home, at the public charger and at places without a name; plug and sample agree to the second."""
    found = _until(fleet_events(1, 10, START_S), START_S + 7 * 24 * HOUR_S)
    places = {record.message.location_id for record in found if isinstance(record.message, PlugEvent)}
    assert {"public-dc-01", None, "sim-home-0001"} <= places
    for one, other in pairwise(record for record in found if record.key == "sim-vehicle-0001"):
        if isinstance(one.message, PlugEvent):
            assert _second(other) - _second(one) == 2
            assert isinstance(other.message, ChargeSample)
            assert other.message.is_plugged_in in (one.message.is_plugged_in, None)


def test_defects_are_mild_and_present() -> None:
    """A few exact duplicates, unknown states and missing fields, never more than a tenth of the samples."""
    found = _until(fleet_events(7, 10, START_S), START_S + 72 * HOUR_S)
    samples = [record.message for record in found if isinstance(record.message, ChargeSample)]
    twice = len(samples) - len({sample.event_id for sample in samples})
    unknown = sum(sample.power_delivery_state == "UNKNOWN" for sample in samples)
    for count in (twice, unknown, sum(sample.battery_level is None for sample in samples)):
        assert 0 < count < len(samples) / 10


def test_every_event_is_one_that_the_worker_takes() -> None:
    """What the fleet tells decodes as it is, with every number in its range."""
    for record in _until(fleet_events(3, 5, START_S), START_S + 24 * HOUR_S):
        assert isinstance(record.message, PlugEvent | ChargeSample)
        decode = codec.decode_charge if record.topic == VEHICLE_CHARGE else codec.decode_plug
        assert decode(codec.encode(record.message)) == (record.message, ())


def test_every_vehicle_has_its_policy_at_home() -> None:
    """Policies name the vehicle, its user and its home, and decode as they are."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for number, record in enumerate(policies(5, range(1, 30), at), 1):
        assert record.key == f"sim-policy-{number:04d}"
        assert not isinstance(record.message, bytes | None)
        found = codec.decode_policy(codec.encode(record.message))
        assert (found.vehicle_id, found.user_id) == (f"sim-vehicle-{number:04d}", f"sim-user-{number:04d}")
        assert (found.location_id, found.is_enabled, found.at) == (f"sim-home-{number:04d}", True, at)
