"""A CSV stream whose caller may read no longer, over a view in memory."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import Message

from api.auth import Authenticator
from api.auth_keys import Key, SecretKeys, UnknownKeyError
from api.csv_stream import CsvParts, SessionsCsv
from api.event_stream import Slots
from api.metrics import Metrics
from api.view.paging import Selection
from api.view.projector import apply_update
from api.view.store import Draft
from api.view.view import View
from runtime.settings import load_settings
from tests.support.api_tokens import authorization
from tests.support.memory_store import MemoryStore
from tests.support.system import SECRET
from tests.support.updates import Update, session_id

ROWS = 250


class Withdrawable(SecretKeys):
    """The test's secret, until it is taken back."""

    is_withdrawn = False

    def find(self, header: Mapping[str, Any]) -> Key:
        if self.is_withdrawn:
            raise UnknownKeyError
        return super().find(header)


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_ends_with_the_key_of_its_token(*, is_withdrawn: bool) -> None:
    """Once the key that signed its token is withdrawn, a CSV stream sends no further piece, and no end; otherwise it
    sends every row and the end.
    """
    store, view, keys = MemoryStore(), View(), Withdrawable(SECRET)
    draft = Draft(store)
    for number in range(ROWS):
        apply_update(draft, *Update(id=session_id(number), in_h=number, out_h=number + 1).read())
    store.write(draft.changes)
    view.publish(store)
    auth = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET}), keys=keys)
    bodies: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message)
            keys.is_withdrawn = is_withdrawn

    async def run() -> None:
        header = authorization()["Authorization"].encode()
        caller = await auth.admit({"type": "http", "headers": [(b"authorization", header)]})
        stream = SessionsCsv(CsvParts(view, auth, Metrics(), Slots(1)), caller, Selection())
        await stream({"type": "http"}, receive, send)

    asyncio.run(run())
    lines = sum(message["body"].count(b"\r\n") for message in bodies)
    assert (len(bodies), lines) == ((1, 101) if is_withdrawn else (3, ROWS + 1))
    assert bodies[-1]["more_body"] == is_withdrawn
