"""Policies over HTTP, with a real Kafka behind the API and a real worker that makes sessions of them."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.ports import free_port
from models.topics import VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import ROOT, running_api
from tests.support.policy_client import PolicyClient, new_body
from tests.support.records import Outgoing, read_all
from tests.support.waiting import wait_until
from tests.support.worker import System, policy_value

pytestmark = pytest.mark.integration

SOON_S = 20


@pytest.fixture(scope="module")
def client(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyClient]:
    """A client of an API beside the module's worker."""
    folder = tmp_path_factory.mktemp("api")
    env = system.topics.env(
        state_dir=folder / "state", api_port=free_port(), rate_limit_per_s=10_000, rate_limit_burst=10_000
    )
    with running_api(env, folder) as api:
        yield PolicyClient(api)


def faults(answer: Any) -> set[tuple[str, str]]:
    assert answer.headers["content-type"] == "application/problem+json"
    return {(issue["parameter"], issue["code"]) for issue in answer.json()["issues"]}


def test_life_of_a_policy(client: PolicyClient) -> None:
    """A policy is read back the moment its POST is answered, as the topic has it; a PATCH changes what it names and a
    DELETE ends it, each seen at once; every version has an ETag of its own.
    """
    made = client.made(maxChargeRate=11)
    policy_id, first = made.json()["id"], made.headers["etag"]
    assert made.headers["location"] == f"{ROOT}/{policy_id}"
    assert made.json()["isEnabled"] is True
    assert made.json()["schedule"]["tuesday"] is None
    read = client.get(policy_id)
    assert (read.content, read.headers["etag"]) == (made.content, first)
    patch = {"batteryReserve": 30, "schedule": {"monday": None}, "maxChargeRate": None}
    changed = client.patch(policy_id, patch, first)
    assert changed.status_code == 200, changed.text
    expected = made.json() | {"batteryReserve": 30.0, "maxChargeRate": None, "at": changed.json()["at"]}
    expected["schedule"] = dict.fromkeys(expected["schedule"])
    assert changed.json() == expected
    assert changed.headers["etag"] != first
    assert client.get(policy_id).content == changed.content
    assert client.patch(policy_id, {"batteryReserve": 30}, changed.headers["etag"]).content == changed.content
    assert client.delete(policy_id, changed.headers["etag"]).status_code == 204
    assert client.get(policy_id).status_code == 404
    assert client.delete(policy_id).status_code == 404
    assert client.patch(policy_id, {}).status_code == 404


def test_the_record_is_the_answer(client: PolicyClient, system: System) -> None:
    """What POST, PATCH and GET answer stands byte for byte on the topic, on the vehicle's partition."""
    made = client.made()
    policy = made.json()
    changed = client.patch(policy["id"], {"isEnabled": False})
    client.delete(policy["id"])
    records = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
    mine = [each for each in records if each.key == policy["id"]]
    assert [each.value for each in mine] == [made.content, changed.content, None]
    assert {each.partition for each in mine} == {partition_of(policy["vehicleId"], system.topics.partitions)}


def test_the_session_can_be_read_after_a_post(client: PolicyClient) -> None:
    """Right after its creation a policy's session can be read, UPCOMING; after its end there is none."""
    policy = client.made().json()
    session = client.call("GET", f"{ROOT}/{policy['id']}/session")
    assert session.status_code == 200, session.text
    assert (session.json()["state"], session.json()["policyId"]) == ("UPCOMING", policy["id"])
    client.patch(policy["id"], {"isEnabled": False})
    assert client.call("GET", f"{ROOT}/{policy['id']}/session").status_code == 404
    client.patch(policy["id"], {"isEnabled": True})
    again = client.call("GET", f"{ROOT}/{policy['id']}/session")
    assert again.status_code == 200, again.text
    client.delete(policy["id"])
    assert client.call("GET", f"{ROOT}/{policy['id']}/session").status_code == 404


