"""What became of the policy records that this process wrote: told by the thread that reads them back, awaited by the
requests that wrote them. Knows nothing of what makes a record good or bad.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sessions.events import Refused

# Records of this process that may be on their way at once; each is a request of a few KB.
OPEN_LIMIT: Final = 256


class VerdictsClosedError(Exception):
    """No verdict can be awaited now; the message says why."""


class Verdicts:
    """One per view. Requests expect, on the event loop; the consumer's thread tells."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, asyncio.Future[Refused | None]] = {}
        self._is_stopping = False

    @contextmanager
    def expect(self, request: str) -> Iterator["asyncio.Future[Refused | None]"]:
        """What becomes of the record of this request, which is not written yet. Raises VerdictsClosedError."""
        if self._is_stopping:
            raise VerdictsClosedError("the API is stopping")
        if len(self._open) >= OPEN_LIMIT:
            raise VerdictsClosedError(f"{OPEN_LIMIT} writes are under way")
        self._loop = asyncio.get_running_loop()
        self._open[request] = self._loop.create_future()
        try:
            yield self._open[request]
        finally:
            self._open.pop(request).cancel()

    def tell(self, verdicts: Mapping[str, Refused | None]) -> None:
        """These requests' records were read, and what they changed can be read; from any thread."""
        if verdicts and self._open and self._loop is not None:
            self._loop.call_soon_threadsafe(self._settle, dict(verdicts))

    def stop(self) -> None:
        """Whoever waits is told that the process stops; from any thread."""
        self._is_stopping = True
        if self._open and self._loop is not None:
            self._loop.call_soon_threadsafe(self._give_up)

    def _settle(self, verdicts: Mapping[str, Refused | None]) -> None:
        for request, refused in verdicts.items():
            waiting = self._open.get(request)
            if waiting is not None and not waiting.done():
                waiting.set_result(refused)

    def _give_up(self) -> None:
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(VerdictsClosedError("the API is stopping"))
