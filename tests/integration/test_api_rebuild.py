"""The store against every way of losing it: killed at any moment, of another layout, behind the log, half rebuilt."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from api.view.keys import LAYOUT_VERSION, meta_key
from api.view.rocksdb import RocksStore
from models.session import SessionState
from models.topics import SESSION_UPDATED
from runtime.partitions import partition_of
from tests.support.api_process import READY_S, ROOT, Api, Transactions, client_of, dump, running_api
from tests.support.command import flex
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

# `make chaos` asks for more.
KILLS = int(os.environ.get("CHAOS_API_KILLS", "6"))
VEHICLES = 7


class Writer(threading.Thread):
    """A worker's output for some vehicles, until told to stop: sessions that are updated, settled, superseded and
    erased, in transactions of which every fifth is aborted. Each vehicle's records are on its own partition.
    """

    def __init__(self, topics: Topics) -> None:
        super().__init__()
        self._topics = topics
        self._name = topics.name(SESSION_UPDATED)
        self._dice = random.Random(3)
        self._stopping = threading.Event()
        # Per vehicle: the number of its current session, and the version that was last committed.
        self._current = {vehicle: (vehicle, 0) for vehicle in range(VEHICLES)}
        self.written = 0

    def run(self) -> None:
        worker = Transactions(self._topics.bootstrap, self._topics.prefix)
        while not self._stopping.is_set():
            is_kept = self._dice.random() < 0.8
            after = dict(self._current)
            batch = [one for _ in range(20) for one in self._next(after)]
            worker.write(batch, commit=is_kept)
            if is_kept:
                self._current = after
            self.written += 1

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _next(self, current: dict[int, tuple[int, int]]) -> Iterator[Outgoing]:
        vehicle = self._dice.randrange(VEHICLES)
        number, version = current[vehicle]
        home = partition_of(f"v{vehicle}", self._topics.partitions)
        is_settled = version > 1 and self._dice.random() < 0.3
        update = Update(
            id=session_id(number),
            version=version + 1,
            state=SessionState.SETTLED if is_settled else SessionState.ACTIVE_REGULAR,
            # Now and then nobody manages it, and it shares its charging event with the one before.
            policy=f"p{vehicle}" if number % 5 else None,
            vehicle=f"v{vehicle}",
            user=f"u{vehicle % 3}",
            event=f"event-{vehicle}-{number // (2 * VEHICLES)}",
            energy_kwh=version,
            in_h=number / 100,
            out_h=number / 100 + 1,
        )
        yield update.outgoing(self._name, home)
        current[vehicle] = (number + VEHICLES, 0) if is_settled else (number, version + 1)
        if is_settled and self._dice.random() < 0.2:
            erased = session_id(max(vehicle, number - 3 * VEHICLES))
            yield Outgoing(topic=self._name, key=erased, value=None, partition=home)


@contextmanager
def writing(topics: Topics) -> Iterator[Writer]:
    writer = Writer(topics)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def caught_up(env: dict[str, str], folder: Path) -> list[str]:
    """Every session in the list of an API that was started, read to the end, and stopped."""
    with running_api(env, folder) as api:
        wait_until(lambda: api.metric("flex_api_lag_records") == 0, READY_S, "no lag")
        return api.ids({"pageSize": 100})


def test_killed_at_any_moment(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Killed again and again while updates flow, committed ones and aborted ones, the API comes back, catches up, and
    its store equals one built from scratch, byte for byte: no update lost, none applied twice.
    """
    dice = random.Random(5)
    with writing(topics) as writer:
        for kill in range(KILLS):
            with flex("api", env=flex_env, folder=tmp_path) as running, client_of(flex_env) as client:
                if kill % 2:
                    wait_until(Api(running, client).is_ready, READY_S, "the API is ready")
                else:  # somewhere in its first catch-up
                    running.wait_for("listening")
                until_s = time.monotonic() + dice.uniform(0, 1)
                wait_until(lambda until_s=until_s: time.monotonic() >= until_s, READY_S, "the moment")  # type: ignore[misc]
                assert running.end(signal.SIGKILL) == -signal.SIGKILL
        assert writer.written > 5
    found = caught_up(flex_env, tmp_path)
    scratch = tmp_path / "scratch"
    assert found == caught_up(flex_env | {"FLEX_STATE_DIR": str(scratch)}, tmp_path)
    assert found
    assert dump(Path(flex_env["FLEX_STATE_DIR"])) == dump(scratch)


