"""What a watcher of a policy is told, and what a client is sent of it."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from api.event_stream import EventId, Progress
from api.view import watching
from api.view.watching import Published, Watch, Watches, session_event

POLICY = "p1"


def published(version: int, session: str = "s1", body: bytes | None = b"{}") -> Published:
    return Published(POLICY, "u1", session, version, body)


def versions(watch: Watch) -> list[int]:
    return [update.version for update in watch.take()]


def told(watches: Watches, *updates: Published) -> None:
    """One write, and the word of it."""
    with watches.writing():
        watches.tell([POLICY], updates)


def test_updates_come_in_order_and_only_to_their_watchers() -> None:
    """A watcher is told of the writes of its policy, in order, and of no other policy's."""

    async def run() -> tuple[list[int], list[int]]:
        watches = Watches()
        with watches.watch(POLICY) as one, watches.watch("p2") as other:
            for version in range(1, 6):
                told(watches, published(version))
            await asyncio.sleep(0)
            return versions(one), versions(other)

    assert asyncio.run(run()) == ([1, 2, 3, 4, 5], [])


def test_a_snapshot_takes_the_place_of_what_it_holds() -> None:
    """Of the writes that a snapshot holds nothing is told, also where word of them was still on its way."""

    async def run() -> list[int]:
        watches = Watches()
        with watches.watch(POLICY) as watch:
            told(watches, published(1))
            await asyncio.sleep(0)
            told(watches, published(2))  # its word is on its way
            number = watches.settled_number()
            assert number is not None
            watch.drop_until(number)
            told(watches, published(3))
            await asyncio.sleep(0)
            return versions(watch)

    assert asyncio.run(run()) == [3]


def test_no_snapshot_within_a_write() -> None:
    """While a write is under way there is no number that a snapshot could have; each write has another one."""
    watches = Watches()
    before = watches.settled_number()
    with watches.writing():
        assert watches.settled_number() is None
    assert watches.settled_number() not in {None, before}


@pytest.mark.parametrize(
    ("bodies", "is_overrun"),
    [
        ([b"x"] * 3, False),
        ([b"x"] * 4, True),
        ([b"x" * 60, b"x" * 40], False),
        ([b"x" * 60, b"x" * 41], True),
        ([b"x" * 1_000], False),
    ],
)
def test_queues_are_bounded(monkeypatch: pytest.MonkeyPatch, bodies: list[bytes], *, is_overrun: bool) -> None:
    """A watcher that takes nothing is lost once too many updates, or too many bytes, wait for it, and holds none then;
    a single update may be of any size.
    """
    monkeypatch.setattr(watching, "QUEUE_LIMIT_UPDATES", 3)
    monkeypatch.setattr(watching, "QUEUE_LIMIT_BYTES", 100)

    async def run() -> tuple[bool, int]:
        watch = Watch(POLICY)
        for version, body in enumerate(bodies, start=1):
            watch.put(2 * version, [published(version, body=body)])
        return watch.is_overrun, len(watch.take())

    assert asyncio.run(run()) == (is_overrun, 0 if is_overrun else len(bodies))


def log_of_updates(dice: random.Random) -> Iterator[Published]:
    """Sessions one after the other, each with some versions."""
    for session in range(12):
        for version in range(1, dice.randint(2, 6)):
            yield published(version, f"s{session}")


def test_progress_never_goes_back() -> None:
    """Whatever current sessions and updates are met in between, what a client is sent is each later in the log than
    what it was sent before.
    """
    dice = random.Random(11)
    for _ in range(200):
        log = list(log_of_updates(dice))
        places = {(one.session_id, one.version): place for place, one in enumerate(log)}
        progress, sent, at = Progress(None), [], 0
        while at < len(log):
            if dice.random() < 0.2:  # a reconnect: the current session, perhaps one that the client has already
                seen = log[at]
                if progress.event_of_current(EventId(seen.session_id, seen.version), b"{}") is not None:
                    sent.append(places[seen.session_id, seen.version])
            elif progress.event_of(log[at]) is not None:
                sent.append(places[log[at].session_id, log[at].version])
            at += dice.choice([0, 1, 1, 2])
        assert sent == sorted(set(sent))


def test_while_behind_only_the_last_session_counts() -> None:
    """A client that is ahead of its sidecar is sent nothing until that has come to the client's session."""
    progress = Progress(EventId("s5", 2))
    progress.behind_since_s = 0.0
    assert [progress.event_of(published(version, "s4")) for version in (7, 8)] == [None, None]
    assert progress.event_of(published(1, "s5")) is None
    assert progress.behind_since_s is not None
    assert progress.event_of(published(2, "s5")) is None
    assert progress.behind_since_s is None
    assert progress.event_of(published(3, "s5")) is not None


def test_an_event_is_well_formed_whatever_the_body() -> None:
    """Line breaks within the body stay within the event's data."""
    assert session_event("s1", 2, b'{\n"a":\r\n1}') == (
        b'event: flex:session:updated\nid: s1:2\ndata: {\ndata: "a":\ndata: 1}\n\n'
    )
