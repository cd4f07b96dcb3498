"""The thread that keeps the view, on a real broker: what it does when something breaks while it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.metrics import Metrics
from api.view import following
from api.view.consumer import ViewConsumer
from api.view.directory import ViewDirectory
from api.view.log import SessionLog
from api.view.view import View, ViewNotReadyError
from local.topics import ensure_topics
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.clock import utc_now
from tests.support.records import produce
from tests.support.system import Topics, delete_topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SOON_S = 20
FIRST, SECOND = Update(id=session_id(1)), Update(id=session_id(2))


@pytest.fixture
def view(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[View]:
    """A view that is kept, with a quick heartbeat."""
    monkeypatch.setattr(following, "_HEARTBEAT_S", 0.3)
    made, directory = View(), ViewDirectory(tmp_path)
    log = SessionLog(topics.bootstrap, topics.name(SESSION_UPDATED), topics.name(VEHICLE_POLICIES), utc_now)
    consumer = ViewConsumer(made, directory, log, Metrics())
    produce(topics.bootstrap, [FIRST.outgoing(topics.name(SESSION_UPDATED))])
    consumer.start()
    wait_until(lambda: body(made, FIRST) == FIRST.body, SOON_S, "the first session")
    yield made
    consumer.stop()
    directory.close()


def body(view: View, update: Update) -> bytes | None:
    try:
        head = view.head(update.id)
        return None if head is None else view.body(head)
    except ViewNotReadyError:
        return b"not ready"


def test_topic_created_anew_while_running(view: View, topics: Topics) -> None:
    """A topic that is deleted and made again under a running API is noticed: the view is rebuilt from the new one."""
    delete_topics(topics.bootstrap, topics.prefix)
    ensure_topics(topics.settings())
    produce(topics.bootstrap, [SECOND.outgoing(topics.name(SESSION_UPDATED))])
    wait_until(lambda: body(view, SECOND) == SECOND.body, SOON_S, "the new topic's session")
    assert body(view, FIRST) is None


def test_damage_while_running(view: View, tmp_path: Path) -> None:
    """A store that breaks under a request is withdrawn, and another is built beside it."""
    former = _Peek(tmp_path).current()
    view.ready().close()
    assert body(view, FIRST) == b"not ready"
    wait_until(lambda: _Peek(tmp_path).current() != former, SOON_S, "another store")
    wait_until(lambda: body(view, FIRST) == FIRST.body, SOON_S, "the session again")


def test_quiet_topics_keep_a_store_young(view: View) -> None:
    """Where nothing is written the store is still noted as complete, later and later: age counts from the last look,
    not from the last record.
    """
    store = view.ready()
    noted = store.get(b"mcomplete-at-us")
    assert noted is not None
    wait_until(lambda: int(store.get(b"mcomplete-at-us") or 0) > int(noted), SOON_S, "a later note")


class _Peek(ViewDirectory):
    """Reads what is in use without taking the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
