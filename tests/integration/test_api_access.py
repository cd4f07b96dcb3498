"""Who may see what, over HTTP with published keys: scopes, users, endpoints and faults of tokens, all combined."""

import base64
import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from local.kafka import Kafka
from local.ports import free_port
from local.topics import ensure_topics
from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import ROOT, Api, running_api
from tests.support.api_tokens import bearer
from tests.support.command import run_flex
from tests.support.issuer import Issuer, running_issuer
from tests.support.records import Outgoing, produce
from tests.support.system import SECRET, Topics, delete_topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 30
READ = "flex:sessions:read"
READ_POLICIES = "flex:policies:read"
# A path is opened by its own word alone; what each of these has, if any, opens other paths.
OTHER_SCOPES = [
    "",
    "flex:sessions:write",
    "flex:policies:read flex:policies:write",
    "flex:policies:write flex:sessions:read",
    "flex:sessions:readx flex:policies:readx",
    "read",
]

# Two users with a policy each; the vehicle v1 was u1's, then u2's, and is u1's again.
MANAGED_1 = Update(id=session_id(1), in_h=1, out_h=2)
UNMANAGED_1 = Update(id=session_id(2), policy=None, location="work", in_h=3, out_h=4)
LENT_TO_2 = Update(id=session_id(3), policy=None, user="u2", location="work", in_h=5, out_h=6)
MANAGED_2 = Update(id=session_id(4), policy="p2", user="u2", vehicle="v2", location="home", in_h=7, out_h=8)
CURRENT_1 = Update(id=session_id(5), state=SessionState.UPCOMING)
CURRENT_2 = Update(id=session_id(6), policy="p2", user="u2", vehicle="v2", state=SessionState.UPCOMING)
EVERYTHING = [MANAGED_1, UNMANAGED_1, LENT_TO_2, MANAGED_2, CURRENT_1, CURRENT_2]
SETTLED = EVERYTHING[:4]
POLICIES = {"p1": ("v1", "u1"), "p2": ("v2", "u2")}

