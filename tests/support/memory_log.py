"""A view that nobody follows a topic for: tests write to it, from any thread, and watchers are told."""

from api.event_stream import _ENDS_AGE_S
from api.view.projector import apply_policy, apply_update
from api.view.rows import PolicyHead
from api.view.store import Draft
from api.view.view import View
from api.view.watching import Published, Watch
from runtime.clock import monotonic_s
from tests.support.memory_store import MemoryStore
from tests.support.updates import Update


class MemoryLog:
    """A view of one enabled policy, p1 of u1 and v1, over a store in memory, and a hand that writes to it."""

    def __init__(self) -> None:
        self.view = View()
        self._store = MemoryStore()
        draft = Draft(self._store)
        apply_policy(draft, "p1", PolicyHead("u1", "v1", True))
        self._store.write(draft.changes)
        self.view.publish(self._store)

    def write(self, *updates: Update) -> None:
        """One write, and word of it to whoever watches."""
        draft = Draft(self._store)
        for update in updates:
            apply_update(draft, *update.read())
        told = [Published("p1", update.user, update.id, update.version, update.body) for update in updates]
        with self.view.watches.writing():
            self._store.write(draft.changes)
            self.view.touched(["p1"], told)

    def is_read_to_its_end(self) -> None:
        """All that the log had by now is in the view, whenever somebody began to wait for that."""
        self.view.complete_as_of_s = monotonic_s() + 2 * _ENDS_AGE_S

    def is_watched(self) -> bool:
        return bool(self._watches())

    def is_overrun(self) -> bool:
        """Tell whether more waits for a watcher than it may have waiting."""
        return any(watch.is_overrun for watch in self._watches())

    def _watches(self) -> set[Watch]:
        return self.view.watches._by_policy.get("p1", set())
