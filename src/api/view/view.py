"""The view as requests see it: a store once it is complete, the reads over it, and word of what changed.

Written by the consumer's thread, read by the event loop. A request that waits for a session sleeps until a write
touches its policy; nothing polls.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from api.view.keys import current_key, head_key, policy_key
from api.view.paging import Cursor, Page, Selection, read_page
from api.view.rows import (
    CurrentRow,
    CurrentSession,
    PolicyHead,
    SessionHead,
    body_place,
    unpack_current,
    unpack_head,
    unpack_policy,
)
from api.view.store import Store, StoreDamagedError
from api.view.verdicts import Verdicts
from api.view.watching import Published, Watches

# Requests that may wait for a first session at once; each is a socket and a few KB.
WAITING_LIMIT: Final = 1_000

T = TypeVar("T")


class ViewNotReadyError(Exception):
    """The view does not answer now; the message says why."""


class View:
    """One per app."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._why_not = "the view is catching up with the topics"
        self._damage: str | None = None
        self._is_dead = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._waiting_count = 0
        self._is_stopping = False
        self.watches = Watches()
        # By the monotonic clock: all that the log had then is in the view. Told about once a second.
        self.complete_as_of_s = float("-inf")
        self.verdicts = Verdicts()

    # --- what the consumer's thread tells

    def publish(self, store: Store) -> None:
        """From now on requests are answered from this store."""
        self._damage = None
        self._store = store
        self.watches.stir_all(stale=True)
        if self._waiting_count and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_all)

    def withdraw(self, why: str) -> None:
        """From now on requests are told to come back."""
        self._why_not = why
        self._store = None

    def died(self) -> None:
        """Nobody follows the topics any more."""
        self._is_dead = True
        self.withdraw("the view no longer follows the topics")
        self.watches.stir_all(stale=False)

    def touched(self, policy_ids: Collection[str], updates: Sequence[Published] = ()) -> None:
        """These policies or their current sessions changed by these updates, and the change can be read."""
        self.watches.tell(policy_ids, updates)
        # A request counts itself in before it reads, so either it is counted here or it reads what was written.
        if self._waiting_count and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake, tuple(policy_ids))

    def stop_waiting(self) -> None:
        """The process is about to stop: whoever waits is told to come back."""
        self._is_stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_all)
        self.watches.stir_all(stale=False)

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def damage(self) -> str | None:
        """What a request found broken in the store, if anything."""
        return self._damage

    # --- what requests ask; each raises ViewNotReadyError

    @property
    def is_alive(self) -> bool:
        return not self._is_dead

    def ready(self) -> Store:
        """The store to read."""
        store = self._store
        if store is None:
            raise ViewNotReadyError(self._why_not)
        return store

    def ask(self, question: Callable[[Store], T]) -> T:
        """What `question` finds in the store."""
        store = self.ready()
        try:
            return question(store)
        except StoreDamagedError as error:
            raise self._damaged(error) from error

    def policy(self, policy_id: str) -> PolicyHead | None:
        raw = self._get(policy_key(policy_id))
        return None if raw is None else unpack_policy(raw)

    def head(self, session_id: str) -> SessionHead | None:
        raw = self._get(head_key(session_id))
        return None if raw is None else unpack_head(raw)

    def body(self, head: SessionHead) -> bytes | None:
        """A settled session as JSON, ready to send; None: it was erased since its head was read."""
        return self._get(body_place(head))

    def current(self, policy_id: str) -> CurrentSession | None:
        """The policy's UPCOMING or ACTIVE session."""
        return self.current_row(policy_id).session

    def current_row(self, policy_id: str) -> CurrentRow:
        """The same, and whose the policy is, as of one look."""
        return unpack_current(self._get(current_key(policy_id)))

    def page(self, selection: Selection, cursor: Cursor | None, size: int) -> Page:
        """Settled sessions, newest first."""
        store = self.ready()
        try:
            return read_page(store, selection, cursor, size)
        except StoreDamagedError as error:
            raise self._damaged(error) from error

    async def first_answer(self, policy_id: str, ask: Callable[[], T | None], timeout_s: float) -> T | None:
        """The first answer of `ask` that is not None, asked again whenever the policy is touched; None: too late.

        What `ask` raises ends the wait. Where too many wait already, nobody else does.
        """
        answer = ask()
        if answer is not None or self._waiting_count >= WAITING_LIMIT:
            return answer
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._waiting[policy_id].add(changed)
        self._waiting_count += 1
        try:
            async with asyncio.timeout(timeout_s):
                while (answer := ask()) is None:
                    if self._is_stopping:
                        raise ViewNotReadyError("the API is stopping")
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return None
        finally:
            self._waiting_count -= 1
            self._waiting[policy_id].discard(changed)
            if not self._waiting[policy_id]:
                del self._waiting[policy_id]
        return answer

    def _get(self, key: bytes) -> bytes | None:
        store = self.ready()
        try:
            return store.get(key)
        except StoreDamagedError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: StoreDamagedError) -> ViewNotReadyError:
        # The consumer's thread sees this at its next step and rebuilds.
        self._damage = str(error)
        return ViewNotReadyError("the view is damaged and will be rebuilt")

    def _wake_all(self) -> None:
        self._wake(tuple(self._waiting))

    def _wake(self, policy_ids: tuple[str, ...]) -> None:
        for policy_id in policy_ids:
            for changed in self._waiting.get(policy_id, ()):
                changed.set()
