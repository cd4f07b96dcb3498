"""`flex-sessions up` as a new user meets it: ready means that the printed lines work, Ctrl-C means that nothing is
left, and the next start goes on with the data.
"""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.ports import free_port
from models.topics import (
    ENERGY_PRICES,
    SESSION_TARGETS,
    VEHICLE_CHARGE,
    VEHICLE_PLUG,
    VEHICLE_POLICIES,
    dead_letter_topic,
)
from tests.support.command import Running, flex, run_flex
from tests.support.records import read_all
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

STOP_LIMIT_S = 10
INPUTS = (VEHICLE_PLUG, VEHICLE_CHARGE, VEHICLE_POLICIES, SESSION_TARGETS, ENERGY_PRICES)
DEAD_LETTERS = tuple(dead_letter_topic(topic) for topic in INPUTS)


class Place:
    """One installation: its state folder and its ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"FLEX_STATE_DIR": str(folder / "state")}
        self.ports = ("--kafka-port", str(free_port()), "--api-port", str(free_port()))

    @contextmanager
    def up(self, *arguments: str) -> Iterator[Running]:
        with flex("up", *self.ports, *arguments, env=self.env, folder=self.folder) as running:
            yield running

    def refused(self, *arguments: str) -> str:
        """The one line of an `up` that must not start."""
        done = run_flex("up", *arguments, env=self.env)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        return done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def curl_lines(running: Running) -> list[str]:
    return [line for line in running.stdout.splitlines() if line.startswith("curl ")]


def curl(line: str) -> Any:
    """What the line answers; without curl on this machine, the same request by other means."""
    words = shlex.split(line)
    assert words[:3] == ["curl", "-sS", "-H"]
    if shutil.which("curl"):
        return json.loads(subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout)
    name, value = words[3].split(": ", 1)
    with urllib.request.urlopen(urllib.request.Request(words[4], headers={name: value}), timeout=10) as answer:
        return json.load(answer)


def is_in_blocks(session: Any) -> bool:
    """Whether what was charged was charged in its blocks, but for a tenth."""
    charged_kwh = session["statistics"]["aggregated"]["kwhSum"]
    return bool(sum(block["kwhSum"] for block in session["blocks"]) >= 0.9 * charged_kwh)


def parameter(line: str, name: str) -> str:
    return line.partition(f"{name}=")[2].rstrip("'")


def current_sessions(line: str, policy: str) -> list[Any]:
    """The current sessions of the fleet's first policies, from the line that shows one of them."""
    tag = policy.split("policy-", maxsplit=1)[0]
    found = (curl(line.replace(policy, f"{tag}policy-{number}.1")) for number in range(1, 21))
    return [one for one in found if "state" in one]


def kinds_of(settled: str, current: str, policy: str) -> set[str]:
    """The kinds of sessions that the lines show."""
    found = curl(settled.replace("/sessions'", "/sessions?pageSize=100'"))["data"]
    kinds = {one["state"] if one["policyId"] else f"{one['state']} unmanaged" for one in found}
    return kinds | {one["state"] for one in current_sessions(current, policy)}


def end_in_time(running: Running, number: int) -> None:
    """Send the signal: exit code 0 within the limit, no traceback, and nobody left."""
    started_s = time.monotonic()
    assert running.end(number, timeout_s=STOP_LIMIT_S) == 0
    assert time.monotonic() - started_s < STOP_LIMIT_S
    assert running.left_behind() == []
    assert "Traceback" not in running.stderr


def test_two_starts_and_the_printed_lines(place: Place) -> None:
    """The three lines work as they stand, a SETTLED session comes within 60 s of ready, Ctrl-C leaves nothing, and the
    second start has the first one's sessions.
    """
    with place.up() as first:
        first.wait_for("ready\n", timeout_s=120)
        wait_until(lambda: len(curl_lines(first)) == 3, 5, "three lines to try")
        settled, current, of_vehicle = curl_lines(first)
        policy, vehicle = curl(current)["policyId"], parameter(of_vehicle, "vehicleId")
        assert f"/vehicle-policies/{policy}/session'" in current

        def managed() -> list[Any]:
            found = curl(settled)["data"]
            assert {session["state"] for session in found} <= {"SETTLED"}
            return [session for session in found if session["policyId"]]

        found = wait_until(managed, 60, "the first SETTLED session of a policy")
        assert all(session["vehicleId"] == vehicle for session in curl(of_vehicle)["data"])
        assert "is running on" in place.refused("--kafka-port", str(free_port()), "--api-port", str(free_port()))
        known = found[-1]
        kinds = {"UPCOMING", "ACTIVE:REGULAR", "SETTLED", "SETTLED unmanaged"}
        wait_until(lambda: kinds_of(settled, current, policy) >= kinds, 60, "sessions of every kind")
        end_in_time(first, signal.SIGINT)
        assert "simulated fleet: " in first.stdout
        # On a busy machine its last line may be that of its log.
        assert "nothing found" in first.stdout or '"findings": 0' in first.stdout
    with place.up() as second:
        second.wait_for("ready\n", timeout_s=120)
        wait_until(lambda: len(curl_lines(second)) == 3, 5, "three lines to try")
        kept = f"/flex/vehicle-policies/{known['policyId']}/sessions/{known['id']}"
        line = curl_lines(second)[0].replace("/flex/vehicle-policies/sessions", kept)
        assert curl(line) == known
        # The same fleet, not another one beside it.
        assert parameter(curl_lines(second)[2], "vehicleId").split(".")[0] == vehicle.split(".")[0]
        end_in_time(second, signal.SIGTERM)


