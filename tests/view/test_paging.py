"""Pages over the real store, against a plain sorted list."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from api.view import paging
from api.view.keys import OLDEST, microseconds
from api.view.paging import Cursor, Direction, Selection, read_page
from api.view.projector import apply_erasure, apply_update
from api.view.rocksdb import RocksStore
from api.view.rows import unpack_head
from api.view.store import Draft, Store
from tests.support.memory_store import MemoryStore
from tests.support.updates import HOUR, START, Update, session_id

SESSIONS = st.builds(
    Update,
    id=st.integers(1, 10**9).map(session_id),
    policy=st.none() | st.sampled_from(["p1", "p2"]),
    vehicle=st.sampled_from(["v1", "v2"]),
    user=st.sampled_from(["u1", "u2"]),
    location=st.none() | st.sampled_from(["home", "work"]),
    in_h=st.integers(0, 6).map(float),
    out_h=st.integers(6, 9).map(float),
    represents=st.booleans(),
)
FLEETS = st.lists(SESSIONS, max_size=30, unique_by=lambda update: update.id)
HOURS_US = st.none() | st.integers(0, 9).map(lambda hours: microseconds(START + hours * HOUR))
SELECTIONS = st.builds(
    Selection,
    policy_id=st.none() | st.sampled_from(["p1", "p2", "p3"]),
    vehicle_id=st.none() | st.sampled_from(["v1", "v2"]),
    location_id=st.none() | st.sampled_from(["home", "work"]),
    user_id=st.none() | st.sampled_from(["u1", "u2"]),
    from_us=HOURS_US,
    to_us=HOURS_US,
)


@pytest.fixture(scope="module")
def folders() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def add(store: Store, sessions: list[Update]) -> None:
    draft = Draft(store)
    for update in sessions:
        apply_update(draft, *update.read())
    store.write(draft.changes)


def expected(sessions: list[Update], wanted: Selection) -> list[bytes]:
    """The list as SPEC 4 words it, by brute force."""

    def stands(update: Update) -> bool:
        is_filtered = wanted.vehicle_id is not None or wanted.location_id is not None
        return (
            wanted.policy_id in (None, update.policy)
            and wanted.vehicle_id in (None, update.vehicle)
            and wanted.location_id in (None, update.location)
            and wanted.user_id in (None, update.user)
            and (update.represents or not is_filtered)
            and (wanted.from_us is None or microseconds(START + update.in_h * HOUR) >= wanted.from_us)
            and (wanted.to_us is None or microseconds(START + update.out_h * HOUR) <= wanted.to_us)
        )

    rows = sorted(filter(stands, sessions), key=lambda update: (update.in_h, update.id), reverse=True)
    return [update.body for update in rows]


def walk(store: RocksStore, wanted: Selection, cursor: Cursor | None, size: int) -> list[list[bytes]]:
    """All pages from a cursor on, in the direction of the walk, however many of them are short."""
    pages = []
    while True:
        page = read_page(store, wanted, cursor, size)
        assert len(page.bodies) <= size
        pages.append(page.bodies)
        direction = Direction.AFTER if cursor is None else cursor.direction
        onward = page.after if direction is Direction.AFTER else page.before
        if onward is None:
            return pages
        cursor = Cursor(direction, onward)


@settings(max_examples=150, deadline=None)
@given(FLEETS, SELECTIONS, st.integers(1, 7), st.sampled_from([3, 2_000]))
def test_pages_are_the_list(
    folders: Path, sessions: list[Update], wanted: Selection, size: int, scan_limit: int
) -> None:
    """Forward from the top and backward from the bottom, the pages put together are the list, whatever the filters,
    also where the limit on work cuts pages short.
    """
    with tempfile.TemporaryDirectory(dir=folders) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "SCAN_LIMIT_ENTRIES", scan_limit)
        store = RocksStore(Path(folder))
        try:
            add(store, sessions)
            forward = walk(store, wanted, None, size)
            assert [body for page in forward for body in page] == expected(sessions, wanted)
            bottom = Cursor(Direction.BEFORE, OLDEST)
            backward = walk(store, wanted, bottom, size)
            assert [body for page in reversed(backward) for body in page] == expected(sessions, wanted)
        finally:
            store.close()


@settings(max_examples=100, deadline=None)
@given(FLEETS, FLEETS, SELECTIONS, st.integers(1, 5), st.data())
def test_a_list_that_changes_while_read(
    folders: Path, sessions: list[Update], more: list[Update], wanted: Selection, size: int, data: st.DataObject
) -> None:
    """While sessions settle anywhere in the list and others are erased: none comes twice, and none is missing that
    was there at the first page and is there at the end.
    """
    known = {update.id for update in sessions}
    more = [update for update in more if update.id not in known]
    with tempfile.TemporaryDirectory(dir=folders) as folder:
        store = RocksStore(Path(folder))
        try:
            add(store, sessions)
            seen: list[bytes] = []
            erased: set[str] = set()
            cursor: Cursor | None = None
            pending = list(more)
            while True:
                page = read_page(store, wanted, cursor, size)
                seen += page.bodies
                if page.after is None:
                    break
                cursor = Cursor(Direction.AFTER, page.after)
                if pending:
                    add(store, [pending.pop()])
                victims = data.draw(st.lists(st.sampled_from(sessions), max_size=1))
                for victim in [update.id for update in victims]:
                    draft = Draft(store)
                    apply_erasure(draft, victim)
                    store.write(draft.changes)
                    erased.add(victim)
            lasting = [update for update in sessions if update.id not in erased]
            assert len(seen) == len(set(seen))
            assert set(expected(lasting, wanted)) <= set(seen)
        finally:
            store.close()


class SpyStore(MemoryStore):
    """Remembers whose sessions a scan has shown."""

    def __init__(self) -> None:
        super().__init__()
        self.users_met: set[str] = set()

    def scan(self, lower: bytes, upper: bytes, *, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        for key, raw in super().scan(lower, upper, backwards=backwards):
            self.users_met.add(unpack_head(raw).user_id)
            yield key, raw


@settings(max_examples=150, deadline=None)
@given(FLEETS, FLEETS, SELECTIONS, st.integers(1, 3))
def test_a_limited_caller_learns_nothing_of_others(
    own: list[Update], foreign: list[Update], wanted: Selection, size: int
) -> None:
    """Whatever a caller limited to one user asks for, pages and cursors are those of a store without anybody else's
    sessions, and no entry of anybody else's is looked at, be it a policy that had both of them as users.
    """
    wanted = structs.replace(wanted, user_id="me")
    mine = [structs.replace(update, user="me") for update in own]
    known = {update.id for update in own}
    others = [structs.replace(update, user="other") for update in foreign if update.id not in known]
    alone, shared = SpyStore(), SpyStore()
    add(alone, mine)
    add(shared, others + mine)
    cursors: list[Cursor | None] = [None, Cursor(Direction.BEFORE, OLDEST)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "SCAN_LIMIT_ENTRIES", 3)
        while cursors:
            cursor = cursors.pop()
            page = read_page(shared, wanted, cursor, size)
            assert page == read_page(alone, wanted, cursor, size)
            if page.after is not None and (cursor is None or cursor.direction is Direction.AFTER):
                cursors.append(Cursor(Direction.AFTER, page.after))
            if page.before is not None and cursor is not None and cursor.direction is Direction.BEFORE:
                cursors.append(Cursor(Direction.BEFORE, page.before))
    assert shared.users_met <= {"me"}


def test_cursors_are_null_at_the_ends(tmp_path: Path) -> None:
    """The first page has no `before`, the last no `after`, and one in between has both; newer rows open the top."""
    store = RocksStore(tmp_path)
    add(store, [Update(id=session_id(number), in_h=number, out_h=9) for number in range(1, 7)])
    first = read_page(store, Selection(), None, 2)
    assert first.before is None
    assert first.after is not None
    second = read_page(store, Selection(), Cursor(Direction.AFTER, first.after), 2)
    assert second.after is not None
    assert second.before is not None
    last = read_page(store, Selection(), Cursor(Direction.AFTER, second.after), 2)
    assert last.after is None
    again = read_page(store, Selection(), Cursor(Direction.BEFORE, second.before), 2)
    assert (again.bodies, again.before) == (first.bodies, None)
    add(store, [Update(id=session_id(7), in_h=7, out_h=9)])
    assert read_page(store, Selection(), Cursor(Direction.BEFORE, second.before), 2).before is not None
    store.close()


def test_work_per_page_is_bounded(tmp_path: Path) -> None:
    """Filters that no index covers make a short page with a cursor, not a longer scan."""
    store = RocksStore(tmp_path)
    add(store, [Update(id=session_id(number), in_h=number / 1000, out_h=9) for number in range(1, 2_501)])
    wanted = Selection(vehicle_id="v1", location_id="work")
    page = read_page(store, wanted, None, 50)
    assert page.bodies == []
    assert page.after is not None
    rest = read_page(store, wanted, Cursor(Direction.AFTER, page.after), 50)
    assert (rest.bodies, rest.after) == ([], None)
    store.close()
