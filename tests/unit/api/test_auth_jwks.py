"""Published keys: which are taken, how they are renewed, and what happens while their issuer does not answer."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from api import auth_jwks
from api.auth import READ_SESSIONS, Authenticator, Principal
from api.auth_jwks import JwksKeys
from api.auth_keys import KeysUnavailableError, UnknownKeyError, read_key_set
from api.metrics import Metrics
from api.problems import ProblemError
from runtime.settings import SettingsError, load_settings
from tests.support.api_tokens import bearer
from tests.support.issuer import Issuer, running_issuer
from tests.support.system import SECRET
from tests.support.waiting import wait_until

ALGORITHMS = ("RS256", "ES256", "EdDSA")
SOON_S = 10


@pytest.fixture(scope="module")
def shared() -> Iterator[Issuer]:
    with running_issuer() as made:
        yield made


@pytest.fixture
def issuer(shared: Issuer) -> Issuer:
    """As new: making keys takes a while, a server too."""
    shared.rotate(*ALGORITHMS)
    shared.status, shared.looks = 200, 0
    return shared


@pytest.fixture
def keys(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[JwksKeys]:
    """Keys that have been read, with quick retries and no pause between looks."""
    monkeypatch.setattr(auth_jwks, "_PAUSES_S", (0.01,))
    monkeypatch.setattr(auth_jwks, "RENEWAL_PAUSE_S", 0.0)
    made = JwksKeys(issuer.url, 3_600, Metrics())
    made.start()
    wait_until(lambda: found(made, {"alg": "RS256"}), SOON_S, "the keys")
    yield made
    made.stop()


def found(keys: JwksKeys, header: dict[str, Any]) -> bool:
    try:
        return bool(keys.find(header))
    except (KeysUnavailableError, UnknownKeyError):
        return False


def authenticator(keys: JwksKeys) -> Authenticator:
    return Authenticator(load_settings({"FLEX_AUTH_JWKS_URL": "https://issuer.test/keys"}), keys=keys)


def caller(auth: Authenticator, token: str) -> Principal:
    return asyncio.run(auth.admit({"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]}))


def admitted(auth: Authenticator, token: str) -> int:
    """200, or the status of the refusal."""
    try:
        principal = caller(auth, token)
    except ProblemError as error:
        return error.problem.status
    assert READ_SESSIONS in principal.scopes
    return 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_three_algorithms(keys: JwksKeys, issuer: Issuer, algorithm: str) -> None:
    """A token signed with a published key is good, with the key's name, and without one where only one key fits."""
    auth = authenticator(keys)
    assert admitted(auth, issuer.token(f"{algorithm}-1")) == 200
    assert admitted(auth, issuer.token(f"{algorithm}-1", headers={})) == 200


def unsigned(issuer: Issuer) -> str:
    head, body, _ = issuer.token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"RS256-1"}').decode().rstrip("=")
    return f"{head}.{body}."


def hs256_with_public_key(issuer: Issuer) -> str:
    # PyJWT refuses to sign with such a key, a forger does not.
    signer = jwt.PyJWS()
    signer._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    _, body, _ = issuer.token().split(".")
    payload = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return signer.encode(payload, issuer.pem("RS256-1"), algorithm="HS256", headers={"kid": "RS256-1"})


def altered(issuer: Issuer) -> str:
    head, body, signature = issuer.token(userId="u1").split(".")
    other = issuer.token(userId="u2").split(".")[1]
    assert other != body
    return f"{head}.{other}.{signature}"


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "unsigned": unsigned,
    "HS256 with the public key as the secret": hs256_with_public_key,
    "HS256 with a secret": lambda _: bearer(),
    "altered claims": altered,
    "another algorithm's key": lambda issuer: issuer.token("ES256-1", headers={"kid": "RS256-1"}),
    "an unknown key": lambda issuer: issuer.token(headers={"kid": "RS256-9"}),
    "another audience": lambda issuer: issuer.token(aud="elsewhere"),
    "another issuer": lambda issuer: issuer.token(iss="elsewhere"),
    "expired": lambda issuer: issuer.token(exp=1_000_000_000),
    "an expiry beyond all numbers": lambda issuer: issuer.token(exp=float("inf")),
}


@pytest.mark.parametrize("make", FORGERIES.values(), ids=FORGERIES)
def test_forgeries(keys: JwksKeys, issuer: Issuer, make: Callable[[Issuer], str]) -> None:
    """Whatever was not signed by the issuer with the key that it names, in that key's algorithm, is a 401."""
    assert admitted(authenticator(keys), make(issuer)) == 401


def test_rotation(keys: JwksKeys, issuer: Issuer) -> None:
    """A token with a new key leads to a look at once and is good; what a withdrawn key signed is not, although it was
    checked before.
    """
    auth = authenticator(keys)
    old = issuer.token("RS256-1")
    assert admitted(auth, old) == 200
    issuer.rotate("RS256", suffix="2")
    assert admitted(auth, old) == 200  # nothing was heard of the rotation yet
    assert admitted(auth, issuer.token("RS256-2")) == 200
    assert admitted(auth, old) == 401


