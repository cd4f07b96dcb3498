"""Price records and target overrides: what can be read, what is refused, and in which word."""

import json
from datetime import UTC, datetime

import pytest

from models.codec import DecodeError, Refusal, decode_prices, decode_target, encode
from models.command import Action, ChargeCommand, Reason
from models.ids import CommandId, PolicyId, SessionId, UserId, VehicleId
from models.prices import PRICES_LIMIT, Resolution
from models.target import ImmediateStartOverride, RegularOverride
from models.topics import INPUT_LIMIT_BYTES

PRICES: dict[str, object] = {
    "zone": "DE-LU",
    "currency": "EUR",
    "resolution": "PT60M",
    "startAt": "2025-03-05T00:00:00+01:00",
    "prices": [0.1, -0.02, 0],
    "at": "2025-03-04T13:00:00+01:00",
}
TARGET: dict[str, object] = {
    "vehicleId": "car-1",
    "sessionId": "s-1",
    "at": "2025-03-04T08:00:00Z",
    "target": {
        "type": "REGULAR",
        "batteryReserve": 20,
        "minimumChargeTarget": 80.5,
        "readyBy": "2025-03-05T08:00:00+01:00",
    },
}
UNSAID = object()


def raw(message: dict[str, object], **fields: object) -> bytes:
    """A message as JSON, with some of its fields set, or left out where UNSAID."""
    return json.dumps({name: value for name, value in (message | fields).items() if value is not UNSAID}).encode()


def regular(**fields: object) -> bytes:
    """A REGULAR override with some of the target's fields set."""
    target = TARGET["target"]
    assert isinstance(target, dict)
    said = {name: value for name, value in (target | fields).items() if value is not UNSAID}
    return raw(TARGET, target=said)


def test_prices_round_trip() -> None:
    """A price record is read in UTC, and written so that it reads the same."""
    record = decode_prices(raw(PRICES, extra=[1]))
    assert (record.zone, record.currency, record.resolution) == ("DE-LU", "EUR", Resolution.HOUR)
    assert (record.start_at, record.start_at.tzinfo) == (datetime(2025, 3, 4, 23, tzinfo=UTC), UTC)
    assert (record.at, record.at.tzinfo) == (datetime(2025, 3, 4, 12, tzinfo=UTC), UTC)
    assert record.prices == (0.1, -0.02, 0.0)
    assert decode_prices(encode(record)) == record


BAD_PRICES: dict[str, tuple[bytes | None, Refusal]] = {
    "null value": (None, Refusal.NULL_VALUE),
    "not JSON": (b"cheap", Refusal.MALFORMED_JSON),
    "NaN": (raw(PRICES).replace(b"0.1", b"NaN"), Refusal.MALFORMED_JSON),
    "too large": (raw(PRICES, extra="x" * INPUT_LIMIT_BYTES), Refusal.TOO_LARGE),
    "a list": (b"[]", Refusal.INVALID_MESSAGE),
    "no zone": (raw(PRICES, zone=UNSAID), Refusal.INVALID_MESSAGE),
    "a zone that is no id": (raw(PRICES, zone="DE/LU"), Refusal.INVALID_MESSAGE),
    "currency in small letters": (raw(PRICES, currency="eur"), Refusal.INVALID_MESSAGE),
    "another resolution": (raw(PRICES, resolution="PT5M"), Refusal.INVALID_MESSAGE),
    "no prices": (raw(PRICES, prices=[]), Refusal.INVALID_MESSAGE),
    "too many prices": (raw(PRICES, prices=[0] * (PRICES_LIMIT + 1)), Refusal.INVALID_MESSAGE),
    "a null price": (raw(PRICES, prices=[0.1, None]), Refusal.INVALID_MESSAGE),
    "a price as text": (raw(PRICES, prices=["0.1"]), Refusal.INVALID_MESSAGE),
    "a price beyond all": (raw(PRICES, prices=[1e7]), Refusal.INVALID_MESSAGE),
    "a price beyond any number": (raw(PRICES, prices=[10**400]), Refusal.INVALID_MESSAGE),
    "1e999": (raw(PRICES).replace(b"0.1", b"1e999"), Refusal.INVALID_MESSAGE),
    "no start": (raw(PRICES, startAt=UNSAID), Refusal.INVALID_MESSAGE),
    "naive start": (raw(PRICES, startAt="2025-03-05T00:00:00"), Refusal.INVALID_MESSAGE),
    "start off the quarter-hour": (raw(PRICES, startAt="2025-03-05T00:10:00Z"), Refusal.INVALID_MESSAGE),
    "start a second late": (raw(PRICES, startAt="2025-03-05T00:15:01Z"), Refusal.INVALID_MESSAGE),
    "start a microsecond late": (raw(PRICES, startAt="2025-03-05T00:15:00.000001Z"), Refusal.INVALID_MESSAGE),
    "start on no UTC quarter-hour": (raw(PRICES, startAt="2025-03-05T00:00:00+05:53"), Refusal.INVALID_MESSAGE),
    "start in 1970": (raw(PRICES, startAt="1970-01-01T00:00:00Z"), Refusal.INVALID_MESSAGE),
    "start at the end of time": (raw(PRICES, startAt="9999-12-31T23:45:00Z"), Refusal.INVALID_MESSAGE),
    "start two years ahead": (raw(PRICES, startAt="2027-03-05T00:00:00Z"), Refusal.INVALID_MESSAGE),
    "start before time": (raw(PRICES, startAt="0001-01-01T00:00:00+14:00"), Refusal.INVALID_MESSAGE),
    "no such day": (raw(PRICES, at="2025-02-30T08:00:00Z"), Refusal.INVALID_MESSAGE),
    "at after time": (raw(PRICES, at="9999-12-31T23:59:59-14:00"), Refusal.INVALID_MESSAGE),
    "null at": (raw(PRICES, at=None), Refusal.INVALID_MESSAGE),
}


