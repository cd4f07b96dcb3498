"""Lists walked over HTTP, forward and back, while a writer adds, erases and supersedes: the promise of their cursors.

Of the sessions there at the start, some are never touched, some get a rival that represents their charging event, and
some are erased; others are added before, between and behind them all the while.
"""

import itertools
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
from msgspec import Struct

from models.topics import SESSION_UPDATED
from tests.support.api_process import ROOT, Api, client_of
from tests.support.api_tokens import authorization
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

_PAGE_SIZE = 100
_WRITTEN_AT_ONCE = 40
_SOON_S = 180


class Row(Struct, frozen=True, rename="camel"):
    id: str
    plugged_in_at: str


class Pagination(Struct, frozen=True):
    after: str | None
    before: str | None


class Page(Struct, frozen=True):
    data: list[Row]
    pagination: Pagination


class Walk(Struct, frozen=True):
    """What one reader saw: rows from the newest to the oldest, and then from there back to the newest."""

    forward: list[Row]
    backward: list[Row]
    last_page: int
    requests: int


class Reader(Struct, frozen=True):
    """A list, by its filters and its token's user. `shows_superseded`: whether superseded sessions stay in it."""

    filters: Mapping[str, str]
    user: str | None = None
    shows_superseded: bool = False

    def holds(self, update: Update) -> bool:
        """Whether a session at the start stands in this list."""
        return (
            self.filters.get("policyId") in (None, update.policy)
            and self.filters.get("vehicleId") in (None, update.vehicle)
            and self.filters.get("locationId") in (None, update.location)
            and self.user in (None, update.user)
        )


READERS = (
    Reader({}, shows_superseded=True),
    Reader({}, shows_superseded=True),
    Reader({"policyId": "p1"}, shows_superseded=True),
    Reader({"vehicleId": "v1"}),
    Reader({"locationId": "home"}),
    Reader({"vehicleId": "v2", "locationId": "work"}),
    Reader({}, user="u1", shows_superseded=True),
    Reader({"vehicleId": "v1"}, user="u2"),
)


def initial(number: int) -> Update:
    """The n-th session at the start; several share an hour of plug-in."""
    return Update(
        id=session_id(number),
        policy=("p1", "p2", None)[number % 3],
        vehicle=f"v{number % 2 + 1}",
        user=f"u{number % 4 // 2 + 1}",
        location=("home", "work")[number % 5 % 2],
        in_h=float(number // 4),
        out_h=float(number),
        event=f"e{number}",
    )


def walk_under_writes(topics: Topics, env: Mapping[str, str], api: Api, count: int, seed: int) -> list[Walk]:
    """Let every reader walk its list of `count` sessions while a writer is at work, and check what each saw."""
    name = topics.name(SESSION_UPDATED)
    start = [initial(number) for number in range(count)]
    produce(topics.bootstrap, (update.outgoing(name) for update in start))
    wait_until(lambda: api.metric("flex_api_records_applied_total") >= count, _SOON_S, "all are listed", 0.5)
    done = threading.Event()
    writer = threading.Thread(target=_write, args=(topics, start, done, random.Random(seed)))
    writer.start()
    try:
        with ThreadPoolExecutor(len(READERS)) as pool:
            walks = list(pool.map(lambda reader: _walk(env, reader), READERS))
    finally:
        done.set()
        writer.join()
    for reader, seen in zip(READERS, walks, strict=True):
        check(reader, seen, start)
    return walks


def check(reader: Reader, seen: Walk, start: Sequence[Update]) -> None:
    """No row twice, all in order, and none missing that was there at the start and stayed."""
    promised = {
        update.id
        for number, update in enumerate(start)
        if reader.holds(update) and (_fate(number) == "kept" or (reader.shows_superseded and _fate(number) != "erased"))
    }
    for rows in (seen.forward, seen.backward):
        places = [(row.plugged_in_at, row.id) for row in rows]
        assert all(newer > older for newer, older in itertools.pairwise(places)), "out of order, or twice"
    assert promised <= {row.id for row in seen.forward}
    # The way back begins before the last page.
    ends = {row.id for row in seen.forward[len(seen.forward) - seen.last_page :]}
    assert promised - ends <= {row.id for row in seen.backward}


def _fate(number: int) -> str:
    """What becomes of the n-th session at the start."""
    return {0: "superseded", 1: "erased"}.get(number % 10, "kept")


def _write(topics: Topics, start: Sequence[Update], done: threading.Event, dice: random.Random) -> None:
    name, added = topics.name(SESSION_UPDATED), len(start)
    touched = [number for number in range(len(start)) if _fate(number) != "kept"]
    dice.shuffle(touched)
    while not done.is_set():
        records = []
        for _ in range(_WRITTEN_AT_ONCE):
            place = dice.randrange(-8, len(start) + 8)
            added += 1
            newcomer = msgspec.structs.replace(
                initial(max(0, place)), id=session_id(added), event=f"e{added}", out_h=float(len(start) + 9)
            )
            records.append(newcomer.outgoing(name))
        for number in touched[: _WRITTEN_AT_ONCE // 2]:
            records.extend(_meddle(name, number, start[number], len(start)))
        del touched[: _WRITTEN_AT_ONCE // 2]
        produce(topics.bootstrap, records)


def _meddle(name: str, number: int, update: Update, count: int) -> Iterator[Outgoing]:
    if _fate(number) == "erased":
        yield Outgoing(topic=name, key=update.id, value=None)
        return
    yield msgspec.structs.replace(update, version=2, represents=False).outgoing(name)
    rival = msgspec.structs.replace(update, id=session_id(10 * count + number), policy=None)
    yield rival.outgoing(name)


def _walk(env: Mapping[str, str], reader: Reader) -> Walk:
    claims = {} if reader.user is None else {"userId": reader.user}
    token = authorization(**claims)
    requests = 0
    with client_of(env) as client:

        def page(**cursor: str) -> Page:
            nonlocal requests
            requests += 1
            params = {**reader.filters, **cursor, "pageSize": str(_PAGE_SIZE)}
            return _ask(client, params, token)

        found = page()
        assert found.pagination.before is None
        forward = list(found.data)
        while found.pagination.after is not None:
            found = page(after=found.pagination.after)
            forward += found.data
        last_page = len(found.data)
        pages = []
        while found.pagination.before is not None:
            found = page(before=found.pagination.before)
            pages.append(found.data)
    return Walk(forward, [row for rows in reversed(pages) for row in rows], last_page, requests)


def _ask(client: httpx.Client, params: Mapping[str, str], token: Mapping[str, str]) -> Page:
    answer = client.get(f"{ROOT}/sessions", params=params, headers=token)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Page)
