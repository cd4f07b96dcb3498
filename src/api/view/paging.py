"""One page of settled sessions: which index serves a selection, where the range starts, and what stands at its ends.

A page looks at a bounded number of entries. Where filters that no index covers leave most of them out, it may come
back short, or even empty, with a cursor that goes on; only a null cursor says that there is nothing further.
"""

import heapq
from collections.abc import Iterator
from enum import StrEnum
from operator import itemgetter
from typing import Final, NamedTuple

from msgspec import Struct

from api.view.keys import NEWEST, OLDEST, Index, Position, index_prefix, position_key, position_of
from api.view.rows import SessionHead, body_place, unpack_head
from api.view.store import Store

# Index entries per request and direction, about 2 us each: other requests wait for this one no longer than that.
SCAN_LIMIT_ENTRIES: Final = 2_000

_PAST_ANY_ID: Final = b"\xff"
# What ends an id in a key, and what follows every key that begins with an id ended so.
_END_OF_ID: Final = b"\x00"
_PAST_END_OF_ID: Final = b"\x01"


class Direction(StrEnum):
    """Which way a cursor goes on: to what stands after it (older) or before it (newer)."""

    AFTER = "after"
    BEFORE = "before"


class Cursor(NamedTuple):
    """Go on from `position`, which is not itself part of the page."""

    direction: Direction
    position: Position


class Selection(Struct, frozen=True, kw_only=True):
    """The filters of a list, all of which must hold; `user_id` is the limit of the caller's token.

    `from_us` bounds pluggedInAt from below, `to_us` bounds pluggedOutAt from above, both inclusive.
    """

    policy_id: str | None = None
    vehicle_id: str | None = None
    location_id: str | None = None
    user_id: str | None = None
    from_us: int | None = None
    to_us: int | None = None

    def matches(self, head: SessionHead) -> bool:
        """Tell whether a settled session stands in this list."""
        wanted = (
            (self.policy_id, head.policy_id),
            (self.vehicle_id, head.vehicle_id),
            (self.location_id, head.location_id),
            (self.user_id, head.user_id),
        )
        if any(asked is not None and asked != found for asked, found in wanted):
            return False
        if (self.vehicle_id is not None or self.location_id is not None) and not head.listed:
            return False
        late_enough = self.from_us is None or (head.plugged_in_us or 0) >= self.from_us
        return late_enough and (self.to_us is None or (head.plugged_out_us or 0) <= self.to_us)


class Page(Struct, frozen=True):
    """Bodies, newest first, and where to go on; null where nothing follows in that direction."""

    bodies: list[bytes]
    after: Position | None
    before: Position | None


_Entries = Iterator[tuple[Position, SessionHead]]


class _Found(NamedTuple):
    rows: list[tuple[Position, bytes]]
    onward: Position | None
    last_seen: Position | None


def best_prefixes(store: Store, selection: Selection) -> list[bytes]:
    """The prefixes of the narrowest lists that together hold every row of the selection. Raises StoreDamagedError."""
    user = () if selection.user_id is None else (selection.user_id,)
    if selection.policy_id is not None:
        if user:
            return [index_prefix(Index.POLICY_USER, (selection.policy_id, *user))]
        return _prefixes_by_user(store, index_prefix(Index.POLICY_USER, (selection.policy_id,)))
    if selection.vehicle_id is not None:
        return [index_prefix(Index.VEHICLE_USER if user else Index.VEHICLE, (selection.vehicle_id, *user))]
    if selection.location_id is not None:
        return [index_prefix(Index.LOCATION_USER if user else Index.LOCATION, (selection.location_id, *user))]
    return [index_prefix(Index.USER if user else Index.ALL, user)]


def _prefixes_by_user(store: Store, prefix: bytes) -> list[bytes]:
    """The lists under `prefix` that have rows, one for each user. A policy has one, unless its id was used again."""
    found: list[bytes] = []
    lower = prefix
    while (entry := next(store.scan(lower, prefix + _PAST_ANY_ID, backwards=False), None)) is not None:
        end = entry[0].index(_END_OF_ID, len(prefix))
        found.append(entry[0][: end + 1])
        lower = entry[0][:end] + _PAST_END_OF_ID
    return found


