"""Laws of the session logic over histories that nobody wrote down."""

import msgspec
from hypothesis import given
from msgspec import structs

from models.session import Session
from sessions.events import Event, Rules, SessionChanged, TelemetryReceived
from sessions.lifecycle import apply
from sessions.public import visit_session
from sessions.state import Vehicle
from tests.builders import VEHICLE, run
from tests.properties.histories import CHECK, histories, rules


@CHECK
@given(histories(), rules)
def test_laws_hold_at_every_moment(events: list[Event], with_rules: Rules) -> None:
    """Whatever a vehicle tells, every law of `tests.laws` holds after every event."""
    run(*events, rules=with_rules)


@CHECK
@given(histories(max_size=24), rules)
def test_duplicates_change_nothing(events: list[Event], with_rules: Rules) -> None:
    """A message that comes again, at whatever later moment, publishes nothing and leaves the state as it is."""
    vehicle = Vehicle(VEHICLE)
    told: list[TelemetryReceived] = []
    for event in events:
        vehicle = apply(vehicle, event, with_rules).vehicle
        if isinstance(event, TelemetryReceived):
            told.append(event)
        for again in told:
            repeated = apply(vehicle, again, with_rules)
            assert (repeated.outputs, repeated.vehicle) == ((), vehicle)


@CHECK
@given(histories(), rules)
def test_state_survives_storage(events: list[Event], with_rules: Rules) -> None:
    """A vehicle that is encoded and decoded after every event decides as one that stays in memory."""
    stored = msgspec.json.encode(Vehicle(VEHICLE))
    for event, kept in zip(events, run(*events, rules=with_rules).decisions, strict=True):
        decision = apply(msgspec.json.decode(stored, type=Vehicle), event, with_rules)
        assert decision == kept
        stored = msgspec.json.encode(decision.vehicle)


@CHECK
@given(histories(), rules)
def test_what_is_public_is_published(events: list[Event], with_rules: Rules) -> None:
    """What the newest update of an active session says is what is remembered, but for time that passed idly."""
    vehicle = Vehicle(VEHICLE)
    published: dict[str, Session] = {}
    for event in events:
        decision = apply(vehicle, event, with_rules)
        vehicle = decision.vehicle
        published |= {out.session.id: out.session for out in decision.outputs if isinstance(out, SessionChanged)}
        for managed in vehicle.policies:
            visit, current = vehicle.visit, managed.session
            if visit is None or current is None or visit.part.policy_id != managed.policy.id:
                continue
            until = max(visit.newest_at, visit.part.started_at)
            assert current.state is not None
            now = visit_session(VEHICLE, visit, current.id, current.state, until)
            assert without_idle_end(now) == without_idle_end(published[current.id])


def without_idle_end(session: Session) -> Session:
    """The session without what of its series carries no energy at the end, and without the ends of the intervals."""
    energies = [point.kwh for point in session.statistics.timeseries]
    while energies and energies[-1] == 0:
        energies.pop()
    points = tuple(
        structs.replace(point, end_at=point.start_at) for point in session.statistics.timeseries[: len(energies)]
    )
    return structs.replace(session, statistics=structs.replace(session.statistics, timeseries=points))
