"""Every error that the contract shows, of every call: provoked, and what comes is what is shown."""

import ast
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
from fastapi import FastAPI
from msgspec import Struct, structs

from api import access_log, limits, problems
from api.app import create_app
from api.metrics import Metrics
from api.policy_bodies import new_policy
from api.view.policies import REQUEST_HEADER, PolicyRecord, apply_record, read_policy_record
from api.view.projector import apply_update
from api.view.store import Draft, Store
from api.view.view import View
from api.writer import OutgoingRecord
from models.ids import PolicyId
from models.session import SessionState
from runtime.clock import utc_now
from runtime.settings import load_settings
from scripts.write_contracts import openapi
from sessions.policy_rules import POLICIES_PER_USER
from tests.support.api_tokens import authorization
from tests.support.memory_store import MemoryStore
from tests.support.policy_client import EVERYTHING, new_body
from tests.support.system import SECRET
from tests.support.updates import Update, session_id

CONTRACT: Final = openapi()
SOON_S: Final = 10
SETTLED, OPEN = session_id(1), session_id(2)


class Asked(Struct, kw_only=True):
    """A request, right at first, and what stands around it where that is not as usual."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str]
    content: bytes | Callable[[], AsyncIterator[bytes]] = b""
    before: Callable[[httpx.AsyncClient, "Asked"], Awaitable[None]] | None = None
    view: View | None = None
    metrics: Metrics | None = None
    burst: int = 10_000


class NoWriter:
    """What is refused is refused before anything is written."""

    async def partitions(self, topic: str) -> int:
        raise AssertionError(topic)

    async def write(self, record: OutgoingRecord) -> None:
        raise AssertionError(record)


class OwnLog(View):
    """A view of nothing, and a Writer whose records it reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = MemoryStore()
        self._offset = 0
        self.publish(self._rows)

    async def partitions(self, _topic: str) -> int:
        return 1

    async def write(self, record: OutgoingRecord) -> None:
        headers = [(name, value.encode()) for name, value in record.headers.items()]
        logged_at_ms = int(utc_now().timestamp() * 1_000)
        read = read_policy_record(record.key.encode(), record.value, headers, logged_at_ms, self._offset)
        self._offset += 1
        draft = Draft(self._rows)
        refused = apply_record(draft, read, 0, 1)
        self._rows.write(draft.changes)
        self.verdicts.tell({record.headers[REQUEST_HEADER]: refused})


class BrokenView(View):
    """Whoever asks it meets a defect."""

    def ready(self) -> Store:
        raise ZeroDivisionError

    @property
    def is_alive(self) -> bool:
        raise ZeroDivisionError


class DeadView(View):
    """Nobody follows the topics any more."""

    def __init__(self) -> None:
        super().__init__()
        self.died()


class BrokenMetrics(Metrics):
    def exposition(self) -> bytes:
        raise ZeroDivisionError


BROKEN, BROKEN_METRICS, DEAD, NOT_READY = BrokenView(), BrokenMetrics(), DeadView(), View()


def policy_body(**changes: Any) -> dict[str, Any]:
    return new_body("v1", **({"userId": "u1"} | changes))


def usual_view(more_policies: int = 0) -> View:
    """Two policies of a vehicle and some more, one enabled at home; a settled session and one that is under way."""
    store, view = MemoryStore(), View()
    draft = Draft(store)
    more = [(f"p{number + 3}", f"place-{number}") for number in range(more_policies)]
    for policy_id, place in [("p1", "home"), ("p2", "work"), *more]:
        asked = new_policy(policy_body(locationId=place), None, utc_now())
        policy = structs.replace(asked, id=PolicyId(policy_id))
        assert apply_record(draft, PolicyRecord(policy_id=policy_id, policy=policy, logged_at=utc_now()), 0, 1) is None
    apply_update(draft, *Update(id=SETTLED).read())
    apply_update(draft, *Update(id=OPEN, state=SessionState.ACTIVE_REGULAR).read())
    store.write(draft.changes)
    view.publish(store)
    return view


BODIES: Final[dict[str, Any]] = {
    "createPolicy": policy_body(locationId="cabin"),
    "changePolicy": {"batteryReserve": 10},
    "overrideTarget": {"type": "IMMEDIATE_START", "minimumChargeTarget": 90},
}


def right(method: str, path: str, operation: dict[str, Any]) -> Asked:
    """A request that breaks no rule."""
    is_one_session = operation["operationId"] == "getSettledSession"
    ids = {"{policyId}": "p1", "{sessionId}": SETTLED if is_one_session else OPEN}
    for name, value in ids.items():
        path = path.replace(name, value)
    headers = authorization(scope=EVERYTHING) if "security" in operation else {}
    if any(one["name"] == "If-Match" for one in operation.get("parameters", [])):
        headers["If-Match"] = "*"
    body = BODIES.get(operation["operationId"])
    if body is None:
        return Asked(method=method, path=path, headers=headers)
    headers["Content-Type"] = "application/json"
    return Asked(method=method, path=path, headers=headers, content=json.dumps(body).encode())


