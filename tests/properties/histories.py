"""Histories that Hypothesis draws: one vehicle, up to three policies, two users, and the ways in which telemetry errs.

Times tie, run late within the limit and sometimes beyond it; fields are missing or UNKNOWN; counters begin anew.
"""

from datetime import timedelta
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from models.ids import LocationId, UserId
from sessions.events import Event, PolicyDeleted, PolicyWritten, Rules, TelemetryReceived, TimerDue
from tests.builders import ANN, BOB, HOME, WORK, delete, plug, policy, sample, timer

# The same examples on every run, on every machine.
CHECK: Final = settings(
    max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

_STEPS_MIN = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 7.5, 15.0, 40.0, 300.0])
_LATE_MIN = st.sampled_from([0.0] * 8 + [0.25, 0.5, 1.0, 3.0, 9.0, 30.0, 200.0, 1_500.0])
_AHEAD_MIN = st.sampled_from([0.0] * 6 + [0.5, 2.0, 15.0])
_USERS: st.SearchStrategy[UserId] = st.sampled_from([ANN] * 19 + [BOB])
_PLACES: st.SearchStrategy[LocationId | None] = st.sampled_from([HOME, HOME, HOME, WORK, None, None])
_POLICIES = st.sampled_from(["p1", "p2", "p3"])
_LEVELS = st.none() | st.sampled_from([20.0, 20.7, 21.9, 50.0, 50.4, 80.0])
# Added to the true counter: mostly nothing; noise, a jump, a fall. 0 stands for a placeholder.
_ERRORS_KWH = st.sampled_from([0.0] * 12 + [-0.07, -0.5, 300.0])
_GAINS_KWH = st.sampled_from([0.0, 0.001, 0.03, 0.05, 0.333, 1.0, 1.0, 2.5])
_POWER_STATES = st.sampled_from(
    [None] * 6 + ["UNKNOWN", "UNPLUGGED", "PLUGGED_IN:CHARGING", "PLUGGED_IN:STOPPED", "PLUGGED_IN:LATER_WORD"]
)
_MAYBE = st.sampled_from([None, None, True, False])


@st.composite
def _plug_events(draw: st.DrawFn, now: float) -> TelemetryReceived:
    return plug(
        now - draw(_LATE_MIN),
        draw(st.sampled_from([True, True, True, False, False, None])),
        where=draw(_PLACES),
        charger=draw(st.sampled_from([None, None, "a", "b"])),
        level=draw(_LEVELS),
        user=draw(_USERS),
        logged=now,
    )


@st.composite
def _samples(draw: st.DrawFn, now: float, counter_kwh: float) -> TelemetryReceived:
    told_kwh = max(0.0, counter_kwh + draw(_ERRORS_KWH))
    return sample(
        now - draw(_LATE_MIN),
        draw(st.sampled_from([told_kwh, told_kwh, told_kwh, told_kwh, None, 0.0])),
        level=draw(_LEVELS),
        charging=draw(_MAYBE),
        plugged=draw(st.sampled_from([None] * 6 + [True, True, False])),
        state=draw(_POWER_STATES),
        rate=draw(st.sampled_from([None, None, 0.0, 11.0, -3.0])),
        capacity=draw(st.sampled_from([None, None, 60.0])),
        where=draw(_PLACES),
        user=draw(_USERS),
        logged=now,
    )


@st.composite
def _policies(draw: st.DrawFn, now: float) -> PolicyWritten:
    return policy(
        now + draw(_AHEAD_MIN) - draw(_LATE_MIN),
        draw(_POLICIES),
        where=draw(st.sampled_from([HOME, HOME, WORK])),
        user=draw(_USERS),
        enabled=draw(st.sampled_from([True, True, False])),
        logged=now + 10,
    )


@st.composite
def _deletions(draw: st.DrawFn, now: float) -> PolicyDeleted:
    return delete(now + draw(_AHEAD_MIN), draw(_POLICIES))


@st.composite
def _timers(draw: st.DrawFn, now: float) -> TimerDue:
    return timer(now + draw(_AHEAD_MIN))


def _event(kind: str, now: float, counter_kwh: float) -> st.SearchStrategy[Event]:
    match kind:
        case "p":
            return _plug_events(now)
        case "s":
            return _samples(now, counter_kwh)
        case "w":
            return _policies(now)
        case "d":
            return _deletions(now)
        case _:
            return _timers(now)


@st.composite
def histories(draw: st.DrawFn, max_size: int = 30) -> list[Event]:
    """A history in the order in which it arrives; half of them begin with policies at home and at work."""
    events: list[Event] = [policy(-30.0), policy(-30.0, "p2", where=WORK)] if draw(st.booleans()) else []
    # Long ones find more; that a short one may be drawn lets a failure shrink.
    min_size = draw(st.sampled_from([1, max_size // 2, max_size // 2]))
    kinds = draw(st.lists(st.sampled_from("ppppppssssssssspwwdt"), min_size=min_size, max_size=max_size))
    now = counter_kwh = 0.0
    for kind in kinds:
        now += draw(_STEPS_MIN)
        counter_kwh += draw(_GAINS_KWH)
        events.append(draw(_event(kind, now, counter_kwh)))
    return events


# Beside the real bounds, some within which these histories are long.
rules: st.SearchStrategy[Rules] = st.builds(
    Rules,
    unplug_debounce=st.sampled_from([0, 60, 60, 60, 300]).map(lambda seconds: timedelta(seconds=seconds)),
    visit_timeout=st.sampled_from([72, 72, 72, 4]).map(lambda hours: timedelta(hours=hours)),
    visit_max=st.sampled_from([90 * 24, 90 * 24, 90 * 24, 6]).map(lambda hours: timedelta(hours=hours)),
)
