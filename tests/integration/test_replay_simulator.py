"""The simulated fleet as a process, on a real broker."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import simulator.commands
from ingest.errors import WriteError, WriteInterrupted
from local.ports import free_port
from models.topics import CHARGE_COMMANDS, ENERGY_PRICES, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from simulator.commands import KafkaCommands
from simulator.vehicle import delay_s
from tests.support.command import Running, flex
from tests.support.records import Outgoing, produce, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import stamp

pytestmark = pytest.mark.integration

STOP_LIMIT_S = 2
VEHICLES = 20
# The quickest that a vehicle obeys, plus the sample that tells it: nobody waits for a minute here.
QUICK_S = 6
LIVE = ("simulate", "--vehicles", str(VEHICLES), "--speed", "1", "--start-ago", "0")


def test_the_fleet_runs_stops_and_goes_on(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """Prices, policies and events arrive, SIGINT and SIGTERM end it within 2 s with exit 0, and a restart goes on."""
    kept = Path(flex_env["FLEX_STATE_DIR"]) / "simulator.json"
    reached = [""]
    for number in (signal.SIGINT, signal.SIGTERM):
        with flex("simulate", "--vehicles", "20", env=flex_env, folder=tmp_path) as fleet:
            wait_until(lambda: kept.exists() and _reached(kept) > reached[-1], 30, "a later position")
            _end(fleet, number)
        reached.append(_reached(kept))
    policies = read_all(topics.bootstrap, topics.name(VEHICLE_POLICIES))
    assert sorted(str(record.key) for record in policies) == [f"sim-policy-{number:04d}" for number in range(1, 21)]
    prices = read_all(topics.bootstrap, topics.name(ENERGY_PRICES))
    days = [(record.key, json.loads(record.value or b"")["startAt"]) for record in prices]
    assert len(days) == len(set(days))
    assert {json.loads(record.value or b"")["zone"] for record in policies} <= {record.key for record in prices}
    for topic in (VEHICLE_PLUG, VEHICLE_CHARGE, ENERGY_PRICES):
        for record in read_all(topics.bootstrap, topics.name(topic)):
            partitions = 1 if topic == ENERGY_PRICES else topics.partitions
            assert record.partition == partition_of(str(record.key), partitions)
            assert json.loads(record.value or b"")["at"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_vehicles_obey_stop_and_start(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """A STOP to a plugged-in vehicle, and its next sample says stopped; a START, and it charges again, also after the
    fleet was restarted; foreign, expired and unreadable commands are counted; times never fall, and the counter agrees
    with the level.
    """
    kept = Path(flex_env["FLEX_STATE_DIR"]) / "simulator.json"
    with flex(*LIVE, env=flex_env, folder=tmp_path) as fleet:
        wait_until(lambda: kept.exists() and len(_offsets(kept)) == topics.partitions, 30, "the end of the topic")
        began = _command_all(topics, "START")
        charging = wait_until(lambda: _telling(topics, began, charging=True), 30, "vehicles that charge")
        _send(topics, _command("sim-vehicle-0001", "STOP", userId="somebody"), _command("sim-vehicle-9999", "STOP"))
        _send(topics, _command("sim-vehicle-0001", "STOP", validUntil=stamp(datetime.now(UTC))), b"{")
        stop = _command_all(topics, "STOP")
        stopped = wait_until(lambda: charging & _telling(topics, stop, charging=False), 30, "some of them stopped")
        _end(fleet, signal.SIGTERM)
        account = next(line for line in reversed(fleet.stderr.splitlines()) if "charge commands so far" in line)
    found = json.loads(account)
    assert (found["foreign"], found["expired"], found["malformed"]) == (2, 1, 1)
    assert found["accepted"] + found.get("not_plugged_in_at_home", 0) == 2 * VEHICLES
    with flex(*LIVE, env=flex_env, folder=tmp_path) as fleet:
        again = _command_all(topics, "START")
        wait_until(lambda: stopped & _telling(topics, again, charging=True), 30, "some of them charging again")
        _end(fleet, signal.SIGINT)
    for vehicle in stopped:
        _check_history(topics, vehicle, stop, again)


def test_without_the_command_topic_nothing_is_read(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is not there is named, with what to do."""
    monkeypatch.setattr(simulator.commands, "CONNECT_LIMIT_S", 0.5)
    name = f"{topics.prefix}nowhere"
    with (
        KafkaCommands(topics.bootstrap, name, interrupted=lambda: False) as commands,
        pytest.raises(WriteError, match=rf"no topic {name} .*flex-sessions topics"),
    ):
        commands.begin({})


