"""A vehicle's timers: what only time brings about, each at its due time.

Before a message is applied, all timers due before it have fired; a message at the very due time comes first. Live, wall
time fires the timers of silent vehicles too. The timer of the plug waits beyond its due time for as long as the
vehicle's newest message took to arrive, 30 min at most: the next may be as late. All others run on the vehicle's own
time, which goes on from its newest message as wall time passes: a replay of old telemetry into a live system must not
find years of silence.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from msgspec import Struct

from models.ids import PolicyId
from sessions.blocks import next_boundary
from sessions.control import (
    deadline_at,
    follow,
    give_way,
    lose_contact,
    pass_boundary,
    pass_deadline,
    pause_ends_at,
    take_prices,
)
from sessions.events import Counted, Rules, new_vehicle
from sessions.faults import REACH_TIME, unreachable_at
from sessions.parts import await_visit, update_visit
from sessions.policy_rules import DELETION_KEPT, still_known
from sessions.prices import PriceBook
from sessions.public import has_news, shown
from sessions.state import Control, ManagedBy, Vehicle, Visit, managed_by
from sessions.step import Step
from sessions.targets import ready_by
from sessions.visits import begin_next_part, confirm_unplug, end_silent_visit

DELAY_LIMIT: Final = timedelta(minutes=30)


class Kind(Enum):
    """What a timer is for. Of two that are due at the same moment, the one that stands first here fires first."""

    UNPLUG = "the unplug is confirmed"
    SILENCE = "the visit is over since its last evidence"
    TOO_LONG = "a part has lasted its longest time"
    PRICES = "prices become known"
    DEADLINE = "the target's time has come"
    GIVE_WAY = "the next deadline takes the place of one that was missed"
    BOUNDARY = "a block of the plan begins or ends"
    PAUSE = "a pause has lasted long enough to end the block"
    RESERVE = "the reserve may be entered again"
    ASK = "the vehicle is asked again"
    CONTACT = "the vehicle is silent though something is expected of it"
    ROLL = "the deadline of an awaited session passes"
    FORGET = "a vehicle that nobody manages was not heard of for long"


class Timer(Struct, frozen=True):
    due_at: datetime
    kind: Kind
    policy_id: PolicyId | None = None


class Wake(Struct, frozen=True):
    """`due_at`: by the vehicle's own time. `delay_s`: how much later that is by the wall."""

    due_at: datetime
    delay_s: float


def wake(vehicle: Vehicle, rules: Rules, prices: PriceBook) -> Wake | None:
    """When the vehicle's next timer fires by the wall though it stays silent; None: it has none."""
    visit, unplug_at = vehicle.visit, None
    earliest_at = None
    if visit is None:
        earliest_at = _forgotten_at(vehicle, rules)
    else:
        unplug_at, *others = _visit_moments(vehicle, visit, rules, prices)
        for due_at in others:
            if due_at is not None and (earliest_at is None or due_at < earliest_at):
                earliest_at = due_at
    for managed in vehicle.policies:
        due_at = _rolls_at(visit, managed)
        if due_at is not None and (earliest_at is None or due_at < earliest_at):
            earliest_at = due_at
    if unplug_at is not None:
        delay = timedelta(seconds=vehicle.delay_s)
        unplug_delay = min(delay, DELAY_LIMIT)
        if earliest_at is None or unplug_at + unplug_delay <= earliest_at + delay:
            return Wake(unplug_at, unplug_delay.total_seconds())
    return None if earliest_at is None else Wake(earliest_at, vehicle.delay_s)


def fire_before(step: Step, before: datetime, logged_at: datetime) -> bool:
    """Fire what is due before a message of that time, taken by the log at `logged_at`; tell whether anything was."""
    has_fired = False
    while _is_any_due(step.vehicle, step.rules, step.prices, before):
        timer = _first(timers(step.vehicle, step.rules, step.prices))
        assert timer is not None
        _fire(step, timer, logged_at)
        has_fired = True
    return has_fired


def _is_any_due(vehicle: Vehicle, rules: Rules, prices: PriceBook, before: datetime) -> bool:
    """Whether the first timer is due before that moment; asked for every message, thus without making the timers."""
    visit = vehicle.visit
    if visit is not None:
        for due_at in _visit_moments(vehicle, visit, rules, prices, before):
            if due_at is not None and due_at < before:
                return True
    for managed in vehicle.policies:
        due_at = _rolls_at(visit, managed)
        if due_at is not None and due_at < before:
            return True
    if visit is not None:
        return False
    forgotten_at = _forgotten_at(vehicle, rules)
    return forgotten_at is not None and forgotten_at < before


def fire_until(step: Step, now: datetime, *, is_wall: bool) -> None:
    """Fire what is due by now."""
    while True:
        due = (
            timer
            for timer in timers(step.vehicle, step.rules, step.prices)
            if timer.due_at + (_delay(step.vehicle, timer) if is_wall else timedelta(0)) <= now
        )
        timer = _first(due)
        if timer is None:
            return
        _fire(step, timer)


def timers(vehicle: Vehicle, rules: Rules, prices: PriceBook) -> Iterator[Timer]:
    """Every timer that is set."""
    visit = vehicle.visit
    if visit is not None:
        for kind, due_at in zip(_VISIT_KINDS, _visit_moments(vehicle, visit, rules, prices), strict=False):
            if due_at is not None:
                yield Timer(due_at, kind)
    for managed in vehicle.policies:
        due_at = _rolls_at(visit, managed)
        if due_at is not None:
            yield Timer(due_at, Kind.ROLL, managed.policy.id)
    forgotten_at = _forgotten_at(vehicle, rules)
    if forgotten_at is not None:
        yield Timer(forgotten_at, Kind.FORGET)


