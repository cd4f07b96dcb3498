"""The event stream of a policy's session over HTTP: order, reconnects, and every way in which it ends."""

import itertools
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import ROOT, Api, Transactions, running_api, unread
from tests.support.api_tokens import authorization
from tests.support.event_stream import Event, opened
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 15
PATH = f"{ROOT}/p1/session/events"
UPCOMING, ACTIVE, SETTLED = SessionState.UPCOMING, SessionState.ACTIVE_REGULAR, SessionState.SETTLED


class System:
    """One API on topics of its own, and hands to write to them."""

    def __init__(self, topics: Topics, api: Api) -> None:
        self.topics = topics
        self.api = api
        self.home = partition_of("v1", topics.partitions)

    def write(self, *updates: Update) -> None:
        name = self.topics.name(SESSION_UPDATED)
        produce(self.topics.bootstrap, [update.outgoing(name, self.home) for update in updates])

    def erase(self, update: Update) -> None:
        name = self.topics.name(SESSION_UPDATED)
        produce(self.topics.bootstrap, [Outgoing(topic=name, key=update.id, value=None, partition=self.home)])

    def policy(self, *, enabled: bool = True) -> None:
        name = self.topics.name(VEHICLE_POLICIES)
        value = policy_value("p1", enabled=enabled)
        produce(self.topics.bootstrap, [Outgoing(topic=name, key="p1", value=value, partition=self.home)])

    def until_current(self, update: Update) -> None:
        wait_until(lambda: self.api.get(f"{ROOT}/p1/session").content == update.body, SOON_S, f"{update.id} is current")


