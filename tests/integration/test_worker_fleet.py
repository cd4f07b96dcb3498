"""The worker and the simulated fleet in the present: what the plan asks, vehicles do."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.topics import CHARGE_COMMANDS, SESSION_TARGETS, SESSION_UPDATED, VEHICLE_CHARGE
from tests.support.command import flex
from tests.support.records import Outgoing, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import System, body, running_system, stamp

pytestmark = pytest.mark.integration

VEHICLES = 48
# Nobody refuses a command, presses a button or pulls the plug.
LIVE = ("simulate", "--vehicles", str(VEHICLES), "--start-ago", "20", "--unruly", "0")
# The worker takes nearly a day of the past first.
FIRST_S = 240
# A command waits for the one before it, 2 min at most, and takes effect within another: on a busy machine, later.
OBEYED_S = 320


def newest(system: System) -> dict[str, dict[str, Any]]:
    """Each vehicle's newest sample that says whether it charges."""
    found = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_CHARGE))
    said = [body(record) for record in found]
    return {one["vehicleId"]: one for one in said if one["isCharging"] is not None}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def waiting(system: System) -> tuple[str, dict[str, Any]] | None:
    """A vehicle that waits for a block to come, and its session: at every hour it is night somewhere."""
    bootstrap, told = system.topics.bootstrap, newest(system)
    updates = read_all(bootstrap, system.topics.name(SESSION_UPDATED))
    sessions = {record.headers["vehicle-id"]: body(record)["session"] for record in updates if record.value}
    for vehicle, session in sessions.items():
        if told[vehicle]["isCharging"] or not session["state"].startswith("ACTIVE"):
            continue
        if session["blocks"] and moment(session["blocks"][-1]["startAt"]) > datetime.now(UTC):
            return vehicle, session
    return None


def test_a_vehicle_of_the_fleet_starts_when_its_user_wants_it(topics: Topics, tmp_path: Path) -> None:
    """A vehicle that waits for a cheap hour has a plan; told to charge at once it is commanded to, and does."""
    env = topics.env(state_dir=tmp_path / "fleet")
    with running_system(topics, tmp_path) as system, flex(*LIVE, env=env, folder=tmp_path) as fleet:
        wait_until(lambda: re.search(r'"visits": [1-9]', fleet.stderr), FIRST_S, "the past, told and judged")
        vehicle, session = wait_until(lambda: waiting(system), FIRST_S, "a vehicle that waits") or ("", {})
        assert session["outcome"]["latest"]["state"] in {"ON_TRACK", "AT_RISK"}
        target = {"type": "IMMEDIATE_START", "minimumChargeTarget": 100}
        said = {"vehicleId": vehicle, "sessionId": session["id"], "at": stamp(datetime.now(UTC)), "target": target}
        system.send(Outgoing(topic=SESSION_TARGETS, key=vehicle, value=said))
        wait_until(lambda: newest(system)[vehicle]["isCharging"], OBEYED_S, f"{vehicle} to charge")
        asked = [
            body(record) for record in read_all(topics.bootstrap, topics.name(CHARGE_COMMANDS)) if record.key == vehicle
        ]
        assert asked[-1]["action"] == "START"
        assert moment(asked[-1]["at"]) < moment(newest(system)[vehicle]["at"]) <= datetime.now(UTC)
        running = wait_until(
            lambda: [one for one in system.sessions(vehicle)[-1:] if one["state"] == "ACTIVE:IMMEDIATE_START"],
            20,
            "the session to say so",
        )
        assert "IMMEDIATE_START" in {block["type"] for block in running[0]["blocks"]}
