"""A vehicle's state in its two parts, and the zones of open visits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from models.ids import ChargingEventId, LocationId, SessionId, VehicleId, Zone
from sessions.events import Event, Rules
from sessions.state import ChargingEvent, Vehicle
from sessions.timers import Wake
from streams.open_visits import OpenVisits, zone_of
from streams.states import (
    Summary,
    decode_summary,
    decode_vehicle,
    encode_charging_events,
    encode_vehicle,
    rules_hash,
)
from tests.builders import HOME, VEHICLE, WORK, plug, policy, run, sample, unplug

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
CAR, VAN = VEHICLE, VehicleId("van")
NORTH, SOUTH = Zone("north"), Zone("south")
EVENT = ChargingEvent(ChargingEventId("e"), SessionId("s"), T0, T0 + timedelta(hours=1), is_managed=True)


def plugged_in(vehicle_id: VehicleId = CAR, zone: Zone | None = NORTH, *, managed: bool = True) -> Vehicle:
    """A vehicle in an open visit, with a policy of that zone that may manage it."""
    written = policy(0)
    written = replace(written, policy=replace(written.policy, zone=zone))
    return replace(run(written, plug(1, where=HOME if managed else WORK)).vehicle, id=vehicle_id)


def test_a_state_is_the_same_from_its_two_parts() -> None:
    """What is kept apart is joined again, with charging events and without."""
    for events in ((), (EVENT,), (EVENT, replace(EVENT, is_guess=True))):
        vehicle = replace(plugged_in(), charging_events=events)
        assert decode_vehicle(encode_vehicle(vehicle), encode_charging_events(vehicle)) == vehicle


def test_a_state_from_before_deletions_were_remembered_is_read() -> None:
    """What a record does not say yet is as if it had never been: no fingerprint, no deletion, and no first record."""
    vehicle = plugged_in()
    size = len(msgspec.msgpack.encode(vehicle))
    head, raw = encode_vehicle(vehicle)[:-size], encode_vehicle(vehicle)[-size:]
    former = msgspec.msgpack.decode(raw)
    del former["deleted"]
    for managed in former["policies"]:
        del managed["fingerprint"], managed["is_first"]
    read = decode_vehicle(head + msgspec.msgpack.encode(former), None)
    assert read == replace(vehicle, policies=tuple(replace(each, is_first=False) for each in vehicle.policies))


@pytest.mark.parametrize("zone", [None, NORTH, Zone("z" * 64)])
@pytest.mark.parametrize("wake", [None, Wake(T0, 0.0), Wake(T0 - timedelta(days=20_000, microseconds=1), 1_800.5)])
@pytest.mark.parametrize("newest_at", [None, T0 + timedelta(microseconds=7)])
def test_a_record_tells_its_timer_without_being_decoded(
    zone: Zone | None, wake: Wake | None, newest_at: datetime | None
) -> None:
    """What a vehicle's record begins with comes back as it was, and the vehicle behind it too."""
    vehicle = plugged_in()
    for is_open in (True, False):
        summary = Summary(2**32 - 1, wake, newest_at, zone, prices=2**32 - 2, is_open=is_open)
        raw = encode_vehicle(vehicle, summary)
        assert decode_summary(raw) == summary
        assert decode_vehicle(raw, None) == vehicle


def test_other_rules_are_told_apart() -> None:
    """A timer that was set by other rules is known by their hash; equal rules have equal ones."""
    hashes = {rules_hash(Rules()), rules_hash(Rules(efficiency=0.8)), rules_hash(Rules(late_limit=timedelta(hours=1)))}
    assert len(hashes) == 3
    assert rules_hash(Rules()) == rules_hash(Rules(efficiency=0.9))


def test_charging_events_are_not_in_the_vehicles_own_record() -> None:
    """The record that is written with every sample is the same whatever the charging events are."""
    vehicle = plugged_in()
    assert encode_vehicle(replace(vehicle, charging_events=(EVENT,))) == encode_vehicle(vehicle)
    assert encode_charging_events(vehicle) is None


@pytest.mark.parametrize("where", [HOME, WORK])
def test_a_state_is_as_large_after_twice_as_many_visits(where: LocationId) -> None:
    """What is remembered of a vehicle is that of a week at most: visits beyond that add no byte to it."""
    vehicle = run(policy(-1, by="07:00")).vehicle
    sizes: list[int] = []
    for number in range(120):
        vehicle = run(*_visit(10_000 + 360 * number, where), before=vehicle).vehicle
        assert vehicle.visit is not None
        sizes.append(len(encode_vehicle(vehicle)) + len(encode_charging_events(vehicle) or b""))
    # Four visits a day: eight days have 32. The hour of the day repeats with every fourth.
    assert sizes[3] < sizes[19] < sizes[31]
    assert sizes[32:76] == sizes[76:]


def _visit(start: int, where: LocationId) -> list[Event]:
    """Four hours at a place, where it charges, and what is told on the road: by the end of it the next has begun."""
    charging = [
        sample(start + at, at / 10, level=40 + at // 20, charging=True, plugged=True, where=where)
        for at in range(5, 235, 10)
    ]
    away = [sample(start + at, level=51, plugged=False) for at in range(250, 360, 10)]
    return [plug(start, where=where, level=40), *charging, unplug(start + 240), *away, plug(start + 359, where=where)]


def test_the_zone_is_that_of_the_policy_that_manages_the_visit() -> None:
    """No visit, an unmanaged one, or a policy without a zone: no prices concern it."""
    cases: dict[str, tuple[Vehicle, Any]] = {
        "managed": (plugged_in(), NORTH),
        "no visit": (replace(plugged_in(), visit=None), None),
        "unmanaged": (plugged_in(managed=False), None),
        "no zone": (plugged_in(zone=None), None),
    }
    assert {name: zone_of(vehicle) for name, (vehicle, _) in cases.items()} == {
        name: zone for name, (_, zone) in cases.items()
    }


def test_a_visit_is_found_under_its_present_zone_only() -> None:
    """A visit that changes its zone, or ends, is not found under the old one, and leaves nothing behind."""
    visits = OpenVisits()
    visits.put(CAR, NORTH, 1.0, is_open=True)
    visits.put(VAN, NORTH, 2.0, is_open=True)
    assert visits.of(NORTH) == {CAR: 1.0, VAN: 2.0}
    visits.put(CAR, SOUTH, 3.0, is_open=True)
    assert (visits.of(NORTH), visits.of(SOUTH)) == ({VAN: 2.0}, {CAR: 3.0})
    assert len(visits) == 2
    for vehicle_id in (CAR, VAN):
        visits.put(vehicle_id, None, 4.0, is_open=False)
    assert (visits.of(NORTH), visits.of(SOUTH)) == ({}, {})
    assert (visits._open, visits._zones, visits._heard_s) == (set(), {}, {})


def test_a_visit_that_nobody_manages_is_open_too() -> None:
    """It counts among the open visits, as long as it lasts, and no prices concern it."""
    visits = OpenVisits()
    visits.put(CAR, None, 1.0, is_open=True)
    assert (len(visits), visits.of(NORTH)) == (1, {})
    visits.put(CAR, None, 2.0, is_open=False)
    assert len(visits) == 0
