"""Histories of one vehicle as steps in minutes, and the story that comes of them.

`run` folds a history through the session logic one event at a time and holds every step to the laws of `tests.laws`, so
a table test need only state its own. Minute 0 is 08:00 UTC, which lies on the quarter-hour grid.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from models.codec import Refusal
from models.ids import ChargerId, LocationId, PolicyId, SessionId, UserId, VehicleId, Zone
from models.policy import Deadline, Schedule, VehiclePolicy
from models.prices import PriceRecord, Resolution
from models.session import Session, SessionState
from models.target import ImmediateStartOverride, RegularOverride, SessionTarget
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import (
    CommandIssued,
    Counted,
    Decision,
    Event,
    Output,
    PolicyDeleted,
    PolicyWritten,
    Rules,
    SessionChanged,
    TargetWritten,
    TelemetryReceived,
    TimerDue,
    new_vehicle,
)
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from tests.laws import check_history, check_step

ZERO: Final = datetime(2025, 3, 4, 8, 0, tzinfo=UTC)
VEHICLE: Final = VehicleId("car-1")
ANN, BOB = UserId("ann"), UserId("bob")
HOME, WORK = LocationId("home"), LocationId("work")
RULES: Final = Rules()
ZONE: Final = Zone("Z")
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def minute(number: float) -> datetime:
    """The moment so many minutes after 08:00 UTC."""
    return ZERO + timedelta(minutes=number)


def plug(
    at: float,
    is_plugged_in: bool | None = True,
    *,
    where: LocationId | None = None,
    charger: str | None = None,
    level: float | None = None,
    capacity: float | None = None,
    user: UserId = ANN,
    logged: float | None = None,
) -> TelemetryReceived:
    """A plug event: by default, plugged in at a place that it does not name."""
    message = PlugEvent(
        event_id=f"plug-{at}",
        vehicle_id=VEHICLE,
        user_id=user,
        at=minute(at),
        is_plugged_in=is_plugged_in,
        location_id=where,
        charger_id=None if charger is None else ChargerId(charger),
        battery_level=level,
        battery_capacity=capacity,
    )
    return TelemetryReceived(message, minute(at if logged is None else logged))


def unplug(at: float, *, user: UserId = ANN, level: float | None = None) -> TelemetryReceived:
    """A plug event that says: unplugged."""
    return plug(at, is_plugged_in=False, user=user, level=level)


def sample(
    at: float,
    kwh: float | None = None,
    *,
    level: float | None = None,
    charging: bool | None = None,
    plugged: bool | None = None,
    state: str | None = None,
    rate: float | None = None,
    capacity: float | None = None,
    limit: float | None = None,
    where: LocationId | None = None,
    user: UserId = ANN,
    logged: float | None = None,
) -> TelemetryReceived:
    """A charge sample; `kwh` is the reading of its energy counter. By default it says nothing at all."""
    message = ChargeSample(
        event_id=f"charge-{at}",
        vehicle_id=VEHICLE,
        user_id=user,
        at=minute(at),
        is_plugged_in=plugged,
        is_charging=charging,
        battery_level=level,
        battery_capacity=capacity,
        charge_rate=rate,
        charge_limit=limit,
        energy_added=kwh,
        power_delivery_state=state,
        location_id=where,
    )
    return TelemetryReceived(message, minute(at if logged is None else logged))


def policy(
    at: float,
    name: str = "p1",
    *,
    where: LocationId = HOME,
    user: UserId = ANN,
    enabled: bool = True,
    reserve: float = 0.0,
    by: str | None = None,
    percent: float = 80.0,
    zone: Zone | None = None,
    rate: float | None = None,
    capacity: float | None = None,
    logged: float | None = None,
) -> PolicyWritten:
    """A policy as it is written at that minute: by default p1, Ann's, enabled, at home, without a deadline.

    `by`: the deadline of every day, UTC.
    """
    deadline = None if by is None else Deadline(deadline=by, minimum_charge_target=percent)
    written = VehiclePolicy(
        id=PolicyId(name),
        user_id=user,
        vehicle_id=VEHICLE,
        location_id=where,
        is_enabled=enabled,
        at=minute(at),
        battery_reserve=reserve,
        schedule=Schedule(**dict.fromkeys(WEEKDAYS, deadline)),
        zone=zone,
        max_charge_rate=rate,
        battery_capacity=capacity,
    )
    return PolicyWritten(written, minute(at if logged is None else logged))


def delete(at: float, name: str = "p1") -> PolicyDeleted:
    """The policy's record is deleted."""
    return PolicyDeleted(PolicyId(name), minute(at))


def timer(now: float, *, is_wall: bool = False) -> TimerDue:
    """Time passes up to that minute, and nothing is told."""
    return TimerDue(minute(now), is_wall=is_wall)


def target(
    at: float, session: str, wish: RegularOverride | ImmediateStartOverride | None, *, logged: float | None = None
) -> TargetWritten:
    """The user wants this of a session; None: the policy's target again."""
    record = SessionTarget(vehicle_id=VEHICLE, session_id=SessionId(session), at=minute(at), target=wish)
    return TargetWritten(record, minute(at if logged is None else logged))