def sessions(count: int, first: int = 0) -> list[Update]:
    return [Update(id=session_id(first + number), in_h=number / 10, out_h=9_999) for number in range(count)]


def write(topics: Topics, updates: list[Update]) -> None:
    produce(topics.bootstrap, [one.outgoing(topics.name(SESSION_UPDATED), 0) for one in updates])


def store_folder(env: dict[str, str]) -> Path:
    api = Path(env["FLEX_STATE_DIR"]) / "api"
    return api / (api / "CURRENT").read_text().strip()


def rebuilds(api: Api) -> float:
    return api.metric("flex_api_view_rebuilds_total")


def test_another_layout(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A store of an older layout is not read but replaced."""
    write(topics, sessions(30))
    with running_api(flex_env, tmp_path) as api:
        expected = api.ids()
    store = RocksStore(store_folder(flex_env))
    origin = msgspec.msgpack.decode(store.get(meta_key("origin")) or b"")
    assert origin["layout"] == LAYOUT_VERSION
    store.write({meta_key("origin"): msgspec.msgpack.encode(origin | {"layout": LAYOUT_VERSION - 1})})
    store.close()
    former = store_folder(flex_env)
    with running_api(flex_env, tmp_path) as api:
        assert (rebuilds(api), api.ids()) == (1, expected)
    assert not former.exists()


def test_offset_no_longer_in_the_log(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """A store whose next offset was removed from the log is rebuilt from what the log has: nothing that is no longer
    there is served.
    """
    write(topics, sessions(30))
    with running_api(flex_env, tmp_path) as api:
        assert len(api.ids()) == 30
    write(topics, sessions(40, first=100))
    name = topics.name(SESSION_UPDATED)
    admin = AdminClient({"bootstrap.servers": topics.bootstrap})
    # A broker removes records of a compacted topic by compaction alone, in its own time.
    policy = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[policy])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(READY_S)
    removed = TopicPartition(name, 0, 50)
    for future in admin.delete_records([removed]).values():
        future.result(READY_S)
    with running_api(flex_env, tmp_path) as api:
        assert rebuilds(api) == 1
        assert set(api.ids()) == {session_id(number) for number in range(120, 140)}


def test_died_in_a_rebuild(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """What an unfinished rebuild left behind is neither served nor kept, and the store in use stays the one in use."""
    write(topics, sessions(30))
    with running_api(flex_env, tmp_path) as api:
        expected = api.ids()
    used = store_folder(flex_env)
    half = used.parent / "store-of-a-rebuild-that-died"
    shutil.copytree(used, half)
    (used.parent / "CURRENT.new").write_text(half.name)
    with running_api(flex_env, tmp_path) as api:
        assert (rebuilds(api), api.ids()) == (0, expected)
    assert store_folder(flex_env) == used
    assert not half.exists()


def test_two_sidecars_while_updates_flow(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Two APIs that read the same log, one of them killed and started again meanwhile, end with the same rows and give
    the same bytes.
    """
    other_env = flex_env | {"FLEX_STATE_DIR": str(tmp_path / "other")}
    with writing(topics) as writer:
        with running_api(flex_env, tmp_path):
            wait_until(lambda: writer.written > 10, READY_S, "some updates")
        with flex("api", env=other_env, folder=tmp_path) as running:
            running.wait_for("listening")
            assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert caught_up(flex_env, tmp_path) == caught_up(other_env, tmp_path)
    assert dump(Path(flex_env["FLEX_STATE_DIR"])) == dump(tmp_path / "other")
    answers = []
    for env in (flex_env, other_env):
        with running_api(env, tmp_path) as api:
            answers.append(
                [api.get(f"{ROOT}/sessions", params={"pageSize": 100}).content, api.get(f"{ROOT}/sessions.csv").content]
            )
    assert answers[0] == answers[1]