def read_page(store: Store, selection: Selection, cursor: Cursor | None, size: int) -> Page:
    """The next `size` rows from the cursor on, or the newest ones. Raises StoreDamagedError."""
    ahead = cursor or Cursor(Direction.AFTER, NEWEST)
    prefixes = best_prefixes(store, selection)
    found = _collect(store, selection, _walk(store, prefixes, selection, ahead), size)
    if cursor is None:
        back = None
    else:
        # The page's own edge, else the last entry that was looked at, else the end of the list: nothing that
        # belongs to the other side lies beyond it.
        end = OLDEST if ahead.direction is Direction.AFTER else NEWEST
        edge = found.rows[0][0] if found.rows else found.last_seen or end
        others = _walk(store, prefixes, selection, Cursor(_opposite(ahead.direction), edge))
        back = edge if _anything(selection, others) else None
    bodies = [body for _, body in found.rows]
    if ahead.direction is Direction.AFTER:
        return Page(bodies, after=found.onward, before=back)
    return Page(bodies[::-1], after=back, before=found.onward)


def _collect(store: Store, selection: Selection, entries: _Entries, size: int) -> _Found:
    """Up to `size` rows in the order of the walk; `onward` is where a further page would start, if there is one."""
    rows: list[tuple[Position, bytes]] = []
    waiting: list[tuple[Position, bytes]] = []
    last_seen = None
    for scanned, (position, head) in enumerate(entries, start=1):
        last_seen = position
        if selection.matches(head):
            waiting.append((position, body_place(head)))
            # One more than the page holds: then there is a further one.
            if len(rows) + len(waiting) > size:
                rows += _with_bodies(store, waiting)
                waiting = []
                if len(rows) > size:
                    return _Found(rows[:size], rows[size - 1][0], last_seen)
        if scanned >= SCAN_LIMIT_ENTRIES:
            return _Found(rows + _with_bodies(store, waiting), last_seen, last_seen)
    return _Found(rows + _with_bodies(store, waiting), None, last_seen)


def _with_bodies(store: Store, found: list[tuple[Position, bytes]]) -> list[tuple[Position, bytes]]:
    """Rows with their bodies, by the keys of these. One erased since the scan began has none: it is not in the list."""
    bodies = store.get_all([key for _, key in found])
    return [(position, body) for (position, _), body in zip(found, bodies, strict=True) if body is not None]


def _anything(selection: Selection, entries: _Entries) -> bool:
    """Tell whether something follows; where the limit ends the search, maybe counts as yes."""
    for scanned, (_, head) in enumerate(entries, start=1):
        if selection.matches(head) or scanned >= SCAN_LIMIT_ENTRIES:
            return True
    return False


def _walk(store: Store, prefixes: list[bytes], selection: Selection, cursor: Cursor) -> _Entries:
    """Entries of the selection's lists from the cursor on, without it, within the bounds on pluggedInAt."""
    lists = [_entries(store, prefix, selection, cursor) for prefix in prefixes]
    if len(lists) == 1:  # nearly always, and merging costs something for every entry
        return lists[0]
    return heapq.merge(*lists, key=itemgetter(0), reverse=cursor.direction is Direction.AFTER)


def _entries(store: Store, prefix: bytes, selection: Selection, cursor: Cursor) -> _Entries:
    """The same of one list."""
    # A session is plugged in no later than out, so `to` bounds both.
    newest = prefix + position_key(NEWEST if selection.to_us is None else Position(selection.to_us + 1, ""))
    oldest = prefix + position_key(OLDEST if selection.from_us is None else Position(selection.from_us, ""))
    edge = prefix + position_key(cursor.position)
    if cursor.direction is Direction.AFTER:
        found = store.scan(max(newest, edge + b"\x00"), oldest, backwards=False)
    else:
        found = store.scan(newest, min(oldest, edge), backwards=True)
    for key, raw in found:
        yield position_of(prefix, key), unpack_head(raw)


def _opposite(direction: Direction) -> Direction:
    return Direction.BEFORE if direction is Direction.AFTER else Direction.AFTER
