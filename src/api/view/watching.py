"""Word of each policy's updates to whoever watches it, in the order of the log, each watcher with a bounded queue.

The consumer's thread tells what it wrote; everything else here happens on the event loop. A snapshot and the updates
after it fit together by a number: each write has an even one, and is under way while the number is odd.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

# What a watcher may have waiting: more than one batch of the view brings. One update alone may be as large as it likes
# (models.topics: at most 2 MiB).
QUEUE_LIMIT_UPDATES: Final = 1_000
QUEUE_LIMIT_BYTES: Final = 4 * 1024 * 1024


class Published:
    """One version of one session of a policy. `body` None: the session was erased."""

    def __init__(self, policy_id: str, user_id: str, session_id: str, version: int, body: bytes | None) -> None:
        self.policy_id = policy_id
        self.user_id = user_id
        self.session_id = session_id
        self.version = version
        self.body = body

    @cached_property
    def event(self) -> bytes:
        """The update as a server-sent event; made once for all watchers."""
        return session_event(self.session_id, self.version, self.body or b"null")


def session_event(session_id: str, version: int, body: bytes) -> bytes:
    """A session as a server-sent event, its id as `ce_id` is (models.webhook)."""
    # Line breaks can only be white space between the tokens of JSON; each line of an event is named.
    data = b"\ndata: ".join(body.splitlines()) if b"\n" in body or b"\r" in body else body
    return b"event: flex:session:updated\nid: %b:%d\ndata: %b\n\n" % (session_id.encode(), version, data)


class Watch:
    """One watcher of one policy. `wait` returns when there is something to look at; the flags say what."""

    def __init__(self, policy_id: str) -> None:
        self.policy_id = policy_id
        self.is_overrun = False
        # Something other than updates changed: the policy, the store itself, or the process is about to stop.
        self.is_stirred = False
        # The store was exchanged: only a new snapshot says what is current.
        self.is_stale = False
        self._queue: deque[tuple[int, Published]] = deque()
        self._queued_bytes = 0
        self._known_number = 0
        self._changed = asyncio.Event()

    def put(self, number: int, updates: Iterable[Published]) -> None:
        """Updates of one write. What goes beyond the limits empties the queue: such a watcher is lost."""
        if number <= self._known_number:
            return
        for update in updates:
            self._queue.append((number, update))
            self._queued_bytes += len(update.body or b"")
        too_much = self._queued_bytes > QUEUE_LIMIT_BYTES and len(self._queue) > 1
        if too_much or len(self._queue) > QUEUE_LIMIT_UPDATES:
            self.is_overrun = True
            self._queue.clear()
            self._queued_bytes = 0
        self._changed.set()

    def stir(self, *, stale: bool = False) -> None:
        """Have the watcher look around."""
        self.is_stirred = True
        self.is_stale = self.is_stale or stale
        self._changed.set()

    def drop_until(self, number: int) -> None:
        """Forget updates that a snapshot of this number holds already, those too whose word is still on its way."""
        self._known_number = number
        while self._queue and self._queue[0][0] <= number:
            self._queued_bytes -= len(self._queue.popleft()[1].body or b"")

    def take(self) -> list[Published]:
        """All that is queued, oldest first."""
        taken = [update for _, update in self._queue]
        self._queue.clear()
        self._queued_bytes = 0
        self._changed.clear()
        self.is_stirred = False
        return taken

    async def wait(self) -> None:
        await self._changed.wait()


class Watches:
    """All watchers of one view, by policy."""

    def __init__(self) -> None:
        self._by_policy: defaultdict[str, set[Watch]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._number = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around one write and the telling of it, on the consumer's thread."""
        self._number += 1
        try:
            yield
        finally:
            self._number += 1

    def tell(self, policy_ids: Iterable[str], updates: Sequence[Published]) -> None:
        """What the write under way changed; called after it, within `writing`."""
        if not self._by_policy or self._loop is None:
            return
        watched = self._by_policy
        for_them = [update for update in updates if update.policy_id in watched]
        stirred = [policy_id for policy_id in policy_ids if policy_id in watched]
        if stirred:
            self._loop.call_soon_threadsafe(self._deliver, self._number + 1, stirred, for_them)

    def stir_all(self, *, stale: bool) -> None:
        """Have every watcher look around; from any thread."""
        if self._by_policy and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stir_all, stale)

    def settled_number(self) -> int | None:
        """The number of the last write, None while one is under way: a read between two equal answers is of it."""
        return None if self._number % 2 else self._number

    @contextmanager
    def watch(self, policy_id: str) -> Iterator[Watch]:
        """A watcher, told of every write that begins from now on, and of one under way."""
        self._loop = asyncio.get_running_loop()
        made = Watch(policy_id)
        self._by_policy[policy_id].add(made)
        try:
            yield made
        finally:
            self._by_policy[policy_id].discard(made)
            if not self._by_policy[policy_id]:
                del self._by_policy[policy_id]

    def _deliver(self, number: int, policy_ids: list[str], updates: list[Published]) -> None:
        by_policy: defaultdict[str, list[Published]] = defaultdict(list)
        for update in updates:
            by_policy[update.policy_id].append(update)
        for policy_id in policy_ids:
            found = by_policy.get(policy_id)
            for watch in self._by_policy.get(policy_id, ()):
                if found:
                    watch.put(number, found)
                else:
                    watch.stir()

    def _stir_all(self, stale: bool) -> None:
        for watches in self._by_policy.values():
            for watch in watches:
                watch.stir(stale=stale)
