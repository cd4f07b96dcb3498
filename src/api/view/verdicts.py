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


class TooManyWritesError(Exception):
    """As many requests as may wait for the verdict on their record."""


class Verdicts:
    """One per view. Requests expect, on the event loop; the consumer's thread tells."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, asyncio.Future[Refused | None]] = {}

    @contextmanager
    def expect(self, request: str) -> Iterator["asyncio.Future[Refused | None]"]:
        """What becomes of the record of this request, which is not written yet. Raises TooManyWritesError."""
        if len(self._open) >= OPEN_LIMIT:
            raise TooManyWritesError
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

    def _settle(self, verdicts: Mapping[str, Refused | None]) -> None:
        for request, refused in verdicts.items():
            waiting = self._open.get(request)
            if waiting is not None and not waiting.done():
                waiting.set_result(refused)