POLICY_PATHS = [
    ROOT,
    f"{ROOT}?vehicleId=v1",
    f"{ROOT}?userId=u2",
    *(f"{ROOT}/{policy}" for policy in POLICIES),
]
PATHS = [
    *POLICY_PATHS,
    f"{ROOT}/sessions",
    f"{ROOT}/sessions?vehicleId=v1",
    f"{ROOT}/sessions?locationId=work",
    f"{ROOT}/sessions?policyId=p1",
    f"{ROOT}/sessions?policyId=p2",
    f"{ROOT}/sessions.csv",
    f"{ROOT}/sessions.csv?vehicleId=v1",
    f"{ROOT}/sessions.csv?locationId=home",
    f"{ROOT}/p1/session",
    f"{ROOT}/p2/session",
    f"{ROOT}/p1/session/events",
    f"{ROOT}/p2/session/events",
    *(f"{ROOT}/{policy}/sessions/{one.id}" for policy in ("p1", "p2") for one in SETTLED),
]
WRITES = [
    ("POST", ROOT),
    ("PATCH", f"{ROOT}/p1"),
    ("DELETE", f"{ROOT}/p1"),
    ("PUT", f"/flex/sessions/{session_id(1)}/target"),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def api(broker: Kafka, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for all of these tests: nothing here changes what it has."""
    folder = tmp_path_factory.mktemp("access")
    topics = Topics(bootstrap=broker.bootstrap, prefix=f"access{free_port()}.", partitions=2)
    ensure_topics(topics.settings())
    env = topics.env(state_dir=folder / "state", api_port=free_port(), auth_jwks_url=issuer.url, auth_hs256_secret="")
    produce(
        topics.bootstrap,
        [
            Outgoing(
                topic=topics.name(VEHICLE_POLICIES),
                key=policy,
                value=policy_value(policy, user=user, vehicle=vehicle),
                partition=partition_of(vehicle, 2),
            )
            for policy, (vehicle, user) in POLICIES.items()
        ],
    )
    name = topics.name(SESSION_UPDATED)
    produce(topics.bootstrap, [one.outgoing(name, partition_of(one.vehicle, 2)) for one in EVERYTHING])
    try:
        with running_api(env, folder) as running:
            wait_until(lambda: running.metric("flex_api_key_looks_total", result="read"), SOON_S, "the keys")
            yield running
    finally:
        delete_topics(broker.bootstrap, topics.prefix)


def ask(api: Api, path: str, token: str | None) -> tuple[int, bytes]:
    """Status and what is sent at first: a stream of events goes on for ever."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with api.client.stream("GET", path, headers=headers) as answer:
        if answer.status_code == httpx.codes.OK and path.endswith("/events"):
            taken = b""
            for piece in answer.iter_bytes():
                taken += piece
                if b"data: " in taken:
                    break
            return answer.status_code, taken
        return answer.status_code, answer.read()


def seen(path: str, body: bytes) -> set[str]:
    """The ids of the sessions or policies in an answer."""
    if ".csv" in path:
        return {row["id"] for row in csv.DictReader(io.StringIO(body.decode(), newline=""))}
    if path.endswith("/events"):
        data = next(line for line in body.decode().splitlines() if line.startswith("data: "))
        return {json.loads(data.removeprefix("data: "))["id"]}
    said = json.loads(body)
    return {row["id"] for row in said["data"]} if "data" in said else {said["id"]}


def due(path: str, user: str | None) -> set[str]:
    """What this caller must see there, worked out from the rule: rows that fit the path, and are the caller's own."""
    place, _, query = path.removeprefix(ROOT).partition("?")
    if path in POLICY_PATHS:
        name, _, value = query.partition("=")
        wanted = {"": place.removeprefix("/")}.get(name, value)
        place_of = {"": 0, "vehicleId": 1, "userId": 2}[name]
        listed = [(policy, *owners) for policy, owners in POLICIES.items() if user in (None, owners[1])]
        return {one[0] for one in listed if wanted in ("", one[place_of])}
    rows = [one for one in EVERYTHING if user in (None, one.user)]
    if place in ("/sessions", "/sessions.csv"):
        name, _, value = query.partition("=")
        field = {"": None, "vehicleId": "vehicle", "locationId": "location", "policyId": "policy"}[name]
        return {one.id for one in rows if one in SETTLED and (field is None or getattr(one, field) == value)}
    policy = place.split("/")[1]
    if "/session/" in place or place.endswith("/session"):
        return {one.id for one in rows if one not in SETTLED and one.policy == policy}
    vehicle, owner = POLICIES[policy]
    wanted = place.split("/")[3]
    return {
        one.id
        for one in rows
        if one.id == wanted
        and (one.policy == policy or (one.policy is None and (one.vehicle, one.user) == (vehicle, owner)))
    }


def needed(path: str) -> str:
    """The scope that opens a path."""
    return READ_POLICIES if path in POLICY_PATHS else READ


@pytest.mark.parametrize("user", [None, "u1", "u2", "nobody"])
@pytest.mark.parametrize("path", PATHS)
def test_each_sees_its_own(api: Api, issuer: Issuer, path: str, user: str | None) -> None:
    """Every endpoint shows a caller the rows that are its own, row by row; what is not is a 404 or left out."""
    claims: dict[str, Any] = {} if user is None else {"userId": user}
    expected = due(path, user)
    status, body = ask(api, path, issuer.token(scope=needed(path), **claims))
    is_list = path.partition("?")[0].endswith(("/sessions", ".csv", ROOT))
    if expected or is_list:
        assert (status, seen(path, body)) == (200, expected)
    else:
        assert status == 404
        for one in EVERYTHING:
            assert one.id.encode() not in body


def unsigned(issuer: Issuer) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{head}.{issuer.token().split('.')[1]}."


def confused(issuer: Issuer) -> str:
    """Signed with HS256 and the public key as the secret."""
    signer = jwt.PyJWS()
    signer._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    body = issuer.token().split(".")[1]
    payload = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return signer.encode(payload, issuer.pem("RS256-1"), algorithm="HS256", headers={"kid": "RS256-1"})


def altered(issuer: Issuer) -> str:
    head, _, signature = issuer.token(userId="u1").split(".")
    return f"{head}.{issuer.token(userId='u2').split('.')[1]}.{signature}"


FAULTS: dict[str, Callable[[Issuer], str | None]] = {
    "missing": lambda _: None,
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 60),
    "not yet valid": lambda issuer: issuer.token(nbf=int(time.time()) + 60),
    "wrong audience": lambda issuer: issuer.token(aud="elsewhere"),
    "wrong issuer": lambda issuer: issuer.token(iss="elsewhere"),
    "wrong algorithm": lambda _: bearer(),
    "wrong algorithm, with the name of a right key": lambda issuer: issuer.token(by=SECRET, algorithm="HS256"),
    "wrong algorithm, of the right kind of key": lambda issuer: issuer.token(algorithm="RS512"),
    "none": unsigned,
    "public key as a secret": confused,
    "altered": altered,
    "cut": lambda issuer: issuer.token()[:-10],
    "unknown key": lambda issuer: issuer.token(headers={"kid": "RS256-9"}),
    "another's key": lambda issuer: issuer.token("EdDSA-1", headers={"kid": "ES256-1"}),
    "a user that is no id": lambda issuer: issuer.token(userId=""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_faulty_token_opens_anything(api: Api, issuer: Issuer, fault: str) -> None:
    """A token with any fault gets a 401 and no data from every endpoint, those that are streams too."""
    token = FAULTS[fault](issuer)
    for path in PATHS:
        status, body = ask(api, path, token)
        assert (path, status) == (path, 401)
        assert json.loads(body)["type"].endswith(":unauthorized")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for method, path in [*WRITES, *(("HEAD", path) for path in PATHS)]:
        assert (method, path, api.client.request(method, path, json={}, headers=headers).status_code) == (
            method,
            path,
            401,
        )


@pytest.mark.parametrize("scope", OTHER_SCOPES)
def test_no_other_scope_opens_anything(api: Api, issuer: Issuer, scope: str) -> None:
    """A valid token without a path's own scope gets a 403 from it, for what is its own too, whatever other scopes it
    has; the scope of some paths opens none of the others.
    """
    users: list[dict[str, Any]] = [{}, {"userId": "u1"}]
    for claims in users:
        token = issuer.token(scope=scope, **claims)
        for path in PATHS:
            if needed(path) not in scope.split():
                assert (path, ask(api, path, token)[0]) == (path, 403)


@pytest.mark.parametrize("name", ["RS256-1", "ES256-1", "EdDSA-1"])
def test_every_published_kind_of_key(api: Api, issuer: Issuer, name: str) -> None:
    """Tokens of all three algorithms are good."""
    assert ask(api, f"{ROOT}/sessions", issuer.token(name))[0] == 200


def test_a_token_in_the_url_is_none(api: Api, issuer: Issuer) -> None:
    """A token in a query parameter opens nothing, and stands in no log line."""
    token = issuer.token()
    for name in ("access_token", "token", "authorization"):
        assert ask(api, f"{ROOT}/sessions?{name}={token}", None)[0] == 401
        assert ask(api, f"{ROOT}/sessions?{name}={token}", token)[0] == 400
    log = api.running.stderr
    assert token not in log
    assert token.split(".")[2] not in log
    assert "hidden" not in log  # of the issuer's URL


def test_no_keys_no_start(api: Api, tmp_path: Path) -> None:
    """With neither a secret nor a URL of keys there is no start, nor with both, nor with keys in the clear."""
    del api
    faults: list[dict[str, Any]] = [
        {},
        {"FLEX_AUTH_HS256_SECRET": "short"},
        {"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_AUTH_JWKS_URL": "https://issuer.test/keys"},
        {"FLEX_AUTH_JWKS_URL": "http://issuer.test/keys"},
    ]
    for env in faults:
        ended = run_flex("api", env=env | {"FLEX_STATE_DIR": str(tmp_path)})
        assert ended.returncode == 2
        assert "FLEX_AUTH_" in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
        assert SECRET not in ended.stderr
