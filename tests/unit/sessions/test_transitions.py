"""The table of transitions: all of it can happen, and nothing else can."""

from itertools import product

import pytest

from models.session import SessionState
from sessions.events import Event, SessionChanged, SessionErased
from sessions.transitions import TRANSITIONS, Cause, IllegalTransitionError, next_state
from tests.builders import HOME, WORK, plug, policy, run, sample, timer, unplug

REACHED: dict[tuple[SessionState | None, Cause], list[Event]] = {
    (None, Cause.AWAITED): [policy(0)],
    (None, Cause.PLUGGED_IN): [plug(10, where=HOME), policy(20)],
    (None, Cause.OBSERVED): [plug(10), sample(10, 0.0), sample(20, 1.0), unplug(30), timer(31)],
    (SessionState.UPCOMING, Cause.AWAITED): [policy(0), policy(1, where=WORK)],
    (SessionState.UPCOMING, Cause.PLUGGED_IN): [policy(0), plug(10, where=HOME)],
    (SessionState.UPCOMING, Cause.WITHDRAWN): [policy(0), policy(1, enabled=False)],
    (SessionState.ACTIVE_REGULAR, Cause.CHANGED): [policy(0), plug(10, where=HOME), sample(11, level=5)],
    (SessionState.ACTIVE_REGULAR, Cause.UNPLUGGED): [policy(0), plug(10, where=HOME), unplug(11), timer(12)],
    (SessionState.ACTIVE_REGULAR, Cause.RELEASED): [policy(0), plug(10, where=HOME), policy(20, enabled=False)],
}


def test_every_transition_has_a_history() -> None:
    """The histories below are those of the table, no more and no less."""
    assert set(REACHED) == set(TRANSITIONS)


@pytest.mark.parametrize(("step", "history"), REACHED.items(), ids=str)
def test_transition_is_reached(step: tuple[SessionState | None, Cause], history: list[Event]) -> None:
    """Each listed transition happens, from its state to its next one, in the last event of its history."""
    before, after = run(*history[:-1]), run(*history)
    output = after.last().outputs[0]
    if isinstance(output, SessionErased):
        state, session_id = None, output.session_id
    else:
        assert isinstance(output, SessionChanged)
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
