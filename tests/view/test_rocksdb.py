"""The real store: order, atomic writes, what survives, and what is noticed when files are broken."""

import re
import threading
from pathlib import Path

import pytest

from api.view.rocksdb import RocksStore
from api.view.store import StoreDamagedError


def filter_policies(folder: Path) -> list[str]:
    """What the newest options file says of filters."""
    newest = max(folder.glob("OPTIONS-*"), key=lambda path: int(path.name.split("-")[1]))
    return re.findall(r"filter_policy=(\w+)", newest.read_text())


def test_scan_bounds_and_order(tmp_path: Path) -> None:
    """A scan gives lower <= key < upper, in either direction."""
    store = RocksStore(tmp_path / "s")
    store.write({key: key for key in (b"a", b"b", b"c", b"d")})
    assert [key for key, _ in store.scan(b"b", b"d", backwards=False)] == [b"b", b"c"]
    assert [key for key, _ in store.scan(b"b", b"d", backwards=True)] == [b"c", b"b"]
    assert [key for key, _ in store.scan(b"", b"zz", backwards=True)] == [b"d", b"c", b"b", b"a"]
    assert list(store.scan(b"x", b"b", backwards=True)) == []
    store.close()


def test_writes_survive_and_deletes_too(tmp_path: Path) -> None:
    """What was written is there when the store is opened again, what was deleted is not."""
    store = RocksStore(tmp_path / "s")
    store.write({b"a": b"1", b"b": b"2"})
    store.write({b"a": None, b"c": b"3"})
    store.close()
    store = RocksStore(tmp_path / "s")
    assert [store.get(key) for key in (b"a", b"b", b"c")] == [None, b"2", b"3"]
    store.close()


def test_options_survive_reopening(tmp_path: Path) -> None:
    """Bloom filters are on after the first opening and after every later one."""
    for _ in range(2):
        RocksStore(tmp_path / "s").close()
        assert filter_policies(tmp_path / "s") == ["bloomfilter"]


def test_closed_store(tmp_path: Path) -> None:
    """A closed store says so with the error that its readers expect."""
    store = RocksStore(tmp_path / "s")
    store.close()
    with pytest.raises(StoreDamagedError):
        store.get(b"a")
    with pytest.raises(StoreDamagedError):
        store.write({b"a": b"1"})
    with pytest.raises(StoreDamagedError):
        list(store.scan(b"a", b"b", backwards=False))


@pytest.mark.parametrize("pattern", ["MANIFEST-*", "CURRENT"])
def test_broken_files_are_damage(tmp_path: Path, pattern: str) -> None:
    """A store whose book-keeping files hold rubbish cannot be opened, and says that it is damaged."""
    folder = tmp_path / "s"
    store = RocksStore(folder)
    store.write({b"a": b"1"})
    store.close()
    for path in folder.glob(pattern):
        path.write_bytes(b"\xff" * 50)
    with pytest.raises(StoreDamagedError):
        RocksStore(folder)


def test_closing_twice(tmp_path: Path) -> None:
    """Closing a closed store is no fault."""
    store = RocksStore(tmp_path / "s")
    store.close()
    store.close()


def test_closing_waits_for_a_read_that_is_under_way(tmp_path: Path) -> None:
    """Who closes a store is not refused because another thread reads from it at that moment."""
    keys = [b"%06d" % number for number in range(100_000)]
    store = RocksStore(tmp_path / "s")
    store.write(dict.fromkeys(keys, b"x" * 100))
    reading, read = threading.Event(), list[int]()

    def read_all() -> None:
        reading.set()
        read.append(len(store.get_all(keys)))

    reader = threading.Thread(target=read_all, daemon=True)
    reader.start()
    reading.wait(10)
    store.close()
    reader.join(10)
    assert read == [len(keys)]
