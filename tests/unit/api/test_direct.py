"""The way past the framework: whoever asks, and whatever for, cannot tell it from the long one."""

import asyncio
from collections.abc import Mapping
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.direct import Direct
from api.metrics import Metrics
from api.view.view import View
from runtime.settings import load_settings
from tests.support.api_tokens import authorization
from tests.support.system import SECRET
from tests.unit.api.test_app import CURRENT, MANAGED, OF_DELETED, OTHER_USER, UNMANAGED, view

__all__ = ["view"]

CALLERS: Mapping[str, Mapping[str, Any]] = {
    "everyone's": {},
    "u1": {"userId": "u1"},
    "u2": {"userId": "u2"},
    "nobody": {"userId": "u3"},
    "writer": {"scope": "flex:policies:write"},
}
PATHS = [
    "sessions",
    "sessions?pageSize=2",
    "sessions?vehicleId=v1&pageSize=1",
    "sessions?policyId=p1&policyId=p1",
    "sessions?after=x&before=y",
    "sessions?pageSize=0",
    "sessions?unknown=1",
    *(f"{policy}/session" for policy in ("p1", "p2", "off", "gone", "never", "a%20b", "sessions", "p1%0A", "%70%31")),
    "p1/session?x=1",
    *(f"{policy}/sessions/{one.id}" for policy in ("p1", "off", "gone") for one in (MANAGED, UNMANAGED, OF_DELETED)),
    *(f"p1/sessions/{one}" for one in (CURRENT.id, OTHER_USER.id, MANAGED.id.upper(), "x", f"{MANAGED.id}%0A")),
    f"p1/sessions/{MANAGED.id}?x=1",
    f"sessions?vehicleId={'v' * 9_000}",
]
# Method, path, token, more headers, body.
Call = tuple[str, str, Mapping[str, str], Mapping[str, str], bytes]
# Beside the token: nothing, a body, one that is too large, too many bytes of headers, words for caches and ranges.
MORE: list[tuple[Mapping[str, str], bytes]] = [
    ({}, b""),
    ({}, b"x"),
    ({}, b"x" * 65_537),
    ({"x-long": "y" * 16_384}, b""),
    ({"if-none-match": "*", "range": "bytes=0-1", "accept": "text/html", "origin": "http://elsewhere"}, b""),
]


def answer(app: FastAPI, method: str, path: str, headers: Mapping[str, str], content: bytes) -> tuple[Any, ...]:
    """All that a client sees, but for the number of the request."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, f"/flex/vehicle-policies/{path}", headers=headers, content=content)

    given = asyncio.run(run())
    return given.status_code, given.content, sorted(one for one in given.headers.raw if one[0] != b"x-request-id")


def test_both_ways_answer_alike(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, body and every header are the same, for callers who may see all, some or nothing, and for every fault."""
    settings = load_settings(
        {"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_FIRST_SESSION_WAIT_S": "0.1", "FLEX_RATE_LIMIT_PER_S": "10000"}
    )
    app, taken = create_app(view, settings, Metrics()), []
    tokens = {name: authorization(**claims) for name, claims in CALLERS.items()}
    calls: list[Call] = [("GET", path, tokens[name], {}, b"") for name, path in product(tokens, PATHS)]
    calls += [("GET", path, tokens["u1"], *more) for path, more in product(PATHS[:2] + PATHS[7:8], MORE)]
    calls += [(method, "p1/session", tokens["u1"], {}, b"") for method in ("HEAD", "OPTIONS", "DELETE")]
    for token in tokens.values():
        answer(app, "GET", "sessions", token, b"")  # from now on it is known
    short = Direct.answer

    def noted(*given: Any) -> Any:
        taken.append(short(*given))
        return taken[-1]

    def answers() -> list[tuple[Any, ...]]:
        return [answer(app, method, path, {**token, **more}, content) for method, path, token, more, content in calls]

    monkeypatch.setattr(Direct, "answer", noted)
    direct = answers()
    assert {200, 400, 403, 404} <= {one.status for one in taken if one is not None}
    monkeypatch.setattr(Direct, "answer", lambda *_: None)
    for call, one, other in zip(calls, direct, answers(), strict=True):
        assert one == other, call[:2]
