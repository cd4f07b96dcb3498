"""The record of `flex.session.updated`: its body to the letter, and its headers there and back."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import structs

from models.codec import encode
from models.ids import ChargingEventId, LocationId, PolicyId, SessionId, UserId, VehicleId
from models.session import Aggregated, Session, SessionState, Statistics, TimeseriesPoint
from models.webhook import SessionUpdated, UpdateHeaders, ce_id, decode_headers, encode_headers

AT = datetime(2025, 3, 4, 8, 0, tzinfo=UTC)
HEADERS = UpdateHeaders(
    session_id=SessionId("s-1"),
    version=7,
    created_at=AT,
    charging_event_id=ChargingEventId("c-1"),
    represents_charging_event=True,
    vehicle_id=VehicleId("car-1"),
)
SESSION = Session(
    id=SessionId("s-1"),
    policy_id=PolicyId("p1"),
    vehicle_id=VehicleId("car-1"),
    user_id=UserId("ann"),
    location_id=LocationId("home"),
    state=SessionState.SETTLED,
    plugged_in_at=AT,
    plugged_out_at=AT + timedelta(minutes=15),
    statistics=Statistics(
        aggregated=Aggregated(kwh_sum=1.234, battery_from=50, battery_to=None),
        timeseries=(
            TimeseriesPoint(start_at=AT, end_at=AT + timedelta(minutes=15), kwh=1.234, battery_level=50),
        ),
    ),
)  # fmt: skip


def test_headers() -> None:
    """The headers are those of the CloudEvents binding and ours, each once, nothing missing and nothing more."""
    assert encode_headers(HEADERS) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"s-1:7"),
        ("ce_type", b"flex:session:updated"),
        ("ce_source", b"/flex-sessions"),
        ("ce_subject", b"s-1"),
        ("ce_time", b"2025-03-04T08:00:00Z"),
        ("content-type", b"application/json"),
        ("session-version", b"7"),
        ("charging-event-id", b"c-1"),
        ("represents-charging-event", b"true"),
        ("vehicle-id", b"car-1"),
    ]
    assert ce_id(HEADERS.session_id, HEADERS.version) == "s-1:7"


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS,
        structs.replace(HEADERS, represents_charging_event=False, version=1),
        structs.replace(HEADERS, created_at=AT + timedelta(microseconds=1)),
        structs.replace(HEADERS, created_at=AT + timedelta(milliseconds=250)),
    ],
)
def test_headers_round_trip(headers: UpdateHeaders) -> None:
    """What is written into headers is read back the same, whatever else stands beside it."""
    assert decode_headers([*encode_headers(headers), ("traceparent", None)]) == headers


@pytest.mark.parametrize(
    "name",
    [
        "ce_subject",
        "ce_time",
        "session-version",
        "charging-event-id",
        "represents-charging-event",
        "vehicle-id",
    ],
)
def test_headers_incomplete(name: str) -> None:
    """A missing or null header that says something is an error."""
    others = [(key, value) for key, value in encode_headers(HEADERS) if key != name]
    with pytest.raises(KeyError):
        decode_headers(others)
    with pytest.raises(ValueError, match=name):
        decode_headers([*others, (name, None)])


def test_body() -> None:
    """The value is exactly `event`, `userId`, `createdAt` and `session`, with every field of the session present."""
    updated = SessionUpdated(user_id=UserId("ann"), created_at=AT, session=SESSION)
    assert json.loads(encode(updated)) == {
        "event": "flex:session:updated",
        "userId": "ann",
        "createdAt": "2025-03-04T08:00:00Z",
        "session": {
            "id": "s-1",
            "policyId": "p1",
            "vehicleId": "car-1",
            "userId": "ann",
            "locationId": "home",
            "state": "SETTLED",
            "pluggedInAt": "2025-03-04T08:00:00Z",
            "pluggedOutAt": "2025-03-04T08:15:00Z",
            "blocks": [],
            "statistics": {
                "aggregated": {"kwhSum": 1.234, "batteryFrom": 50, "batteryTo": None},
                "timeseries": [
                    {
                        "startAt": "2025-03-04T08:00:00Z",
                        "endAt": "2025-03-04T08:15:00Z",
                        "kwh": 1.234,
                        "batteryLevel": 50,
                    }
                ],
            },
            "target": {"latest": None},
            "outcome": {"latest": None},
            "error": {"latest": None},
            "valuation": None,
        },
    }
    assert msgspec.json.decode(encode(updated), type=SessionUpdated) == updated


@pytest.mark.parametrize("energy_wh", [0, 1, 29, 1_001, 16_383, 999_999_999])
def test_energies_have_three_decimals(energy_wh: int) -> None:
    """Whole watt-hours print as kWh with at most 3 decimals."""
    text = encode(Aggregated(kwh_sum=energy_wh / 1_000, battery_from=None, battery_to=None)).decode()
    number = text.split(":")[1].split(",")[0]
    assert len(number.partition(".")[2]) <= 3
    assert float(number) * 1_000 == pytest.approx(energy_wh)
