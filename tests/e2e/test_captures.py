"""Recorded telemetry in, sessions out: only through the console command, the topics and HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.topics import SESSION_UPDATED
from tests.support.captures import capture
from tests.support.command import flex, run_flex
from tests.support.records import read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import READY, policy_value

pytestmark = pytest.mark.e2e

LIST = "/flex/vehicle-policies/sessions"


class Client:
    """A user of the running system: the console command, an HTTP client with a token, and a reader of the topic."""

    def __init__(self, topics: Topics, env: dict[str, str], folder: Path) -> None:
        self._topics = topics
        self._env = env
        self._folder = folder
        token = run_flex("token", env=env).stdout.strip()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{env['FLEX_API_PORT']}", headers={"Authorization": f"Bearer {token}"}
        )

    def replay(self, *arguments: str) -> None:
        done = run_flex("replay", *arguments, env=self._env)
        assert done.returncode == 0, done.stderr

    def create_policy(self, vehicle: str, user: str) -> str:
        """Write an enabled policy for the vehicle at `home`, and wait until its session can be read."""
        policy_id = f"policy-of-{vehicle}"
        value = policy_value(vehicle, policy_id, userId=user, at="2015-06-01T00:00:00Z")
        lines = self._folder / f"{policy_id}.jsonl"
        lines.write_text(json.dumps({"topic": "flex.vehicle-policies", "key": policy_id, "value": value}) + "\n")
        self.replay("--format", "events-jsonl", str(lines))
        wait_until(lambda: self.http.get(self.current(policy_id)).status_code == 200, 20, "the policy's first session")
        return policy_id

    @staticmethod
    def current(policy_id: str) -> str:
        return f"/flex/vehicle-policies/{policy_id}/session"

    def settled(self, vehicle: str, count: int) -> list[dict[str, Any]]:
        """The vehicle's settled sessions over HTTP, once there are `count`."""

        def found() -> list[dict[str, Any]] | None:
            answer = self.http.get(LIST, params={"vehicleId": vehicle})
            answer.raise_for_status()
            sessions: list[dict[str, Any]] = answer.json()["data"]
            return sessions if len(sessions) == count else None

        return wait_until(found, 30, f"{count} settled sessions of {vehicle}") or []

    def on_topic(self, session_id: str) -> Any:
        """The newest state of a session, read from the topic."""
        updates = [
            record
            for record in read_all(self._topics.bootstrap, self._topics.name(SESSION_UPDATED))
            if record.key == session_id and record.value is not None
        ]
        return json.loads(updates[-1].value or b"")["session"]


@contextmanager
def started(topics: Topics, env: dict[str, str], folder: Path) -> Iterator[Client]:
    """Worker and API running while inside."""
    with flex("worker", env=env, folder=folder) as worker, flex("api", env=env, folder=folder):
        worker.wait_for(READY)
        client = Client(topics, env, folder)
        with client.http:
            wait_until(lambda: is_ready(client.http), 30, "the API to be ready")
            yield client


