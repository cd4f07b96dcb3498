"""Prices, policies, targets and vehicles together, through the worker as it is run: plans, commands, and replays."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.kafka import Kafka
from local.topics import ensure_topics
from models.topics import CHARGE_COMMANDS, ENERGY_PRICES, SESSION_TARGETS
from runtime.partitions import partition_of
from tests.support.records import Outgoing, Record, read_all
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import System, body, minutes, new_vehicle, plug, running_system, sample, stamp

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOUR = timedelta(hours=1)
DEAR, CHEAP = 0.30, 0.05
# 30 % of 60 kWh, at 11 kW: less than two hours.
ELECTRIC = {"batteryLevel": 50, "batteryCapacity": 60, "locationId": "home", "isPluggedIn": True}


def at_now() -> datetime:
    return datetime.now(UTC)


def prices(zone: str, start: datetime, cheap: set[int], at: datetime) -> Outgoing:
    """A day of hourly prices from an hour on, of which some are cheap."""
    value = {
        "zone": zone,
        "currency": "EUR",
        "resolution": "PT60M",
        "startAt": stamp(start),
        "prices": [CHEAP if hour in cheap else DEAR for hour in range(24)],
        "at": stamp(at),
    }
    return Outgoing(topic=ENERGY_PRICES, key=zone, value=value)


def policy(system: System, vehicle: str, zone: str, deadline: datetime, at: datetime) -> Outgoing:
    """80 % every day at the time of day of that moment."""
    wish = {"deadline": f"{deadline:%H:%M}", "minimumChargeTarget": 80}
    return system.policy(
        vehicle,
        zone=zone,
        timezoneName="UTC",
        batteryReserve=10,
        maxChargeRate=11,
        schedule=dict.fromkeys(WEEKDAYS, wish),
        at=stamp(at),
    )


def override(vehicle: str, session_id: str, target: dict[str, Any] | None) -> Outgoing:
    """What the user wants now."""
    value = {"vehicleId": vehicle, "sessionId": session_id, "at": stamp(at_now()), "target": target}
    return Outgoing(topic=SESSION_TARGETS, key=vehicle, value=value)


def commands(system: System, vehicle: str) -> list[Record]:
    """What was asked of the vehicle so far."""
    found = read_all(system.topics.bootstrap, system.topics.name(CHARGE_COMMANDS))
    return [record for record in found if record.key == vehicle]


def same_partition_as(vehicle: str, partitions: int) -> str:
    """Another vehicle whose records lie on the same partition."""
    names = (new_vehicle("beside") for _ in range(1_000))
    return next(name for name in names if partition_of(name, partitions) == partition_of(vehicle, partitions))


def is_within(session: dict[str, Any], start: datetime, end: datetime) -> bool:
    """Whether there are blocks, and all of them lie within these bounds."""
    bounds = [
        (datetime.fromisoformat(block["startAt"]), datetime.fromisoformat(block["endAt"]))
        for block in session["blocks"]
    ]
    return bool(bounds) and all(start <= one < other <= end for one, other in bounds)


def test_a_live_visit_is_planned_and_steered(system: System) -> None:
    """Blocks follow the cheap hours, a vehicle that charges outside of them is told to stop, an override starts it at
    once, its clearing returns to the plan, and new prices plan a silent vehicle anew.
    """
    obedient, eager = new_vehicle("obedient"), new_vehicle("eager")
    zone, now = f"zone-{obedient}", at_now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    system.send(prices(zone, hour, {3, 4}, now - minutes(1)))
    system.send(*(policy(system, each, zone, now + 10 * HOUR, now - minutes(1)) for each in (obedient, eager)))
    for each in (obedient, eager):
        system.wait_for_states(each, "UPCOMING")
    told = at_now()
    system.send(
        sample(obedient, told, **ELECTRIC, isCharging=False),
        sample(eager, told, **ELECTRIC, isCharging=True, chargeRate=11, powerDeliveryState="PLUGGED_IN:CHARGING"),
    )
    planned = system.wait_for_states(obedient, "UPCOMING", "ACTIVE:REGULAR")[-1]
    assert is_within(planned, hour + 3 * HOUR, hour + 5 * HOUR), planned["blocks"]
    assert planned["outcome"]["latest"]["state"] == "ON_TRACK"
    steered = system.wait_for_states(eager, "UPCOMING", "ACTIVE:REGULAR")[-1]
    stop = wait_until(lambda: commands(system, eager), 20, "a command")[0]
    _check_command(system, eager, stop, steered, told, action="STOP", reason="WAITING")

    system.send(override(obedient, planned["id"], {"type": "IMMEDIATE_START", "minimumChargeTarget": 90}))
    started = system.wait_for_states(obedient, "UPCOMING", "ACTIVE:REGULAR", "ACTIVE:IMMEDIATE_START")[-1]
    assert started["target"]["latest"] == {"id": 2, "type": "IMMEDIATE_START", "minimumChargeTarget": 90}
    start = wait_until(lambda: commands(system, obedient), 20, "a command")[0]
    _check_command(system, obedient, start, started, told, action="START", reason="IMMEDIATE_START")
    system.send(override(obedient, planned["id"], None))
    states = ("UPCOMING", "ACTIVE:REGULAR", "ACTIVE:IMMEDIATE_START", "ACTIVE:REGULAR")
    returned = system.wait_for_states(obedient, *states)[-1]
    assert returned["target"]["latest"] == planned["target"]["latest"] | {"id": 3}
    assert is_within(returned, hour + 3 * HOUR, hour + 5 * HOUR), returned["blocks"]

    # They were known before the plug-in already, but the feed was late.
    system.send(prices(zone, hour, {6, 7}, told - minutes(0.5)))
    wait_until(
        lambda: is_within(system.sessions(obedient)[-1], hour + 6 * HOUR, hour + 8 * HOUR), 20, "blocks in other hours"
    )
    assert not [record for record in commands(system, obedient) if body(record)["action"] == "STOP"]


def _check_command(
    system: System,
    vehicle: str,
    record: Record,
    session: dict[str, Any],
    told: datetime,
    *,
    action: str,
    reason: str,
) -> None:
    """A command has the fields of the contract, and lies on its vehicle's partition."""
    said = body(record)
    assert record.partition == partition_of(vehicle, system.topics.partitions)
    named = {"vehicleId": vehicle, "userId": "user-1", "policyId": session["policyId"], "sessionId": session["id"]}
    assert said == named | {
        "action": action,
        "reason": reason,
        **{name: said[name] for name in ("commandId", "at", "validUntil")},
    }
    assert uuid.UUID(said["commandId"]).version == 5
    at, valid_until = datetime.fromisoformat(said["at"]), datetime.fromisoformat(said["validUntil"])
    assert told <= at <= at_now() < valid_until


