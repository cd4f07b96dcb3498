"""Histories that Hypothesis draws: one vehicle, up to three policies, two users, and the ways in which telemetry errs.

Times tie, run late within the limit and sometimes beyond it; fields are missing or UNKNOWN; counters begin anew.
Policies have deadlines, reserves and prices; users change their minds; the clock is the events' or the wall's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from models.ids import LocationId, PolicyId, UserId
from models.target import ImmediateStartOverride, RegularOverride
from sessions import timers
from sessions.events import Decision, Event, PolicyDeleted, PolicyWritten, Rules, TelemetryReceived, TimerDue
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle, managed_by
from sessions.step import Step
from tests.builders import (
    ANN,
    BOB,
    HOME,
    VEHICLE,
    WORK,
    ZONE,
    at_once,
    delete,
    plug,
    policy,
    priced,
    ready,
    sample,
    timer,
)
from tests.builders import target as wanted

# The same examples on every run, on every machine.
CHECK: Final = settings(
    max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# Histories take longer than samples.
# A silent vehicle is asked every half hour until it is given up: no history of days comes near to this.
FIRED_LIMIT: Final = 50_000
CHECK_HISTORIES: Final = settings(CHECK, max_examples=100)

_STEPS_MIN = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 7.5, 15.0, 40.0, 300.0])
_LATE_MIN = st.sampled_from([0.0] * 8 + [0.25, 0.5, 1.0, 3.0, 9.0, 30.0, 200.0, 1_500.0])
_AHEAD_MIN = st.sampled_from([0.0] * 6 + [0.5, 2.0, 15.0])
_USERS: st.SearchStrategy[UserId] = st.sampled_from([ANN] * 19 + [BOB])
_PLACES: st.SearchStrategy[LocationId | None] = st.sampled_from([HOME, HOME, HOME, WORK, None, None])
_POLICIES = st.sampled_from(["p1", "p2", "p3"])
_LEVELS = st.none() | st.sampled_from([17.0, 20.0, 20.7, 21.9, 50.0, 50.4, 80.0, 100.0])
_TIMES = st.sampled_from([None, None, "08:20", "09:00", "12:00", "23:45", "02:30", "07:30"])
# Added to the true counter: mostly nothing; noise, a jump, a fall. 0 stands for a placeholder.
_ERRORS_KWH = st.sampled_from([0.0] * 12 + [-0.07, -0.5, 300.0])
_GAINS_KWH = st.sampled_from([0.0, 0.001, 0.03, 0.05, 0.333, 1.0, 1.0, 2.5])
_POWER_STATES = st.sampled_from(
    [None] * 6
    + ["UNKNOWN", "UNPLUGGED", "PLUGGED_IN:CHARGING", "PLUGGED_IN:STOPPED", "PLUGGED_IN:LATER_WORD"]
    + ["PLUGGED_IN:COMPLETE", "PLUGGED_IN:NO_POWER", "PLUGGED_IN:FAULT"]
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
        capacity=draw(st.sampled_from([None, None, None, 60.0, 40.0])),
        limit=draw(st.sampled_from([None] * 4 + [50.0, 80.0, 100.0])),
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
        reserve=draw(st.sampled_from([0.0, 0.0, 20.0, 50.0])),
        by=draw(_TIMES),
        percent=draw(st.sampled_from([21.0, 80.0, 100.0])),
        zone=draw(st.sampled_from([None, ZONE])),
        rate=draw(st.sampled_from([None, 11.0])),
        capacity=draw(st.sampled_from([None, None, 60.0])),
        logged=now + 10,
    )


@st.composite
def _deletions(draw: st.DrawFn, now: float) -> PolicyDeleted:
    return delete(now + draw(_AHEAD_MIN), draw(_POLICIES))


@st.composite
def _timers(draw: st.DrawFn, now: float) -> TimerDue:
    return timer(now + draw(_AHEAD_MIN), is_wall=draw(st.booleans()))


@dataclass(frozen=True)
class Wish:
    """What a user wants of whatever session the policy has then: an event once that is known."""

    at: float
    policy: PolicyId
    wish: RegularOverride | ImmediateStartOverride | None


@st.composite
def _wishes(draw: st.DrawFn, now: float) -> Wish:
    wish: RegularOverride | ImmediateStartOverride | None = draw(
        st.sampled_from([None, at_once(21.0), at_once(80.0), ready(now + 30.0), ready(now + 900.0, 100.0, 20.0)])
    )
    return Wish(now, PolicyId(draw(_POLICIES)), wish)


def _event(kind: str, now: float, counter_kwh: float) -> st.SearchStrategy[Event | Wish]:
    match kind:
        case "p":
            return _plug_events(now)
        case "s":
            return _samples(now, counter_kwh)
        case "w":
            return _policies(now)
        case "d":
            return _deletions(now)
        case "u":
            return _wishes(now)
        case _:
            return _timers(now)


@st.composite
def histories(draw: st.DrawFn, max_size: int = 30) -> list[Event | Wish]:
    """A history in the order in which it arrives; most begin with policies at home and at work."""
    events: list[Event | Wish] = []
    if draw(st.sampled_from([True, True, False])):
        by, reserve = draw(_TIMES), draw(st.sampled_from([0.0, 20.0]))
        events = [policy(-30.0, by=by, reserve=reserve, zone=ZONE), policy(-30.0, "p2", where=WORK)]
    # Long ones find more; that a short one may be drawn lets a failure shrink.
    min_size = draw(st.sampled_from([1, max_size // 2, max_size // 2]))
    kinds = draw(st.lists(st.sampled_from("ppppppssssssssssspwwdttuu"), min_size=min_size, max_size=max_size))
    now = counter_kwh = 0.0
    for kind in kinds:
        now += draw(_STEPS_MIN)
        counter_kwh += draw(_GAINS_KWH)
        events.append(draw(_event(kind, now, counter_kwh)))
    return events


def fold(events: Sequence[Event | Wish], rules: Rules, prices: PriceBook) -> Iterator[tuple[Vehicle, Event, Decision]]:
    """The history, event by event: the vehicle before it, the event, and what it came to."""
    vehicle = Vehicle(VEHICLE)
    for each in events:
        event = each
        if isinstance(event, Wish):
            managed = managed_by(vehicle, event.policy)
            session = None if managed is None else managed.session
            event = wanted(event.at, "another" if session is None else session.id, event.wish)
        decision = apply(vehicle, event, rules, prices)
        yield vehicle, event, decision
        vehicle = decision.vehicle


@contextmanager
def bounded_timers() -> Iterator[None]:
    """Within it, a vehicle that fires timers without end fails."""
    fire, fired = timers._fire, count()

    def counted(step: Step, timer: timers.Timer, logged_at: datetime | None = None) -> None:
        assert next(fired) < FIRED_LIMIT, timer
        fire(step, timer, logged_at)

    with patch.object(timers, "_fire", counted):
        yield


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    """Prices of two days, some known from the start, some only later."""
    book = PriceBook()
    for start, known in ((0.0, -600.0), (0.0, 90.0), (960.0, 300.0), (960.0, 310.0)):
        if draw(st.booleans()):
            hourly = draw(st.lists(st.sampled_from([-0.02, 0.05, 0.1, 0.3]), min_size=16, max_size=16))
            priced(*hourly, start=start, known=known, book=book)
    return book


# Beside the real bounds, some within which these histories are long.
rules: st.SearchStrategy[Rules] = st.builds(
    Rules,
    unplug_debounce=st.sampled_from([0, 60, 60, 60, 300]).map(lambda seconds: timedelta(seconds=seconds)),
    visit_timeout=st.sampled_from([72, 72, 72, 4]).map(lambda hours: timedelta(hours=hours)),
    visit_max=st.sampled_from([90 * 24, 90 * 24, 90 * 24, 6]).map(lambda hours: timedelta(hours=hours)),
)