BAD_BODIES: dict[str, tuple[Any, set[tuple[str, str]]]] = {
    "no object": ([], {("body", "bad-object")}),
    "empty": (
        {},
        {("userId", "missing"), ("vehicleId", "missing"), ("locationId", "missing")},
    ),
    "every kind of fault": (
        new_body("a b")
        | {
            "locationId": None,
            "isEnabled": "yes",
            "timezoneName": "Mars/Base",
            "zone": 7,
            "batteryReserve": 101,
            "maxChargeRate": 0,
            "batteryCapacity": "60",
            "speed": 1,
        },
        {
            ("vehicleId", "bad-id"),
            ("locationId", "bad-id"),
            ("isEnabled", "bad-boolean"),
            ("timezoneName", "bad-timezone"),
            ("zone", "bad-id"),
            ("batteryReserve", "bad-percent"),
            ("maxChargeRate", "bad-power"),
            ("batteryCapacity", "bad-energy"),
            ("speed", "unknown"),
        },
    ),
    "a folder of zones": (new_body(timezoneName="Europe"), {("timezoneName", "bad-timezone")}),
    "a zone outside of the database": (new_body(timezoneName="../../etc/passwd"), {("timezoneName", "bad-timezone")}),
    **{
        f"no zone of the database: {name}": (new_body(timezoneName=name), {("timezoneName", "bad-timezone")})
        for name in (
            "localtime",
            "posixrules",
            "posix/Europe/Berlin",
            "right/Europe/Berlin",
            "Factory",
            "europe/berlin",
            "",
        )
    },
    "ours to decide": (new_body(id="mine", at="2025-01-01T00:00:00Z"), {("id", "read-only"), ("at", "read-only")}),
    "schedule": (
        new_body(
            schedule={
                "monday": {"deadline": "24:00", "minimumChargeTarget": 80},
                "tuesday": {"deadline": "07:00"},
                "friday": {"deadline": "07:00", "minimumChargeTarget": True},
                "saturday": 7,
                "sonntag": None,
            }
        ),
        {
            ("schedule.monday.deadline", "bad-time-of-day"),
            ("schedule.tuesday.minimumChargeTarget", "missing"),
            ("schedule.friday.minimumChargeTarget", "bad-percent"),
            ("schedule.saturday", "bad-object"),
            ("schedule.sonntag", "unknown"),
        },
    ),
    "reserve above a target": (
        new_body(batteryReserve=90),
        {("schedule.monday.minimumChargeTarget", "below-reserve")},
    ),
}


