"""Waiting for a first session: woken by the write, never by a clock."""

import asyncio
import threading

import pytest

from api.view.keys import current_key
from api.view.rows import CurrentRow, CurrentSession, pack
from api.view.store import StoreDamagedError
from api.view.view import View, ViewNotReadyError
from tests.support.memory_store import MemoryStore
from tests.support.updates import session_id

LONG_S = 30.0


def test_a_write_wakes_who_waits() -> None:
    """A request that waits for its policy's session is answered by the write that brings it, from another thread."""
    store, view = MemoryStore(), View()
    view.publish(store)
    current = CurrentSession(session_id(1), "u1", 1, b"{}")
    asked = threading.Event()

    def writer() -> None:
        asked.wait(LONG_S)
        store.write({current_key("p1"): pack(CurrentRow("u1", current))})
        view.touched({"other", "p1"})

    def ask() -> CurrentSession | None:
        found = view.current("p1")
        asked.set()
        return found

    thread = threading.Thread(target=writer)
    thread.start()
    found = asyncio.run(view.first_answer("p1", ask, LONG_S))
    thread.join()
    assert found == current


def test_waiting_ends() -> None:
    """Where nothing comes within the time, the answer is None, and nobody is left waiting."""
    view = View()
    view.publish(MemoryStore())
    assert asyncio.run(view.first_answer("p1", lambda: view.current("p1"), 0.01)) is None
    view.touched({"p1"})


def test_damage_found_by_a_request() -> None:
    """A store that fails under a request is a "not now" for the client, and word for whoever rebuilds it."""

    class Broken(MemoryStore):
        def get(self, key: bytes) -> bytes | None:
            raise StoreDamagedError(key)

    view = View()
    view.publish(Broken())
    with pytest.raises(ViewNotReadyError):
        view.policy("p1")
    assert view.damage() is not None
    view.publish(MemoryStore())
    assert view.damage() is None