async def stuck() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


def in_conflict(asked: Asked) -> Asked:
    """What another policy, or the end of the session, stands in the way of."""
    match asked.method:
        case "post":
            body: dict[str, Any] = policy_body()
        case "patch":
            body = {"locationId": "work"}
        case _:
            return structs.replace(asked, path=asked.path.replace(OPEN, SETTLED))
    return structs.replace(asked, content=json.dumps(body).encode())


def invalid(asked: Asked) -> Asked:
    """A body that can be read, but asks for what cannot be."""
    body = {
        "post": policy_body(timezoneName="Mars/Olympus"),
        "patch": {"userId": "u9"},
        "put": {"type": "REGULAR", "batteryReserve": 1, "minimumChargeTarget": 2, "readyBy": "2020-01-01T00:00:00Z"},
    }[asked.method]
    return structs.replace(asked, content=json.dumps(body).encode())


def with_headers(asked: Asked, drop: str = "", **more: str) -> Asked:
    said = {name: value for name, value in asked.headers.items() if name != drop}
    return structs.replace(asked, headers=said | {name.replace("_", "-"): value for name, value in more.items()})


def unknown(asked: Asked) -> Asked:
    return structs.replace(asked, path=asked.path.replace("p1", "nobody").replace(OPEN, session_id(9)))


def not_now(asked: Asked) -> Asked:
    return structs.replace(asked, view=DEAD if asked.path == "/healthz" else NOT_READY)


async def made(client: httpx.AsyncClient, asked: Asked, **changes: Any) -> str:
    """Make what is asked for, but for these fields, and say where it is."""
    content = json.dumps(json.loads(cast("bytes", asked.content)) | changes).encode()
    answer = await client.post(asked.path, headers=asked.headers, content=content)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def made_and_deleted(client: httpx.AsyncClient, asked: Asked) -> None:
    place = await made(client, asked)
    assert (await client.delete(place, headers=asked.headers | {"If-Match": "*"})).status_code == 204


async def made_in_other_words(client: httpx.AsyncClient, asked: Asked) -> None:
    await made(client, asked, batteryReserve=1)


def with_key(asked: Asked, before: Callable[[httpx.AsyncClient, Asked], Awaitable[None]]) -> Asked:
    return structs.replace(with_headers(asked, Idempotency_Key="k"), view=OwnLog(), before=before)


# By type, where a call has several of one status.
FAULTS_OF_TYPES: Final[dict[str, Callable[[Asked], Asked]]] = {
    "idempotency-key-used": lambda asked: with_key(asked, made_and_deleted),
    "idempotency-key-reused": lambda asked: with_key(asked, made_in_other_words),
    "too-many-policies": lambda asked: structs.replace(asked, view=usual_view(POLICIES_PER_USER - 2)),
}
# By status: what makes of a right request one that is answered so.
FAULTS: Final[dict[int, Callable[[Asked], Asked]]] = {
    400: lambda asked: structs.replace(asked, query="?x=1"),
    401: lambda asked: with_headers(asked, drop="Authorization"),
    403: lambda asked: with_headers(asked, **authorization(scope="none")),
    404: unknown,
    408: lambda asked: structs.replace(asked, content=stuck),
    409: in_conflict,
    412: lambda asked: with_headers(asked, If_Match='"another"'),
    413: lambda asked: structs.replace(asked, content=b'"' + b"x" * 70_000 + b'"'),
    414: lambda asked: structs.replace(asked, query="?" + "x" * 9_000),
    415: lambda asked: with_headers(asked, Content_Type="text/plain"),
    422: invalid,
    428: lambda asked: with_headers(asked, drop="If-Match"),
    429: lambda asked: structs.replace(asked, burst=1),
    431: lambda asked: with_headers(asked, X_Much="x" * 17_000),
    500: lambda asked: structs.replace(asked, view=BROKEN, metrics=BROKEN_METRICS),
    503: not_now,
}


def answered(asked: Asked) -> httpx.Response:
    """The answer."""
    app = app_of(asked.view, asked.metrics, asked.burst)

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            # Of a burst of one nothing is left after this.
            await client.get("/flex/nothing", headers=asked.headers)
            if asked.before is not None:
                await asked.before(client, asked)
            content = asked.content if isinstance(asked.content, bytes) else asked.content()
            url = f"{asked.path}{asked.query}"
            return await client.request(asked.method.upper(), url, headers=asked.headers, content=content)

    return asyncio.run(asyncio.wait_for(run(), SOON_S))