@pytest.mark.parametrize(("body", "named"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_policies_have_every_fault_named(client: PolicyClient, body: Any, named: set[tuple[str, str]]) -> None:
    """A policy that cannot be is a 422 that names each fault, and nothing is written."""
    answer = client.post(body)
    assert answer.status_code == 422, answer.text
    assert faults(answer) == named


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"userId":"a","userId":"b"}', "application/json", 400),
        (b"\xff{}", "application/json", 400),
        (b'{"zone":"\\ud800"}', "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"1e999", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * 70_000, "application/json", 413),
    ],
)
def test_bodies_that_cannot_be_read(client: PolicyClient, content: bytes, media_type: str, status: int) -> None:
    """Whatever is sent as a body, the answer is a problem document with the status that fits, never a 500."""
    headers = dict(client.call("GET", ROOT).request.headers)
    answer = client.api.client.post(
        ROOT, content=content, headers={"Authorization": headers["authorization"], "Content-Type": media_type}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_enabled_policy_per_user_vehicle_and_place(client: PolicyClient) -> None:
    """A second enabled policy for one user, vehicle and location is a 409, whether created, enabled or moved there;
    disabled, elsewhere or after the first one's end it may stand.
    """
    first = client.made().json()
    vehicle = first["vehicleId"]
    refused = client.post(new_body(vehicle))
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("policy-conflict")
    waiting = client.made(vehicle, isEnabled=False).json()
    elsewhere = client.made(vehicle, locationId="work").json()
    assert client.patch(waiting["id"], {"isEnabled": True}).status_code == 409
    assert client.patch(elsewhere["id"], {"locationId": "home"}).status_code == 409
    assert client.get(waiting["id"]).json() == waiting
    assert client.patch(first["id"], {"isEnabled": False}).status_code == 200
    assert client.patch(waiting["id"], {"isEnabled": True}).status_code == 200
    assert client.patch(first["id"], {"isEnabled": True}).status_code == 409
    assert client.delete(waiting["id"]).status_code == 204
    assert client.patch(first["id"], {"isEnabled": True}).status_code == 200


def test_what_never_changes(client: PolicyClient) -> None:
    """A PATCH that names another id, user, vehicle or time is a 422; the whole policy as it was read may be sent."""
    made = client.made()
    policy = made.json()
    other = {"id": "x", "userId": "x", "vehicleId": "x", "at": "2025-01-01T00:00:00Z"}
    answer = client.patch(policy["id"], other | {"nonsense": None})
    assert answer.status_code == 422
    assert faults(answer) == {(name, "read-only") for name in other} | {("nonsense", "unknown")}
    assert client.patch(policy["id"], {"locationId": None}).status_code == 422
    assert client.patch(policy["id"], 7).status_code == 422
    whole = client.patch(policy["id"], policy | {"batteryReserve": 10}, made.headers["etag"])
    assert whole.status_code == 200
    assert whole.json() == policy | {"batteryReserve": 10, "at": whole.json()["at"]}


def test_conditions(client: PolicyClient) -> None:
    """PATCH and DELETE need If-Match and are a 412 for any version but the one that stands; a GET that names it is a
    304.
    """
    made = client.made()
    policy_id, old = made.json()["id"], made.headers["etag"]
    new = client.patch(policy_id, {"batteryReserve": 30}, f'"other", {old}').headers["etag"]
    for etag, status in {None: 428, old: 412, f"W/{new}": 412, '"x"': 412, "x": 400, '""x': 400}.items():
        assert client.patch(policy_id, {"batteryReserve": 40}, etag).status_code == status, etag
        assert client.delete(policy_id, etag).status_code == status, etag
    assert client.get(policy_id, {"If-None-Match": new}).status_code == 304
    assert client.get(policy_id, {"If-None-Match": f"W/{new}"}).status_code == 304
    assert client.get(policy_id, {"If-None-Match": old}).status_code == 200
    assert client.get(policy_id, {"If-None-Match": "x"}).status_code == 400
    assert client.get(policy_id).json()["batteryReserve"] == 30


def test_idempotency_keys(client: PolicyClient) -> None:
    """A POST that is repeated with its key makes nothing new, shows the policy as it is now, and is a 422 where it asks
    for something else; the key of a deleted policy is used up; other clients and users have keys of their own.
    """
    key, body = uuid.uuid4().hex, new_body()
    first = client.post(body, key)
    again = client.post(body, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert [each.headers.get("idempotent-replayed") for each in (first, again)] == [None, "true"]
    policy_id = first.json()["id"]
    changed = client.patch(policy_id, {"batteryReserve": 30})
    assert client.post(body, key).content == changed.content
    assert client.post(body | {"batteryReserve": 30}, key).status_code == 422
    assert client.post(new_body(), key, sub="client-2").status_code == 201
    assert client.post(new_body(userId="user-2"), key).status_code == 201
    client.delete(policy_id)
    gone = client.post(body, key)
    assert gone.status_code == 409
    assert gone.json()["type"].endswith("idempotency-key-used")
    for bad in ("", "a b", "x" * 256):
        assert client.post(body, bad).status_code == 400


def test_users_see_their_own(client: PolicyClient) -> None:
    """For a token of one user another user's policy does not exist; what it creates is its own."""
    theirs = client.made(userId="user-2").json()
    own = client.post({name: said for name, said in new_body().items() if name != "userId"}, userId="user-3")
    assert own.status_code == 201, own.text
    assert own.json()["userId"] == "user-3"
    assert client.post(new_body(), userId="user-3").status_code == 422
    for answer in (
        client.get(theirs["id"], userId="user-3"),
        client.patch(theirs["id"], {"isEnabled": False}, userId="user-3"),
        client.delete(theirs["id"], userId="user-3"),
    ):
        assert answer.status_code == 404
    assert client.listed(userId="user-3") == [own.json()["id"]]
    assert client.listed("userId=user-2&", userId="user-3") == []
    assert client.listed(f"vehicleId={theirs['vehicleId']}&", userId="user-3") == []
    assert theirs["id"] in client.listed("userId=user-2&")
    assert client.get(theirs["id"]).json() == theirs


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", ROOT, "flex:policies:write"),
        ("GET", f"{ROOT}/p", "flex:policies:write"),
        ("POST", ROOT, "flex:policies:read"),
        ("PATCH", f"{ROOT}/p", "flex:policies:read"),
        ("DELETE", f"{ROOT}/p", "flex:policies:read"),
        ("PUT", "/flex/sessions/x/target", "flex:policies:write flex:sessions:read"),
    ],
)
def test_scopes(client: PolicyClient, method: str, path: str, scope: str) -> None:
    """Without its scope each call is a 403, without a token a 401, whatever else is wrong with it."""
    assert client.call(method, f"{path}?x=1", [], scope=scope).status_code == 403
    assert client.api.client.request(method, path, json=[]).status_code == 401


