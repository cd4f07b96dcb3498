"""A view that nobody follows a topic for: tests write to it, from any thread, and watchers are told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from api.app import asgi_of, create_app
from api.event_stream import _ENDS_AGE_S
from api.metrics import Metrics
from api.run import listen, server_config
from api.view.projector import apply_policy, apply_update
from api.view.rows import PolicyHead
from api.view.store import Draft
from api.view.view import View
from api.view.watching import Published, Watch
from runtime.clock import monotonic_s
from runtime.settings import load_settings
from tests.support.memory_store import MemoryStore
from tests.support.system import SECRET
from tests.support.updates import Update
from tests.support.waiting import wait_until

_SOON_S = 10


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


@contextmanager
def served(log: MemoryLog, **settings: str) -> Iterator[int]:
    """The application on a server as it is in production; its port."""
    app = create_app(log.view, load_settings({"FLEX_AUTH_HS256_SECRET": SECRET} | settings), Metrics())
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(server_config(asgi_of(app), 1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started, _SOON_S, "the server")
            yield listener.getsockname()[1]
        finally:
            log.view.stop_waiting()
            server.should_exit = True
            thread.join(_SOON_S)
