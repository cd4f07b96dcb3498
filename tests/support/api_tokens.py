"""Bearer tokens for tests: right in every point but the ones a test changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from tests.support.system import SECRET

SCOPE = "flex:sessions:read"


def bearer(*, secret: str = SECRET, algorithm: str = "HS256", drop: str = "", **claims: Any) -> str:
    """A token; claims by name replace those of a right one, and `drop` names one to leave out."""
    now = datetime.now(UTC)
    said = {
        "iss": "flex-sessions",
        "aud": "flex-sessions",
        "exp": now + timedelta(minutes=10),
        "nbf": now - timedelta(seconds=1),
        "scope": SCOPE,
    } | claims
    said.pop(drop, None)
    return jwt.encode(said, secret, algorithm=algorithm)


def authorization(token: str | None = None, **claims: Any) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {bearer(**claims) if token is None else token}"}
