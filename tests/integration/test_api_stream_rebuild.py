"""An event stream that is open while the view under it is built anew: an API in this process, over a real broker."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.metrics import Metrics
from api.view import consumer as view_consumer
from api.view import following
from api.view.consumer import ViewConsumer
from api.view.directory import ViewDirectory
from api.view.log import SessionLog
from api.view.view import View, ViewNotReadyError
from local.ports import free_port
from local.topics import ensure_topics
from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.clock import utc_now
from runtime.partitions import partition_of
from tests.support.api_process import ROOT, Transactions
from tests.support.api_tokens import authorization
from tests.support.event_stream import Event, Stream
from tests.support.records import Outgoing, produce
from tests.support.system import Topics, delete_topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 30
REBUILDS = 3


class System:
    """One API whose view can be broken from here, and hands to write to its topics."""

    def __init__(self, topics: Topics, view: View, port: int) -> None:
        self.topics = topics
        self.view = view
        self.url = f"http://127.0.0.1:{port}{ROOT}/p1/session/events"
        self.home = partition_of("v1", topics.partitions)

    def write(self, *updates: Update) -> None:
        name = self.topics.name(SESSION_UPDATED)
        produce(self.topics.bootstrap, [update.outgoing(name, self.home) for update in updates])

    def policy(self) -> None:
        name = self.topics.name(VEHICLE_POLICIES)
        produce(self.topics.bootstrap, [Outgoing(topic=name, key="p1", value=policy_value("p1"), partition=self.home)])

    def current(self) -> tuple[str, int] | None:
        """Id and version; None where there is none, or the view is being built."""
        try:
            head = self.view.current("p1")
        except ViewNotReadyError:
            return None
        return None if head is None else (head.id, head.version)

    def break_store(self) -> None:
        """Have its next reader find the store damaged, and wait until another one is shown."""
        former = self.view.ready()
        former.close()

        def is_replaced() -> bool:
            try:
                return self.view.ready() is not former
            except ViewNotReadyError:
                return False

        wait_until(is_replaced, SOON_S, "another store")


@pytest.fixture
def system(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    monkeypatch.setattr(following, "_HEARTBEAT_S", 0.3)
    monkeypatch.setattr(view_consumer, "_RETRY_S", 0.1)
    view, metrics, port = View(), Metrics(), free_port()
    directory = ViewDirectory(tmp_path)
    log = SessionLog(topics.bootstrap, topics.name(SESSION_UPDATED), topics.name(VEHICLE_POLICIES), utc_now)
    app = create_app(view, topics.settings(), metrics, ViewConsumer(view, directory, log, metrics))
    server = uvicorn.Server(uvicorn.Config(app, port=port, http="h11", ws="none", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield System(topics, view, port)
    finally:
        view.stop_waiting()
        server.should_exit = True
        thread.join(SOON_S)
        directory.close()


class Client(threading.Thread):
    """Reads a policy's events as a browser does: comes again with the last id when a stream ends."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self._system = system
        self.ids: list[str] = []
        self.ends: list[str] = []
        self.streams = 0
        self._stopping = threading.Event()
        self._events: Iterator[Event] = iter(())

    def run(self) -> None:
        with httpx.Client(timeout=SOON_S) as client:
            while not self._stopping.is_set():
                headers = authorization() | ({"Last-Event-ID": self.ids[-1]} if self.ids else {})
                with client.stream("GET", self._system.url, headers=headers) as answer:
                    if answer.status_code == 200:
                        self.streams += 1
                        self._read(Stream(answer))
                self._stopping.wait(0.05)

    def _read(self, stream: Stream) -> None:
        for event in stream:
            if event.id:
                self.ids.append(event.id)
            else:
                self.ends.append(event.data)
            if self._stopping.is_set():
                return

    def stop(self) -> None:
        """Ends at the next event."""
        self._stopping.set()

    def until_last(self, event_id: str) -> None:
        wait_until(lambda: self.ids and self.ids[-1] == event_id, SOON_S, f"the client has {event_id}")


def test_stream_outlives_a_damaged_store(system: System) -> None:
    """While the store is built anew three times under an open stream and updates flow, the stream does not end, sends
    no version twice and none that is older, leaves out only what was written meanwhile, and ends on the latest.
    """
    worker = Transactions(system.topics.bootstrap, system.topics.prefix)
    name = system.topics.name(SESSION_UPDATED)
    stop, versions = threading.Event(), itertools.count(2)
    written = [1]

    def write() -> None:
        while not stop.is_set():
            batch = [
                Update(id=session_id(1), version=next(versions), state=SessionState.ACTIVE_REGULAR) for _ in range(3)
            ]
            worker.write([update.outgoing(name, system.home) for update in batch])
            written[0] = batch[-1].version
            stop.wait(0.01)

    system.policy()
    system.write(Update(id=session_id(1), state=SessionState.UPCOMING))
    wait_until(lambda: system.current() is not None, SOON_S, "the first session")
    client, writer = Client(system), threading.Thread(target=write)
    client.start()
    writer.start()
    try:
        for _ in range(REBUILDS):
            seen = len(client.ids)
            wait_until(lambda n=seen: len(client.ids) > n + 10, SOON_S, "updates flow")  # type: ignore[misc]
            system.break_store()
        seen = len(client.ids)
        wait_until(lambda: len(client.ids) > seen + 10, SOON_S, "updates flow again")
    finally:
        stop.set()
        writer.join()
    client.until_last(f"{session_id(1)}:{written[0]}")
    client.stop()
    system.write(Update(id=session_id(1), version=written[0] + 1, state=SessionState.ACTIVE_REGULAR))
    client.join(SOON_S)
    assert (client.streams, client.ends) == (1, [])
    got = [int(one.rpartition(":")[2]) for one in client.ids]
    steps = [later - earlier for earlier, later in itertools.pairwise(got)]
    assert min(steps) == 1
    assert sum(step > 1 for step in steps) <= REBUILDS


@pytest.mark.parametrize("number", [1, 2], ids=["the same session again", "another session"])
def test_client_comes_to_the_new_topic(system: System, number: int) -> None:
    """Where the topics are made anew under an open stream, its client, coming again if it is sent away, has the new
    topic's session in the end, also where that has the old one's id and a lower version, and nothing of the old one
    after that.
    """
    system.policy()
    system.write(Update(id=session_id(1), version=5, state=SessionState.ACTIVE_REGULAR))
    wait_until(lambda: system.current() is not None, SOON_S, "the first session")
    client = Client(system)
    client.start()
    try:
        client.until_last(f"{session_id(1)}:5")
        delete_topics(system.topics.bootstrap, system.topics.prefix)
        ensure_topics(system.topics.settings())
        system.policy()
        system.write(Update(id=session_id(number), state=SessionState.UPCOMING))
        client.until_last(f"{session_id(number)}:1")
    finally:
        client.stop()
        system.write(Update(id=session_id(number), version=2, state=SessionState.ACTIVE_REGULAR))
        client.join(SOON_S)
    assert client.ids == [f"{session_id(1)}:5", f"{session_id(number)}:1", f"{session_id(number)}:2"]
    assert set(client.ends) <= {'{"reason":"policy-gone"}'}
