"""Policies whose time zone only another release has: worker and API begin with them, and go on.

They came to stand by a release that knew the zone; here a record that such a worker restored stands for it.
"""

from pathlib import Path

import pytest

from local.ports import free_port
from models.policy import RESTORED_HEADER
from models.topics import VEHICLE_POLICIES
from tests.support.api_process import ROOT, running_api
from tests.support.policy_client import PolicyClient, new_body
from tests.support.records import Outgoing, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import System, new_vehicle, policy_value, running_system

pytestmark = pytest.mark.integration

SOON_S = 30
UNKNOWN = "Mars/Base"


def foreign(system: System, vehicle: str) -> Outgoing:
    """The vehicle's policy, as a worker of that release restored it."""
    known = system.policy(vehicle)
    value = policy_value(vehicle, f"policy-of-{vehicle}", timezoneName=UNKNOWN)
    headers = {RESTORED_HEADER: "a worker of another release"}
    return Outgoing(topic=known.topic, key=known.key, value=value, headers=headers, partition=known.partition)


def test_worker_and_api_go_on_with_a_zone_that_they_do_not_know(topics: Topics, tmp_path: Path) -> None:
    """Started on what they hold, both are ready; the policy counts without deadlines and can be read, listed, mended
    and deleted, policies beside it can be made, and whatever its vehicle's log has next is followed.
    """
    mended, deleted = new_vehicle("mended"), new_vehicle("deleted")
    worker_state, api_state = tmp_path / "worker", tmp_path / "api"
    api_env = topics.env(state_dir=api_state, api_port=free_port())
    with running_system(topics, tmp_path, state_dir=worker_state) as system, running_api(api_env, tmp_path) as api:
        system.send(foreign(system, mended), foreign(system, deleted))
        for vehicle in (mended, deleted):
            (session,) = system.wait_for_states(vehicle, "UPCOMING")
            assert session["target"]["latest"]["readyBy"] is None
            wait_until(lambda: PolicyClient(api).get(f"policy-of-{deleted}").status_code == 200, SOON_S, "the policy")
    with running_system(topics, tmp_path, state_dir=worker_state) as system, running_api(api_env, tmp_path) as api:
        client = PolicyClient(api)
        assert client.get(f"policy-of-{mended}").json()["timezoneName"] == UNKNOWN
        assert set(client.listed(f"vehicleId={mended}")) == {f"policy-of-{mended}"}
        assert client.post(new_body(mended)).status_code == 409
        assert client.post(new_body(mended, locationId="work")).status_code == 201
        refused = client.patch(f"policy-of-{mended}", {"batteryReserve": 30})
        assert (refused.status_code, refused.json()["issues"][0]["parameter"]) == (422, "timezoneName")
        assert client.patch(f"policy-of-{mended}", {"timezoneName": "Europe/Berlin"}).status_code == 200
        assert client.delete(f"policy-of-{deleted}").status_code == 204
        wait_until(lambda: deadline(system, mended) is not None, SOON_S, "the deadline in the known zone")
        assert api.client.get("/healthz").status_code == api.client.get("/readyz").status_code == 200
        assert "the zone of a policy is not known" in system.worker.stderr


def test_a_record_with_an_unknown_zone_is_refused(topics: Topics, tmp_path: Path) -> None:
    """It is a dead letter with its reason, and what stands is put back, once: on the topic and in the view."""
    vehicle = new_vehicle("refused")
    api_env = topics.env(state_dir=tmp_path / "api", api_port=free_port())
    with running_system(topics, tmp_path) as system, running_api(api_env, tmp_path) as api:
        client = PolicyClient(api)
        # A deadline makes the log's end visible: one comes with the known zone.
        system.send(foreign(system, vehicle))
        system.wait_for_states(vehicle, "UPCOMING")
        system.send(system.policy(vehicle, timezoneName="Mars/Outpost"))
        (letter,) = wait_until(lambda: system.dead_letters(VEHICLE_POLICIES), SOON_S, "the dead letter") or []
        assert letter.headers["dlq-reason"] == "INVALID_MESSAGE"
        stands = f"{ROOT}/policy-of-{vehicle}"
        wait_until(lambda: client.call("GET", stands).json().get("timezoneName") == UNKNOWN, SOON_S, "what stands")
        # What the worker has put back it has read by the time at which it has read this.
        system.send(system.policy(vehicle, timezoneName="Europe/Berlin", at="2026-01-02T00:00:00Z"))
        wait_until(lambda: deadline(system, vehicle) is not None, SOON_S, "the deadline in the known zone")
        written = read_all(topics.bootstrap, topics.name(VEHICLE_POLICIES))
        assert len(written) == 4
        assert len(system.dead_letters(VEHICLE_POLICIES)) == 1


def deadline(system: System, vehicle: str) -> str | None:
    """`readyBy` of the vehicle's newest update."""
    by: str | None = system.sessions(vehicle)[-1]["target"]["latest"]["readyBy"]
    return by