def test_a_stop_is_heard_while_there_is_no_broker() -> None:
    """Whoever waits for the command topic ends when told to."""
    with (
        KafkaCommands(f"127.0.0.1:{free_port()}", "nowhere", interrupted=lambda: True) as commands,
        pytest.raises(WriteInterrupted),
    ):
        commands.begin({})


def _end(fleet: Running, number: signal.Signals) -> None:
    began_s = time.monotonic()
    assert fleet.end(number) == 0
    assert time.monotonic() - began_s < STOP_LIMIT_S


def _reached(kept: Path) -> str:
    return str(json.loads(kept.read_bytes())["reached"])


def _offsets(kept: Path) -> Any:
    return json.loads(kept.read_bytes())["command_offsets"]


def _command(vehicle: str, action: str, **changes: str) -> dict[str, str]:
    """A command that its vehicle obeys quickly, valid for ten minutes from now."""
    now = datetime.now(UTC)
    number = next(number for number in range(10_000) if delay_s(f"{vehicle}-{now.timestamp()}-{number}") < QUICK_S)
    return {
        "commandId": f"{vehicle}-{now.timestamp()}-{number}",
        "vehicleId": vehicle,
        "userId": vehicle.replace("vehicle", "user"),
        "policyId": vehicle.replace("vehicle", "policy"),
        "sessionId": "session",
        "action": action,
        "reason": "REGULAR",
        "at": stamp(now),
        "validUntil": stamp(now + timedelta(minutes=10)),
    } | changes


def _send(topics: Topics, *commands: dict[str, str] | bytes) -> None:
    produce(
        topics.bootstrap,
        [
            Outgoing(
                topic=topics.name(CHARGE_COMMANDS),
                key="unreadable" if isinstance(command, bytes) else command["vehicleId"],
                value=command,
            )
            for command in commands
        ],
    )


def _later(at: str, seconds: float) -> str:
    return stamp(datetime.fromisoformat(at) + timedelta(seconds=seconds))


def _command_all(topics: Topics, action: str) -> str:
    """Command every vehicle; the time from which they may have heard of it."""
    began = stamp(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1))
    _send(topics, *(_command(f"sim-vehicle-{number:04d}", action) for number in range(1, VEHICLES + 1)))
    return began


def _messages(topics: Topics, topic: str) -> Iterator[dict[str, Any]]:
    return (json.loads(record.value or b"") for record in read_all(topics.bootstrap, topics.name(topic)))


def _telling(topics: Topics, since: str, *, charging: bool) -> set[str]:
    """The vehicles that have told this of themselves since then, in their newest sample, at home."""
    newest = {
        message["vehicleId"]: message
        for message in _messages(topics, VEHICLE_CHARGE)
        if message["at"] >= since and message["isCharging"] is not None
    }
    return {
        vehicle
        for vehicle, message in newest.items()
        if message["isCharging"] is charging and message["locationId"] and message["isPluggedIn"] is not False
    }


def _check_history(topics: Topics, vehicle: str, stop: str, again: str) -> None:
    """Times never fall; from one sample to the next the counter rises as the level does; no sample of the time in
    between says that it charges.
    """
    plugs = [message for message in _messages(topics, VEHICLE_PLUG) if message["vehicleId"] == vehicle]
    samples = [message for message in _messages(topics, VEHICLE_CHARGE) if message["vehicleId"] == vehicle]
    capacity_kwh = next((message["batteryCapacity"] for message in plugs), None)
    for found in (plugs, samples):
        assert [message["at"] for message in found] == sorted(message["at"] for message in found)
    told = [one for one in samples if None not in (one["energyAdded"], one["batteryLevel"], one["isCharging"])]
    assert len(told) >= 2
    quiet = [one for one in told if _later(stop, QUICK_S + 2) <= one["at"] < again]
    assert not any(one["isCharging"] for one in quiet)
    for one, other in pairwise(told):
        gained_kwh = other["energyAdded"] - one["energyAdded"]
        assert gained_kwh >= 0
        if capacity_kwh is not None and one["isPluggedIn"] and other["isPluggedIn"]:
            rise = other["batteryLevel"] - one["batteryLevel"]
            assert gained_kwh == pytest.approx(rise / 100 * capacity_kwh, abs=0.2)
