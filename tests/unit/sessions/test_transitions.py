"""The table of transitions: all of it can happen, and nothing else can."""

from itertools import product

import pytest

from models.ids import PolicyId
from models.session import SessionState
from sessions.events import Event, SessionChanged, SessionErased
from sessions.identity import managed_session_id
from sessions.transitions import TRANSITIONS, Cause, IllegalTransitionError, next_state
from tests.builders import (
    HOME,
    VEHICLE,
    WORK,
    at_once,
    delete,
    minute,
    plug,
    policy,
    run,
    sample,
    target,
    timer,
    unplug,
)

_REGULAR, _RESERVE = SessionState.ACTIVE_REGULAR, SessionState.ACTIVE_BATTERY_RESERVE
_IMMEDIATE = SessionState.ACTIVE_IMMEDIATE_START
# The policy's first session, in each second word of ACTIVE.
FIRST = managed_session_id(PolicyId("p1"), VEHICLE, minute(0))
REGULAR: list[Event] = [policy(0, reserve=20), plug(10, where=HOME, level=50)]
RESERVE: list[Event] = [policy(0, reserve=20), plug(10, where=HOME, level=10)]
IMMEDIATE: list[Event] = [*REGULAR, target(10, FIRST, at_once(80))]

REACHED: dict[tuple[SessionState | None, Cause], list[Event]] = {
    (None, Cause.AWAITED): [policy(0)],
    (None, Cause.PLUGGED_IN): [plug(10, where=HOME), policy(20)],
    (None, Cause.OBSERVED): [plug(10), sample(10, 0.0), sample(20, 1.0), unplug(30), timer(31)],
    (SessionState.UPCOMING, Cause.CHANGED): [policy(0), policy(1, where=WORK)],
    (SessionState.UPCOMING, Cause.PLUGGED_IN): [policy(0), plug(10, where=HOME)],
    (SessionState.UPCOMING, Cause.WITHDRAWN): [policy(0), policy(1, enabled=False)],
    (_REGULAR, Cause.CHANGED): [*REGULAR, sample(11, level=55)],
    (_REGULAR, Cause.WANTED_NOW): [*REGULAR, target(20, FIRST, at_once())],
    (_REGULAR, Cause.BELOW_RESERVE): [*REGULAR, sample(20, level=17)],
    (_REGULAR, Cause.UNPLUGGED): [*REGULAR, unplug(11), timer(12)],
    (_REGULAR, Cause.RELEASED): [*REGULAR, policy(20, reserve=20, enabled=False)],
    (_RESERVE, Cause.CHANGED): [*RESERVE, sample(11, level=15)],
    (_RESERVE, Cause.WANTED_NOW): [*RESERVE, target(20, FIRST, at_once())],
    (_RESERVE, Cause.BY_PLAN): [*RESERVE, sample(20, level=20)],
    (_RESERVE, Cause.UNPLUGGED): [*RESERVE, unplug(11), timer(12)],
    (_RESERVE, Cause.RELEASED): [*RESERVE, delete(20)],
    (_IMMEDIATE, Cause.CHANGED): [*IMMEDIATE, sample(11, level=55)],
    (_IMMEDIATE, Cause.BELOW_RESERVE): [*RESERVE, target(12, FIRST, at_once()), target(13, FIRST, None)],
    (_IMMEDIATE, Cause.BY_PLAN): [*IMMEDIATE, sample(20, level=80)],
    (_IMMEDIATE, Cause.UNPLUGGED): [*IMMEDIATE, unplug(11), timer(12)],
    (_IMMEDIATE, Cause.RELEASED): [*IMMEDIATE, policy(20, reserve=20, where=WORK)],
}


def test_every_transition_has_a_history() -> None:
    """The histories below are those of the table, no more and no less."""
    assert set(REACHED) == set(TRANSITIONS)


@pytest.mark.parametrize(("step", "history"), REACHED.items(), ids=str)
def test_transition_is_reached(step: tuple[SessionState | None, Cause], history: list[Event]) -> None:
    """Each listed transition happens, from its state to its next one, in the last event of its history."""
    before, after = run(*history[:-1]), run(*history)
    output = next(output for output in after.last().outputs if isinstance(output, SessionChanged | SessionErased))
    if isinstance(output, SessionErased):
        state, session_id = None, output.session_id
    else:
        state, session_id = output.session.state, output.session.id
    known = [one.session.state for one in before.changes if one.session.id == session_id]
    assert (known[-1] if known else None) == step[0]
    assert state == TRANSITIONS[step]


@pytest.mark.parametrize(
    ("state", "cause"), sorted(set(product([None, *SessionState], Cause)) - set(TRANSITIONS), key=str), ids=str
)
def test_unlisted_transition(state: SessionState | None, cause: Cause) -> None:
    """A step that is not listed raises; SETTLED has none at all."""
    with pytest.raises(IllegalTransitionError):
        next_state(state, cause)


def test_settled_is_final() -> None:
    """No transition leads out of SETTLED."""
    assert not [cause for state, cause in TRANSITIONS if state is SessionState.SETTLED]