def a_night(system: System, vehicle: str, zone: str) -> list[Outgoing]:
    """A visit overnight, which charges from 01:00 to 03:00."""
    records = [
        policy(system, vehicle, zone, T0 + 12 * HOUR, T0 - HOUR),
        plug(vehicle, T0, True, locationId="home", batteryLevel=50, batteryCapacity=60),
    ]
    for step in range(1, 140):
        at = T0 + minutes(5 * step)
        is_charging = 84 <= step < 108
        charged_h = min(max(step - 84, 0), 24) * 5 / 60
        records.append(
            sample(
                vehicle,
                at,
                isCharging=is_charging,
                chargeRate=10.0 if is_charging else 0.0,
                energyAdded=round(10.0 * charged_h, 3),
                batteryLevel=round(50 + 10.0 * charged_h * 0.9 / 60 * 100, 1),
            )
        )
    return [*records, plug(vehicle, T0 + minutes(705), False), sample(vehicle, T0 + minutes(710), batteryLevel=80)]


def test_two_replays_of_one_log_agree(topics: Topics, broker: Kafka, tmp_path: Path) -> None:
    """With the event clock no command is written, and a log gives the same updates byte for byte, whatever is held in
    memory at once.
    """
    vehicle = new_vehicle("replayed")
    vehicles = vehicle, same_partition_as(vehicle, topics.partitions)
    zone, start = f"zone-{vehicles[0]}", T0.replace(hour=12)
    told = [prices(zone, start, {12, 13, 14}, T0 - HOUR), prices(zone, start, {13, 14, 15}, T0 + 3 * HOUR)]
    other = Topics(bootstrap=broker.bootstrap, prefix=f"o{vehicles[0][-8:]}.", partitions=topics.partitions)
    ensure_topics(other.settings())
    try:
        one = _replayed(topics, tmp_path / "one", vehicles, zone, told)
        two = _replayed(other, tmp_path / "two", vehicles, zone, told, batch_limit_records=3, commit_interval_s=0.1)
    finally:
        delete_topics(broker.bootstrap, other.prefix)
    assert one == two
    for vehicle in vehicles:
        settled = next(session for session in _sessions(one[vehicle]) if session["state"] == "SETTLED")
        # By the second prices.
        assert is_within(settled, start + 13 * HOUR, start + 16 * HOUR), settled["blocks"]
        assert settled["outcome"]["latest"]["state"] == "SUCCEEDED"
        assert settled["valuation"]["tariffCost"]["savings"] > 0
        assert settled["error"]["latest"] is None


Written = tuple[str | None, bytes | None, Mapping[str, str]]


def _replayed(
    topics: Topics,
    folder: Path,
    vehicles: Sequence[str],
    zone: str,
    told: list[Outgoing],
    **settings: object,
) -> dict[str, list[Written]]:
    """A worker on the event clock reads a log that is complete: the updates of each vehicle."""
    folder.mkdir()
    log = System(topics, worker=None)  # type: ignore[arg-type]  # nothing runs yet
    nights = [a_night(log, each, zone) for each in vehicles]
    # As they come in life: one vehicle's night does not lie behind the other's.
    log.send(*told, *(record for records in zip(*nights, strict=True) for record in records))
    with running_system(topics, folder, clock="event", **settings) as replay:
        for each in vehicles:
            wait_until(
                lambda each=each: [one["state"] for one in replay.sessions(each)][-2:] == ["SETTLED", "UPCOMING"],  # type: ignore[misc]
                30,
                f"the end of {each}",
            )
        assert read_all(topics.bootstrap, topics.name(CHARGE_COMMANDS)) == []
        return {each: [(one.key, one.value, one.headers) for one in replay.updates(each)] for each in vehicles}


def _sessions(written: list[Written]) -> list[dict[str, Any]]:
    return [json.loads(value or b"")["session"] for _, value, _ in written]
