"""The bytes of updates: whatever is remembered of those before, they are those of the whole session."""

from collections.abc import Iterable
from functools import cache
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from models.codec import encode
from models.ids import SessionId
from models.session import SessionState, TimeseriesPoint
from models.webhook import SessionUpdated
from sessions.events import Event, Output, Rules, SessionChanged
from sessions.prices import PriceBook
from sessions.series import Series, point
from streams import updates
from streams.updates import UpdateEncoder
from tests.builders import HOME, plug, policy, run, sample, timer, unplug
from tests.properties.histories import CHECK_HISTORIES, Wish, books, fold, histories, rules
from tests.support.nights import drawn, spend


def whole(change: SessionChanged) -> bytes:
    """The value of an update, made at once."""
    session = change.session
    return encode(SessionUpdated(user_id=session.user_id, created_at=change.created_at, session=session))


def check(outputs: Iterable[Output], *, restart_at: int | None = None) -> int:
    """Encode all updates in order, with a fresh encoder from that one on, and compare; tells how many there were."""
    encoder, number = UpdateEncoder(), 0
    for output in outputs:
        if isinstance(output, SessionChanged):
            if number == restart_at:
                encoder = UpdateEncoder()
            assert encoder.encode(output) == whole(output), f"update {number}"
            number += 1
    return number


def charge(start: int, end: int, kwh: float = 0.0, every: int = 5) -> list[Event]:
    """Samples of a charge at 6 kW."""
    return [
        sample(at, round(kwh + (at - start) / 10, 3), level=30 + (at - start) // 20, charging=at < end)
        for at in range(start, end + 1, every)
    ]


NIGHT: list[Event] = [policy(0), plug(3, where=HOME, level=30), *charge(5, 305), unplug(311), timer(313)]
HISTORIES: dict[str, list[Event]] = {
    "a long charge, then settled": NIGHT,
    "a visit that begins on the grid": [policy(0), plug(15, where=HOME), *charge(15, 120), unplug(120), timer(123)],
    "a late sample in the middle": [
        *NIGHT[:40], sample(92, 8.1, level=33, charging=True, logged=200), *NIGHT[40:]
    ],
    "a late level in an interval that is over": [*NIGHT[:40], sample(64, level=32, logged=200), *NIGHT[40:]],
    "the plug-in moves back": [*NIGHT[:30], plug(-20, where=HOME, logged=150), *NIGHT[30:]],
    "the plug-in moves back within its interval": [*NIGHT[:30], plug(1, where=HOME, logged=150), *NIGHT[30:]],
    "a hole, then a counter that tells of it": [*NIGHT[:30], sample(290, 28.5), *NIGHT[-2:]],
    "the unplug comes late": [*NIGHT[:50], unplug(201), timer(400)],
    "it settles at its last evidence, days ago": [*NIGHT[:-2], timer(6_000)],
    "a policy lets go in the middle": [*NIGHT[:30], policy(140, enabled=False), *NIGHT[30:]],
    "two visits": [*NIGHT, plug(400, where=HOME), *charge(405, 500, 30.0), unplug(510), timer(512)],
}  # fmt: skip


@cache
def outputs_of(name: str) -> tuple[Output, ...]:
    """What comes of a history."""
    return run(*HISTORIES[name]).outputs


@pytest.mark.parametrize("name", HISTORIES)
def test_bytes_are_those_of_the_whole_session(name: str) -> None:
    """Each update of a long history has the bytes of its whole session."""
    assert check(outputs_of(name)) > 20


@pytest.mark.parametrize("restart_at", [1, 2, 7, 20, 40])
def test_a_restart_changes_no_byte(restart_at: int) -> None:
    """An encoder that begins in the middle writes the same bytes."""
    for name in HISTORIES:
        check(outputs_of(name), restart_at=restart_at)


@pytest.mark.parametrize("seed", range(2, 9))
def test_a_controlled_night(seed: int) -> None:
    """Nor do plans, blocks and commands make a difference."""
    assert check(spend(drawn(seed)).outputs, restart_at=4) > 8


def test_an_update_that_was_skipped_or_comes_again() -> None:
    """What is remembered counts only for the very next version: an update left out, or told twice, changes no byte."""
    changes = [one for one in outputs_of("a long charge, then settled") if isinstance(one, SessionChanged)]
    encoder = UpdateEncoder()
    for change in (*changes[:20], *changes[25:40], *changes[35:50], changes[3], *changes[4:]):
        assert encoder.encode(change) == whole(change)


def test_only_the_newest_interval_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update that adds to the last interval writes one point, not those that stood before."""
    written: list[int] = []

    def counted(series: Series, index: int) -> TimeseriesPoint:
        written.append(index)
        return point(series, index)

    changes = [one for one in outputs_of("a long charge, then settled") if isinstance(one, SessionChanged)]
    monkeypatch.setattr(updates, "point", counted)
    encoder = UpdateEncoder()
    for change in changes:
        encoder.encode(change)
    active = [one for one in changes if one.series is not None]
    # The last of each update, and each of the others when it is over and once more; all at settlement.
    intervals = len(active[-1].session.statistics.timeseries)
    assert len(written) <= len(active) + 3 * intervals


def test_settled_sessions_are_forgotten() -> None:
    """Nothing is kept of a session that no update can follow."""
    encoder = UpdateEncoder()
    for output in outputs_of("a long charge, then settled"):
        if isinstance(output, SessionChanged):
            encoder.encode(output)
            is_open = output.session.state is not SessionState.SETTLED and bool(output.session.statistics.timeseries)
            assert (output.session.id in encoder._told) == is_open


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many sessions the one not updated for longest is forgotten, and its next update is still right."""
    monkeypatch.setattr(updates, "MEMORY_LIMIT", 2)
    nights = [spend(drawn(seed)).outputs for seed in (1, 2, 3)]
    encoder = UpdateEncoder()
    changes = [[one for one in outputs if isinstance(one, SessionChanged)] for outputs in nights]
    for turn in zip(*changes, strict=False):
        for change in turn:
            assert encoder.encode(change) == whole(change)
            assert len(encoder._told) <= 2


def test_the_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered has no more bytes than its limit, however long the visits, and each update is still right."""
    monkeypatch.setattr(updates, "MEMORY_LIMIT_BYTES", 1_500)
    one = [change for change in outputs_of("a long charge, then settled") if isinstance(change, SessionChanged)]
    encoder, held = UpdateEncoder(), list[int]()
    for change in chain.from_iterable(zip(one, map(_of_another, one), strict=True)):
        assert encoder.encode(change) == whole(change)
        assert encoder.size_bytes == sum(len(told.raw) for told in encoder._told.values()) <= 1_500
        held.append(len(encoder._told))
    is_open = [number for number, each in enumerate(one) if each.head.state is not SessionState.SETTLED]
    assert max(held) == 2
    # A visit that alone is larger is not kept.
    assert held[2 * is_open[-1] + 1] == 0


def _of_another(change: SessionChanged) -> SessionChanged:
    return structs.replace(change, head=structs.replace(change.head, id=SessionId(f"{change.head.id}-b")))


@CHECK_HISTORIES
@given(histories(max_size=40), rules, books(), st.integers(0, 20))
def test_any_history(events: list[Event | Wish], with_rules: Rules, prices: PriceBook, restart_at: int) -> None:
    """Whatever a vehicle tells, and whenever the worker begins anew, no byte differs."""
    decisions = [decision for _, _, decision in fold(events, with_rules, prices)]
    check([output for decision in decisions for output in decision.outputs], restart_at=restart_at)