@cache
def app_of(view: View | None, metrics: Metrics | None, burst: int) -> FastAPI:
    """The application; making one takes longer than asking it."""
    settings = {"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_RATE_LIMIT_PER_S": "0.1"}
    settings |= {"FLEX_RATE_LIMIT_BURST": str(burst), "FLEX_FIRST_SESSION_WAIT_S": "0.1"}
    writer = view if isinstance(view, OwnLog) else NoWriter()
    return create_app(view or usual_view(), load_settings(settings), metrics or Metrics(), writer=writer)


def examples_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The problems that are shown of an answer."""
    content = answer["content"]["application/problem+json"]
    return [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]


def type_of(example: dict[str, Any]) -> str:
    """The last word of a problem's type."""
    word: str = example["type"].rpartition(":")[2]
    return word


SHOWN = [
    (method, path, example)
    for path, methods in CONTRACT["paths"].items()
    for method, operation in methods.items()
    for status, answer in operation["responses"].items()
    if int(status) >= 400
    for example in examples_of(answer)
]


@pytest.mark.parametrize(
    ("method", "path", "example"),
    SHOWN,
    ids=[f"{method.upper()} {path} {example['status']} {type_of(example)}" for method, path, example in SHOWN],
)
def test_every_error_comes_as_it_is_shown(
    method: str, path: str, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is wrong in one way only gets the status, type and title that the contract shows for that, with
    the fields and headers that it shows.
    """
    monkeypatch.setattr(limits, "_PIECE_TIMEOUT_S", 0.05)
    # A defect is told with its traceback, which takes seconds to write for a terminal.
    monkeypatch.setattr(access_log.log, "exception", lambda *_, **__: None, raising=False)
    operation = CONTRACT["paths"][path][method]
    status = example["status"]
    fault = FAULTS_OF_TYPES.get(type_of(example), FAULTS[status])
    answer = answered(fault(right(method, path, operation)))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert {name: said[name] for name in ("type", "title", "status")} == {
        name: example[name] for name in ("type", "title", "status")
    }
    assert list(said) == list(example)
    assert [list(issue) for issue in said["issues"]] == [list(issue) for issue in example["issues"]]
    assert all(name in answer.headers for name in operation["responses"][str(status)].get("headers", {}))


# What may be wrong with a request of any call, or around it.
ANYWHERE: Final = (400, 401, 403, 413, 414, 429, 431, 500, 503)


@pytest.mark.parametrize("status", ANYWHERE)
def test_no_error_comes_that_is_not_shown(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a request is answered, by every call, with a status that the contract shows of it."""
    monkeypatch.setattr(access_log.log, "exception", lambda *_, **__: None, raising=False)
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            asked = FAULTS[status](right(method, path, operation))
            assert str(answered(asked).status_code) in operation["responses"], (method, path)


class RaisedProblems(ast.NodeVisitor):
    """The problems that a module makes, as (status, type); `unknown`: where either is not written out."""

    def __init__(self) -> None:
        self.found: set[tuple[int, str]] = set()
        self.unknown: list[str] = []
        self._within = ""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within = node.name
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815 - named by ast

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in {"ProblemError", "faulty"}:
            return
        match node.args:
            case [ast.Attribute(attr=status), ast.Constant(value=str(kind)), *_]:
                self.found.add((HTTPStatus[status], kind))
            case _:
                self.unknown.append(self._within)


def test_every_problem_that_the_code_can_raise_is_shown() -> None:
    """Whatever the API makes a problem of, a call shows it as an example, with that status and type."""
    raised = RaisedProblems()
    for source in Path(problems.__file__).parent.rglob("*.py"):
        raised.visit(ast.parse(source.read_text(encoding="utf-8")))
    # The one passes on what it is given; the other says in our words what the framework raises: a 404, a 405.
    assert sorted(raised.unknown) == ["_of_the_framework", "faulty"]
    no_method = examples_of(CONTRACT["components"]["responses"]["MethodNotAllowed"])
    shown = {(each["status"], type_of(each)) for each in [*(each for *_, each in SHOWN), *no_method]}
    assert len(raised.found) > 15
    assert raised.found | {(404, "not-found"), (405, "method-not-allowed")} <= shown


def test_a_method_that_a_path_does_not_have() -> None:
    """Every path answers a method that it does not have as the contract shows, and names those that it has."""
    shown = CONTRACT["components"]["responses"]["MethodNotAllowed"]
    example = shown["content"]["application/problem+json"]["example"]
    for path, methods in CONTRACT["paths"].items():
        operation = next(iter(methods.values()))
        asked = structs.replace(right("get", path, operation), method="trace", content=b"")
        answer = answered(asked)
        assert {name: answer.json()[name] for name in ("type", "title", "status")} == {
            name: example[name] for name in ("type", "title", "status")
        }
        assert {method.upper() for method in methods} <= set(answer.headers["allow"].split(", "))
