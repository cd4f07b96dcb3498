"""A vehicle that stands plugged in over night and does as it is told, more or less: the other half of the control loop.

It has a capacity, a power with a taper, losses and a limit of its own; it obeys a command some time after it was
issued, tells what it does every few minutes, and nothing of how it does it. Minutes count from 08:00 UTC.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from math import cos, floor, pi
from random import Random
from typing import Final

from models.command import Action, ChargeCommand
from models.session import Session, SessionState
from sessions.events import CommandIssued, Event, Output, Rules, SessionChanged, new_vehicle
from sessions.lifecycle import apply
from sessions.planner import Plan
from sessions.prices import PriceBook
from sessions.state import Vehicle
from tests.builders import HOME, VEHICLE, ZERO, ZONE, plug, policy, priced, sample, timer, unplug
from tests.laws import check_history, check_step

_MINUTE: Final = timedelta(minutes=1)
RULES: Final = Rules()


@dataclass(frozen=True, kw_only=True)
class Night:
    """What is told of a night: times in minutes, levels in %, kW and kWh at the charger."""

    plugged_in: int = 600
    plugged_out: int = 1_400
    level: float = 40.0
    target: float = 80.0
    reserve: float = 0.0
    capacity_kwh: float = 60.0
    power_kw: float = 7.2
    efficiency: float = 0.9
    # From this level on the power falls, down to a quarter of it at 100 %.
    taper_from: float = 100.0
    limit: float = 100.0
    obeys_after: float = 0.5
    # It begins to charge when it is plugged in, whoever asked for it.
    is_eager: bool = False
    is_level_whole: bool = False
    told_every: int = 5
    is_capacity_told: bool = True
    prices: tuple[float, ...] = ()


@dataclass
class Course:
    """What came of a night."""

    vehicle: Vehicle
    events: list[Event] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    # The level at each minute from the plug-in on.
    levels: list[float] = field(default_factory=list)

    @property
    def commands(self) -> list[ChargeCommand]:
        return [output.command for output in self.outputs if isinstance(output, CommandIssued)]

    @property
    def settled(self) -> Session:
        changes = [output for output in self.outputs if isinstance(output, SessionChanged)]
        return next(one.session for one in changes if one.session.state is SessionState.SETTLED)

    def command_overlaps(self) -> list[ChargeCommand]:
        """Commands issued while the one before was still valid."""
        return [other for one, other in pairwise(self.commands) if other.at < one.valid_until]


def curve(random: Random) -> tuple[float, ...]:
    """Prices of two days by the hour from 08:00 on: dear in the evening, cheap at night and at noon, and noisy."""
    return tuple(
        round(0.2 + 0.08 * cos((hour - 11) * pi / 6) + 0.05 * cos((hour - 11) * pi / 12) + random.gauss(0, 0.02), 4)
        for hour in range(48)
    )


def drawn(seed: int) -> Night:
    """A night as it may well be."""
    random = Random(seed)
    return Night(
        plugged_in=random.randrange(540, 900),
        plugged_out=random.randrange(1_385, 1_500),
        level=random.uniform(5, 75),
        target=random.choice([60.0, 80.0, 80.0, 90.0, 100.0]),
        reserve=random.choice([0.0, 0.0, 20.0, 30.0]),
        capacity_kwh=random.choice([38.0, 60.0, 77.0]),
        power_kw=random.choice([3.6, 7.2, 10.8]),
        efficiency=random.choice([0.85, 0.88, 0.9, 0.93]),
        taper_from=random.choice([80.0, 90.0, 100.0]),
        limit=random.choice([80.0, 90.0, 100.0, 100.0]),
        obeys_after=random.choice([0.1, 0.5, 1.5, 4.0]),
        is_eager=random.random() < 0.5,
        is_level_whole=random.random() < 0.5,
        told_every=random.choice([1, 5, 5, 10]),
        is_capacity_told=random.random() < 0.7,
        prices=curve(random),
    )


def spend(night: Night) -> Course:
    """Let the night pass minute by minute: the vehicle hears what was issued, and tells what it does."""
    book = priced(*night.prices) if night.prices else PriceBook()
    course = Course(new_vehicle(VEHICLE))
    _decide(
        course,
        book,
        policy(
            0,
            by="07:00",
            percent=night.target,
            reserve=night.reserve,
            zone=ZONE,
            capacity=None if night.is_capacity_told else night.capacity_kwh,
            rate=night.power_kw,
        ),
    )
    counter_kwh, level, is_on, obeyed = 0.0, night.level, night.is_eager, 0
    for now in range(night.plugged_in, night.plugged_out):
        for command in course.commands[obeyed:]:
            if (command.at - ZERO) / _MINUTE + night.obeys_after <= now:
                is_on = command.action is Action.START
                obeyed += 1
        power_kw = _power_kw(night, level) if is_on else 0.0
        if now == night.plugged_in:
            _decide(course, book, plug(now - 0.1, where=HOME, level=_told(night, level)))
        if (now - night.plugged_in) % night.told_every == 0:
            told = sample(
                now,
                round(counter_kwh, 3),
                level=_told(night, level),
                charging=power_kw > 0,
                rate=power_kw,
                limit=night.limit,
                capacity=night.capacity_kwh if night.is_capacity_told else None,
            )
            _decide(course, book, told)
        else:
            _decide(course, book, timer(now))
        course.levels.append(level)
        counter_kwh += power_kw / 60
        level = min(level + power_kw / 60 * night.efficiency / night.capacity_kwh * 100, night.limit)
    _decide(course, book, unplug(night.plugged_out))
    _decide(course, book, timer(night.plugged_out + 2))
    check_history(course.outputs, course.vehicle)
    return course


def minutes_needed(night: Night) -> int:
    """How long the vehicle charges until its target, or its own limit."""
    goal, level, passed = min(night.target, night.limit), night.level, 0
    while level < goal - 1e-6:
        level += _power_kw(night, level) / 60 * night.efficiency / night.capacity_kwh * 100
        passed += 1
    return passed


def _power_kw(night: Night, level: float) -> float:
    if level >= night.limit:
        return 0.0
    above = max(0.0, level - night.taper_from) / max(1.0, 100 - night.taper_from)
    return night.power_kw * (1 - 0.75 * min(above, 1.0))


def _told(night: Night, level: float) -> float:
    return float(floor(level + 1e-9)) if night.is_level_whole else round(level, 2)


def _decide(course: Course, book: PriceBook, event: Event) -> None:
    decision = apply(course.vehicle, event, RULES, book)
    check_step(course.vehicle, decision)
    course.vehicle = decision.vehicle
    course.events.append(event)
    course.outputs.extend(decision.outputs)
    visit = decision.vehicle.visit
    control = None if visit is None else visit.part.control
    if control is not None and (not course.plans or control.plan is not course.plans[-1]):
        course.plans.append(control.plan)
