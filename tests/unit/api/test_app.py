"""The application over a view in memory: who sees what, and the shape of every error."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import pytest

from api.app import create_app
from api.metrics import Metrics
from api.problems import Problem
from api.view.paging import SCAN_LIMIT_ENTRIES
from api.view.projector import apply_policy, apply_update
from api.view.rows import PolicyHead
from api.view.store import Draft
from api.view.view import View
from models.session import Session, SessionState
from runtime.settings import load_settings
from tests.support.api_tokens import authorization
from tests.support.memory_store import MemoryStore
from tests.support.system import SECRET
from tests.support.updates import Update, session_id

ROOT = "/flex/vehicle-policies"
MANAGED = Update(id=session_id(1), in_h=1)
UNMANAGED = Update(id=session_id(2), policy=None, location="work", in_h=2, out_h=3)
OTHER_VEHICLE = Update(id=session_id(3), policy=None, vehicle="v2", in_h=3, out_h=4)
OTHER_USER = Update(id=session_id(4), policy=None, user="u2", in_h=4, out_h=5)
OTHER_POLICY = Update(id=session_id(5), policy="p2", user="u2", vehicle="v2", in_h=5, out_h=6)
OF_DELETED = Update(id=session_id(6), policy="gone", in_h=6, out_h=7)
CURRENT = Update(id=session_id(7), state=SessionState.UPCOMING)
OF_DISABLED = Update(id=session_id(8), policy="off", state=SessionState.UPCOMING)
OPEN_PAGES = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]
SETTLED = [MANAGED, UNMANAGED, OTHER_VEHICLE, OTHER_USER, OTHER_POLICY, OF_DELETED]


@pytest.fixture
def view() -> View:
    """A view of a few sessions and three policies."""
    store = MemoryStore()
    draft = Draft(store)
    for update in [*SETTLED, CURRENT, OF_DISABLED]:
        apply_update(draft, *update.read())
    apply_policy(draft, "p1", PolicyHead("u1", "v1", True))
    apply_policy(draft, "p2", PolicyHead("u2", "v2", True))
    apply_policy(draft, "off", PolicyHead("u1", "v1", False))
    store.write(draft.changes)
    made = View()
    made.publish(store)
    return made


def call(view: View, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> httpx.Response:
    """One request, answered in this process."""
    settings = load_settings({"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_FIRST_SESSION_WAIT_S": "0.1"})
    app = create_app(view, settings, Metrics())

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(run())


def get(view: View, path: str, **claims: Any) -> httpx.Response:
    return call(view, path, authorization(**claims))


def assert_problem(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.status == status
    return problem


@pytest.mark.parametrize("path", [f"{ROOT}/sessions", f"{ROOT}/sessions.csv"])
@pytest.mark.parametrize("name", ["policyId", "vehicleId", "locationId"])
def test_what_is_anothers_is_as_what_nobody_has(path: str, name: str) -> None:
    """To a caller limited to one user, the list of another's policy, vehicle or place, however long, is the list of one
    that does not exist: no row, no cursor.
    """
    store, view = MemoryStore(), View()
    draft = Draft(store)
    for number in range(SCAN_LIMIT_ENTRIES + 1):
        update = Update(id=session_id(number), policy="theirs", vehicle="theirs", location="theirs", out_h=9)
        apply_update(draft, *update.read())
    store.write(draft.changes)
    view.publish(store)
    theirs, nobodys = (get(view, f"{path}?{name}={wanted}", userId="u2") for wanted in ("theirs", "nobodys"))
    assert (theirs.status_code, theirs.content) == (200, nobodys.content)
    if path.endswith("/sessions"):
        assert theirs.json() == {"data": [], "pagination": {"after": None, "before": None}}


@pytest.mark.parametrize(
    ("policy", "update", "visible"),
    [
        pytest.param("p1", MANAGED, True, id="managed by it"),
        pytest.param("p1", UNMANAGED, True, id="unmanaged, of its vehicle and user"),
        pytest.param("p1", OTHER_VEHICLE, False, id="unmanaged, of another vehicle"),
        pytest.param("p1", OTHER_USER, False, id="unmanaged, of its vehicle under another user"),
        pytest.param("p1", OTHER_POLICY, False, id="managed by another policy"),
        pytest.param("p1", CURRENT, False, id="not settled"),
        pytest.param("off", UNMANAGED, True, id="unmanaged, the policy is disabled"),
        pytest.param("gone", OF_DELETED, True, id="managed by a deleted policy"),
        pytest.param("gone", UNMANAGED, False, id="unmanaged, the policy is deleted"),
        pytest.param("p1", Update(id=session_id(99)), False, id="unknown"),
    ],
)
def test_one_settled_session(view: View, policy: str, update: Update, *, visible: bool) -> None:
    """By id: settled sessions that the policy managed, or unmanaged ones of its vehicle and user; nothing else."""
    answer = get(view, f"{ROOT}/{policy}/sessions/{update.id}")
    if visible:
        assert (answer.status_code, answer.content) == (200, update.body)
    else:
        assert_problem(answer, 404)


@pytest.mark.parametrize(("policy", "status"), [("p1", 200), ("off", 404), ("gone", 404), ("never", 404), ("p2", 503)])
def test_current_session(view: View, policy: str, status: int) -> None:
    """The current session of an enabled policy; 404 without one, 503 where its session has not come."""
    answer = get(view, f"{ROOT}/{policy}/session")
    if status == 200:
        assert answer.content == CURRENT.body
    else:
        assert_problem(answer, status)
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ROOT}/p1/session", 404),
        (f"{ROOT}/p1/sessions/{MANAGED.id}", 404),
        (f"{ROOT}/p1/sessions/{UNMANAGED.id}", 404),
        (f"{ROOT}/p2/sessions/{OTHER_POLICY.id}", 200),
        (f"{ROOT}/p2/session", 503),
    ],
)
def test_user_limit_by_id(view: View, path: str, status: int) -> None:
    """For a token of u2, what is u1's does not exist, and what is u2's does."""
    assert get(view, path, userId="u2").status_code == status


def test_user_limit_in_lists(view: View) -> None:
    """A token of one user lists this user's sessions only, also of a vehicle that had several users."""

    def ids(query: str, **claims: Any) -> list[str]:
        return [row["id"] for row in get(view, f"{ROOT}/sessions{query}", **claims).json()["data"]]

    assert ids("", userId="u2") == [OTHER_POLICY.id, OTHER_USER.id]
    assert ids("?vehicleId=v1", userId="u2") == [OTHER_USER.id]
    assert ids("?vehicleId=v1") == [OF_DELETED.id, OTHER_USER.id, UNMANAGED.id, MANAGED.id]
    assert ids("?policyId=p1", userId="u2") == []
    assert ids("?locationId=work", userId="u2") == []
    assert ids("", userId="nobody") == []


