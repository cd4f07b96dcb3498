"""Bearer tokens for development, signed with the configured secret or with the one that `up` keeps in the state folder.
They say what a real issuer's tokens say; nothing here checks one.
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jwt

from local.errors import LocalError
from local.places import absolute
from runtime.clock import utc_now
from runtime.settings import SECRET_MIN_BYTES, Settings

READ_SESSIONS: Final = "flex:sessions:read"
DEFAULT_TTL_S: Final = 12 * 3_600
MAX_TTL_S: Final = 7 * 24 * 3_600
_SECRET_RANDOM_BYTES: Final = 48


def secret_file(settings: Settings) -> Path:
    """Where `up` keeps its secret."""
    return absolute(settings.state_dir) / "dev-secret"


def make_secret(settings: Settings) -> str:
    """The configured secret, else the kept one, else a new one, kept for the next start."""
    path = secret_file(settings)
    if not settings.auth_hs256_secret and not path.exists():
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        # Created unreadable for others, never made so afterwards.
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(_SECRET_RANDOM_BYTES))
        scratch.replace(path)
    return find_secret(settings)


def find_secret(settings: Settings) -> str:
    """The configured secret, else the kept one; raises a line if there is neither."""
    if settings.auth_hs256_secret:
        return settings.auth_hs256_secret
    path = secret_file(settings)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise LocalError(
            f"no secret to sign with: set FLEX_AUTH_HS256_SECRET, or start `flex-sessions up` once ({path})"
        ) from error
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from error
    if len(secret) < SECRET_MIN_BYTES:
        raise LocalError(f"{path} is damaged: remove it, and start `flex-sessions up` for a new one")
    return secret


def make_token(
    settings: Settings,
    secret: str,
    *,
    user: str | None = None,
    scopes: tuple[str, ...] = (READ_SESSIONS,),
    ttl_s: int = DEFAULT_TTL_S,
) -> str:
    """A signed token of this issuer for this audience."""
    now = utc_now()
    claims: dict[str, Any] = {
        "iss": settings.auth_issuer,
        "aud": settings.auth_audience,
        "sub": "development",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(seconds=ttl_s),
        "scope": " ".join(scopes),
    }
    if user is not None:
        claims["userId"] = user
    return jwt.encode(claims, secret, algorithm="HS256")
