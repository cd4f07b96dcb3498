"""The lifecycle on a real broker: records in, updates out, through the worker as it is run."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from local.kafka import Kafka
from local.topics import ensure_topics
from models.topics import SESSION_UPDATED
from runtime.partitions import partition_of
from tests.support.records import read_all
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import System, minutes, new_vehicle, plug, running_system, sample, stamp

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 7, tzinfo=UTC)


def a_charged_visit(vehicle: str, location: str | None) -> list[Any]:
    """Plugged in at T0 with 40 %, 6 kWh in 50 minutes, unplugged after 60, and a message beyond the debounce."""
    return [
        plug(vehicle, T0, True, locationId=location, batteryLevel=40.7),
        sample(vehicle, T0 + minutes(1), energyAdded=0.0, isCharging=True),
        sample(vehicle, T0 + minutes(26), energyAdded=3.0, isCharging=True, batteryLevel=45.2),
        sample(vehicle, T0 + minutes(51), energyAdded=6.0, isCharging=False, batteryLevel=50.9),
        plug(vehicle, T0 + minutes(60), False),
        sample(vehicle, T0 + minutes(65), batteryLevel=50),
    ]


def test_a_policy_that_appears_has_an_upcoming_session(system: System) -> None:
    """Policy appears: UPCOMING, with nothing known."""
    vehicle = new_vehicle("appears")
    system.send(system.policy(vehicle))
    (session,) = system.wait_for_states(vehicle, "UPCOMING")
    assert session["policyId"] == f"policy-of-{vehicle}"
    assert (session["vehicleId"], session["userId"], session["locationId"]) == (vehicle, "user-1", "home")
    assert (session["pluggedInAt"], session["pluggedOutAt"]) == (None, None)
    assert session["statistics"] == {"aggregated": None, "timeseries": []}


def test_a_managed_visit_goes_from_upcoming_to_settled_and_the_next_waits(system: System) -> None:
    """Plug-in at the policy's location: ACTIVE:REGULAR; confirmed plug-out: SETTLED and the next UPCOMING."""
    vehicle = new_vehicle("managed")
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    system.send(*a_charged_visit(vehicle, "home"))
    sessions = system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    settled = next(session for session in sessions if session["state"] == "SETTLED")
    assert {session["id"] for session in sessions[:-1]} == {settled["id"]} != {sessions[-1]["id"]}
    assert settled["pluggedInAt"] == stamp(T0)
    assert settled["pluggedOutAt"] == stamp(T0 + minutes(60))
    assert settled["statistics"]["aggregated"] == {"kwhSum": 6.0, "batteryFrom": 40, "batteryTo": 50}
    # Nobody knows a price: charging is wanted at once, and what it cost is unknown.
    assert settled["blocks"] == [
        {"type": "REGULAR", "kwhSum": 6.0, "startAt": stamp(T0 + minutes(1)), "endAt": stamp(T0 + minutes(51))}
    ]
    target = settled["target"]["latest"]
    assert (target["type"], target["source"], target["minimumChargeTarget"]) == ("REGULAR", "POLICY", 80)
    # T0 is a Sunday evening; 07:00 in Berlin.
    assert target["readyBy"] == "2026-03-02T06:00:00Z"
    assert settled["outcome"]["latest"]["targetId"] == target["id"]
    assert settled["outcome"]["latest"]["state"] == "FAILED"
    # It stopped at 50 %, and 5 minutes later that was no mere pause.
    assert settled["error"]["latest"]["code"] == "CHARGE_INTERRUPTED"
    assert settled["error"]["latest"]["occurredAt"] == stamp(T0 + minutes(56))
    assert settled["valuation"] is None


def test_the_timeseries_lies_on_the_quarter_hours_and_adds_up(system: System) -> None:
    """Fifteen-minute intervals on the UTC grid, clipped at both ends, contiguous, summing to the session's energy."""
    vehicle = new_vehicle("grid")
    system.send(system.policy(vehicle), *a_charged_visit(vehicle, "home"))
    sessions = system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    series = next(session for session in sessions if session["state"] == "SETTLED")["statistics"]["timeseries"]
    edges = [stamp(T0), *(stamp(datetime(2026, 3, 1, 18, m, tzinfo=UTC)) for m in (15, 30, 45))]
    edges += [stamp(datetime(2026, 3, 1, 19, 0, tzinfo=UTC)), stamp(T0 + minutes(60))]
    assert [(point["startAt"], point["endAt"]) for point in series] == list(pairwise(edges))
    # 0.12 kWh a minute from minute 1 to minute 51.
    assert [point["kwh"] for point in series] == [0.84, 1.8, 1.8, 1.56, 0.0]
    assert [point["batteryLevel"] for point in series] == [40, None, 45, 50, None]