@pytest.fixture
def client(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> Iterator[Client]:
    """A running system on the wall clock, with default settings."""
    with started(topics, flex_env, tmp_path) as running:
        yield running


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def assert_near(text: str, expected: str, seconds: float) -> None:
    assert abs(moment(text) - moment(expected)) <= timedelta(seconds=seconds), f"{text} is not {expected}"


def assert_adds_up(session: dict[str, Any]) -> None:
    statistics = session["statistics"]
    total_kwh = sum(point["kwh"] for point in statistics["timeseries"])
    assert abs(total_kwh - statistics["aggregated"]["kwhSum"]) <= 0.01


def test_an_ac_charge_at_home_is_one_managed_session(client: Client) -> None:
    """The capture with a labelled AC charge gives one session: boundaries within 15 s, energy within 1 %."""
    vehicle, user = "5YJ3E7EA3LF000000", "driver"
    policy_id = client.create_policy(vehicle, user)
    path = capture("tesla_fleet_telemetry/ChargingDetailedWithoutChargingState.txt")
    client.replay("--format", "tesla-fleet-telemetry", "--user", user, "--location", "home", str(path))
    (session,) = client.settled(vehicle, 1)
    assert (session["policyId"], session["state"]) == (policy_id, "SETTLED")
    assert_near(session["pluggedInAt"], "2025-01-19T09:03:04Z", 15)
    assert_near(session["pluggedOutAt"], "2025-01-19T09:51:28Z", 15)
    totals = session["statistics"]["aggregated"]
    assert (abs(totals["batteryFrom"] - 53) <= 1, abs(totals["batteryTo"] - 64) <= 1) == (True, True)
    # The battery-side counter, DCChargingEnergyIn (docs/reference/captures.md).
    assert totals["kwhSum"] == pytest.approx(7.66, rel=0.01)
    assert_adds_up(session)
    (block,) = session["blocks"]
    assert_near(block["startAt"], "2025-01-19T09:03:20Z", 15)
    assert_near(block["endAt"], "2025-01-19T09:51:18Z", 15)
    assert block["kwhSum"] == totals["kwhSum"]
    # 80 % were wanted, and nobody has told a price.
    assert (session["outcome"]["latest"]["state"], session["valuation"]) == ("FAILED", None)
    assert client.on_topic(session["id"]) == session
    by_id = client.http.get(f"/flex/vehicle-policies/{policy_id}/sessions/{session['id']}")
    assert by_id.json() == session
    assert client.http.get(client.current(policy_id)).json()["state"] == "UPCOMING"


def test_a_dc_charge_on_the_road_is_one_unmanaged_session(client: Client) -> None:
    """The capture of a DC charge without a policy gives one unmanaged session with the counter's energy."""
    vehicle = "5YJ3E7EA3LF000000"
    path = capture("tesla_fleet_telemetry/DCCharging1.txt")
    client.replay("--format", "tesla-fleet-telemetry", str(path))
    (session,) = client.settled(vehicle, 1)
    assert session["policyId"] is None
    assert_near(session["pluggedInAt"], "2024-12-30T09:57:34Z", 15)
    assert_near(session["pluggedOutAt"], "2024-12-30T10:13:15Z", 15)
    totals = session["statistics"]["aggregated"]
    assert totals == {"kwhSum": pytest.approx(36.26, rel=0.01), "batteryFrom": 2, "batteryTo": 52}
    assert_adds_up(session)
    assert client.on_topic(session["id"]) == session


def test_a_day_of_minute_polls_has_one_charge_and_stays_plugged_in(client: Client) -> None:
    """A day of polls: the visit that began before ends at its first Disconnected poll, the charge is one session
    that stays open: Complete is not unplugged, and rows that tell nothing end nothing.
    """
    vehicle, user = "car", "driver"
    policy_id = client.create_policy(vehicle, user)
    path = capture("teslafi_minute_log/01_complete_TeslaFi62016.csv.gz")
    client.replay("--format", "teslafi-csv", "--vehicle", vehicle, "--user", user, "--location", "home", str(path))
    (before,) = client.settled(vehicle, 1)
    assert before["pluggedOutAt"] == "2016-06-26T10:48:28Z"
    assert before["statistics"]["aggregated"]["kwhSum"] == 0.0

    def charged() -> dict[str, Any] | None:
        session: dict[str, Any] = client.http.get(client.current(policy_id)).json()
        return session if (session["statistics"]["aggregated"] or {}).get("kwhSum", 0) >= 10 else None

    session = wait_until(charged, 30, "the charge")
    assert session is not None
    assert session["state"] == "ACTIVE:REGULAR"
    assert_near(session["pluggedInAt"], "2016-06-26T16:04:32Z", 61)
    assert session["statistics"]["aggregated"] == {
        "kwhSum": pytest.approx(10.11, rel=0.01),
        "batteryFrom": 57,
        "batteryTo": 70,
    }
    assert_adds_up(session)
    assert client.on_topic(session["id"]) == session
