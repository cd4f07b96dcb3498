"""Histories of one vehicle as steps in minutes, and the story that comes of them.

`run` folds a history through the session logic one event at a time and holds every step to the laws of `tests.laws`, so
a table test need only state its own. Minute 0 is 08:00 UTC, which lies on the quarter-hour grid.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from models.codec import Refusal
from models.ids import ChargerId, LocationId, PolicyId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.session import Session, SessionState
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import (
    Counted,
    Decision,
    Event,
    Output,
    PolicyDeleted,
    PolicyWritten,
    Rules,
    SessionChanged,
    TelemetryReceived,
    TimerDue,
    new_vehicle,
)
from sessions.lifecycle import apply
from sessions.state import Vehicle
from tests.laws import check_history, check_step

ZERO: Final = datetime(2025, 3, 4, 8, 0, tzinfo=UTC)
VEHICLE: Final = VehicleId("car-1")
ANN, BOB = UserId("ann"), UserId("bob")
HOME, WORK = LocationId("home"), LocationId("work")
RULES: Final = Rules()


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
    logged: float | None = None,
) -> PolicyWritten:
    """A policy as it is written at that minute: by default p1, Ann's, enabled, at home."""
    written = VehiclePolicy(
        id=PolicyId(name),
        user_id=user,
        vehicle_id=VEHICLE,
        location_id=where,
        is_enabled=enabled,
        at=minute(at),
        battery_reserve=reserve,
    )
    return PolicyWritten(written, minute(at if logged is None else logged))


def delete(at: float, name: str = "p1") -> PolicyDeleted:
    """The policy's record is deleted."""
    return PolicyDeleted(PolicyId(name), minute(at))


def timer(now: float) -> TimerDue:
    """Time passes up to that minute, and nothing is told."""
    return TimerDue(minute(now))


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


def run(*events: Event, rules: Rules = RULES, before: Vehicle | None = None) -> Story:
    """Fold a history, holding every step to the laws. `before`: where the vehicle stands at the start."""
    vehicle = new_vehicle(VEHICLE) if before is None else before
    decisions: list[Decision] = []
    for event in events:
        decision = apply(vehicle, event, rules)
        check_step(vehicle, decision)
        vehicle = decision.vehicle
        decisions.append(decision)
        if before is None:
            check_history([output for each in decisions for output in each.outputs], vehicle)
    return Story(vehicle, tuple(decisions))


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