_VISIT_KINDS: Final = tuple(kind for kind in Kind if kind not in {Kind.ROLL, Kind.FORGET})


def _visit_moments(
    vehicle: Vehicle, visit: Visit, rules: Rules, prices: PriceBook, before: datetime | None = None
) -> tuple[datetime | None, ...]:
    """When each timer of an open visit is due, in the order of `_VISIT_KINDS`; the plug and silence come first.

    `before`: a moment from which on nobody asks.
    """
    part, control = visit.part, visit.part.control
    if visit.unplugged_at is not None:
        return visit.unplugged_at + rules.unplug_debounce, visit.newest_at + rules.visit_timeout
    silent_at, too_long_at = visit.newest_at + rules.visit_timeout, part.started_at + rules.visit_max
    managed = None if control is None or part.policy_id is None else managed_by(vehicle, part.policy_id)
    if control is None or managed is None or managed.session is None:
        return None, silent_at, too_long_at
    return (
        None,
        silent_at,
        too_long_at,
        _prices_change_at(vehicle, managed, control, prices),
        deadline_at(control, managed.session),
        control.gives_way_at,
        next_boundary(control.plan, control.checked_at) if control.plan.blocks else None,
        None if control.running is None else pause_ends_at(control),
        control.reserve_again_at,
        control.asks_at,
        # While messages come, that is not asked for.
        None
        if before is not None and before <= visit.newest_at + REACH_TIME
        else unreachable_at(control, visit.newest_at),
    )


def _prices_change_at(vehicle: Vehicle, managed: ManagedBy, control: Control, prices: PriceBook) -> datetime | None:
    """When prices become known that are not in the plan yet; those that came late, when they came."""
    read_at, next_at = prices.around(managed.policy.zone, control.prices_at)
    if read_at is None or (control.prices_read_at is not None and read_at <= control.prices_read_at):
        return next_at
    return max(control.prices_at, read_at - timedelta(seconds=vehicle.delay_s))


def _rolls_at(visit: Visit | None, managed: ManagedBy) -> datetime | None:
    session = managed.session
    if session is None or session.override is not None:
        return None
    if visit is not None and visit.part.policy_id == managed.policy.id:
        return None
    return ready_by(session.target)


def _forgotten_at(vehicle: Vehicle, rules: Rules) -> datetime | None:
    """When nothing of it is remembered any more; None: it has a policy or an open visit, or nothing is known of it.

    The newest session counts as a word of it: its name must not be given to another. Policies that were deleted shortly
    before are remembered beyond that.
    """
    if vehicle.visit is not None or vehicle.policies:
        return None
    newest_at, opened_at = vehicle.newest_at, vehicle.session_opened_at
    if newest_at is None or (opened_at is not None and opened_at > newest_at):
        newest_at = opened_at
    if newest_at is not None:
        return newest_at + rules.forget_after
    return max(each.at for each in vehicle.deleted) + DELETION_KEPT if vehicle.deleted else None


_ORDER: Final = {kind: place for place, kind in enumerate(Kind)}


def _first(due: Iterator[Timer]) -> Timer | None:
    return min(due, key=lambda timer: (timer.due_at, _ORDER[timer.kind], timer.policy_id or ""), default=None)


def _delay(vehicle: Vehicle, timer: Timer) -> timedelta:
    delay = timedelta(seconds=vehicle.delay_s)
    return min(delay, DELAY_LIMIT) if timer.kind is Kind.UNPLUG else delay


def _fire(step: Step, timer: Timer, logged_at: datetime | None = None) -> None:
    """`logged_at`: when the log took the message that makes it fire; None: time alone does."""
    due_at = timer.due_at
    # Whenever it really fires: what comes of it must not depend on that. On the wall clock a next message that is in
    # the log before the wait for one is over ends that wait.
    step.decided_at = due_at + _delay(step.vehicle, timer)
    if logged_at is not None and logged_at < step.decided_at and step.rules.is_wall:
        step.decided_at = logged_at
    match timer.kind:
        case Kind.UNPLUG:
            confirm_unplug(step)
        case Kind.SILENCE:
            end_silent_visit(step, due_at)
        case Kind.TOO_LONG:
            begin_next_part(step, due_at)
        case Kind.ROLL:
            assert timer.policy_id is not None
            await_visit(step, timer.policy_id, due_at)
        case Kind.FORGET:
            deleted = still_known(step.vehicle.deleted, due_at)
            step.vehicle = new_vehicle(step.vehicle.id)
            step.vehicle.deleted = deleted
            if not deleted:
                step.counted.append(Counted.VEHICLE_FORGOTTEN)
        case _:
            before = shown(step.vehicle)
            _CONTROL[timer.kind](step, due_at)
            if has_news(before, step.vehicle):
                update_visit(step, due_at)


_CONTROL: Final[dict[Kind, Callable[[Step, datetime], object]]] = {
    Kind.PRICES: take_prices,
    Kind.DEADLINE: pass_deadline,
    Kind.GIVE_WAY: give_way,
    Kind.BOUNDARY: pass_boundary,
    Kind.PAUSE: follow,
    Kind.RESERVE: follow,
    Kind.ASK: follow,
    Kind.CONTACT: lose_contact,
}