def test_a_visit_elsewhere_ends_as_one_unmanaged_session(system: System) -> None:
    """Plug-in elsewhere: the policy's session stays UPCOMING, the visit ends as one unmanaged SETTLED session."""
    vehicle = new_vehicle("elsewhere")
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    system.send(*a_charged_visit(vehicle, "public-1"))
    *waiting, settled = system.wait_for_states(vehicle, "UPCOMING", "SETTLED")
    assert {session["policyId"] for session in waiting} == {f"policy-of-{vehicle}"}
    assert (settled["policyId"], settled["locationId"]) == (None, "public-1")
    assert settled["blocks"] == []
    assert settled["statistics"]["aggregated"]["kwhSum"] == 6.0


def test_a_visit_at_an_unknown_place_is_unmanaged(system: System) -> None:
    """A plug-in at an unknown place leaves the policy's session UPCOMING."""
    vehicle = new_vehicle("unknown-place")
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    system.send(*a_charged_visit(vehicle, None))
    *_, settled = system.wait_for_states(vehicle, "UPCOMING", "SETTLED")
    assert (settled["policyId"], settled["locationId"]) == (None, None)


def test_unknown_and_null_change_nothing(system: System) -> None:
    """UNKNOWN and null, on either topic, neither unplug nor plug in, and publish nothing."""
    vehicle, idle = new_vehicle("null"), new_vehicle("null-idle")
    # Without a deadline, which would pass in the meantime.
    policies = [system.policy(each, schedule={}) for each in (vehicle, idle)]
    system.send(*policies, plug(vehicle, T0, True, locationId="home"))
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
    nothing = [
        record
        for each in (vehicle, idle)
        for record in (
            plug(each, T0 + minutes(5), None, locationId=None),
            sample(each, T0 + minutes(6), powerDeliveryState="UNKNOWN", isPluggedIn=None),
            sample(each, T0 + minutes(7), powerDeliveryState="A:NEW:WORD", isCharging=None, energyAdded=None),
            sample(each, T0 + minutes(8)),
        )
    ]
    marker = new_vehicle("null-marker")
    system.send(*nothing, system.policy(marker))
    system.wait_for_states(marker, "UPCOMING")
    system.send(sample(vehicle, T0 + minutes(10), batteryLevel=77))
    sessions = wait_until(
        lambda: [s for s in [system.sessions(vehicle)] if s[-1]["statistics"]["aggregated"]["batteryTo"] == 77],
        20,
        "the sample after them",
    )[0]
    assert [session["state"] for session in sessions] == ["UPCOMING", "ACTIVE:REGULAR", "ACTIVE:REGULAR"]
    assert [session["state"] for session in system.sessions(idle)] == ["UPCOMING"]


def test_duplicates_change_nothing(system: System) -> None:
    """The same records again, in the same or another message, give no further update."""
    vehicle = new_vehicle("twice")
    visit = a_charged_visit(vehicle, "home")
    system.send(system.policy(vehicle), *visit)
    once = system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    marker = new_vehicle("twice-marker")
    system.send(system.policy(vehicle), *visit, *visit[::-1], system.policy(marker))
    system.wait_for_states(marker, "UPCOMING")
    system.send(plug(vehicle, T0 + minutes(90), True, locationId="home"))
    wait_until(lambda: len(system.sessions(vehicle)) > len(once), 20, "the next visit")
    assert system.sessions(vehicle)[:-1] == once


def test_a_short_unplug_continues_the_visit(system: System) -> None:
    """A re-plug inside the debounce continues the visit."""
    vehicle = new_vehicle("replug")
    system.send(
        system.policy(vehicle),
        plug(vehicle, T0, True, locationId="home"),
        plug(vehicle, T0 + minutes(10), False),
        plug(vehicle, T0 + minutes(10.5), True, locationId="home"),
        plug(vehicle, T0 + minutes(30), False),
        sample(vehicle, T0 + minutes(32)),
    )
    sessions = system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    settled = next(session for session in sessions if session["state"] == "SETTLED")
    assert (settled["pluggedInAt"], settled["pluggedOutAt"]) == (stamp(T0), stamp(T0 + minutes(30)))


