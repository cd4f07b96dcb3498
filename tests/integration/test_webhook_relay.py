"""The example relay and the receiver of its guide, over a real broker and HTTP: order, signatures, retries, death."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from models.session import SessionState
from models.topics import SESSION_UPDATED
from runtime.partitions import partition_of
from tests.support.api_process import Transactions
from tests.support.records import Outgoing
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SECRET = "a receiver's secret"
SOON_S = 40
ACTIVE, SETTLED = SessionState.ACTIVE_REGULAR, SessionState.SETTLED
SESSIONS = 6


class Post(Struct, frozen=True):
    """One request as received. `status`: what was answered; 0: the connection was cut without an answer."""

    id: str
    headers: Mapping[str, str]
    body: bytes
    status: int


class Receiver:
    """A server of HTTP that answers as `answer` says, by the number of the request, and keeps what it was sent."""

    def __init__(self, answer: Callable[[int], int]) -> None:
        self.posts: list[Post] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = answer(len(receiver.posts))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append(Post(headers["webhook-id"], headers, body, status))
                if not status:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests say themselves what they saw."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks?of=sessions"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def taken(self) -> list[str]:
        """Ids that were answered with a 2xx, in order."""
        return [post.id for post in self.posts if 200 <= post.status < 300]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiving(answer: Callable[[int], int] = lambda _number: 204) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    try:
        yield receiver
    finally:
        receiver.close()


class Relay:
    """The example as a process; its complaints are in `said`."""

    def __init__(self, topics: Topics, url: str, folder: Path, give_up_s: float = 60) -> None:
        self._err = folder / "relay.err"
        env = {
            "RELAY_BROKERS": topics.bootstrap,
            "RELAY_TOPIC": topics.name(SESSION_UPDATED),
            "RELAY_GROUP": f"{topics.prefix}relay",
            "RELAY_URL": url,
            "RELAY_SECRET": SECRET,
            "RELAY_GIVE_UP_S": str(give_up_s),
        }
        with self._err.open("ab") as err:
            command = [sys.executable, "-P", str(ROOT / "examples/webhook_relay.py")]
            self.process = subprocess.Popen(command, env=env, stderr=err)

    @property
    def said(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(SOON_S)


@contextmanager
def relaying(topics: Topics, url: str, folder: Path, give_up_s: float = 60) -> Iterator[Relay]:
    relay = Relay(topics, url, folder, give_up_s)
    try:
        yield relay
    finally:
        relay.process.kill()
        relay.process.wait(SOON_S)


def versions(first: int, last: int, state: SessionState = ACTIVE) -> list[Update]:
    """These versions of every session, the sessions by turns."""
    return [
        Update(id=session_id(number), version=version, state=state, vehicle=f"v{number}", energy_kwh=version)
        for version in range(first, last + 1)
        for number in range(SESSIONS)
    ]


def outgoing(topics: Topics, updates: list[Update]) -> list[Outgoing]:
    return [one.outgoing(topics.name(SESSION_UPDATED), partition_of(one.vehicle, topics.partitions)) for one in updates]


def erasure(topics: Topics, number: int) -> Outgoing:
    partition = partition_of(f"v{number}", topics.partitions)
    return Outgoing(topic=topics.name(SESSION_UPDATED), key=session_id(number), value=None, partition=partition)


def of_session(ids: list[str], number: int) -> list[str]:
    """What was said of one session, in order."""
    return [one.partition(":")[2] for one in ids if one.startswith(session_id(number))]


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """The receiver's code as the guide prints it, ready to call."""
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/webhook-relay.md").read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(compile(code, "docs/webhook-relay.md", "exec"), names)
    return names


