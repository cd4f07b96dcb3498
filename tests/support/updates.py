"""Session updates made by hand, as the worker would write them: value, key and headers."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from api.view.records import read_update
from api.view.rows import SessionHead
from models.codec import encode
from models.ids import ChargingEventId, LocationId, PolicyId, SessionId, UserId, VehicleId
from models.session import Aggregated, Session, SessionState, Statistics
from models.webhook import SessionUpdated, UpdateHeaders, encode_headers
from tests.support.records import Outgoing

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def session_id(number: int) -> str:
    """A session id by number; ids sort as their numbers do."""
    return str(uuid.UUID(int=number, version=5))


class Update(Struct, frozen=True, kw_only=True):
    """One version of one session. Hours count from START; `event` None: an event of the session's own."""

    id: str
    version: int = 1
    state: SessionState = SessionState.SETTLED
    policy: str | None = "p1"
    vehicle: str = "v1"
    user: str = "u1"
    location: str | None = "home"
    in_h: float = 0.0
    out_h: float = 1.0
    event: str | None = None
    represents: bool = True
    energy_kwh: float = 1.0

    @property
    def session(self) -> Session:
        is_upcoming = self.state is SessionState.UPCOMING
        is_settled = self.state is SessionState.SETTLED
        return Session(
            id=SessionId(self.id),
            policy_id=None if self.policy is None else PolicyId(self.policy),
            vehicle_id=VehicleId(self.vehicle),
            user_id=UserId(self.user),
            location_id=None if self.location is None else LocationId(self.location),
            state=self.state,
            plugged_in_at=None if is_upcoming else START + self.in_h * HOUR,
            plugged_out_at=START + self.out_h * HOUR if is_settled else None,
            statistics=Statistics(aggregated=Aggregated(kwh_sum=self.energy_kwh, battery_from=None, battery_to=None)),
        )

    @property
    def body(self) -> bytes:
        """What HTTP must send, byte for byte."""
        return encode(self.session)

    @property
    def value(self) -> bytes:
        return encode(SessionUpdated(user_id=UserId(self.user), created_at=START, session=self.session))

    @property
    def headers(self) -> dict[str, str]:
        said = UpdateHeaders(
            session_id=SessionId(self.id),
            version=self.version,
            created_at=START,
            charging_event_id=ChargingEventId(self.event or f"event-{self.id}"),
            represents_charging_event=self.represents,
            vehicle_id=VehicleId(self.vehicle),
        )
        return {name: raw.decode() for name, raw in encode_headers(said)}

    def read(self) -> tuple[SessionHead, bytes]:
        """As the view reads it from the topic."""
        return read_update(self.id.encode(), self.value, [(name, text.encode()) for name, text in self.headers.items()])

    def outgoing(self, topic: str, partition: int | None = None) -> Outgoing:
        return Outgoing(topic=topic, key=self.id, value=self.value, headers=self.headers, partition=partition)


def policy_value(policy: str = "p1", *, user: str = "u1", vehicle: str = "v1", enabled: bool = True) -> dict[str, Any]:
    """The value of a policy record."""
    return {
        "id": policy,
        "userId": user,
        "vehicleId": vehicle,
        "locationId": "home",
        "isEnabled": enabled,
        "at": "2025-01-01T00:00:00Z",
    }
