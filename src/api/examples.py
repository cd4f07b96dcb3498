"""Examples for the contract, made from the models themselves so that they cannot drift from what is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from api.csv_stream import csv_head, csv_rows
from api.cursors import write_cursor
from api.policy_cursors import write_policy_cursor
from api.view.keys import Position, microseconds
from api.view.paging import Direction, Selection
from api.view.policies import PolicySelection
from api.view.watching import session_event
from models.ids import LocationId, PolicyId, SessionId, UserId, VehicleId, Zone
from models.policy import Deadline, Schedule, VehiclePolicy, policy_tag
from models.session import Aggregated, Session, SessionState, Statistics, TimeseriesPoint

_PLUGGED_IN: Final = datetime(2025, 1, 19, 9, 0, tzinfo=UTC)
_QUARTER: Final = timedelta(minutes=15)
_POLICY: Final = PolicyId("policy-1")
_VEHICLE: Final = VehicleId("vehicle-1")
_USER: Final = UserId("user-1")
_HOME: Final = LocationId("home-1")


def _session(number: int, state: SessionState) -> Session:
    is_settled = state is SessionState.SETTLED
    points = tuple(
        TimeseriesPoint(
            start_at=_PLUGGED_IN + step * _QUARTER,
            end_at=_PLUGGED_IN + (step + 1) * _QUARTER,
            kwh=1.75,
            battery_level=55 + 2 * step,
        )
        for step in range(2)
    )
    return Session(
        id=SessionId(str(UUID(int=number, version=5))),
        policy_id=_POLICY,
        vehicle_id=_VEHICLE,
        user_id=_USER,
        location_id=_HOME,
        state=state,
        plugged_in_at=_PLUGGED_IN if is_settled else None,
        plugged_out_at=_PLUGGED_IN + 2 * _QUARTER if is_settled else None,
        statistics=Statistics(aggregated=Aggregated(kwh_sum=3.5, battery_from=53, battery_to=57), timeseries=points)
        if is_settled
        else Statistics(),
    )


UPCOMING: Final[dict[str, Any]] = msgspec.to_builtins(_session(2, SessionState.UPCOMING), builtin_types=())
SETTLED: Final[dict[str, Any]] = msgspec.to_builtins(_session(1, SessionState.SETTLED), builtin_types=())
PAGE: Final[dict[str, Any]] = {"data": [SETTLED], "pagination": {"after": None, "before": None}}
_PLACE: Final = Position(microseconds(_PLUGGED_IN), SETTLED["id"])
# Cursors of lists without filters.
AFTER: Final = write_cursor(Direction.AFTER, _PLACE, Selection())
BEFORE: Final = write_cursor(Direction.BEFORE, _PLACE, Selection())
POLICIES_AFTER: Final = write_policy_cursor(Direction.AFTER, _POLICY, PolicySelection())
POLICIES_BEFORE: Final = write_policy_cursor(Direction.BEFORE, _POLICY, PolicySelection())
METRICS_TEXT: Final = """\
# HELP flex_api_ready 1 while the view answers, else 0.
# TYPE flex_api_ready gauge
flex_api_ready 1.0
"""
# As sent: the current session, silence, and the end of the stream with its token.
EVENTS: Final = (
    "retry: 2000\n\n"
    + session_event(UPCOMING["id"], 1, msgspec.json.encode(UPCOMING)).decode()
    + ':\n\nevent: end\ndata: {"reason":"token-expired"}\n\n'
)
CSV_ROWS: Final = (csv_head() + csv_rows([msgspec.json.encode(SETTLED)])).decode()

_STANDING: Final = VehiclePolicy(
    id=_POLICY,
    user_id=_USER,
    vehicle_id=_VEHICLE,
    location_id=_HOME,
    is_enabled=True,
    at=datetime(2025, 1, 18, 12, 0, tzinfo=UTC),
    timezone_name="Europe/Berlin",
    zone=Zone("DE-LU"),
    battery_reserve=20.0,
    schedule=Schedule(
        monday=Deadline(deadline="07:00", minimum_charge_target=80.0),
        sunday=Deadline(deadline="10:30", minimum_charge_target=60.0),
    ),
    max_charge_rate=11.0,
)
POLICY: Final[dict[str, Any]] = msgspec.to_builtins(_STANDING, builtin_types=())
POLICY_ETAG: Final = f'"{policy_tag(_STANDING)}"'
