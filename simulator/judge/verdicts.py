"""What a session said of its target and of its errors, held against how full its battery really was.

The core hears of a level when the car tells it, every few minutes: of what was reached since the last word before a
moment nobody can say, and either verdict is taken.
"""

from collections.abc import Sequence
from math import floor
from typing import Final

from msgspec import Struct

from models.command import Action
from models.session import RegularTarget, SessionError
from simulator.judge.course import Course, Target
from simulator.world.moments import MINUTE_MS, SECOND_MS, millis
from simulator.world.oracle import TruePart

# Told with two decimals; a target of a whole percent is reached a little earlier at most.
_ROUNDED_PERCENT: Final = 0.02
# Of energy that nobody says where it went, this share is taken to reach the battery.
_EFFICIENCY: Final = 0.9
# A car that stands unplugged tells its limit so often, and the plug-in tells none.
_LIMIT_TOLD_MS: Final = 30 * MINUTE_MS
_FOLLOW_MS: Final = 10 * MINUTE_MS
_INTERRUPTED_MS: Final = 10 * MINUTE_MS
_CLOSE_MS: Final = 2 * SECOND_MS
# No device of this world says so, none is silent for an hour at its plug, and no visit lasts for ever.
_UNTOLD: Final = frozenset({"NO_POWER", "FAULT", "UNREACHABLE", "VISIT_TIMED_OUT"})


class Truth(Struct, frozen=True):
    """A part of a visit, the car's limits since when each (ms, %; the oldest first), and how often it tells (ms).

    `carries_kwh`: the battery's capacity, where a level that stays is not told again: then nor is that the car does not
    charge, and while it warms itself its level is carried on by the energy, as the contract has it. Null: it is.
    """

    part: TruePart
    limits: Sequence[tuple[int, float]]
    every_ms: int
    is_commanded: bool = True
    carries_kwh: float | None = None

    @property
    def ended_ms(self) -> int:
        """When it was over."""
        return self.part.started_ms if self.part.ended_ms is None else self.part.ended_ms

    def limits_at(self, from_ms: int, until_ms: int) -> list[float]:
        """The limits between two moments; both may be one."""
        before = [percent for since_ms, percent in self.limits if since_ms <= from_ms]
        return before[-1:] + [percent for since_ms, percent in self.limits if from_ms < since_ms <= until_ms]

    def is_reached(self, percent: float, by_ms: int) -> bool | None:
        """Whether a target was reached by then; null: the last word before it decides, or a limit that changed."""
        part = self.part
        limits = self.limits_at(part.started_ms - _LIMIT_TOLD_MS, by_ms)
        if part.level_at(max(part.started_ms, by_ms - self.every_ms)) >= min(percent, max(limits)):
            return True
        return False if self.carried_level(by_ms) < min(percent, *limits) - _ROUNDED_PERCENT else None

    def carried_level(self, by_ms: int) -> float:
        """The highest level by then that anybody could take for the car's: the true one where all levels are told."""
        highest, drawn_kwh = self.part.level_at(by_ms), 0.0
        if self.carries_kwh is None:
            return highest
        for stretch in self.part.stretches:
            # A battery that charges has another level, which is told.
            drawn_kwh = 0.0 if stretch.curve is not None else drawn_kwh + stretch.energy_kwh(0, by_ms)
            risen_percent = drawn_kwh * _EFFICIENCY / self.carries_kwh * 100
            highest = max(highest, min(stretch.level_at(by_ms) + risen_percent, 100.0) if drawn_kwh else 0.0)
        return highest

    def energy_kwh(self, from_ms: int, until_ms: int) -> float:
        """The grid's energy between two moments of the part."""
        from_ms, until_ms = max(from_ms, self.part.started_ms), min(until_ms, self.ended_ms)
        return sum(stretch.energy_kwh(from_ms, until_ms) for stretch in self.part.stretches)

    def is_charging(self, from_ms: int, until_ms: int) -> bool:
        """Whether the battery charged all that time."""
        return any(
            stretch.curve is not None and stretch.start_ms <= from_ms and until_ms <= stretch.end_ms
            for stretch in self.part.stretches
        )

    def is_standing(self, from_ms: int, until_ms: int) -> bool:
        """Whether the battery did not charge at any time of it."""
        return not any(
            stretch.curve is not None and stretch.start_ms < until_ms and from_ms < stretch.end_ms
            for stretch in self.part.stretches
        )


