"""Tokens: one right one, and every way of being wrong."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request

from api.auth import READ_SESSIONS, Authenticator
from api.problems import ProblemError
from runtime.settings import load_settings
from tests.support.api_tokens import bearer
from tests.support.system import SECRET

Make = Callable[[], str]
AUTH = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_AUTH_LEEWAY_S": "10"}))


def request(*authorization: str) -> Request:
    headers = [(b"authorization", text.encode()) for text in authorization]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


def refusal(*authorization: str) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        AUTH.require(request(*authorization), READ_SESSIONS)
    return caught.value


def unsigned(claims: dict[str, Any]) -> str:
    """A token of algorithm `none`."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def ago(seconds: float) -> datetime:
    """Asked for within a test: the tests of a long run start minutes after they were collected."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


RIGHT: dict[str, Make] = {
    "plain": bearer,
    "among other scopes": lambda: bearer(scope="other flex:sessions:read"),
    "scopes as a list": lambda: bearer(scope=["other", "flex:sessions:read"]),
    "for several audiences": lambda: bearer(aud=["elsewhere", "flex-sessions"]),
    "just expired": lambda: bearer(exp=ago(5)),
    "valid in a moment": lambda: bearer(nbf=ago(-5)),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_right_tokens(make: Make) -> None:
    """A token that says what it must, within the leeway of the clocks, is taken; without userId it has no limit."""
    assert AUTH.require(request(f"Bearer {make()}"), READ_SESSIONS).user_id is None


def test_user_limit_and_scheme_in_any_case() -> None:
    """`userId` limits the caller; the scheme's letters may be of any case."""
    assert AUTH.require(request(f"bEARER {bearer(userId='u1')}"), READ_SESSIONS).user_id == "u1"


WRONG: dict[str, Make] = {
    "expired": lambda: bearer(exp=ago(60)),
    "without expiry": lambda: bearer(drop="exp"),
    "not yet valid": lambda: bearer(nbf=ago(-60)),
    "for another audience": lambda: bearer(aud="elsewhere"),
    "for no audience": lambda: bearer(drop="aud"),
    "of another issuer": lambda: bearer(iss="elsewhere"),
    "of no issuer": lambda: bearer(drop="iss"),
    "signed with another key": lambda: bearer(secret="y" * 64),
    "another algorithm and key": lambda: bearer(secret="y" * 64, algorithm="HS512"),
    "another algorithm": lambda: bearer(secret=SECRET + "x" * 32, algorithm="HS384"),
    "unsigned": lambda: unsigned({"iss": "flex-sessions", "scope": READ_SESSIONS}),
    "altered signature": lambda: bearer()[:-4] + "AAAA",
    "altered head": lambda: "x" + bearer(),
    "no token at all": lambda: "abc",
    "empty": lambda: "",
    "endless": lambda: "a" * 10_000,
    "null user": lambda: bearer(userId=None),
    "numeric user": lambda: bearer(userId=5),
    "empty user": lambda: bearer(userId=""),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_wrong_tokens(make: Make) -> None:
    """A token that is wrong in one point is a 401 that names the scheme and never repeats the token."""
    token = make()
    error = refusal(f"Bearer {token}")
    assert error.problem.status == 401
    assert error.headers is not None
    assert error.headers["WWW-Authenticate"].startswith("Bearer ")
    assert not token or token not in str(error.problem)


@pytest.mark.parametrize("headers", [(), ("Basic dTpw",), ("Bearer",), (f"Bearer {bearer()}", f"Bearer {bearer()}")])
def test_no_single_bearer_token(headers: tuple[str, ...]) -> None:
    """No token, another scheme, or two tokens: 401."""
    error = refusal(*headers)
    assert error.problem.status == 401
    assert error.headers is not None
    assert "WWW-Authenticate" in error.headers


@pytest.mark.parametrize(
    "scope", ["", "flex:sessions:write", "flex:sessions:readx", ["a"], None, 5, {"flex:sessions:read": True}]
)
def test_missing_scope(scope: object) -> None:
    """A valid token without the scope is a 403."""
    error = refusal(f"Bearer {bearer(scope=scope)}")
    assert error.problem.status == 403


def test_no_scope_claim() -> None:
    """A valid token that says nothing of scopes has none."""
    assert refusal(f"Bearer {bearer(drop='scope')}").problem.status == 403