def test_pages_of_policies(client: PolicyClient) -> None:
    """The list goes by id, in pages of any size, forward and back; filters combine; a foreign cursor is a 400."""
    vehicle = f"van-{uuid.uuid4().hex[:8]}"
    made = sorted(client.made(vehicle, userId="user-9", locationId=f"l{number}").json()["id"] for number in range(7))
    other = client.made(userId="user-9").json()["id"]
    for size in (1, 2, 3, 7, 100):
        assert client.listed(f"vehicleId={vehicle}&pageSize={size}&") == made
        assert client.listed(f"userId=user-9&pageSize={size}&") == sorted([*made, other])
        assert client.listed(f"userId=user-9&vehicleId={vehicle}&pageSize={size}&") == made
    everyone = client.listed("pageSize=2&")
    assert everyone == sorted(set(everyone))
    assert {*made, other} <= set(everyone)
    first = client.call("GET", f"{ROOT}?vehicleId={vehicle}&pageSize=3").json()
    assert first["pagination"]["before"] is None
    after = first["pagination"]["after"]
    second = client.call("GET", f"{ROOT}?vehicleId={vehicle}&pageSize=3&after={after}").json()
    before = second["pagination"]["before"]
    assert client.call("GET", f"{ROOT}?vehicleId={vehicle}&pageSize=3&before={before}").json()["data"] == first["data"]
    for query in (f"after={after}", f"vehicleId={vehicle}&before={after}", "after=x", "pageSize=0", "x=1", "userId="):
        assert client.call("GET", f"{ROOT}?{query}").status_code == 400, query
    assert client.api.get(f"{ROOT}/sessions", params={"after": after}).status_code == 400


def test_policies_of_other_writers(client: PolicyClient, system: System) -> None:
    """A policy that an admin tool writes is served as the worker takes it: a rival never, nor a change of its user."""
    vehicle = f"car-{uuid.uuid4().hex[:8]}"
    first, rival = policy_value(vehicle, f"a-{vehicle}"), policy_value(vehicle, f"b-{vehicle}")
    last = policy_value(vehicle, f"c-{vehicle}", locationId="work")
    home = partition_of(vehicle, system.topics.partitions)
    stolen = first | {"userId": "user-2"}
    system.send(
        *(
            Outgoing(topic=VEHICLE_POLICIES, key=each["id"], value=each, partition=home)
            for each in (first, rival, stolen, last)
        )
    )
    wait_until(lambda: client.get(last["id"]).status_code == 200, SOON_S, "the last policy")
    assert client.get(rival["id"]).status_code == 404
    assert client.get(first["id"]).json()["userId"] == "user-1"
    assert client.listed(f"vehicleId={vehicle}&") == [first["id"], last["id"]]

    def restored() -> bool:
        found = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
        return {each.key for each in found if "policy-restored" in each.headers} >= {rival["id"], first["id"]}

    wait_until(restored, SOON_S, "what the worker writes back")
    wait_until(lambda: client.api.metric("flex_api_lag_records") == 0, SOON_S, "no lag")
    assert client.listed(f"vehicleId={vehicle}&") == [first["id"], last["id"]]
    assert client.get(first["id"]).json()["userId"] == "user-1"


def test_a_restart_forgets_no_key(system: System, tmp_path: Path) -> None:
    """Idempotency keys outlive the process and its whole store: a repeated POST finds its policy, or its end."""
    env = system.topics.env(state_dir=tmp_path / "one", api_port=free_port())
    kept, gone = uuid.uuid4().hex, uuid.uuid4().hex
    body = new_body()
    with running_api(env, tmp_path) as api:
        client = PolicyClient(api)
        first = client.post(body, kept)
        client.patch(first.json()["id"], {"batteryReserve": 30})
        client.delete(client.post(body | {"locationId": "work"}, gone).json()["id"])
    for state in ("one", "two"):
        with running_api(env | {"FLEX_STATE_DIR": str(tmp_path / state)}, tmp_path) as api:
            client = PolicyClient(api)
            again = client.post(body, kept)
            assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
            assert again.headers["idempotent-replayed"] == "true"
            assert client.post(body | {"zone": "FR"}, kept).status_code == 422
            assert client.post(body | {"locationId": "work"}, gone).status_code == 409
