"""A visit as it truly was, and its session as it came out, for the judge of the simulated fleet."""

from models.ids import SessionId, VehicleId
from models.session import Aggregated, Session, SessionState, Statistics
from simulator.world.moments import moment
from simulator.world.oracle import Stretch, TruePart
from tests.builders import ANN

CAR = VehicleId("v")


def true_visit(
    charged_ms: tuple[int, int],
    kw: float,
    ended_ms: int,
    *,
    begins_ms: tuple[int, int] = (0, 0),
    known_after_ms: int = 0,
) -> TruePart:
    """A visit of Ann's that nobody manages, charged at one power; 0: not charged.

    `begins_ms`: when it was plugged in, and when it began. `known_after_ms`: how long after its end it was known.
    """
    return TruePart(
        user_id=ANN,
        location_id=None,
        plugged_in_ms=begins_ms[0],
        started_ms=begins_ms[1],
        level_from=20.0,
        ended_ms=ended_ms,
        known_ms=ended_ms + known_after_ms,
        level_to=20.0,
        stretches=[Stretch(*charged_ms, 20.0, 100.0, None, flat_kw=kw)] if kw else [],
    )


def shown_session(plugged_in_ms: int, plugged_out_ms: int, kwh: float) -> Session:
    """Its SETTLED session."""
    return Session(
        id=SessionId("s"),
        policy_id=None,
        vehicle_id=CAR,
        user_id=ANN,
        location_id=None,
        state=SessionState.SETTLED,
        plugged_in_at=moment(plugged_in_ms),
        plugged_out_at=moment(plugged_out_ms),
        statistics=Statistics(aggregated=Aggregated(kwh_sum=kwh, battery_from=20, battery_to=20)),
    )
