"""The session's life as a table of states by causes; whatever is not in it cannot happen.

None is "not there": before a session exists, and after it was erased. A managed session waits as UPCOMING, is ACTIVE
while its vehicle is plugged in at the policy's place, and SETTLED for good once the visit (or the policy's hold on it)
has ended. A policy that appears while the vehicle already stands there starts at ACTIVE.

While ACTIVE the second word says what the system does now: IMMEDIATE_START where the user wants that and it is not done
yet; else BATTERY_RESERVE where the battery is below the reserve; else REGULAR. A session becomes ACTIVE as REGULAR and
takes its true second word in the same step, before anything is published.

An unmanaged session is only ever SETTLED: it becomes known when its visit is over, or when two samples tell that there
was one.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from models.session import SessionState


class Cause(Enum):
    """What moves a session from one state to the next."""

    AWAITED = "a policy is enabled, or its last session settled"
    PLUGGED_IN = "plugged in at the policy's place"
    CHANGED = "something new, which leaves the state as it is"
    WANTED_NOW = "the user wants it charged at once"
    BELOW_RESERVE = "the battery is below the reserve"
    BY_PLAN = "neither of the two: charging follows the plan"
    UNPLUGGED = "the visit is over"
    RELEASED = "the policy was disabled, deleted or moved"
    WITHDRAWN = "the policy was disabled or deleted before a visit"
    OBSERVED = "an unmanaged visit with charging is over"


_UPCOMING: Final = SessionState.UPCOMING
_RESERVE: Final = SessionState.ACTIVE_BATTERY_RESERVE
_REGULAR: Final = SessionState.ACTIVE_REGULAR
_IMMEDIATE: Final = SessionState.ACTIVE_IMMEDIATE_START
_SETTLED: Final = SessionState.SETTLED

TRANSITIONS: Final[Mapping[tuple[SessionState | None, Cause], SessionState | None]] = {
    (None, Cause.AWAITED): _UPCOMING,
    (None, Cause.PLUGGED_IN): _REGULAR,
    (None, Cause.OBSERVED): _SETTLED,
    (_UPCOMING, Cause.CHANGED): _UPCOMING,
    (_UPCOMING, Cause.PLUGGED_IN): _REGULAR,
    (_UPCOMING, Cause.WITHDRAWN): None,
    (_REGULAR, Cause.CHANGED): _REGULAR,
    (_REGULAR, Cause.WANTED_NOW): _IMMEDIATE,
    (_REGULAR, Cause.BELOW_RESERVE): _RESERVE,
    (_REGULAR, Cause.UNPLUGGED): _SETTLED,
    (_REGULAR, Cause.RELEASED): _SETTLED,
    (_RESERVE, Cause.CHANGED): _RESERVE,
    (_RESERVE, Cause.WANTED_NOW): _IMMEDIATE,
    (_RESERVE, Cause.BY_PLAN): _REGULAR,
    (_RESERVE, Cause.UNPLUGGED): _SETTLED,
    (_RESERVE, Cause.RELEASED): _SETTLED,
    (_IMMEDIATE, Cause.CHANGED): _IMMEDIATE,
    (_IMMEDIATE, Cause.BELOW_RESERVE): _RESERVE,
    (_IMMEDIATE, Cause.BY_PLAN): _REGULAR,
    (_IMMEDIATE, Cause.UNPLUGGED): _SETTLED,
    (_IMMEDIATE, Cause.RELEASED): _SETTLED,
}


class IllegalTransitionError(RuntimeError):
    """The logic asked for a step that the table does not have: a defect of ours, never of the input."""


def next_state(state: SessionState | None, cause: Cause) -> SessionState | None:
    """The state after `cause`. Raises IllegalTransitionError where the table has no such step."""
    try:
        return TRANSITIONS[state, cause]
    except KeyError:
        raise IllegalTransitionError(f"{state} has no step for {cause}") from None
