"""The store against every way of losing it: killed at any moment, of another layout, behind the log, half rebuilt."""

import os
import shutil
import signal
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from api.view.keys import LAYOUT_VERSION, meta_key
from api.view.rocksdb import RocksStore
from models.topics import SESSION_UPDATED
from tests.support.api_process import READY_S, ROOT, Api, dump, running_api
from tests.support.chaos.api import caught_up, kill_api, writing
from tests.support.command import flex
from tests.support.records import produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

# `make chaos` asks for more.
KILLS = int(os.environ.get("CHAOS_API_KILLS", "6"))


def test_killed_at_any_moment(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Killed again and again while updates flow, committed ones and aborted ones, the API comes back, catches up, and
    its store equals one built from scratch, byte for byte: no update lost, none applied twice.
    """
    outcome = kill_api(topics, flex_env, tmp_path, KILLS, seed=5)
    assert outcome.findings == []
    assert outcome.records > 100


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

    def is_removed() -> bool:
        """The broker refuses until it has taken up the topic's new clean-up."""
        (future,) = admin.delete_records([TopicPartition(name, 0, 50)]).values()
        return future.exception(READY_S) is None

    wait_until(is_removed, READY_S, "the records are removed")
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
