"""When a store may be taken up again, and how one takes another's place."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from api.view import meta
from api.view.directory import DirectoryInUseError, ViewDirectory
from api.view.meta import LogBounds, Origin, complete_changes, offset_changes, origin_changes, reason_to_rebuild
from tests.support.memory_store import MemoryStore
from tests.support.updates import START

PARTITION = ("updates", 0)
LOG = LogBounds(at=START, topic_ids={"updates": "id-1"}, first={PARTITION: 10}, end={PARTITION: 20})


def store(**changes: object) -> MemoryStore:
    """A good store with one thing changed."""
    made = MemoryStore()
    said = {"topic_ids": LOG.topic_ids, "offsets": {PARTITION: 15}, "complete": START} | changes
    made.write(
        origin_changes(said["topic_ids"])  # type: ignore[arg-type]
        | offset_changes(said["offsets"])  # type: ignore[arg-type]
        | complete_changes(said["complete"])  # type: ignore[arg-type]
    )
    return made


@pytest.mark.parametrize("offset", [10, 20])
def test_a_good_store_is_taken_up(offset: int) -> None:
    """A store of this layout, these topics, recently complete, with offsets inside the log, needs no rebuild."""
    assert reason_to_rebuild(store(offsets={PARTITION: offset}), LOG) is None
    assert reason_to_rebuild(store(complete=START - timedelta(days=6)), LOG) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"offsets": {PARTITION: 9}}, "outside the log"),
        ({"offsets": {PARTITION: 21}}, "outside the log"),
        ({"offsets": {}}, "outside the log"),
        ({"complete": START - timedelta(days=6, seconds=1)}, "6 d"),
        ({"topic_ids": {"updates": "id-2"}}, "anew"),
    ],
)
def test_reasons_to_rebuild(changes: dict[str, object], reason: str) -> None:
    """Each way in which a store no longer fits its topics is a reason."""
    found = reason_to_rebuild(store(**changes), LOG)
    assert found is not None
    assert reason in found


def test_empty_foreign_and_older_stores() -> None:
    """A store that is empty, that holds rubbish, or that is of another layout is rebuilt."""
    assert reason_to_rebuild(MemoryStore(), LOG) == "the store is empty"
    for origin in (b"\xff", msgspec.msgpack.encode(Origin(0, LOG.topic_ids))):
        changed = store()
        changed.write({meta._ORIGIN: origin})
        assert reason_to_rebuild(changed, LOG) is not None


def test_a_batch_that_was_written_does_not_make_a_store_complete() -> None:
    """A store that never was complete is rebuilt, however new its offsets are."""
    fresh = MemoryStore()
    fresh.write(origin_changes(LOG.topic_ids) | offset_changes({PARTITION: 15}))
    assert reason_to_rebuild(fresh, LOG) is not None


def test_swap(tmp_path: Path) -> None:
    """A fresh store counts only once it is promoted; then the former one is gone."""
    directory = ViewDirectory(tmp_path / "api")
    assert directory.current() is None
    first, second = directory.fresh(), directory.fresh()
    first.mkdir()
    assert directory.current() is None
    directory.promote(first)
    second.mkdir()
    assert directory.current() == first
    directory.promote(second)
    assert directory.current() == second
    assert not first.exists()
    directory.close()


@pytest.mark.parametrize("content", ["", "store-of-nobody", "../outside", "\xff"])
def test_a_pointer_that_points_nowhere(tmp_path: Path, content: str) -> None:
    """A CURRENT file that names no store of this folder counts as none."""
    directory = ViewDirectory(tmp_path / "api")
    (tmp_path / "outside").mkdir()
    (tmp_path / "api" / "CURRENT").write_bytes(content.encode("latin-1"))
    assert directory.current() is None
    directory.close()


def test_one_process_per_folder(tmp_path: Path) -> None:
    """Whoever comes second is told, and may come again once the first has left."""
    first = ViewDirectory(tmp_path)
    with pytest.raises(DirectoryInUseError):
        ViewDirectory(tmp_path)
    first.close()
    ViewDirectory(tmp_path).close()
