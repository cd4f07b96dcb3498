"""The course of a session: what its updates showed one after another, and what was asked of its car meanwhile."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from models.command import ChargeCommand
from models.session import ImmediateStartTarget, RegularTarget, Session, SessionError, SessionState, TimeseriesPoint
from simulator.judge.findings import Intervals, Update
from simulator.world.moments import NEVER_MS, QUARTER_MS, millis, moment

Target = RegularTarget | ImmediateStartTarget
_What = TypeVar("_What")


class Course(Struct, kw_only=True):
    """One session as it was told. Each list: since when (ms), by the updates that said so, and what.

    `settled`: its last update; null: it goes on. `intervals`: what that one tells of its quarter-hours.
    """

    targets: list[tuple[int, Target]]
    states: list[tuple[int, SessionState]]
    errors: list[tuple[int, SessionError | None]]
    commands: list[ChargeCommand]
    settled: Session | None = None
    intervals: Intervals | None = None

    def take(self, update: Update) -> None:
        """One more update. What says the same as before is the same object, nearly always."""
        head = update.head
        target, state, error = head.target.latest, head.state, head.error.latest
        targets, states, errors = self.targets, self.states, self.errors
        if target is not None and not (targets and targets[-1][1] is target):
            _add(targets, update.created_at, target)
        if state is not SessionState.SETTLED and not (states and states[-1][1] is state):
            _add(states, update.created_at, state)
        if (errors[-1][1] if errors else None) is not error:
            _add(errors, update.created_at, error)

    @property
    def active_ms(self) -> int:
        """Since when it is ACTIVE; what passed before that passed while it waited. It may have begun earlier."""
        return next((at_ms for at_ms, state in self.states if state is not SessionState.UPCOMING), NEVER_MS)

    def in_force(self, from_ms: int, until_ms: int) -> Iterator[tuple[int, int, Target]]:
        """Targets in force between two moments: from when, until when (ms), and which."""
        for place, (since_ms, target) in enumerate(self.targets):
            next_ms = self.targets[place + 1][0] if place + 1 < len(self.targets) else NEVER_MS
            if since_ms <= until_ms and next_ms > from_ms:
                yield since_ms, next_ms, target

    def states_at(self, from_ms: int, until_ms: int) -> set[SessionState]:
        """The states that were shown between two moments; both may be one."""
        shown = {state for since_ms, state in self.states if from_ms < since_ms <= until_ms}
        before = [state for since_ms, state in self.states if since_ms <= from_ms]
        return shown | set(before[-1:])

    def points(self) -> Iterator[TimeseriesPoint]:
        """The quarter-hours of its last update."""
        told = self.intervals
        if told is None:
            return
        start_ms, until_ms = millis(told.started_at), millis(told.until)
        first = start_ms // QUARTER_MS
        for place in range(told.count):
            yield TimeseriesPoint(
                start_at=moment(max(start_ms, (first + place) * QUARTER_MS)),
                end_at=moment(min(until_ms, (first + place + 1) * QUARTER_MS)),
                kwh=(told.energy_wh[place] if place < len(told.energy_wh) else 0) / 1_000,
                battery_level=told.levels[place] if place < len(told.levels) else None,
            )


def new_course() -> Course:
    """Of a session of which nothing has been told."""
    return Course(targets=[], states=[], errors=[], commands=[])


def _add(told: list[tuple[int, _What]], at: datetime, what: _What) -> None:
    """What was said twice at one moment is what was said last."""
    if told and told[-1][1] == what:
        return
    at_ms = millis(at)
    if told and told[-1][0] == at_ms:
        told.pop()
    told.append((at_ms, what))
