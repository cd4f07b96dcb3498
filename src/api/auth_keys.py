"""The keys that tokens are checked with: one configured secret, or what an issuer publishes at a JWKS URL.

Each key has one algorithm, so a token never chooses how it is checked: HS256 with the secret; RS256, ES256 or EdDSA
(Ed25519) with published keys. Knows nothing of claims, scopes or requests.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

from runtime.logs import get_log

log: Final = get_log()

# The parts of a token's JOSE header by which its key is found.
KEY_HEADERS: Final = ("kid", "alg")
_SYMMETRIC: Final = "HS256"
# By kind of key and curve; whatever is not here is passed over, an `oct` key above all.
_PUBLIC_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_RSA_MIN_BITS: Final = 2_048
# Keys taken of one set; issuers publish a handful.
_KEYS_LIMIT: Final = 64


class UnknownKeyError(Exception):
    """The token names a key that is not there."""


class KeysUnavailableError(Exception):
    """No keys were read yet, or the ones that were are too old to be trusted."""


class Key(Struct, frozen=True):
    """A key and the one algorithm that it is for. `material` is the secret's bytes or a public key's object."""

    algorithm: str
    material: Any


class _PublishedKey(Struct, frozen=True):
    """What decides whether a JWK is one for us; the key itself is read by PyJWT."""

    kty: str
    crv: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None
    kid: str | None = None
    d: str | None = None


class Keys(Protocol):
    """Where keys come from."""

    @property
    def generation(self) -> int:
        """Grows whenever a key was taken away: what was checked before must be checked again."""

    def are_usable(self) -> bool:
        """Tell whether there are keys, not too old to be trusted."""

    def find(self, header: Mapping[str, Any]) -> Key:
        """The key for a token with this JOSE header. Raises UnknownKeyError, KeysUnavailableError."""

    async def renew(self) -> None:
        """Look for new keys now, if the last look is not a moment ago; returns within seconds whatever happens."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class SecretKeys:
    """The configured secret."""

    generation = 0

    def __init__(self, secret: str) -> None:
        self._key = Key(_SYMMETRIC, secret.encode())

    def are_usable(self) -> bool:
        return True

    def find(self, header: Mapping[str, Any]) -> Key:
        del header  # the only key, whatever it is called
        return self._key

    async def renew(self) -> None:
        """There is only this one."""

    def start(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""


class KeySet:
    """Public keys as of one look."""

    def __init__(self, keys: Mapping[tuple[str | None, str], Key]) -> None:
        self._keys = keys

    @property
    def names(self) -> frozenset[tuple[str | None, str]]:
        """Key id and algorithm of each key."""
        return frozenset(self._keys)

    def includes(self, other: "KeySet") -> bool:
        """Tell whether every key of `other` is still here and the same."""
        return all(_same(self._keys.get(name), key) for name, key in other._keys.items())  # noqa: SLF001 - its own kind

    def find(self, header: Mapping[str, Any]) -> Key:
        """The key with the header's `kid`; without one, the only key of its algorithm. Raises UnknownKeyError."""
        key_id, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None):
            raise UnknownKeyError
        if key_id is not None:
            found = [key for key in (self._keys.get((key_id, algorithm)),) if key is not None]
        else:
            found = [key for (_, one), key in self._keys.items() if one == algorithm]
        if len(found) != 1:
            raise UnknownKeyError
        return found[0]


def read_key_set(raw: bytes) -> KeySet:
    """The usable keys of a JWK Set; the others are logged and passed over. Raises ValueError where none is left."""
    try:
        entries = json.loads(raw)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is not a JWK Set") from error
    if not isinstance(entries, list) or len(entries) > _KEYS_LIMIT:
        raise ValueError(f"it does not hold a list of at most {_KEYS_LIMIT} keys")
    keys: dict[tuple[str | None, str], Key] = {}
    for entry in entries:
        try:
            key_id, key = _read_key(entry)
        except ValueError as error:
            log.warning("a published key was passed over", reason=str(error))
            continue
        if (key_id, key.algorithm) in keys:
            raise ValueError("two keys have the same id")
        keys[key_id, key.algorithm] = key
    if not keys:
        raise ValueError("it holds no usable key")
    return KeySet(keys)


def _read_key(entry: object) -> tuple[str | None, Key]:
    try:
        said = msgspec.convert(entry, _PublishedKey)
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no key: {error}") from error
    algorithm = _PUBLIC_ALGORITHMS.get((said.kty, None if said.kty == "RSA" else said.crv))
    if algorithm is None or said.alg not in {None, algorithm}:
        raise ValueError("it is for another algorithm than RS256, ES256 and EdDSA")
    if said.use not in {None, "sig"} or (said.key_ops is not None and "verify" not in said.key_ops):
        raise ValueError("it is not for signatures")
    if said.d is not None:
        raise ValueError("it is a private key: the issuer must replace it")
    try:
        material = jwt.PyJWK(msgspec.convert(entry, dict[str, Any]), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(f"it cannot be read ({type(error).__name__})") from error
    if isinstance(material, RSAPublicKey) and material.key_size < _RSA_MIN_BITS:
        raise ValueError(f"it has fewer than {_RSA_MIN_BITS} bits")
    return said.kid, Key(algorithm, material)


def _same(one: Key | None, other: Key) -> bool:
    # Objects of cryptography compare by the key that they hold.
    return one is not None and one.algorithm == other.algorithm and bool(one.material == other.material)
