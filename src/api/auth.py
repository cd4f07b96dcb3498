"""Who asks, and what may they see. Bearer tokens in the header only, signed with HS256 and the configured secret.

Knows nothing of sessions. A token is never logged and never echoed, whole or in part.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import jwt
from msgspec import Struct
from starlette.requests import Request

from api.problems import ProblemError
from models.ids import is_id
from runtime.settings import Settings

READ_SESSIONS: Final = "flex:sessions:read"
# A token of ours has some 300 bytes; what is longer is not worth decoding.
_TOKEN_LIMIT_BYTES: Final = 8_192
_REALM: Final = 'Bearer realm="flex-sessions"'


class Principal(Struct, frozen=True):
    """The caller. `user_id`: sees this user's data only; None: everyone's."""

    scopes: frozenset[str]
    user_id: str | None


class Authenticator:
    """Checks tokens against one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.auth_hs256_secret
        self._issuer = settings.auth_issuer
        self._audience = settings.auth_audience
        self._leeway_s = settings.auth_leeway_s

    def require(self, request: Request, scope: str) -> Principal:
        """The caller, who has this scope. Raises ProblemError (401, 403)."""
        principal = self._principal(_bearer_token(request))
        if scope not in principal.scopes:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "missing-scope",
                f"The token does not have the scope {scope}.",
                headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
            )
        return principal

    def _principal(self, token: str) -> Principal:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            # The kind of fault helps a client's developer; the message might repeat a claim.
            raise _unauthorized(f"The token is not valid ({type(error).__name__}).") from error
        return Principal(_scopes(claims.get("scope")), _user_id(claims))


def _bearer_token(request: Request) -> str:
    given = request.headers.getlist("authorization")
    if not given:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "A bearer token is needed in the Authorization header.",
            headers={"WWW-Authenticate": _REALM},
        )
    if len(given) > 1:
        raise _unauthorized("More than one Authorization header.")
    scheme, _, token = given[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized("The Authorization header does not hold a bearer token.")
    if len(token) > _TOKEN_LIMIT_BYTES:
        raise _unauthorized(f"The token is longer than {_TOKEN_LIMIT_BYTES} bytes.")
    return token


def _scopes(claim: object) -> frozenset[str]:
    words = claim.split(" ") if isinstance(claim, str) else claim
    if not isinstance(words, list):
        return frozenset()
    return frozenset(word for word in words if isinstance(word, str) and word)


def _user_id(claims: Mapping[str, Any]) -> str | None:
    if "userId" not in claims:
        return None
    user_id = claims["userId"]
    if not isinstance(user_id, str) or not is_id(user_id):
        # Taking it for "no limit" would open everyone's data.
        raise _unauthorized("The token's userId is not an id.")
    return user_id


def _unauthorized(detail: str) -> ProblemError:
    headers = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
    return ProblemError(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers=headers)
