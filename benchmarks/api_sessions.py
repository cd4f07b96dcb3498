"""Settled and active sessions for the API's benchmarks: 3 KB each, as a night of charging has, made from the models."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from models.codec import encode
from models.ids import ChargingEventId, LocationId, PolicyId, SessionId, UserId, VehicleId
from models.session import (
    Aggregated,
    Block,
    LatestOutcome,
    LatestTarget,
    Outcome,
    RegularTarget,
    Session,
    SessionState,
    Statistics,
    TimeseriesPoint,
)
from models.webhook import SessionUpdated, UpdateHeaders, encode_headers

START: Final = datetime(2025, 1, 1, 17, 0, tzinfo=UTC)
QUARTERS: Final = 24
_QUARTER: Final = timedelta(minutes=15)
_SPACE: Final = uuid.UUID("7a5f7a0e-3c3f-5a50-8e0a-64a4b7a1d001")

# Sessions of one vehicle, and vehicles of one place: what a filter leaves of the list.
SESSIONS_PER_VEHICLE: Final = 100
VEHICLES_PER_PLACE: Final = 2


def session_id(number: int) -> str:
    """Ids that are spread as real ones are."""
    return str(uuid.uuid5(_SPACE, str(number)))


class Written:
    """One version of one session as the worker writes it: key, value, headers, and where its vehicle belongs."""

    def __init__(self, session: Session, version: int) -> None:
        self.key = session.id
        self.vehicle = session.vehicle_id
        self.value = encode(SessionUpdated(user_id=session.user_id, created_at=START, session=session))
        self.headers = encode_headers(
            UpdateHeaders(
                session_id=session.id,
                version=version,
                created_at=START,
                charging_event_id=ChargingEventId(str(uuid.uuid5(_SPACE, f"event {session.id}"))),
                represents_charging_event=True,
                vehicle_id=session.vehicle_id,
            )
        )


def settled(number: int, quarters: int = QUARTERS) -> Session:
    """The `number`th session of a fleet: each vehicle has one a day, one vehicle after the other."""
    vehicle, day = divmod(number, SESSIONS_PER_VEHICLE)
    return _session(number, SessionState.SETTLED, vehicle, day, quarters)


def active(vehicle: int) -> Session:
    """The current session of a vehicle."""
    return _session(-1 - vehicle, SessionState.ACTIVE_REGULAR, vehicle, SESSIONS_PER_VEHICLE, QUARTERS)


def _session(number: int, state: SessionState, vehicle: int, day: int, quarters: int) -> Session:
    energy_kwh = 10.0
    begin = START + timedelta(days=day, seconds=vehicle % 3_600)
    points = tuple(
        TimeseriesPoint(
            start_at=begin + step * _QUARTER,
            end_at=begin + (step + 1) * _QUARTER,
            kwh=round(1.2 + (number * 31 + step * 17) % 900 / 1_000, 3),
            battery_level=min(100, 30 + step * 2),
        )
        for step in range(quarters)
    )
    end = begin + quarters * _QUARTER
    return Session(
        id=SessionId(session_id(number)),
        policy_id=PolicyId(f"policy-{vehicle}"),
        vehicle_id=VehicleId(f"vehicle-{vehicle}"),
        user_id=UserId(f"user-{vehicle}"),
        location_id=LocationId(f"place-{vehicle // VEHICLES_PER_PLACE}"),
        state=state,
        plugged_in_at=begin,
        plugged_out_at=end if state is SessionState.SETTLED else None,
        blocks=(Block(type="REGULAR", kwh_sum=energy_kwh, start_at=begin + _QUARTER, end_at=end),),
        statistics=Statistics(
            aggregated=Aggregated(kwh_sum=energy_kwh, battery_from=30, battery_to=78), timeseries=points
        ),
        target=LatestTarget(
            latest=RegularTarget(id=1, source="POLICY", battery_reserve=20.0, minimum_charge_target=80.0, ready_by=end)
        ),
        outcome=LatestOutcome(
            latest=Outcome(
                target_id=1,
                type="REGULAR",
                state="ON_TRACK",
                battery_level_at_ready_by=80,
                minimum_charge_target_reached_at=end,
            )
        ),
    )
