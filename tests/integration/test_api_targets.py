"""Target overrides over HTTP: from the PUT by way of the log and the worker to the session that a client reads."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.ports import free_port
from models.topics import SESSION_TARGETS
from tests.support.api_process import ROOT, running_api
from tests.support.policy_client import PolicyClient
from tests.support.records import read_all
from tests.support.waiting import wait_until
from tests.support.worker import System, body, plug, stamp

pytestmark = pytest.mark.integration

SOON_S = 30
NOW = {"type": "IMMEDIATE_START", "minimumChargeTarget": 90}


@pytest.fixture(scope="module")
def client(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyClient]:
    """A client of an API beside the module's worker."""
    folder = tmp_path_factory.mktemp("api")
    with running_api(system.topics.env(state_dir=folder / "state", api_port=free_port()), folder) as api:
        yield PolicyClient(api)


class Waiting:
    """A policy and its UPCOMING session."""

    def __init__(self, client: PolicyClient) -> None:
        self.client = client
        self.policy = client.made().json()
        self.session_id = self.session()["id"]

    def session(self) -> dict[str, Any]:
        answer = self.client.call("GET", f"{ROOT}/{self.policy['id']}/session")
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        return session

    def put(self, target: Any, **claims: Any) -> Any:
        return self.client.call("PUT", f"/flex/sessions/{self.session_id}/target", target, **claims)


@pytest.fixture
def waiting(client: PolicyClient) -> Waiting:
    return Waiting(client)


def test_an_override_reaches_the_session_and_can_be_taken_back(waiting: Waiting) -> None:
    """A PUT is a 202, and the session soon has that target as an override; `null` brings the policy's target back."""
    ready_by = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=9)
    wanted = {"type": "REGULAR", "batteryReserve": 10, "minimumChargeTarget": 70, "readyBy": stamp(ready_by)}
    answer = waiting.put(wanted)
    assert (answer.status_code, answer.content) == (202, b"")
    latest = wait_until(lambda: _latest_if(waiting, "OVERRIDE"), SOON_S, "the override")
    assert latest == wanted | {"id": latest["id"], "source": "OVERRIDE"}
    assert waiting.put(None).status_code == 202
    wait_until(lambda: _latest_if(waiting, "POLICY"), SOON_S, "the policy's target")
    assert waiting.put(NOW).status_code == 202
    wait_until(lambda: waiting.session()["target"]["latest"]["type"] == "IMMEDIATE_START", SOON_S, "at once")


def _latest_if(waiting: Waiting, source: str) -> Any:
    latest = waiting.session()["target"]["latest"]
    return latest if latest.get("source") == source else None


def test_the_record_is_on_the_topic_when_it_is_answered(waiting: Waiting, system: System) -> None:
    """What a PUT was told stands on the topic, keyed by the vehicle, when the 202 comes."""
    east = datetime.now(UTC).replace(microsecond=0) + timedelta(days=6)
    told = east.astimezone(datetime.now().astimezone().tzinfo).isoformat()
    wanted = {"type": "REGULAR", "batteryReserve": 10, "minimumChargeTarget": 70, "readyBy": told}
    assert waiting.put(wanted).status_code == 202
    vehicle = waiting.policy["vehicleId"]
    records = read_all(system.topics.bootstrap, system.topics.name(SESSION_TARGETS))
    [record] = [each for each in records if each.key == vehicle]
    said = body(record)
    assert (said["vehicleId"], said["sessionId"]) == (vehicle, waiting.session_id)
    assert said["target"] == wanted | {"readyBy": stamp(east)}


def far(**by: float) -> dict[str, Any]:
    ready_by = stamp(datetime.now(UTC) + timedelta(**by))
    return {"type": "REGULAR", "batteryReserve": 10, "minimumChargeTarget": 70, "readyBy": ready_by}


BAD: dict[str, tuple[Any, set[tuple[str, str]]]] = {
    "no object": (7, {("body", "bad-object")}),
    "no type": ({}, {("type", "bad-type")}),
    "another type": ({"type": []}, {("type", "bad-type")}),
    "percents": (
        far(days=1) | {"batteryReserve": -1, "minimumChargeTarget": "70"},
        {("batteryReserve", "bad-percent"), ("minimumChargeTarget", "bad-percent")},
    ),
    "in the past": (far(seconds=-1), {("readyBy", "not-within-7-d")}),
    "too far ahead": (far(days=8), {("readyBy", "not-within-7-d")}),
    "no offset": (far() | {"readyBy": "2030-01-01T00:00:00"}, {("readyBy", "bad-time")}),
    "missing and unknown": (
        {"type": "IMMEDIATE_START", "readyBy": None},
        {("minimumChargeTarget", "missing"), ("readyBy", "unknown")},
    ),
}


@pytest.mark.parametrize(("target", "named"), BAD.values(), ids=BAD)
def test_bad_overrides_have_every_fault_named(waiting: Waiting, target: Any, named: set[tuple[str, str]]) -> None:
    """An override that cannot be is a 422 that names each fault."""
    answer = waiting.put(target)
    assert answer.status_code == 422, answer.text
    assert {(issue["parameter"], issue["code"]) for issue in answer.json()["issues"]} == named


def test_sessions_that_take_no_override(waiting: Waiting, client: PolicyClient, system: System) -> None:
    """A settled session is a 409; an unknown one, or another user's, a 404; an impossible id a 400."""
    assert waiting.put(NOW, userId="user-2").status_code == 404
    assert waiting.put(NOW, userId="user-1").status_code == 202
    unknown = client.call("PUT", f"/flex/sessions/{uuid.uuid4()}/target", NOW)
    assert unknown.status_code == 404
    assert client.call("PUT", "/flex/sessions/x/target", NOW).status_code == 400
    vehicle, start = waiting.policy["vehicleId"], datetime.now(UTC) - timedelta(hours=2)
    system.send(plug(vehicle, start, True, locationId="home"))
    wait_until(lambda: waiting.session()["state"].startswith("ACTIVE"), SOON_S, "the plug-in")
    assert waiting.put(NOW).status_code == 202
    system.send(plug(vehicle, start + timedelta(hours=1), False))
    wait_until(lambda: waiting.session()["id"] != waiting.session_id, SOON_S, "the next session")
    settled = waiting.put(NOW)
    assert settled.status_code == 409
    assert settled.json()["type"].endswith("session-settled")
    assert waiting.put(None).status_code == 409