def judged_target(course: Course, truth: Truth) -> tuple[Target, int] | None:
    """The target that a verdict is about, and by when it was to be reached (ms).

    The last one whose time passed in the session while it was in force, else the one in force at the end; null: none.
    A policy's target whose time passes while the session waits is in force no more once it is ACTIVE; a user's is, and
    has passed, whatever is wished later.
    """
    active_ms, ended_ms = course.active_ms, truth.ended_ms
    passed = last = None
    for _, next_ms, target in course.in_force(min(active_ms, ended_ms), ended_ms):
        due_ms = _due_ms(target)
        if due_ms is not None and due_ms <= min(ended_ms, next_ms):
            passed = target, due_ms
        last = target, ended_ms
    return passed or last


def wrong_verdict(course: Course, truth: Truth) -> str | None:
    """What is wrong with the verdict of a settled managed session; null: nothing, or nobody can say."""
    settled = course.settled
    outcome, named = None if settled is None else settled.outcome.latest, judged_target(course, truth)
    if outcome is None or named is None:
        return None
    target, by_ms = named
    due_ms = _due_ms(target)
    if due_ms is not None and (abs(due_ms - course.active_ms) < _CLOSE_MS or abs(due_ms - truth.ended_ms) < _CLOSE_MS):
        # Its time passed with the plug-in, or with the plug-out.
        return None
    if outcome.target_id != target.id:
        return f"of target {outcome.target_id} for {target}"
    if due_ms is not None and due_ms < course.active_ms:
        # A user's time had passed before the plug-in: how it stood then nobody was told.
        return None
    is_reached = truth.is_reached(target.minimum_charge_target, by_ms)
    level = truth.part.level_at(by_ms)
    if is_reached is not None and (outcome.state == "SUCCEEDED") is not is_reached:
        return f"{outcome.state}, {level:.2f} % of {target.minimum_charge_target:g} % at {by_ms} ms for {target}"
    told = outcome.battery_level_at_ready_by
    lowest = floor(truth.part.level_at(max(truth.part.started_ms, by_ms - truth.every_ms)) - _ROUNDED_PERCENT)
    highest = truth.carried_level(by_ms) + _ROUNDED_PERCENT
    is_true = told is None if due_ms is None else told is not None and lowest <= told <= highest
    return None if is_true else f"{told} % at {by_ms} ms for {level:.2f} %"


def wrong_errors(course: Course, truth: Truth) -> str | None:
    """An error that was shown without its cause, or one that should have stood at the end and did not."""
    for at_ms, error in course.errors:
        if error is not None and not _has_cause(error, at_ms, course, truth):
            return f"{error} without a cause"
    settled = course.settled
    if settled is None or settled.error.latest is not None:
        return None
    ended_ms = truth.ended_ms
    early_ms = ended_ms - truth.every_ms - _CLOSE_MS
    targets = list(course.in_force(early_ms, ended_ms))
    limits = truth.limits_at(early_ms - _LIMIT_TOLD_MS, ended_ms)
    if early_ms < truth.part.started_ms or len(targets) != 1 or len(limits) != 1:
        return None
    target = targets[0][2]
    if not _is_wish(target) or target.minimum_charge_target <= limits[0]:
        return None
    return f"no error, though {target} is above the car's limit {limits[0]:g} %"


def _has_cause(error: SessionError, at_ms: int, course: Course, truth: Truth) -> bool:
    found_ms = millis(error.occurred_at)
    match error.code:
        case "TARGET_ABOVE_LIMIT":
            limits = truth.limits_at(found_ms - _LIMIT_TOLD_MS, at_ms)
            targets = [target for _, _, target in course.in_force(found_ms, at_ms)]
            return any(_is_wish(target) and target.minimum_charge_target > min(limits) for target in targets)
        case "START_FAILED":
            is_asked = _is_asked(course, Action.START, found_ms, truth)
            return is_asked and not truth.is_charging(found_ms - SECOND_MS, found_ms + SECOND_MS)
        case "STOP_FAILED":
            is_asked = _is_asked(course, Action.STOP, found_ms, truth)
            return is_asked and not truth.is_standing(found_ms - SECOND_MS, found_ms + SECOND_MS)
        case "CHARGE_INTERRUPTED":
            return not truth.is_charging(found_ms - _INTERRUPTED_MS, found_ms)
        case code:
            return code not in _UNTOLD


def _is_asked(course: Course, action: Action, at_ms: int, truth: Truth) -> bool:
    if not truth.is_commanded:
        return True
    return any(
        command.action is action and millis(command.at) <= at_ms - _FOLLOW_MS + SECOND_MS for command in course.commands
    )


def _is_wish(target: Target) -> bool:
    """Whether anybody asked for it: the 100 % of a policy without a deadline are nobody's wish."""
    return not isinstance(target, RegularTarget) or target.ready_by is not None


def _due_ms(target: Target) -> int | None:
    due = target.ready_by if isinstance(target, RegularTarget) else None
    return None if due is None else millis(due)
