"""The public Session, drawn from what is remembered. Nothing is decided here; what nobody knows yet is null or empty.

Targets, plans, outcomes, errors and valuations are not made yet: their fields stand with their neutral values.
"""

from datetime import datetime
from math import floor

from models.ids import SessionId, VehicleId
from models.session import Aggregated, Session, SessionState, Statistics, TimeseriesPoint
from models.units import kwh_from_wh
from sessions.grid import quarters
from sessions.state import ManagedBy, Part, Visit
from sessions.statistics import energy_sum_wh


def awaited_session(vehicle_id: VehicleId, managed: ManagedBy, session_id: SessionId) -> Session:
    """The UPCOMING session of a policy: nobody is plugged in, and nothing is known yet."""
    return Session(
        id=session_id,
        policy_id=managed.policy.id,
        vehicle_id=vehicle_id,
        user_id=managed.policy.user_id,
        location_id=managed.policy.location_id,
        state=SessionState.UPCOMING,
        plugged_in_at=None,
        plugged_out_at=None,
    )


def visit_session(
    vehicle_id: VehicleId, visit: Visit, session_id: SessionId, state: SessionState, until: datetime
) -> Session:
    """The session of a visit's part as of `until`; `until` is its plug-out where the state is SETTLED."""
    part = visit.part
    return Session(
        id=session_id,
        policy_id=part.policy_id,
        vehicle_id=vehicle_id,
        user_id=visit.user_id,
        location_id=visit.location_id,
        state=state,
        plugged_in_at=part.started_at,
        plugged_out_at=until if state is SessionState.SETTLED else None,
        statistics=Statistics(aggregated=aggregated(part), timeseries=_timeseries(part, until)),
    )


def aggregated(part: Part) -> Aggregated:
    """Totals of a part: kWh, and whole percents rounded down."""
    return Aggregated(
        kwh_sum=kwh_from_wh(energy_sum_wh(part)),
        battery_from=_whole_percent(part.level_from),
        battery_to=_whole_percent(part.level_to),
    )


def shown(visit: Visit | None) -> object:
    """What of an open visit a client can see, the growing end of its series and intervals of 0 kWh aside."""
    if visit is None:
        return None
    part = visit.part
    levels = [_whole_percent(level) for level in part.levels[: len(part.energy_wh)]]
    return visit.location_id, part.started_at, aggregated(part), levels


def _timeseries(part: Part, until: datetime) -> tuple[TimeseriesPoint, ...]:
    # A part of no length still shows the energy that was seen after its end, in an interval of no length.
    spans = list(quarters(part.started_at, until)) or [(part.started_at, until)] * any(part.energy_wh)
    energy_wh, levels = part.energy_wh, part.levels
    return tuple(
        TimeseriesPoint(
            start_at=start,
            end_at=end,
            kwh=kwh_from_wh(energy_wh[index]) if index < len(energy_wh) else 0.0,
            battery_level=_whole_percent(levels[index]) if index < len(levels) else None,
        )
        for index, (start, end) in enumerate(spans)
    )


def _whole_percent(level: float | None) -> int | None:
    return None if level is None else floor(level)
