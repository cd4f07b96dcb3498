"""What the view holds after any history of updates, against a plain recount."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from api.view.keys import Index, event_key, head_key, index_prefix
from api.view.paging import Selection, read_page
from api.view.projector import apply_erasure, apply_policy, apply_update
from api.view.rows import CurrentRow, CurrentSession, PolicyHead, unpack_current, unpack_head
from api.view.store import Draft
from models.session import SessionState
from tests.support.memory_store import MemoryStore
from tests.support.updates import Update, session_id

UPDATES = st.builds(
    Update,
    id=st.integers(1, 5).map(session_id),
    version=st.integers(1, 4),
    state=st.sampled_from([SessionState.UPCOMING, SessionState.ACTIVE_REGULAR, SessionState.SETTLED]),
    policy=st.none() | st.sampled_from(["p1", "p2"]),
    vehicle=st.sampled_from(["v1", "v2"]),
    location=st.none() | st.sampled_from(["home", "work"]),
    in_h=st.integers(0, 3).map(float),
    out_h=st.just(4.0),
    event=st.sampled_from(["e1", "e2", "e3"]),
    represents=st.booleans(),
)
HISTORIES = st.lists(UPDATES | st.integers(1, 5).map(session_id), max_size=25)


def play(store: MemoryStore, history: list[Update | str], batch_size: int) -> None:
    """Apply the history (a bare id is an erasure), so many records per write."""
    for start in range(0, len(history), batch_size):
        draft = Draft(store)
        for step in history[start : start + batch_size]:
            if isinstance(step, str):
                apply_erasure(draft, step)
            else:
                apply_update(draft, *step.read())
        store.write(draft.changes)


def latest(history: list[Update | str]) -> dict[str, Update]:
    """Each session's newest version by the rule: only a newer one replaces, an erasure forgets."""
    kept: dict[str, Update] = {}
    for step in history:
        if isinstance(step, str):
            kept.pop(step, None)
        elif step.id not in kept or kept[step.id].version < step.version:
            kept[step.id] = step
    return kept


@given(HISTORIES, st.integers(1, 30))
def test_batches_do_not_matter(history: list[Update | str], batch_size: int) -> None:
    """However the records are cut into writes, the store ends the same, byte for byte."""
    one_by_one, batched = MemoryStore(), MemoryStore()
    play(one_by_one, history, 1)
    play(batched, history, batch_size)
    assert one_by_one.rows == batched.rows


@given(HISTORIES)
def test_nothing_dangles(history: list[Update | str]) -> None:
    """Once every session is erased, the store is empty: no index entry, no pointer is left."""
    store = MemoryStore()
    play(store, [*history, *(session_id(number) for number in range(1, 6))], 3)
    assert store.rows == {}


@given(HISTORIES)
def test_lists_hold_what_is_settled(history: list[Update | str]) -> None:
    """A policy's list holds its settled sessions; a vehicle's list holds each charging event once."""
    store = MemoryStore()
    play(store, history, 4)
    settled = [update for update in latest(history).values() if update.state is SessionState.SETTLED]
    managed = {update.body for update in settled if update.policy == "p1"}
    assert set(read_page(store, Selection(policy_id="p1"), None, 50).bodies) == managed
    shown = {}
    for update in sorted(settled, key=lambda one: (one.policy is not None, one.in_h, one.id)):
        if update.represents:
            shown[update.event] = update
    of_vehicle = {update.body for update in shown.values() if update.vehicle == "v1"}
    assert set(read_page(store, Selection(vehicle_id="v1"), None, 50).bodies) == of_vehicle
    assert len(read_page(store, Selection(), None, 50).bodies) == len(settled)


def test_current_session_moves_on() -> None:
    """SETTLED takes the current session away, and the next UPCOMING takes its place, in either order of arrival."""
    settled = Update(id=session_id(1), version=2)
    coming = Update(id=session_id(2), state=SessionState.UPCOMING)
    for order in ([settled, coming], [coming, settled]):
        store = MemoryStore()
        play(store, [Update(id=session_id(1), state=SessionState.ACTIVE_REGULAR), *order], 1)
        current = unpack_current(store.rows[b"cp1"]).session
        assert current is not None
        assert current.id == session_id(2)


def test_current_row_in_either_order() -> None:
    """Under a policy lie its owner while it is enabled and its current session, whichever record comes first."""
    coming = Update(id=session_id(1), state=SessionState.UPCOMING)
    enabled, disabled = (PolicyHead("u1", "v1", is_enabled) for is_enabled in (True, False))

    def row(*changes: Callable[[Draft], object]) -> CurrentRow:
        store = MemoryStore()
        for change in changes:
            draft = Draft(store)
            change(draft)
            store.write(draft.changes)
        return unpack_current(store.rows.get(b"cp1"))

    def session(draft: Draft) -> None:
        apply_update(draft, *coming.read())

    def erased(draft: Draft) -> None:
        apply_erasure(draft, coming.id)

    def policy(head: PolicyHead | None) -> Callable[[Draft], None]:
        return lambda draft: apply_policy(draft, "p1", head)

    both = row(policy(enabled), session)
    assert both == CurrentRow("u1", CurrentSession(coming.id, "u1", 1, coming.body))
    assert row(session, policy(enabled)) == both
    assert row(session, policy(enabled), policy(disabled)) == row(policy(disabled), session)
    assert row(policy(disabled), session) == CurrentRow(None, both.session)
    assert row(policy(enabled), session, erased) == CurrentRow("u1")
    assert row(policy(enabled), session, erased, policy(None)) == row(session, erased) == CurrentRow()


def test_superseded_session_keeps_its_row() -> None:
    """A session whose header takes its claim back leaves the vehicle's and location's lists, and nothing else."""
    store = MemoryStore()
    play(store, [Update(id=session_id(1)), Update(id=session_id(1), version=2, represents=False)], 1)
    assert not list(store.scan(Index.VEHICLE.value, b"W", backwards=False))
    assert not list(store.scan(index_prefix(Index.LOCATION, ("home",)), b"M", backwards=False))
    assert len(list(store.scan(index_prefix(Index.POLICY_USER, ("p1",)), b"Q", backwards=False))) == 1
    assert unpack_head(store.rows[head_key(session_id(1))]).version == 2


def test_an_event_that_is_left_shows_the_other_again() -> None:
    """When the session that stood for an event is erased, one that still claims it takes its place."""
    store = MemoryStore()
    managed = Update(id=session_id(1), event="e")
    unmanaged = Update(id=session_id(2), event="e", policy=None)
    play(store, [managed, unmanaged], 1)
    assert read_page(store, Selection(vehicle_id="v1"), None, 5).bodies == [managed.body]
    play(store, [managed.id], 1)
    assert read_page(store, Selection(vehicle_id="v1"), None, 5).bodies == [unmanaged.body]
    assert event_key("e") in store.rows