def test_every_update_in_order(topics: Topics, tmp_path: Path, guide: dict[str, Any]) -> None:
    """Though the receiver fails at first, in every way there is, each committed version is delivered once, in the order
    of its session, as the bytes of the topic; what was taken back never is; an erasure comes last and names its
    session; every try is signed as the guide says, and a change of one byte, another id or another secret is noticed.
    """
    worker = Transactions(topics.bootstrap, topics.prefix)
    updates = versions(1, 5)
    worker.write(outgoing(topics, updates))
    worker.write(outgoing(topics, versions(6, 6, SETTLED)), commit=False)
    worker.write([erasure(topics, 0)])
    failing = {0: 500, 1: 0, 2: 302, 5: 429, 6: 404}
    with (
        receiving(lambda number: failing.get(number, 204)) as receiver,
        relaying(topics, receiver.url, tmp_path) as relay,
    ):
        wait_until(lambda: len(receiver.taken) == len(updates) + 1, SOON_S, "everything is delivered")
        assert relay.end(signal.SIGTERM) == 0
    assert len(receiver.posts) == len(updates) + 1 + len(failing)
    for number in range(SESSIONS):
        assert of_session(receiver.taken, number) == ["1", "2", "3", "4", "5", *(["erased"] if number == 0 else [])]
    bodies = {f"{one.id}:{one.version}": one.value for one in updates}
    bodies[f"{session_id(0)}:erased"] = (
        f'{{"event": "flex:session:erased", "session": {{"id": "{session_id(0)}"}}}}'.encode()
    )
    is_genuine = guide["is_genuine"]
    for post in receiver.posts:
        assert post.body == bodies[post.id]
        assert is_genuine(SECRET.encode(), post.headers, post.body)
        assert not is_genuine(b"another secret", post.headers, post.body)
        assert not is_genuine(SECRET.encode(), post.headers, post.body + b" ")
        assert not is_genuine(SECRET.encode(), {**post.headers, "webhook-id": f"{session_id(0)}:99"}, post.body)
        assert not is_genuine(SECRET.encode(), {**post.headers, "webhook-timestamp": "1700000000"}, post.body)


def test_killed_relay_loses_nothing(topics: Topics, tmp_path: Path, guide: dict[str, Any]) -> None:
    """Killed again and again in the midst of its work, a relay that is started again repeats but leaves out nothing; by
    the versions in their ids a receiver applies each update once and in order.
    """
    worker = Transactions(topics.bootstrap, topics.prefix)
    worker.write(outgoing(topics, versions(1, 60)))
    worker.write([erasure(topics, 0)])
    total = 60 * SESSIONS + 1
    seen: dict[str, float] = {}
    with receiving() as receiver:
        for share in (10, 90):
            with relaying(topics, receiver.url, tmp_path) as relay:
                before = len(receiver.posts)
                wait_until(lambda n=before + share: len(receiver.posts) >= n, SOON_S, "some work", 0.002)  # type: ignore[misc]
                assert relay.end(signal.SIGKILL) == -signal.SIGKILL
        with relaying(topics, receiver.url, tmp_path) as relay:
            wait_until(lambda: len(set(receiver.taken)) == total, SOON_S, "everything is delivered")
            assert relay.end(signal.SIGTERM) == 0
        applied = [one for one in receiver.taken if guide["is_news"](seen, one)]
        assert len(receiver.taken) > len(applied) == total
        for number in range(SESSIONS):
            told = [str(version) for version in range(1, 61)] + (["erased"] if number == 0 else [])
            assert of_session(applied, number) == told
        # What it had delivered when it was asked to stop, it does not deliver again.
        before = len(receiver.posts)
        with relaying(topics, receiver.url, tmp_path) as relay:
            worker.write(outgoing(topics, versions(61, 61)))
            wait_until(lambda: len(receiver.posts) >= before + SESSIONS, SOON_S, "the new versions")
            assert relay.end(signal.SIGTERM) == 0
        assert {one.partition(":")[2] for one in receiver.taken[before:]} == {"61"}


def test_dead_receiver(topics: Topics, tmp_path: Path) -> None:
    """Where nobody takes an update within the time for it, the relay ends with status 1, says which, and sends nothing
    behind it; started again it goes on with that one.
    """
    worker = Transactions(topics.bootstrap, topics.prefix)
    updates = [one for one in versions(1, 3) if one.vehicle == "v0"]
    worker.write(outgoing(topics, updates))
    with (
        receiving(lambda number: 503 if number else 204) as receiver,
        relaying(topics, receiver.url, tmp_path, 2) as relay,
    ):
        assert relay.process.wait(SOON_S) == 1
        assert receiver.taken == [f"{session_id(0)}:1"]
        assert {post.id for post in receiver.posts[1:]} == {f"{session_id(0)}:2"}
        assert len(receiver.posts) > 2
        assert f"gave up at {session_id(0)}:2" in relay.said
    with receiving() as receiver, relaying(topics, receiver.url, tmp_path):
        wait_until(lambda: len(receiver.taken) >= 2, SOON_S, "the rest is delivered")
        assert receiver.taken == [f"{session_id(0)}:2", f"{session_id(0)}:3"]
