"""Sessions of one car from their first update to their verdict, held against its truth once both are over.

For feeds that tell every level when it is true; of others nobody can say what a verdict knew. A session and its part
have the same beginning there (`truth.py` finds where they have not).
"""

from collections.abc import Callable, Iterable
from typing import Final

from models.command import Action, ChargeCommand, Reason
from models.ids import SessionId, UserId
from models.session import Session, SessionState
from simulator.judge.course import Course, new_course
from simulator.judge.findings import Finding, Update
from simulator.judge.shown import wrong_block, wrong_energy, wrong_level
from simulator.judge.thrift import night_of
from simulator.judge.verdicts import Truth, wrong_errors, wrong_verdict
from simulator.world.car import Car
from simulator.world.market import Market
from simulator.world.moments import HOUR_MS, SECOND_MS, millis, moment
from simulator.world.oracle import TruePart

# Of one car: sessions whose part is not over yet, and parts whose session is not. `truth.py` finds those that stay so.
_WAITING_LIMIT: Final = 64
# Less than that between the dearest and the cheapest way, in money: a night that proves nothing.
_LEAST_SPAN: Final = 0.2
# Of what could be saved, no correct plan has wasted more than 14 % (README.md).
_WASTED_LIMIT: Final = 0.25
# A fast charger's power falls too much between two words to say in which quarter-hour its energy flowed.
_STEADY_KW: Final = 25

_Key = tuple[int, UserId]


class Courses:
    """All sessions of one car. `is_whole`: nothing of its words is lost. `is_commanded`: commands are written.

    `tells_again`: what has not changed is told again.
    """

    __slots__ = (
        "_begun", "_car", "_courses", "_is_commanded", "_is_whole", "_market", "_over", "_report_to", "_stopped",
        "_tells_again", "verdicts",
    )  # fmt: skip

    def __init__(
        self,
        car: Car,
        market: Market,
        report: Callable[[Finding], None],
        *,
        is_whole: bool,
        is_commanded: bool,
        tells_again: bool = True,
    ) -> None:
        self._car = car
        self._market = market
        self._report_to = report
        self._is_whole = is_whole
        self._is_commanded = is_commanded
        self._tells_again = tells_again
        self._courses: dict[SessionId, Course] = {}
        self._begun: dict[_Key, TruePart] = {}
        self._over: dict[_Key, Course] = {}
        # A session that has just settled, and whose last command was a STOP.
        self._stopped: Session | None = None
        # How many verdicts were held against the truth.
        self.verdicts = 0

    def take(self, update: Update) -> None:
        """One more update of the car."""
        head = update.head
        course = self._courses.get(head.id)
        if course is None:
            course = self._courses[head.id] = new_course()
        course.take(update)
        if head.state is SessionState.SETTLED:
            del self._courses[head.id]
            course.settled, course.intervals = head, update.intervals
            if course.commands and course.commands[-1].action is Action.STOP:
                self._stopped = head
            if head.plugged_in_at is not None:
                self._match((millis(head.plugged_in_at), head.user_id), None, course)

    def erase(self, session_id: SessionId) -> None:
        """A tombstone."""
        self._courses.pop(session_id, None)

    def command(self, command: ChargeCommand) -> None:
        """What is asked of the car."""
        course = self._courses.get(command.session_id)
        if course is not None:
            course.commands.append(command)
        if self._stopped is not None and (command.reason, command.session_id) == (Reason.RELEASED, self._stopped.id):
            self._stopped = None

    def after_step(self, now_ms: int) -> None:
        """All that came of a moment has been taken."""
        stopped, self._stopped, car = self._stopped, None, self._car
        if stopped is None or not car.is_plugged_in or car.is_charging or car.level >= car.limit_percent:
            return
        ended_ms = millis(stopped.plugged_out_at or moment(0))
        # One that ended before ended with its plug, which is in again; or its car was sold at the plug, which stays in.
        is_let_go = ended_ms >= now_ms if car.user_id == stopped.user_id else car.plugged_ms < ended_ms
        if is_let_go and not self._is_managed_on(stopped.user_id):
            self._report("what was stopped is released", now_ms, stopped.id)

    def _is_managed_on(self, user_id: UserId) -> bool:
        """Whether a policy of a new owner, not of that user, takes over."""
        car = self._car
        return car.user_id != user_id and any(
            policy.is_enabled and (policy.user_id, policy.location_id) == (car.user_id, car.location_id)
            for policy in car.oracle.policies.values()
        )

    def happened(self, parts: Iterable[TruePart]) -> None:
        """Parts that are over."""
        for part in parts:
            self._match((part.started_ms, part.user_id), part, None)

    def _match(self, key: _Key, part: TruePart | None, course: Course | None) -> None:
        part, course = part or self._begun.pop(key, None), course or self._over.pop(key, None)
        if part is not None and course is not None:
            self._judge(part, course)
            return
        if part is not None:
            self._begun[key] = part
        if course is not None:
            self._over[key] = course
        for waiting in (self._begun, self._over):
            if len(waiting) > _WAITING_LIMIT:
                del waiting[next(iter(waiting))]

    def _judge(self, part: TruePart, course: Course) -> None:
        if part.is_doubtful or part.ended_ms is None or course.settled is None:
            return
        if part.ended_ms != millis(course.settled.plugged_out_at or moment(0)):
            return
        person = self._car.person
        limits = [(0, person.limit_percent), *self._car.oracle.limits]
        carries_kwh = None if self._tells_again else person.capacity_kwh
        truth = Truth(part, limits, person.plugged_every_s * SECOND_MS, self._is_commanded, carries_kwh)
        wrong = {"a quarter-hour has its level": wrong_level(course, truth, may_be_null=not self._is_whole)}
        if course.settled.policy_id is not None:
            self.verdicts += 1
            wrong |= {
                "a verdict is true": wrong_verdict(course, truth),
                "an error has its cause, and a cause its error": wrong_errors(course, truth),
                "a block is of the kind that was shown": wrong_block(course),
                "a night is cheap": self._wasted(course, truth),
            }
        is_steady = part.full_kw <= _STEADY_KW and not (part.is_flat or part.replugs or part.untold_kwh)
        if self._is_whole and is_steady:
            wrong["a quarter-hour has its energy"] = wrong_energy(course, truth)
        for law, detail in wrong.items():
            if detail is not None:
                span = f"visit {moment(part.started_ms)} to {moment(part.ended_ms)}: "
                self._report(law, part.ended_ms, f"{course.settled.id}: {span}{detail}")

    def _wasted(self, course: Course, truth: Truth) -> str | None:
        """A night that nobody disturbed, and yet far from the cheapest."""
        oracle, part = self._car.oracle, truth.part
        if not (self._is_whole and self._is_commanded) or self._car.person.refuses_share:
            return None
        if any(part.started_ms - HOUR_MS <= at_ms <= truth.ended_ms for at_ms in (*oracle.touches, *oracle.meddlings)):
            return None
        night = night_of(course, truth, self._market)
        if night is None or night.most - night.least < _LEAST_SPAN or night.wasted <= _WASTED_LIMIT:
            return None
        return f"{night.cost:.3f} for {night.least:.3f} at least, {night.most:.3f} at most"

    def _report(self, law: str, at_ms: int, detail: str) -> None:
        finding = Finding(law=law, vehicle_id=self._car.person.vehicle_id, at=moment(at_ms), detail=detail)
        self._report_to(finding)
