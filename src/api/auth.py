"""Who asks, and what may they see. Bearer tokens in the header only, checked with the keys of api.auth_keys.

Knows nothing of sessions. A token is never logged and never echoed, whole or in part.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import jwt
from msgspec import Struct
from starlette.requests import Request
from starlette.types import Scope

from api.auth_jwks import JwksKeys
from api.auth_keys import KEY_HEADERS, Key, Keys, KeysUnavailableError, SecretKeys, UnknownKeyError
from api.metrics import Metrics
from api.problems import ProblemError, unavailable
from models.ids import is_id
from runtime.clock import epoch_s
from runtime.settings import Settings

READ_SESSIONS: Final = "flex:sessions:read"
WRITE_SESSIONS: Final = "flex:sessions:write"
READ_POLICIES: Final = "flex:policies:read"
WRITE_POLICIES: Final = "flex:policies:write"
SCOPES: Final = (READ_SESSIONS, WRITE_SESSIONS, READ_POLICIES, WRITE_POLICIES)
# A token of ours has some 300 bytes, one of an issuer with RSA keys 1,500; what is longer is not worth decoding.
_TOKEN_LIMIT_BYTES: Final = 8_192
# Authorization headers whose check is remembered: so many, of so many bytes at most, those beyond it checked each time.
_REMEMBERED_HEADERS: Final = 10_000
_REMEMBERED_BYTES: Final = 2_048
_RETRY_AFTER_S: Final = 5
_REALM: Final = 'Bearer realm="flex-sessions"'
# Where an ASGI scope holds the caller of a request that has passed the gate.
ADMITTED: Final = "flex.principal"


class Signature(Struct, frozen=True):
    """What a token was checked with: the key, and the parts of the token's JOSE header that lead to it."""

    header: Mapping[str, Any]
    key: Key


class Principal(Struct, frozen=True, kw_only=True):
    """The caller. `user_id`: sees this user's data only; None: everyone's.

    `expires_at_s` is in seconds since 1970, the leeway included: from then on the token is refused. `token_digest` is
    the SHA-256 of the token; `subject` is the token's `sub`, if it has one; `signature` is for as long as it counts.
    """

    scopes: frozenset[str]
    user_id: str | None
    subject: str | None = None
    expires_at_s: float
    token_digest: bytes
    signature: Signature


class Authenticator:
    """Checks tokens against one set of settings. `start` and `stop` are for keys that are fetched."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics | None = None,
        keys: Keys | None = None,
        now_s: Callable[[], float] = epoch_s,
    ) -> None:
        self._keys = keys or _configured(settings, metrics or Metrics())
        self._issuer = settings.auth_issuer
        self._audience = settings.auth_audience
        self._leeway_s = settings.auth_leeway_s
        self._now_s = now_s
        self._checked: OrderedDict[bytes, Principal] = OrderedDict()
        self._generation = self._keys.generation

    def start(self) -> None:
        self._keys.start()

    def stop(self) -> None:
        self._keys.stop()

    def remembered(self, authorization: bytes) -> Principal | None:
        """The caller by a request's one Authorization header, where it was checked before and is still good."""
        known = self._checked.get(authorization)
        if known is None or known.expires_at_s <= self._now_s() or self._generation != self._keys.generation:
            return None
        # Keys of an issuer that has been silent for too long are not trusted for what was checked before either.
        return known if self._keys.are_usable() else None

    async def admit(self, scope: Scope) -> Principal:
        """The caller of this request, noted in it for `require`. Raises ProblemError (401, 503)."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        try:
            principal = self._principal(given)
        except UnknownKeyError:
            # Perhaps the issuer has a new key since the last look.
            await self._keys.renew()
            principal = self._identified(given)
        scope[ADMITTED] = principal
        return principal

    def require(self, request: Request, scope: str) -> Principal:
        """The caller, who has this scope. Raises ProblemError (401, 403, 503)."""
        principal: Principal | None = request.scope.get(ADMITTED)
        if principal is None:
            given = [value for name, value in request.scope["headers"] if name == b"authorization"]
            principal = self._identified(given)
        require_scope(principal, scope)
        return principal

    def seconds_left(self, principal: Principal) -> float:
        """How long the caller's token stays good; 0 or less: it is not, perhaps since its key is trusted no longer."""
        return principal.expires_at_s - self._now_s() if self._counts(principal.signature) else 0.0

    def has_keys(self) -> bool:
        """Tell whether any token can be judged now; where not, another token is of no use."""
        return self._keys.are_usable()

    def _counts(self, signature: Signature) -> bool:
        """Tell whether a request with the same token would be checked with the same key now."""
        try:
            return self._keys.find(signature.header) == signature.key
        except (UnknownKeyError, KeysUnavailableError):
            return False

    def _identified(self, given: Sequence[bytes]) -> Principal:
        try:
            return self._principal(given)
        except UnknownKeyError as error:
            raise _unauthorized("The token is not valid (its key is not known).") from error

    def _principal(self, given: Sequence[bytes]) -> Principal:
        """The caller by the Authorization headers. What a header is good for is remembered."""
        if self._generation != self._keys.generation:
            # A key was taken back: what it signed is good no longer.
            self._generation = self._keys.generation
            self._checked.clear()
        known = self.remembered(given[0]) if len(given) == 1 else None
        if known is not None:
            return known
        principal = self._check(_bearer_token(given))
        if len(given[0]) <= _REMEMBERED_BYTES:
            self._checked[given[0]] = principal
            if len(self._checked) > _REMEMBERED_HEADERS:
                self._checked.popitem(last=False)
        return principal

    def _check(self, token: str) -> Principal:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.find(header)
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
            expires_at_s = int(claims["exp"]) + self._leeway_s
        except KeysUnavailableError as error:
            raise unavailable("The issuer's keys are not there yet, or too old.", _RETRY_AFTER_S) from error
        except (jwt.PyJWTError, OverflowError, ValueError, RecursionError) as error:
            # The kind of fault helps a client's developer; the message might repeat a claim.
            raise _unauthorized(f"The token is not valid ({type(error).__name__}).") from error
        subject = claims.get("sub")
        return Principal(
            scopes=_scopes(claims.get("scope")),
            user_id=_user_id(claims),
            subject=subject if isinstance(subject, str) else None,
            expires_at_s=expires_at_s,
            token_digest=hashlib.sha256(token.encode()).digest(),
            signature=Signature({name: header.get(name) for name in KEY_HEADERS}, key),
        )


def require_scope(principal: Principal, scope: str) -> None:
    """Raises ProblemError (403) where the caller lacks this scope."""
    if scope not in principal.scopes:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "missing-scope",
            f"The token does not have the scope {scope}.",
            headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
        )


def _configured(settings: Settings, metrics: Metrics) -> Keys:
    if settings.auth_jwks_url:
        return JwksKeys(settings.auth_jwks_url, settings.auth_jwks_refresh_s, metrics)
    if not settings.auth_hs256_secret:
        raise ValueError("neither a secret nor a JWKS URL is configured")
    return SecretKeys(settings.auth_hs256_secret)


def _bearer_token(given: Sequence[bytes]) -> str:
    """The token of the one Authorization header that there must be. Raises ProblemError."""
    if not given:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "A bearer token is needed in the Authorization header.",
            headers={"WWW-Authenticate": _REALM},
        )
    if len(given) > 1:
        raise _unauthorized("More than one Authorization header.")
    scheme, _, token = given[0].decode("latin-1").partition(" ")
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