@pytest.mark.parametrize(("value", "reason"), BAD_PRICES.values(), ids=BAD_PRICES)
def test_prices_refused(value: bytes | None, reason: Refusal) -> None:
    """A price record that cannot be read is refused as a whole, with one word and a sentence why."""
    with pytest.raises(DecodeError) as refused:
        decode_prices(value)
    assert refused.value.reason == reason
    assert refused.value.detail


def test_a_start_on_the_utc_grid_is_taken_whatever_its_offset() -> None:
    """The UTC quarter-hour counts: zones whose offset is 45 minutes lie on it too."""
    record = decode_prices(raw(PRICES, startAt="2025-03-05T00:00:00+05:45"))
    assert record.start_at == datetime(2025, 3, 4, 18, 15, tzinfo=UTC)


def test_targets_round_trip() -> None:
    """Overrides of both kinds, and a null one, are read in UTC and written so that they read the same."""
    record = decode_target(raw(TARGET))
    assert isinstance(record.target, RegularOverride)
    assert (record.target.ready_by, record.target.ready_by.tzinfo) == (datetime(2025, 3, 5, 7, tzinfo=UTC), UTC)
    assert (record.target.battery_reserve, record.target.minimum_charge_target) == (20, 80.5)
    at_once = decode_target(raw(TARGET, target={"type": "IMMEDIATE_START", "minimumChargeTarget": 90}))
    assert at_once.target == ImmediateStartOverride(minimum_charge_target=90)
    cleared = decode_target(raw(TARGET, target=None))
    assert cleared.target is None
    for each in (record, at_once, cleared):
        assert decode_target(encode(each)) == each


BAD_TARGETS: dict[str, tuple[bytes | None, Refusal]] = {
    "null value": (None, Refusal.NULL_VALUE),
    "not JSON": (b"full", Refusal.MALFORMED_JSON),
    "no target": (raw(TARGET, target=UNSAID), Refusal.INVALID_MESSAGE),
    "no session": (raw(TARGET, sessionId=UNSAID), Refusal.INVALID_MESSAGE),
    "a vehicle that is no id": (raw(TARGET, vehicleId="car 1"), Refusal.INVALID_MESSAGE),
    "another type": (regular(type="LATER"), Refusal.INVALID_MESSAGE),
    "no type": (regular(type=UNSAID), Refusal.INVALID_MESSAGE),
    "no reserve": (regular(batteryReserve=UNSAID), Refusal.INVALID_MESSAGE),
    "a target above 100 %": (regular(minimumChargeTarget=100.1), Refusal.INVALID_MESSAGE),
    "a reserve below 0 %": (regular(batteryReserve=-1), Refusal.INVALID_MESSAGE),
    "a target beyond any number": (regular(minimumChargeTarget=10**400), Refusal.INVALID_MESSAGE),
    "no deadline": (regular(readyBy=None), Refusal.INVALID_MESSAGE),
    "naive deadline": (regular(readyBy="2025-03-05T08:00:00"), Refusal.INVALID_MESSAGE),
    "deadline before time": (regular(readyBy="0001-01-01T00:00:00+14:00"), Refusal.INVALID_MESSAGE),
    "deadline in year 1": (regular(readyBy="0001-01-02T00:00:00Z"), Refusal.INVALID_MESSAGE),
    "deadline at the end of time": (regular(readyBy="9999-12-31T00:00:00Z"), Refusal.INVALID_MESSAGE),
    "deadline in nine days": (regular(readyBy="2025-03-13T09:00:00Z"), Refusal.INVALID_MESSAGE),
    "at once and too much": (
        raw(TARGET, target={"type": "IMMEDIATE_START", "minimumChargeTarget": 101}),
        Refusal.INVALID_MESSAGE,
    ),
    "naive at": (raw(TARGET, at="2025-03-04T08:00:00"), Refusal.INVALID_MESSAGE),
}


@pytest.mark.parametrize(("value", "reason"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_targets_refused(value: bytes | None, reason: Refusal) -> None:
    """An override that cannot be read is refused as a whole, with one word and a sentence why."""
    with pytest.raises(DecodeError) as refused:
        decode_target(value)
    assert refused.value.reason == reason
    assert refused.value.detail


def test_a_command_reads_as_the_contract_says() -> None:
    """A command's JSON has the contract's fields in their order, times in UTC with Z."""
    command = ChargeCommand(
        command_id=CommandId("c-1"),
        vehicle_id=VehicleId("car-1"),
        user_id=UserId("ann"),
        policy_id=PolicyId("p1"),
        session_id=SessionId("s-1"),
        action=Action.START,
        reason=Reason.REGULAR,
        at=datetime(2025, 3, 4, 8, tzinfo=UTC),
        valid_until=datetime(2025, 3, 4, 8, 10, tzinfo=UTC),
    )
    assert json.loads(encode(command)) == {
        "commandId": "c-1",
        "vehicleId": "car-1",
        "userId": "ann",
        "policyId": "p1",
        "sessionId": "s-1",
        "action": "START",
        "reason": "REGULAR",
        "at": "2025-03-04T08:00:00Z",
        "validUntil": "2025-03-04T08:10:00Z",
    }