def test_a_silent_vehicle_settles_by_the_wall_clock(system: System) -> None:
    """The unplug is confirmed by passing time when the vehicle says nothing more."""
    vehicle = new_vehicle("silent")
    system.send(system.policy(vehicle), *a_charged_visit(vehicle, "home")[:-1])
    sessions = system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    settled = next(record for record in system.updates(vehicle) if b'"SETTLED"' in (record.value or b""))
    assert sessions[-1]["id"] != sessions[0]["id"]
    assert settled.headers["ce_time"] == stamp(T0 + minutes(61))


def test_a_policy_that_goes_before_a_visit_takes_its_session_along(system: System) -> None:
    """The UPCOMING session of a policy that is deleted is tombstoned."""
    vehicle = new_vehicle("withdrawn")
    system.send(system.policy(vehicle))
    (session,) = system.wait_for_states(vehicle, "UPCOMING")
    system.send(system.policy(vehicle, delete=True))

    def tombstone() -> bool:
        records = read_all(system.topics.bootstrap, system.topics.name(SESSION_UPDATED))
        return any(record.key == session["id"] and record.value is None for record in records)

    wait_until(tombstone, 20, "the tombstone")


def test_a_policy_that_ends_during_a_visit_settles_its_session_then(system: System) -> None:
    """Policy disabled during a visit: its session settles at that moment, the rest of the visit is unmanaged."""
    vehicle = new_vehicle("disabled")
    visit = a_charged_visit(vehicle, "home")
    system.send(system.policy(vehicle), *visit[:3])
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
    system.send(system.policy(vehicle, isEnabled=False, at=stamp(T0 + minutes(30))))
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED")
    system.send(*visit[3:])
    wait_until(lambda: system.sessions(vehicle)[-1]["policyId"] is None, 20, "the unmanaged rest")
    managed, rest = (session for session in system.sessions(vehicle) if session["state"] == "SETTLED")
    assert managed["pluggedOutAt"] == rest["pluggedInAt"] == stamp(T0 + minutes(30))
    assert managed["statistics"]["aggregated"]["kwhSum"] + rest["statistics"]["aggregated"]["kwhSum"] == 6.0


def test_ids_are_a_function_of_the_input(system: System, broker: Kafka, tmp_path: Path) -> None:
    """Another worker on other topics gives the same input the same sessions, byte for byte."""
    vehicle = new_vehicle("again")
    records = [system.policy(vehicle), *a_charged_visit(vehicle, "home")]
    states = ("UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    system.send(*records)
    system.wait_for_states(vehicle, *states)
    other = Topics(bootstrap=broker.bootstrap, prefix=f"o{vehicle[-8:]}.", partitions=system.topics.partitions)
    ensure_topics(other.settings())
    try:
        with running_system(other, tmp_path, clock="event") as second:
            second.send(*records)
            second.wait_for_states(vehicle, *states)
            theirs = [(record.key, record.value, record.headers) for record in second.updates(vehicle)]
    finally:
        delete_topics(broker.bootstrap, other.prefix)
    assert theirs == [(record.key, record.value, record.headers) for record in system.updates(vehicle)]


def test_an_update_reads_as_the_contract_says(system: System) -> None:
    """Key, partition, headers and body of an update are those of SPEC 2.6, to a client that is not ours."""
    vehicle = new_vehicle("wire")
    system.send(system.policy(vehicle), *a_charged_visit(vehicle, "home"))
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
    versions: dict[str, int] = {}
    for record in system.updates(vehicle):
        value = json.loads(record.value or b"")
        session_id = value["session"]["id"]
        versions[session_id] = versions.get(session_id, 0) + 1
        assert list(value) == ["event", "userId", "createdAt", "session"]
        assert (value["event"], value["userId"]) == ("flex:session:updated", "user-1")
        assert record.key == session_id
        assert record.partition == partition_of(vehicle, system.topics.partitions)
        assert record.headers == {
            "ce_specversion": "1.0",
            "ce_id": f"{session_id}:{versions[session_id]}",
            "ce_type": "flex:session:updated",
            "ce_source": "/flex-sessions",
            "ce_subject": session_id,
            "ce_time": value["createdAt"],
            "content-type": "application/json",
            "session-version": str(versions[session_id]),
            "charging-event-id": record.headers["charging-event-id"],
            "represents-charging-event": "true",
            "vehicle-id": vehicle,
        }
