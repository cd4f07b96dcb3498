"""An issuer of tokens for tests: keys of its own, published over HTTP by a server that counts and can fail."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_MAKERS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65_537, 2_048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_PUBLISHED: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class Issuer:
    """Signs with the newest key of each algorithm; `url` serves what `publish` was last given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.private: dict[str, Any] = {}
        self.published: bytes = b""
        self.status = 200
        self.looks = 0
        self.rotate("RS256", "ES256", "EdDSA")

    def rotate(self, *algorithms: str, suffix: str = "1") -> None:
        """New keys of these algorithms, named `<algorithm>-<suffix>`, published in place of all others."""
        self.private = {f"{algorithm}-{suffix}": _MAKERS[algorithm]() for algorithm in algorithms}
        self._publish(*self.private)

    def withdraw(self, name: str) -> None:
        """Publish all keys but this one, which can still sign."""
        self._publish(*(one for one in self.private if one != name))

    def _publish(self, *names: str) -> None:
        self.published = json.dumps({"keys": [self.jwk(name) for name in names]}).encode()

    def jwk(self, name: str, **more: Any) -> dict[str, Any]:
        """The public half of a key as it is published."""
        algorithm = name.partition("-")[0]
        said: dict[str, Any] = _PUBLISHED[algorithm].to_jwk(self.private[name].public_key(), as_dict=True)
        said.pop("key_ops", None)
        return said | {"kid": name, "alg": algorithm, "use": "sig"} | more

    def pem(self, name: str) -> bytes:
        """The public half of a key as text: what a forger may take for an HS256 secret."""
        made: bytes = self.private[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return made

    def token(
        self,
        name: str = "RS256-1",
        *,
        headers: dict[str, Any] | None = None,
        by: str | None = None,
        algorithm: str | None = None,
        **claims: Any,
    ) -> str:
        """A right token signed with this key, but for the claims named. `by` and `algorithm`: what it is signed with
        instead, still under the key's name.
        """
        now = datetime.now(UTC)
        said = {
            "iss": "flex-sessions",
            "aud": "flex-sessions",
            "exp": now + timedelta(minutes=10),
            "scope": "flex:sessions:read",
        } | claims
        return jwt.encode(
            said,
            self.private[name] if by is None else by,
            algorithm=algorithm or name.partition("-")[0],
            headers={"kid": name} if headers is None else headers,
        )


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.looks += 1
            self.send_response(issuer.status)
            if issuer.status in {301, 302}:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(issuer.published)))
            self.end_headers()
            self.wfile.write(issuer.published)

        def log_message(self, *_arguments: Any) -> None:
            """The test's own output is enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}/keys?secret=hidden")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