@pytest.fixture
def system(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> Iterator[System]:
    env = flex_env | {"FLEX_STREAM_HEARTBEAT_S": "0.3", "FLEX_AUTH_LEEWAY_S": "0"}
    with running_api(env, tmp_path) as api:
        yield System(topics, api)


def event_of(update: Update) -> Event:
    return Event("flex:session:updated", f"{update.id}:{update.version}", update.body.decode())


def end(reason: str) -> Event:
    return Event("end", "", f'{{"reason":"{reason}"}}')


def test_current_then_every_update(system: System) -> None:
    """The current session first, then every version in order, through SETTLED to the next UPCOMING, byte for byte; the
    id of each is its `ce_id`; while nothing happens the stream says that it is alive.
    """
    first = Update(id=session_id(1), state=UPCOMING)
    system.policy()
    system.write(first)
    system.until_current(first)
    rest = [
        *(Update(id=session_id(1), version=version, state=ACTIVE, energy_kwh=version) for version in range(2, 40)),
        Update(id=session_id(1), version=40, state=SETTLED),
        Update(id=session_id(2), state=UPCOMING),
        Update(id=session_id(2), version=2, state=ACTIVE),
    ]
    with opened(system.api) as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.next() == event_of(first)
        assert stream.retry_ms is not None
        system.write(*rest[:20])
        assert [stream.next() for _ in rest[:20]] == [event_of(update) for update in rest[:20]]
        time_before = time.monotonic()
        wait_until(lambda: time.monotonic() > time_before + 1, SOON_S, "some silence")
        system.write(*rest[20:])
        assert [stream.next() for _ in rest[20:]] == [event_of(update) for update in rest[20:]]
        assert stream.comments >= 2


def test_reconnect_sends_what_differs(system: System) -> None:
    """With the id of the current version nothing is sent again; with an older one the current session; so too with one
    of an erased session, and with a version that the whole log does not have.
    """
    now = Update(id=session_id(2), version=5, state=ACTIVE)
    erased = Update(id=session_id(3), state=UPCOMING, policy="p9")
    system.policy()
    system.write(Update(id=session_id(1), version=3), now, erased)
    system.until_current(now)
    following = Update(id=session_id(2), version=6, state=ACTIVE)
    with (
        opened(system.api, last_id=f"{now.id}:5") as same,
        opened(system.api, last_id=f"{now.id}:4") as older,
        opened(system.api, last_id=f"{session_id(1)}:3") as former,
        opened(system.api, last_id=f"{now.id}:6") as ahead,
        opened(system.api, last_id=f"{session_id(99)}:1") as unknown,
        opened(system.api, last_id=f"{erased.id}:1") as foreign,
    ):
        for stream in (older, former, ahead, unknown, foreign):
            assert stream.next() == event_of(now)
        system.write(following, Update(id=now.id, version=7, state=ACTIVE))
        for stream in (same, older, former, ahead, unknown, foreign):
            assert stream.next() == event_of(following)
            assert stream.next().id == f"{now.id}:7"


def test_fifty_reconnects_between_two_sidecars(
    system: System, topics: Topics, flex_env: dict[str, str], tmp_path: Path
) -> None:
    """A client that reconnects 50 times, now to this sidecar and now to another, while sessions come and go, is sent no
    version twice and none that is older than what it has, and ends on the latest.
    """
    other_env = flex_env | {"FLEX_STATE_DIR": str(tmp_path / "other"), "FLEX_API_PORT": str(free_port())}
    dice = random.Random(7)
    writer_dice = random.Random(8)
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        worker = Transactions(topics.bootstrap, topics.prefix)
        name = topics.name(SESSION_UPDATED)
        number, version = 0, 1
        while not stop.is_set():
            batch = []
            for _ in range(writer_dice.randint(1, 5)):
                state = SETTLED if version > 1 and writer_dice.random() < 0.2 else ACTIVE
                batch.append(Update(id=session_id(number), version=version, state=state, in_h=number, out_h=number + 1))
                number, version = (number + 1, 1) if state is SETTLED else (number, version + 1)
            if batch[-1].state is SETTLED:
                # As the worker does: what follows a settled session is in the same transaction.
                batch.append(Update(id=session_id(number), version=1, state=UPCOMING))
                version = 2
            worker.write([update.outgoing(name, system.home) for update in batch])
            written.extend(f"{update.id}:{update.version}" for update in batch)

    system.policy()
    with running_api(other_env, tmp_path) as other:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            got: list[str] = []
            for _ in range(50):
                api = dice.choice([system.api, other])
                with opened(api, last_id=got[-1] if got else "") as stream:
                    got += [event.id for event in itertools.islice(stream, dice.randint(1, 12))]
        finally:
            stop.set()
            writer.join()
        if got[-1] != written[-1]:
            with opened(other, last_id=got[-1]) as stream:
                for event in stream:
                    got.append(event.id)
                    if event.id == written[-1]:
                        break
    places = {one: place for place, one in enumerate(written)}
    walked = [places[one] for one in got]
    assert walked == sorted(set(walked))
    assert walked[-1] == len(written) - 1
    assert len(got) > 150


def test_ends_with_its_token(system: System) -> None:
    """When its token expires the stream says so and ends."""
    system.policy()
    system.write(Update(id=session_id(1), state=UPCOMING))
    system.until_current(Update(id=session_id(1), state=UPCOMING))
    began = time.monotonic()
    with opened(system.api, exp=int(time.time()) + 3) as stream:
        events = list(stream)
    assert events[-1] == end("token-expired")
    assert 1.5 < time.monotonic() - began < 5


def test_ends_with_its_policy(system: System) -> None:
    """A policy that is disabled ends its streams, with its session settled or erased; then 404."""
    upcoming = Update(id=session_id(1), state=UPCOMING)
    system.policy()
    system.write(upcoming)
    system.until_current(upcoming)
    with opened(system.api) as stream:
        assert stream.next() == event_of(upcoming)
        system.policy(enabled=False)
        settled = Update(id=session_id(1), version=2, state=SETTLED)
        system.write(settled)
        assert list(stream) == [event_of(settled), end("policy-gone")]
    assert system.api.get(PATH).status_code == 404
    system.policy()
    following = Update(id=session_id(2), state=UPCOMING)
    system.write(following)
    system.until_current(following)
    with opened(system.api) as stream:
        assert stream.next() == event_of(following)
        system.policy(enabled=False)
        system.erase(following)
        gone = Event("flex:session:erased", "", f'{{"id":"{following.id}"}}')
        assert list(stream) == [gone, end("policy-gone")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_with_the_process(system: System, number: int) -> None:
    """A stop ends every stream with a word, and the process in time."""
    system.policy()
    system.write(Update(id=session_id(1), state=UPCOMING))
    system.until_current(Update(id=session_id(1), state=UPCOMING))
    with opened(system.api) as one, opened(system.api) as other:
        assert one.next().id == other.next().id
        began = time.monotonic()
        assert system.api.running.end(number) == 0
        assert time.monotonic() - began < 5
        assert [list(one), list(other)] == [[end("stopping")]] * 2
    assert "Traceback" not in system.api.running.stderr


def test_slow_client_is_dropped(system: System) -> None:
    """A client that takes nothing is dropped once its buffer is full, which the metrics say; another one beside it gets
    every update, and memory stays bounded.
    """
    system.policy()
    first = Update(id=session_id(1), state=ACTIVE)
    system.write(first)
    system.until_current(first)
    with unread(system.api, PATH), opened(system.api, timeout_s=30) as stream:
        assert stream.next() == event_of(first)
        wait_until(lambda: system.api.metric("flex_api_streams_open", kind="events") == 2, SOON_S, "both streams")
        # Some megabytes lie in the sockets between the two before any of it is felt.
        for version in itertools.count(2, 1_000):
            assert version < 50_000
            updates = [Update(id=first.id, version=version + step, state=ACTIVE) for step in range(1_000)]
            system.write(*updates)
            assert [stream.next().id for _ in updates] == [f"{one.id}:{one.version}" for one in updates]
            if system.api.metric("flex_api_streams_ended_total", reason="too-slow") == 1:
                break
        assert system.api.metric("flex_api_streams_open", kind="events") == 1


def test_limit_of_streams(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Beyond the configured number of streams a client is told to come back; a place that is left is free again."""
    with running_api(flex_env | {"FLEX_STREAM_CLIENTS": "1"}, tmp_path) as api:
        system = System(topics, api)
        system.policy()
        system.write(Update(id=session_id(1), state=UPCOMING))
        system.until_current(Update(id=session_id(1), state=UPCOMING))
        with opened(api) as stream:
            assert stream.next().id
            refused = api.get(PATH)
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
        wait_until(lambda: api.metric("flex_api_streams_open", kind="events") == 0, SOON_S, "the place is free")
        with opened(api) as stream:
            assert stream.next().id


@pytest.mark.parametrize("last_id", ["x", f"{session_id(1)}", f"{session_id(1)}:0", f"{session_id(10).upper()}:1"])
def test_bad_last_event_id(system: System, last_id: str) -> None:
    """A Last-Event-ID that no stream of ours ever sent is a 400 that names it."""
    system.policy()
    wait_until(lambda: system.api.metric("flex_api_lag_records") == 0, SOON_S, "no lag")
    answer = system.api.client.get(PATH, headers=authorization() | {"Last-Event-ID": last_id}, timeout=2)
    assert answer.status_code == 400
    assert answer.json()["issues"][0]["parameter"] == "Last-Event-ID"