def test_the_fleet_is_planned_for(place: Place) -> None:
    """Within minutes there is a settled night that was charged in blocks, judged and cheaper than at once, and an open
    visit with a plan; nothing was refused, and nobody had to be started again.
    """
    with place.up() as running:
        running.wait_for("ready\n", timeout_s=120)
        wait_until(lambda: len(curl_lines(running)) == 3, 5, "three lines to try")
        settled, current, _ = curl_lines(running)

        def nights() -> list[Any]:
            found = curl(settled.replace("/sessions'", "/sessions?pageSize=100'"))["data"]
            charged = [one for one in found if one["policyId"] and one["blocks"] and one["valuation"]]
            for one in charged:
                kwh = one["statistics"]["aggregated"]["kwhSum"]
                assert sum(block["kwhSum"] for block in one["blocks"]) <= kwh + 0.001
            # A driver who changes plans in the night may pay more; a night as planned pays less, and so do all.
            assert sum(one["valuation"]["tariffCost"]["savings"] for one in charged) >= 0
            good = [one for one in charged if one["outcome"]["latest"]["state"] == "SUCCEEDED"]
            return [one for one in good if one["valuation"]["tariffCost"]["savings"] > 0 and is_in_blocks(one)]

        wait_until(nights, 120, "a settled night in blocks that was ready in time and saved money")
        policy = curl(current)["policyId"]

        def planned() -> list[Any]:
            return [
                one for one in current_sessions(current, policy) if one["state"].startswith("ACTIVE") and one["blocks"]
            ]

        visit = wait_until(planned, 60, "an open visit with a plan")[0]
        assert visit["outcome"]["latest"]["state"] in {"ON_TRACK", "AT_RISK"}
        assert visit["target"]["latest"]["minimumChargeTarget"] >= 40
        bootstrap = f"127.0.0.1:{place.ports[1]}"
        for topic in DEAD_LETTERS:
            assert read_all(bootstrap, topic) == [], topic
        assert "starting it again" not in running.stdout
        end_in_time(running, signal.SIGINT)


def test_a_part_that_dies_comes_back_and_kill_9_of_up_ends_all(place: Place) -> None:
    """Killed parts are started again, each with one line; when `up` itself is killed, everything goes with it."""
    with place.up("--no-simulator") as running:
        running.wait_for("ready\n", timeout_s=120)
        for part, process in (("api", "cli.main api"), ("worker", "cli.main worker"), ("kafka", "kafka.Kafka")):
            (pid,) = (int(line.split()[0]) for line in running.left_behind() if line_is(line, process))
            os.kill(pid, signal.SIGKILL)
            running.wait_for(f"{part} ended (signal 9), starting it again in 1 s", timeout_s=10)

            def is_back(process: str = process, old: int = pid) -> bool:
                return any(line_is(line, process) and not line.startswith(f"{old} ") for line in running.left_behind())

            wait_until(is_back, 20, f"{part} back")
        wait_until(lambda: answers(curl_lines(running)[0]), 60, "the API back")
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait(10)
        wait_until(lambda: not running.left_behind(), 5, "the end of everything")


def line_is(line: str, process: str) -> bool:
    return process in line and "cli.main up" not in line


def answers(line: str) -> bool:
    try:
        return "data" in curl(line)
    except (subprocess.CalledProcessError, OSError):
        return False


@pytest.mark.parametrize("moment", ["starting Kafka", "starting worker and API"])
def test_a_stop_in_the_middle_of_a_start_leaves_nothing(place: Place, moment: str) -> None:
    """SIGTERM is obeyed at once, whatever has been started by then."""
    with place.up() as running:
        running.wait_for(moment)
        end_in_time(running, signal.SIGTERM)
        assert "ready" not in running.stdout


def test_taken_ports_are_one_line_with_the_option(place: Place) -> None:
    """Whoever else uses a port is not disturbed, and the line says how to choose another."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken = str(server.getsockname()[1])
        assert f"port {taken} (Kafka) is taken" in (line := place.refused("--kafka-port", taken))
        assert "--kafka-port" in line
        line = place.refused("--kafka-port", str(free_port()), "--api-port", taken)
        assert f"port {taken} (API) is taken" in line
        assert "--api-port" in line


def test_no_java_is_one_line_with_the_command(place: Place) -> None:
    """Without a Java runtime the line says what to type."""
    place.env["JAVA_HOME"] = str(place.folder / "nowhere")
    assert "apt-get install -y openjdk-17-jre-headless" in place.refused(*place.ports)
