"""An issuer's published keys, kept up to date by a thread of their own: cached, rotated, with bounded retries.

Requests never wait for the issuer but in one case: a token names a key that is not known, and the last look is not a
moment ago. What was read stays in use while the issuer does not answer, for a day.
"""

import asyncio
import threading
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

from api.auth_keys import Key, KeySet, KeysUnavailableError, read_key_set
from api.metrics import Metrics
from runtime.clock import monotonic_s
from runtime.logs import get_log

log: Final = get_log()

# Seconds for one answer of the issuer, per read from its socket.
_TIMEOUT_S: Final = 3.0
# A set of a handful of RSA keys with certificates has some 20 KiB.
_SET_LIMIT_BYTES: Final = 262_144
# Seconds before each further attempt of one look.
_PAUSES_S: Final = (0.2, 1.0)
# Seconds until the next look where all attempts failed.
_AFTER_FAILURE_S: Final = 10.0
# Seconds between two looks that unknown keys may cause: whoever invents key ids must not flood the issuer.
RENEWAL_PAUSE_S: Final = 10.0
# Seconds that one request waits for such a look.
_RENEWAL_WAIT_S: Final = 3.0
# Seconds for which keys are used without word from the issuer: then a key that it took back might still be trusted.
_MAX_AGE_S: Final = 86_400.0


def fetch(url: str) -> bytes:
    """What stands at the URL. Raises OSError, HTTPException, ValueError."""
    opener = urllib.request.build_opener(_NoRedirect)
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - settings allow no other scheme
    with opener.open(request, timeout=_TIMEOUT_S) as answer:
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"status {answer.status}")
        raw: bytes = answer.read(_SET_LIMIT_BYTES + 1)
    if len(raw) > _SET_LIMIT_BYTES:
        raise ValueError(f"more than {_SET_LIMIT_BYTES} bytes")
    return raw


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the configured place or not at all."""

    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        return None


class JwksKeys:
    """Keys of one URL. `start` begins the thread; until its first success every token is answered by a 503."""

    def __init__(self, url: str, refresh_s: float, metrics: Metrics, fetch_set: Callable[[str], bytes] = fetch) -> None:
        self._url = url
        self._refresh_s = refresh_s
        self._metrics = metrics
        self._fetch = fetch_set
        self._keys: KeySet | None = None
        self._read_s = 0.0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        # The look that is due or under way, for those who wait for it; None between looks.
        self._look: Future[None] | None = None
        self._looked_s = -RENEWAL_PAUSE_S
        self._thread = threading.Thread(target=self._run, name="jwks", daemon=True)
        self.generation = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end. Nobody waits for it: it may be waiting for an issuer that does not answer."""
        self._is_stopping = True
        self._wake.set()

    def are_usable(self) -> bool:
        return self._keys is not None and monotonic_s() - self._read_s <= _MAX_AGE_S

    def find(self, header: Mapping[str, Any]) -> Key:
        keys = self._keys
        if keys is None or not self.are_usable():
            raise KeysUnavailableError
        return keys.find(header)

    async def renew(self) -> None:
        with self._lock:
            if self._look is None:
                if monotonic_s() - self._looked_s < RENEWAL_PAUSE_S:
                    return
                self._look = Future()
                self._wake.set()
            look = self._look
        # Not `wait_for`: it would cancel the look for everyone else who waits.
        await asyncio.wait({asyncio.wrap_future(look)}, timeout=_RENEWAL_WAIT_S)

    def _run(self) -> None:
        while not self._is_stopping:
            with self._lock:
                look = self._look = self._look or Future()
                self._looked_s = monotonic_s()
                self._wake.clear()
            is_read = self._look_once()
            with self._lock:
                self._look = None
                self._looked_s = monotonic_s()
            look.set_result(None)
            self._wake.wait(self._refresh_s if is_read else min(self._refresh_s, _AFTER_FAILURE_S))

    def _look_once(self) -> bool:
        """Several attempts at most. False: what was read before stays."""
        for pause_s in (*_PAUSES_S, None):
            try:
                keys = read_key_set(self._fetch(self._url))
            except (OSError, HTTPException, ValueError) as error:
                self._metrics.key_looks.labels("failed").inc()
                # The URL may hold a secret; its host is in the settings.
                log.warning("the issuer's keys cannot be read", error=type(error).__name__, reason=_reason(error))
            else:
                self._take(keys)
                return True
            if pause_s is None or self._is_stopping:
                break
            self._wake.wait(pause_s)
        return False

    def _take(self, keys: KeySet) -> None:
        before = self._keys
        self._keys, self._read_s = keys, monotonic_s()
        if before is not None and not keys.includes(before):
            self.generation += 1
        self._metrics.key_looks.labels("read").inc()
        if before is None or before.names != keys.names:
            log.info("the issuer's keys were read", keys=len(keys.names))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else str(getattr(error, "reason", ""))
