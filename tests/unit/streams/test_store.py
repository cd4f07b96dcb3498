"""A partition's store: what is written together is there together, and damage is told from a disk that refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.errors import WorkerError
from streams.store import Store, StoreDamagedError, remove_store


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """Values, the position and when it was written come back; a null value removes its key."""
    store = Store(tmp_path / "s")
    assert (store.position(), store.generation(), list(store.with_prefix(b"v"))) == (None, None, [])
    store.set_generation(b"g-1")
    store.write([(b"va", b"1"), (b"vb", b"2"), (b"w", b"3")], position=7, wall_ms=1_000)
    store.write([(b"va", None), (b"vc", b"4")], position=9, wall_ms=2_000)
    store.close()
    store = Store(tmp_path / "s")
    assert (store.position(), store.generation()) == ((9, 2_000), b"g-1")
    assert list(store.with_prefix(b"v")) == [(b"vb", b"2"), (b"vc", b"4")]
    assert (store.get(b"va"), store.get(b"w")) == (None, b"3")
    store.close()
    store.close()


def garble(path: Path) -> None:
    path.write_bytes(b"\xff" * 64)


@pytest.mark.parametrize("how", [garble, Path.unlink], ids=["garbled", "removed"])
@pytest.mark.parametrize("files", ["MANIFEST-*", "CURRENT", "*.sst"])
def test_damage_is_told(tmp_path: Path, files: str, how: Callable[[Path], None]) -> None:
    """A store whose files are broken or missing says so when it is opened or read, and can be removed and made anew."""
    folder = tmp_path / "s"
    store = Store(folder)
    store.write([(b"va", b"1")], position=1, wall_ms=0)
    store._db.flush()
    store.close()
    broken = list(folder.glob(files))
    assert broken
    for path in broken:
        how(path)
    with pytest.raises(StoreDamagedError):  # noqa: PT012  # either of the two may find it
        store = Store(folder)
        store.get(b"va")
    store.close()
    remove_store(folder)
    store = Store(folder)
    assert store.get(b"va") is None
    store.close()


def test_a_position_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    """A position of another shape is not taken for one."""
    store = Store(tmp_path / "s")
    store.write([(b"\x00position", b"short")], position=1, wall_ms=0)
    assert store.position() == (1, 0)
    store._db.put(b"\x00position", b"short")
    with pytest.raises(StoreDamagedError, match="position"):
        store.position()
    store.close()


def test_a_folder_that_cannot_be_made_is_the_operators_matter(tmp_path: Path) -> None:
    """Where a file is in the way, it is no damage that a rebuild would mend, but a fault that is told in one line."""
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    with pytest.raises(WorkerError, match="cannot keep state in"):
        Store(tmp_path / "file" / "a" / "b")


def test_one_process_has_it_open(tmp_path: Path) -> None:
    """Opened twice, the second is refused, and the store is not taken for damaged: it must not be removed."""
    store = Store(tmp_path / "s")
    with pytest.raises(WorkerError, match="cannot keep state in"):
        Store(tmp_path / "s")
    store.close()