def test_list_body(view: View) -> None:
    """A page is the stored bodies, newest first, and two cursors."""
    answer = get(view, f"{ROOT}/sessions")
    bodies = b",".join(update.body for update in reversed(SETTLED))
    assert answer.content == b'{"data":[%b],"pagination":{"after":null,"before":null}}' % bodies
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", [f"{ROOT}/p1/session", f"{ROOT}/p1/sessions/{MANAGED.id}", f"{ROOT}/sessions"])
def test_every_read_needs_its_token(view: View, path: str) -> None:
    """Without a token 401 whatever else is wrong, without the scope 403, with a stray parameter 400."""
    assert_problem(call(view, f"{path}?x=1"), 401)
    assert_problem(get(view, path, scope="flex:policies:read"), 403)
    assert_problem(get(view, f"{path}?access_token=abc"), 400)
    assert call(view, f"{path}?access_token=abc").status_code == 401


def test_bad_ids_in_the_path(view: View) -> None:
    """Impossible ids are a 400 that names them."""
    problem = assert_problem(get(view, f"{ROOT}/a%20b/sessions/nonsense"), 400)
    assert [issue.parameter for issue in problem.issues] == ["policyId", "sessionId"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", f"{ROOT}/sessions/", 404), ("POST", f"{ROOT}/sessions", 405)],
)
def test_the_framework_speaks_problems_too(view: View, method: str, path: str, status: int) -> None:
    """An unknown path and a wrong method are problem documents."""
    assert_problem(call(view, path, authorization(), method), status)


