"""Tokens: one right one, and every way of being wrong."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request

from api.auth import READ_SESSIONS, Authenticator
from api.problems import ProblemError
from runtime.settings import load_settings
from tests.support.api_tokens import bearer
from tests.support.system import SECRET

NOW = datetime.now(UTC)
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


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": "other flex:sessions:read"},
        {"scope": ["other", "flex:sessions:read"]},
        {"aud": ["elsewhere", "flex-sessions"]},
        {"exp": NOW - timedelta(seconds=5)},
        {"nbf": NOW + timedelta(seconds=5)},
    ],
)
def test_right_tokens(claims: dict[str, Any]) -> None:
    """A token that says what it must, within the leeway of the clocks, is taken; without userId it has no limit."""
    assert AUTH.require(request(f"Bearer {bearer(**claims)}"), READ_SESSIONS).user_id is None


def test_user_limit_and_scheme_in_any_case() -> None:
    """`userId` limits the caller; the scheme's letters may be of any case."""
    assert AUTH.require(request(f"bEARER {bearer(userId='u1')}"), READ_SESSIONS).user_id == "u1"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(bearer(exp=NOW - timedelta(minutes=1)), id="expired"),
        pytest.param(bearer(drop="exp"), id="without expiry"),
        pytest.param(bearer(nbf=NOW + timedelta(minutes=1)), id="not yet valid"),
        pytest.param(bearer(aud="elsewhere"), id="for another audience"),
        pytest.param(bearer(drop="aud"), id="for no audience"),
        pytest.param(bearer(iss="elsewhere"), id="of another issuer"),
        pytest.param(bearer(drop="iss"), id="of no issuer"),
        pytest.param(bearer(secret="y" * 64), id="signed with another key"),
        pytest.param(bearer(secret="y" * 64, algorithm="HS512"), id="another algorithm and key"),
        pytest.param(bearer(secret=SECRET + "x" * 32, algorithm="HS384"), id="another algorithm"),
        pytest.param(unsigned({"iss": "flex-sessions", "scope": READ_SESSIONS}), id="unsigned"),
        pytest.param(bearer()[:-4] + "AAAA", id="altered signature"),
        pytest.param("x" + bearer(), id="altered head"),
        pytest.param("abc", id="no token at all"),
        pytest.param("", id="empty"),
        pytest.param("a" * 10_000, id="endless"),
        pytest.param(bearer(userId=None), id="null user"),
        pytest.param(bearer(userId=5), id="numeric user"),
        pytest.param(bearer(userId=""), id="empty user"),
    ],
)
def test_wrong_tokens(token: str) -> None:
    """A token that is wrong in one point is a 401 that names the scheme and never repeats the token."""
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
