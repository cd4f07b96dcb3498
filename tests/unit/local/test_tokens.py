"""Development tokens say what a real issuer's would."""

import stat
from pathlib import Path

import jwt
import pytest

from local.errors import LocalError
from local.tokens import find_secret, make_secret, make_token, secret_file
from runtime.settings import SECRET_MIN_BYTES, load_settings

SECRET = "s" * SECRET_MIN_BYTES


def claims(token: str, secret: str = SECRET) -> dict[str, object]:
    return jwt.decode(token, secret, algorithms=["HS256"], audience="flex-sessions", issuer="flex-sessions")


def test_a_token_names_issuer_audience_scope_and_times() -> None:
    """Every claim that the API checks is there, and the life is as long as asked."""
    found = claims(make_token(load_settings({}), SECRET, ttl_s=60))
    assert found["sub"] == "development"
    assert found["scope"] == "flex:sessions:read"
    assert "userId" not in found
    assert int(str(found["exp"])) - int(str(found["iat"])) == 60
    assert found["nbf"] == found["iat"]


def test_a_user_and_several_scopes() -> None:
    """Scopes are separated by spaces, and the user is bound in."""
    token = make_token(load_settings({}), SECRET, user="anna", scopes=("a:read", "b:write"))
    assert (claims(token)["userId"], claims(token)["scope"]) == ("anna", "a:read b:write")


def test_a_configured_secret_is_used_and_not_stored(tmp_path: Path) -> None:
    """What is configured needs no file."""
    settings = load_settings({"FLEX_STATE_DIR": str(tmp_path), "FLEX_AUTH_HS256_SECRET": SECRET})
    assert make_secret(settings) == SECRET
    assert not secret_file(settings).exists()


def test_a_made_secret_is_private_long_and_kept(tmp_path: Path) -> None:
    """It is readable for its owner only, longer than the least, and the same at the next start."""
    settings = load_settings({"FLEX_STATE_DIR": str(tmp_path)})
    secret = make_secret(settings)
    assert len(secret) >= 64
    assert stat.S_IMODE(secret_file(settings).stat().st_mode) == 0o600
    assert make_secret(settings) == find_secret(settings) == secret


def test_no_secret_is_one_line(tmp_path: Path) -> None:
    """Without a configured and without a kept secret the line names both ways."""
    with pytest.raises(LocalError, match=r"FLEX_AUTH_HS256_SECRET, or start `flex-sessions up` once"):
        find_secret(load_settings({"FLEX_STATE_DIR": str(tmp_path)}))