def test_a_defect_is_a_problem(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is a 500 problem that says nothing of its cause."""
    monkeypatch.setattr(view, "head", lambda _: 1 / 0)
    answer = get(view, f"{ROOT}/p1/sessions/{MANAGED.id}")
    assert "division" not in assert_problem(answer, 500).detail


def test_before_the_view_is_complete() -> None:
    """Until the view is complete, reads and readiness answer 503 with Retry-After; the process counts as alive."""
    view = View()
    for path in [f"{ROOT}/sessions", f"{ROOT}/p1/session", f"{ROOT}/p1/sessions/{MANAGED.id}", "/readyz"]:
        answer = get(view, path)
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    assert call(view, "/healthz").status_code == 200


def test_after_the_follower_died(view: View) -> None:
    """Once nobody follows the topics, neither ready nor alive, and no stale answer."""
    view.died()
    for path in [f"{ROOT}/sessions", "/readyz", "/healthz"]:
        assert_problem(get(view, path), 503)


def test_open_pages_need_no_token(view: View) -> None:
    """Health, readiness, metrics, contract and docs answer without a token."""
    for path in OPEN_PAGES:
        assert call(view, path).status_code == 200


@pytest.mark.parametrize("path", OPEN_PAGES)
def test_open_pages_take_no_parameters(view: View, path: str) -> None:
    """A query parameter is an error on the open pages too, and is named."""
    problem = assert_problem(call(view, f"{path}?verbose=1"), 400)
    assert [(issue.parameter, issue.code) for issue in problem.issues] == [("verbose", "unknown")]


@pytest.mark.parametrize("path", [*OPEN_PAGES, f"{ROOT}/p1/session", f"{ROOT}/sessions", f"{ROOT}/sessions.csv"])
def test_a_path_is_whole(view: View, path: str) -> None:
    """A path that goes on by one character, a line break too, is another path."""
    for more in ("%0A", "%0D", "/", "%00", "%20"):
        assert_problem(get(view, path + more), 404)


def test_request_id_is_taken_or_made(view: View) -> None:
    """A harmless request id comes back; any other is replaced."""
    assert call(view, "/healthz", {"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    made = call(view, "/healthz", {"X-Request-Id": "a b;c"}).headers["x-request-id"]
    assert made != "a b;c"
    assert len(made) == 24


def test_metrics_hold_no_ids(view: View) -> None:
    """Requests are measured by route template: no id can be read from a metric."""
    settings = load_settings({"FLEX_AUTH_HS256_SECRET": SECRET})
    app = create_app(view, settings, Metrics())

    async def run() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            await client.get(f"{ROOT}/p1/sessions/{MANAGED.id}", headers=authorization())
            return (await client.get("/metrics")).text

    text = asyncio.run(run())
    assert MANAGED.id not in text
    assert 'route="/flex/vehicle-policies/{policyId}/sessions/{sessionId}",status="200"' in text


def test_contract_examples_are_what_is_sent(view: View) -> None:
    """Every example in the OpenAPI document is a Session, a page or a Problem as its schema says."""
    document = call(view, "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    kinds = {"Session": Session, "Problem": Problem}
    for methods in document["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    name = content["schema"].get("$ref", "").rpartition("/")[2]
                    if name in kinds:
                        msgspec.convert(content["example"], kinds[name])
                        assert set(content["example"]) == set(document["components"]["schemas"][name]["properties"])


def test_contract_names_every_read_with_its_errors(view: View) -> None:
    """Each read has its parameters, its errors and the bearer scheme in the contract."""
    paths = call(view, "/openapi.json").json()["paths"]
    for path, errors in {
        f"{ROOT}/sessions": {"400", "401", "403", "503"},
        f"{ROOT}/{{policyId}}/session": {"400", "401", "403", "404", "503"},
        f"{ROOT}/{{policyId}}/sessions/{{sessionId}}": {"400", "401", "403", "404", "503"},
    }.items():
        operation = paths[path]["get"]
        assert set(operation["responses"]) == errors | {"200", "413", "414", "429", "431", "500"}
        assert operation["security"] == [{"bearer": ["flex:sessions:read"]}]
        assert operation["parameters"]


def test_docs_page_needs_no_network(view: View) -> None:
    """The page names every operation, and loads nothing."""
    answer = call(view, "/docs")
    assert "/flex/vehicle-policies/sessions" in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "<script" not in answer.text