def at_once(percent: float = 80.0) -> ImmediateStartOverride:
    """Charge now."""
    return ImmediateStartOverride(minimum_charge_target=percent)


def ready(by: float, percent: float = 80.0, reserve: float = 0.0) -> RegularOverride:
    """Another level by another minute."""
    return RegularOverride(battery_reserve=reserve, minimum_charge_target=percent, ready_by=minute(by))


def priced(*hourly: float, start: float = 0.0, known: float = -600.0, book: PriceBook | None = None) -> PriceBook:
    """Prices of the zone by the hour from that minute on, known since that other minute; EUR per kWh."""
    book = PriceBook() if book is None else book
    record = PriceRecord(
        zone=ZONE, currency="EUR", resolution=Resolution.HOUR, start_at=minute(start), prices=hourly, at=minute(known)
    )
    book.add(record, record.at)
    return book


@dataclass(frozen=True)
class Story:
    """What came of a history: every decision in order, and the vehicle as it stands at the end."""

    vehicle: Vehicle
    decisions: tuple[Decision, ...]

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All that was published, in order."""
        return tuple(output for decision in self.decisions for output in decision.outputs)

    @property
    def changes(self) -> list[SessionChanged]:
        """All session updates, in order."""
        return [output for output in self.outputs if isinstance(output, SessionChanged)]

    @property
    def commands(self) -> list[str]:
        """All commands in order, in short: minute, action and reason."""
        issued = [output.command for output in self.outputs if isinstance(output, CommandIssued)]
        return [f"{_in_minutes(one.at):g} {one.action.value} {one.reason.value}" for one in issued]

    @property
    def refusals(self) -> list[Refusal]:
        """Why events were refused, in order."""
        return [decision.refused.reason for decision in self.decisions if decision.refused is not None]

    @property
    def counted(self) -> list[Counted]:
        """What was counted, in order."""
        return [counted for decision in self.decisions for counted in decision.counted]

    @property
    def states(self) -> list[str]:
        """Each update in short: whose session (its policy, or `-`), its state and its version."""
        return [f"{one.session.policy_id or '-'} {one.session.state.value} {one.version}" for one in self.changes]

    @property
    def phases(self) -> list[str]:
        """The states that each session went through, in short: whose, and the state."""
        known: dict[SessionId, SessionState] = {}
        found = []
        for one in self.changes:
            if known.get(one.session.id) is not one.session.state:
                found.append(f"{one.session.policy_id or '-'} {one.session.state.value}")
                known[one.session.id] = one.session.state
        return found

    @property
    def settled(self) -> list[Session]:
        """The sessions that have settled, in order."""
        return [one.session for one in self.changes if one.session.state is SessionState.SETTLED]

    @property
    def latest(self) -> Session:
        """The session of the newest update."""
        return self.changes[-1].session

    def last(self) -> Decision:
        """What the last event of the history came to."""
        return self.decisions[-1]


def run(*events: Event, rules: Rules = RULES, before: Vehicle | None = None, prices: PriceBook | None = None) -> Story:
    """Fold a history, holding every step to the laws. `before`: where the vehicle stands at the start."""
    book = PriceBook() if prices is None else prices
    vehicle = new_vehicle(VEHICLE) if before is None else before
    decisions: list[Decision] = []
    for event in events:
        kept = msgspec.msgpack.encode(vehicle)
        decision = apply(vehicle, event, rules, book)
        assert msgspec.msgpack.encode(vehicle) == kept, "a step changed the vehicle that came in"
        check_step(vehicle, decision)
        vehicle = decision.vehicle
        decisions.append(decision)
        if before is None and (decision.outputs or event is events[-1]):
            check_history([output for each in decisions for output in each.outputs], vehicle)
    return Story(vehicle, tuple(decisions))


def blocks(session: Session) -> list[str]:
    """A session's blocks in short: kind, from and to in minutes, kWh."""
    return [
        f"{one.type} {_in_minutes(one.start_at):g}-{_in_minutes(one.end_at):g} {one.kwh_sum:g}"
        for one in session.blocks
    ]


def kwh(session: Session) -> list[float]:
    """The energies of a session's intervals."""
    return [point.kwh for point in session.statistics.timeseries]


def kwh_sum(session: Session) -> float:
    """The energy of a session that has begun."""
    assert session.statistics.aggregated is not None
    return session.statistics.aggregated.kwh_sum


def battery(session: Session) -> tuple[int | None, int | None]:
    """Battery level from and to of a session that has begun."""
    totals = session.statistics.aggregated
    assert totals is not None
    return totals.battery_from, totals.battery_to


def bounds(session: Session) -> tuple[float | None, float | None]:
    """Plug-in and plug-out in minutes."""
    return _in_minutes(session.plugged_in_at), _in_minutes(session.plugged_out_at)


def _in_minutes(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - ZERO) / timedelta(minutes=1)