def test_a_withdrawn_key_ends_what_its_tokens_began(keys: JwksKeys, issuer: Issuer) -> None:
    """Once a key is withdrawn its tokens have no time left, whatever their expiry; those of a key that stays have."""
    auth = authenticator(keys)
    callers = [caller(auth, issuer.token(f"{algorithm}-1")) for algorithm in ("RS256", "ES256")]
    assert all(auth.seconds_left(one) > 500 for one in callers)
    issuer.withdraw("RS256-1")
    asyncio.run(keys.renew())
    withdrawn, other = callers
    assert auth.seconds_left(withdrawn) <= 0 < auth.seconds_left(other)
    assert auth.has_keys()


def test_a_key_that_took_the_name_of_another(keys: JwksKeys, issuer: Issuer) -> None:
    """A new key by the old one's name is another key: what the old one signed has no time left."""
    auth = authenticator(keys)
    before = caller(auth, issuer.token("RS256-1"))
    issuer.rotate("RS256")
    asyncio.run(keys.renew())
    assert auth.seconds_left(before) <= 0


def test_keys_that_are_too_old_end_what_was_begun(
    keys: JwksKeys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is heard of an issuer for a day, what its tokens began has no time left, and it is told why."""
    auth = authenticator(keys)
    before = caller(auth, issuer.token())
    monkeypatch.setattr(auth_jwks, "_MAX_AGE_S", -1.0)
    assert auth.seconds_left(before) <= 0
    assert not auth.has_keys()


def test_unknown_keys_do_not_flood_the_issuer(keys: JwksKeys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens name unknown keys, the issuer is asked once in a while only."""
    monkeypatch.setattr(auth_jwks, "RENEWAL_PAUSE_S", 3_600.0)
    auth, before = authenticator(keys), issuer.looks
    for number in range(50):
        assert admitted(auth, issuer.token(headers={"kid": f"invented-{number}"})) == 401
    assert issuer.looks == before


@pytest.mark.parametrize(
    ("status", "published"),
    [(500, b""), (200, b"nonsense"), (200, b'{"keys": []}'), (302, b""), (200, b"[" * 300_000), (200, b" " * 300_000)],
)
def test_what_was_read_stays(keys: JwksKeys, issuer: Issuer, status: int, published: bytes) -> None:
    """An issuer that fails, answers nonsense, sends elsewhere, or sends too much takes no key away."""
    issuer.status, issuer.published = status, published
    before = issuer.looks
    auth = authenticator(keys)
    assert admitted(auth, issuer.token(headers={"kid": "other"})) == 401
    assert before < issuer.looks <= before + 4
    assert admitted(auth, issuer.token()) == 200


def test_until_the_first_success(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any key was read, a token is neither good nor bad: 503 with Retry-After."""
    monkeypatch.setattr(auth_jwks, "_PAUSES_S", ())
    issuer.status = 503
    keys = JwksKeys(issuer.url, 3_600, Metrics())
    keys.start()
    wait_until(lambda: issuer.looks, SOON_S, "a look")
    assert admitted(authenticator(keys), issuer.token()) == 503
    keys.stop()


def test_keys_grow_too_old(keys: JwksKeys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of which nothing was heard for a day are trusted no longer, nor what was checked with them before."""
    auth, token = authenticator(keys), issuer.token()
    assert admitted(auth, token) == 200
    monkeypatch.setattr(auth_jwks, "_MAX_AGE_S", -1.0)
    assert admitted(auth, token) == 503
    assert auth.remembered(f"Bearer {token}".encode()) is None
    assert admitted(auth, issuer.token(jti="new")) == 503


def test_only_keys_for_us_are_taken(issuer: Issuer) -> None:
    """Of a set only public keys for signatures in the three algorithms are taken, none that is short or secret."""
    right = issuer.jwk("RS256-1")
    wrong: list[object] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        right | {"kid": "b", "alg": "RS512"},
        right | {"kid": "c", "use": "enc"},
        right | {"kid": "d", "d": "AQAB"},
        right | {"kid": "e", "key_ops": ["encrypt"]},
        right | {"kid": "f", "n": "AQAB"},
        issuer.jwk("ES256-1", kid="g", crv="P-384"),
        issuer.jwk("EdDSA-1", kid="h", crv="Ed448"),
        right | {"kid": 5},
        {"kty": ["RSA"]},
        "key",
        None,
    ]
    assert read_key_set(json.dumps({"keys": [*wrong, right]}).encode()).names == {("RS256-1", "RS256")}
    with pytest.raises(ValueError, match="no usable key"):
        read_key_set(json.dumps({"keys": wrong}).encode())
    with pytest.raises(ValueError, match="same id"):
        read_key_set(json.dumps({"keys": [right, right]}).encode())


@pytest.mark.parametrize(
    "url", ["http://issuer.test/keys", "ftp://issuer.test", "issuer.test", "https://", "http://[x"]
)
def test_keys_come_over_tls(url: str) -> None:
    """A JWKS URL that is not https is refused at start, but for one of this machine."""
    with pytest.raises(SettingsError, match="FLEX_AUTH_JWKS_URL"):
        load_settings({"FLEX_AUTH_JWKS_URL": url})


def test_one_kind_of_keys_only() -> None:
    """A secret beside a JWKS URL is refused: which of them counts would be anybody's guess."""
    with pytest.raises(SettingsError, match="FLEX_AUTH_JWKS_URL"):
        load_settings({"FLEX_AUTH_JWKS_URL": "https://issuer.test", "FLEX_AUTH_HS256_SECRET": SECRET})
