"""Who may change a policy now: of one process one request at a time, in the order in which they came.

Of several records that replace one version the log takes one only. Those of one process need not meet there: each
refused one costs a dead letter and a restoring. Between processes the log decides, so a turn keeps nobody else out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# Requests at one policy, the one whose turn it is among them: about as many as can be read back one after the other
# before the last of them has waited its time.
TURNS_LIMIT: Final = 256


class NoTurnError(Exception):
    """The turn did not come in time, or too many wait for theirs already."""


class Turns:
    """One per app, on its event loop. Holds nothing of a policy at which nobody is."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def at(self, policy_id: str, until_s: float) -> AsyncIterator[None]:
        """The turn at this policy, awaited until that time of the event loop. Raises NoTurnError."""
        line = self._lines.setdefault(policy_id, _Line())
        if line.length >= TURNS_LIMIT:
            raise NoTurnError
        line.length += 1
        try:
            try:
                async with asyncio.timeout_at(until_s):
                    await line.lock.acquire()
            except TimeoutError as error:
                raise NoTurnError from error
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[policy_id]


class _Line:
    """`length`: those who wait and the one whose turn it is. The lock lets them in in the order in which they came."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0
