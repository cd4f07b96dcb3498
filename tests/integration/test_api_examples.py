"""The contract, executed: what it shows as a request is taken, and what comes has the shape that it shows."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.problems import Problem
from local.ports import free_port
from models.policy import VehiclePolicy
from models.session import Session
from tests.support.api_process import ROOT, running_api
from tests.support.policy_client import PolicyClient
from tests.support.waiting import wait_until
from tests.support.worker import System, plug, stamp

pytestmark = pytest.mark.integration

SOON_S = 30


@pytest.fixture(scope="module")
def client(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyClient]:
    """A client of an API beside the module's worker."""
    folder = tmp_path_factory.mktemp("api")
    with running_api(system.topics.env(state_dir=folder / "state", api_port=free_port()), folder) as api:
        yield PolicyClient(api)


@pytest.fixture(scope="module")
def contract(client: PolicyClient) -> dict[str, Any]:
    """The document as this API serves it."""
    document: dict[str, Any] = client.api.client.get("/openapi.json").json()
    return document


def test_what_is_served_is_what_is_checked_in(contract: dict[str, Any]) -> None:
    """A running API serves the contract that stands in docs/reference."""
    path = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
    assert contract == json.loads(path.read_text(encoding="utf-8"))


def request_examples(contract: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    [content, *_] = contract["paths"][path][method]["requestBody"]["content"].values()
    return {name: example["value"] for name, example in content["examples"].items()}


def answer_example(contract: dict[str, Any], method: str, path: str, status: int) -> Any:
    return contract["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["example"]


def shape(value: Any) -> Any:
    """What a document has, without its values: names at every depth, items of lists as one."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def test_the_life_that_the_examples_tell(client: PolicyClient, system: System, contract: dict[str, Any]) -> None:
    """The policy, the patch and the targets of the contract are taken as they stand, but for a time that has passed;
    what is answered has the shape that is shown.
    """
    one = f"{ROOT}/{{policyId}}"
    [asked] = request_examples(contract, "post", ROOT).values()
    made = client.post(asked, "example-1")
    assert made.status_code == 201, made.text
    policy, etag = made.json(), made.headers["etag"]
    for method, path, status in (("post", ROOT, 201), ("get", one, 200), ("patch", one, 200)):
        assert answer_example(contract, method, path, status).keys() == policy.keys()
    assert msgspec.convert(answer_example(contract, "get", one, 200), VehiclePolicy)
    listed = client.call("GET", ROOT).json()
    assert shape(listed) == shape({"data": [policy], "pagination": {"after": None, "before": None}})
    assert answer_example(contract, "get", ROOT, 200).keys() == listed.keys()
    [patch] = request_examples(contract, "patch", one).values()
    changed = client.patch(policy["id"], patch, etag)
    assert changed.status_code == 200, changed.text
    session = client.call("GET", f"{one.format(policyId=policy['id'])}/session").json()
    msgspec.convert(session, Session)
    assert answer_example(contract, "get", f"{one}/session", 200).keys() == session.keys()
    soon = stamp(datetime.now(UTC) + timedelta(hours=8))
    for target in request_examples(contract, "put", "/flex/sessions/{sessionId}/target").values():
        wanted = target | {"readyBy": soon} if target and "readyBy" in target else target
        answer = client.call("PUT", f"/flex/sessions/{session['id']}/target", wanted)
        assert answer.status_code == 202, answer.text
    start = datetime.now(UTC) - timedelta(hours=2)
    system.send(plug(policy["vehicleId"], start, True, locationId=policy["locationId"]))
    system.send(plug(policy["vehicleId"], start + timedelta(hours=1), False))
    path = f"{ROOT}/{policy['id']}/sessions/{session['id']}"
    wait_until(lambda: client.call("GET", path).status_code == 200, SOON_S, "the settled session")
    settled = client.call("GET", path).json()
    assert answer_example(contract, "get", f"{one}/sessions/{{sessionId}}", 200).keys() == settled.keys()
    page = client.call("GET", f"{ROOT}/sessions?policyId={policy['id']}").json()
    assert [row["id"] for row in page["data"]] == [settled["id"]]
    assert answer_example(contract, "get", f"{ROOT}/sessions", 200).keys() == page.keys()
    assert client.delete(policy["id"], changed.headers["etag"]).status_code == 204


ERRORS: dict[str, tuple[str, str, int]] = {
    "a bad cursor": ("GET", f"{ROOT}/sessions?after=x", 400),
    "an unknown policy": ("GET", f"{ROOT}/nobody", 404),
    "an unknown policy to delete": ("DELETE", f"{ROOT}/p", 404),
    "no such method": ("PUT", f"{ROOT}/p", 405),
    "no such path": ("GET", "/flex/nothing", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), ERRORS.values(), ids=ERRORS)
def test_errors_have_the_shape_that_is_shown(client: PolicyClient, method: str, path: str, status: int) -> None:
    """Every error is a problem document of the contract's schema."""
    answer = client.call(method, path)
    assert answer.status_code == status
    assert msgspec.json.decode(answer.content, type=Problem, strict=True).status == status
    assert list(answer.json()) == ["type", "title", "status", "detail", "issues"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (ROOT, {"GET", "POST"}),
        (f"{ROOT}/p", {"GET", "PATCH", "DELETE"}),
        (f"{ROOT}/sessions", {"GET"}),
        (f"{ROOT}/sessions.csv", {"GET"}),
        (f"{ROOT}/p/session", {"GET"}),
        ("/flex/sessions/s/target", {"PUT"}),
    ],
)
def test_allow_names_every_method(client: PolicyClient, path: str, methods: set[str]) -> None:
    """A 405 names all methods that its path has, whichever of the others it is asked by."""
    methods = methods | {"HEAD"} if "GET" in methods else methods
    for method in {"OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - methods:
        answer = client.call(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == methods
