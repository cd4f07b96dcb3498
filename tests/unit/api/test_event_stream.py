"""One client's event stream over a view in memory: what it is sent after a reconnect, and what ends it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from api import event_stream
from api.auth import Authenticator
from api.auth_keys import Key, KeysUnavailableError, SecretKeys, UnknownKeyError
from api.event_stream import EventId, SessionEvents, Slots, StreamParts
from api.metrics import Metrics
from models.session import SessionState
from runtime.settings import load_settings
from tests.support.api_tokens import authorization
from tests.support.memory_log import MemoryLog
from tests.support.system import SECRET
from tests.support.updates import Update, session_id

SOON_S = 10
ACTIVE = SessionState.ACTIVE_REGULAR


class Client:
    """What one client was sent."""

    def __init__(self) -> None:
        self.sent = b""
        self._more = asyncio.Event()

    @property
    def ids(self) -> list[str]:
        lines = self.sent.decode().splitlines()
        return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]

    async def send(self, message: Message) -> None:
        self.sent += message.get("body", b"")
        self._more.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(SOON_S):
            while not condition():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def opened(
    log: MemoryLog, last: EventId | None = None, auth: Authenticator | None = None
) -> AsyncIterator[Client]:
    """A stream of p1 for a client that has `last`; with a token of the test's secret, where no other is given."""
    settings = load_settings({"FLEX_AUTH_HS256_SECRET": SECRET})
    auth = auth or Authenticator(settings)
    header = authorization()["Authorization"].encode()
    caller = await auth.admit({"type": "http", "headers": [(b"authorization", header)]})
    client = Client()
    events = SessionEvents(StreamParts(log.view, auth, Metrics(), Slots(1), 0.05), caller, "p1", last)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(events({"type": "http"}, receive, client.send))
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.wait({task})


def version_of(number: int, version: int) -> Update:
    return Update(id=session_id(number), version=version, state=ACTIVE)


def has_looked(client: Client) -> bool:
    """A heartbeat came: what a stream sends of itself, it has sent."""
    return b"\n:\n" in client.sent


class FakeKeys(SecretKeys):
    """The test's secret, until it is taken back, or nothing is known of it any more."""

    def __init__(self) -> None:
        super().__init__(SECRET)
        self.is_withdrawn = self.is_too_old = False

    def are_usable(self) -> bool:
        return not self.is_too_old

    def find(self, header: Mapping[str, Any]) -> Key:
        if self.is_too_old:
            raise KeysUnavailableError
        if self.is_withdrawn:
            raise UnknownKeyError
        return super().find(header)


@pytest.mark.parametrize(("what", "reason"), [("is_withdrawn", b"token-expired"), ("is_too_old", b"unavailable")])
def test_ends_with_the_key_of_its_token(what: str, reason: bytes) -> None:
    """A stream ends within a heartbeat of the end of trust in the key that signed its token, and says what to do."""

    async def run() -> bytes:
        log, keys = MemoryLog(), FakeKeys()
        log.write(version_of(1, 1))
        auth = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET}), keys=keys)
        async with opened(log, auth=auth) as client:
            await client.until(lambda: has_looked(client))
            setattr(keys, what, True)
            await client.until(lambda: b"event: end" in client.sent)
            return client.sent

    assert asyncio.run(run()).endswith(b'event: end\ndata: {"reason":"%b"}\n\n' % reason)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_LOOK_S", 0.01)


def test_a_sidecar_that_is_behind_waits() -> None:
    """A client with a later version of the current session is sent no older one: nothing until this view has more."""

    async def run() -> list[str]:
        log = MemoryLog()
        log.write(version_of(1, 3))
        async with opened(log, EventId(session_id(1), 5)) as client:
            for version in (4, 5, 6):
                await client.until(lambda: has_looked(client))
                log.write(version_of(1, version))
                client.sent = client.sent.replace(b"\n:\n", b"\n")
            log.is_read_to_its_end()
            await client.until(lambda: client.ids)
            await client.until(lambda: has_looked(client))
            return client.ids

    assert asyncio.run(run()) == [f"{session_id(1)}:6"]


def test_a_session_begun_anew() -> None:
    """A version that the whole log does not have is of a log that is no more: its client is sent the current session,
    and every update after it, as if it had nothing.
    """

    async def run() -> list[str]:
        log = MemoryLog()
        log.write(version_of(1, 3))
        async with opened(log, EventId(session_id(1), 50)) as client:
            await client.until(lambda: has_looked(client))
            log.write(version_of(1, 4))
            log.is_read_to_its_end()
            await client.until(lambda: client.ids)
            log.write(version_of(1, 5))
            await client.until(lambda: len(client.ids) == 2)
            return client.ids

    assert asyncio.run(run()) == [f"{session_id(1)}:4", f"{session_id(1)}:5"]


def test_a_log_without_a_current_session_yet() -> None:
    """A client of a log that is no more gets the new log's first session, also where that comes later and is called as
    its last one was.
    """

    async def run() -> list[str]:
        log = MemoryLog()
        async with opened(log, EventId(session_id(1), 50)) as client:
            await client.until(lambda: has_looked(client))
            log.is_read_to_its_end()
            client.sent = b""
            await client.until(lambda: has_looked(client))
            log.write(version_of(1, 1))
            await client.until(lambda: client.ids)
            return client.ids

    assert asyncio.run(run()) == [f"{session_id(1)}:1"]


def test_what_arrives_with_the_end_of_the_log_is_not_sent_again() -> None:
    """Where the version that a client has comes to this view at the very moment at which all is read, the client is
    not sent it a second time.
    """

    async def run() -> list[str]:
        log = MemoryLog()
        log.write(version_of(1, 3))
        async with opened(log, EventId(session_id(1), 5)) as client:
            await client.until(lambda: has_looked(client))
            # The view's thread may do both between two looks of the stream: no word of the write is heard before.
            log.write(version_of(1, 4))
            log.view.watches.tell = lambda *_: None  # type: ignore[method-assign]
            log.write(version_of(1, 5))
            log.is_read_to_its_end()
            client.sent = b""
            await client.until(lambda: client.sent.count(b":\n\n") > 1)
            return client.ids

    assert asyncio.run(run()) == []
