"""The real store: order, atomic writes, what survives, and what is noticed when files are broken."""

import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.view.rocksdb import RocksStore
from api.view.store import StoreDamagedError
from tests.support.memory_store import MemoryStore
from tests.support.waiting import wait_until


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


KEYS = st.binary(min_size=1, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=40), KEYS, KEYS, st.booleans())
def test_scan_is_that_of_a_sorted_list(
    tmp_path: Path, changes: list[tuple[bytes, bool]], lower: bytes, upper: bytes, backwards: bool
) -> None:
    """After whatever was put and deleted, a scan shows what a sorted list holds between the bounds."""
    plain = MemoryStore()
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        store = RocksStore(Path(folder))
        for key, is_put in changes:
            for each in (store, plain):
                each.write({key: key if is_put else None})
        assert list(store.scan(lower, upper, backwards=backwards)) == list(
            plain.scan(lower, upper, backwards=backwards)
        )
        store.close()


def test_a_scan_that_is_left_lets_go(tmp_path: Path) -> None:
    """A scan that nobody reads to its end holds nothing of the store, which closes at once."""
    store = RocksStore(tmp_path / "s")
    store.write({b"%06d" % number: b"x" for number in range(100)})
    assert next(store.scan(b"0", b"1", backwards=True)) == (b"000099", b"x")
    store.close()


def filled(folder: Path, keys: list[bytes]) -> RocksStore:
    """A store where keys were put, then deleted, with one more key on either side of them."""
    store = RocksStore(folder)
    store.write(dict.fromkeys([b"a", *keys, b"z"], b"x"))
    for start in range(0, len(keys), 5_000):
        store.write(dict.fromkeys(keys[start : start + 5_000]))
    return store


def least_s(scan: Callable[[], Iterator[object]]) -> float:
    """Seconds of the quickest of five scans."""
    seconds = []
    for _ in range(5):
        begun_s = perf_counter()
        list(scan())
        seconds.append(perf_counter() - begun_s)
    return min(seconds)


def test_a_scan_pays_nothing_for_what_was_deleted_beside_it(tmp_path: Path) -> None:
    """A scan beside deleted entries that are not merged away yet costs little of what going through them would."""
    keys = [b"d%06d" % number for number in range(15_000)]
    store = filled(tmp_path / "s", keys)
    through_s = least_s(partial(store.scan, b"b", b"e", backwards=False))
    for bounds in ((b"b", b"c"), (b"e", b"f"), (b"a", b"b"), (b"z", b"zz")):
        for backwards in (False, True):
            assert least_s(partial(store.scan, *bounds, backwards=backwards)) < through_s / 5
    store.close()


def test_deletions_are_merged_away(tmp_path: Path) -> None:
    """Where many entries were deleted, their deletions are gone soon, though nothing else is written."""
    keys = [b"d%06d" % number for number in range(60_000)]
    store = filled(tmp_path / "s", keys)

    def deletions() -> int:
        in_files = store._db.property_value("rocksdb.aggregated-table-properties")
        found = re.search(r"# deletions=(\d+)", in_files)
        assert found is not None
        return int(found[1]) + store._db.property_int_value("rocksdb.num-deletes-active-mem-table")

    wait_until(lambda: deletions() < 25_000, timeout_s=20, what="most deletions are merged away")
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
