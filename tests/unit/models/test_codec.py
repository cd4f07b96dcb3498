"""What can be read from a topic, what is refused and in which word, and what of a message stands."""

import json
from datetime import UTC, datetime

import pytest

from models.codec import (
    DecodeError,
    Refusal,
    decode_charge,
    decode_plug,
    decode_policy,
    decode_taken_policy,
    encode,
)
from models.topics import INPUT_LIMIT_BYTES

CHARGE: dict[str, object] = {"eventId": "e-1", "vehicleId": "car-1", "userId": "ann", "at": "2025-03-04T08:00:00Z"}
POLICY: dict[str, object] = {
    "id": "p1",
    "userId": "ann",
    "vehicleId": "car-1",
    "locationId": "home",
    "isEnabled": True,
    "at": "2025-03-04T08:00:00Z",
}


def raw(message: dict[str, object], **fields: object) -> bytes:
    """A message as JSON, with some of its fields set."""
    return json.dumps(message | fields).encode()


def literal(text: str) -> bytes:
    """A charge sample whose battery level is that JSON text."""
    return raw(CHARGE, batteryLevel="HERE").replace(b'"HERE"', text.encode())


REFUSED: dict[str, tuple[bytes | None, Refusal]] = {
    "null value": (None, Refusal.NULL_VALUE),
    "empty": (b"", Refusal.MALFORMED_JSON),
    "not JSON": (b"plugged in", Refusal.MALFORMED_JSON),
    "half a message": (raw(CHARGE)[:-5], Refusal.MALFORMED_JSON),
    "two messages": (raw(CHARGE) * 2, Refusal.MALFORMED_JSON),
    "bad UTF-8": (b'{"eventId":"\xff"}', Refusal.MALFORMED_JSON),
    "bad UTF-8 in what is not known": (raw(CHARGE)[:-1] + b',"\xff":"\xc0"}', Refusal.MALFORMED_JSON),
    "lone surrogate": (raw(CHARGE, powerDeliveryState="\ud800"), Refusal.MALFORMED_JSON),
    "NaN": (literal("NaN"), Refusal.MALFORMED_JSON),
    "Infinity": (literal("Infinity"), Refusal.MALFORMED_JSON),
    "1e999 and half a message": (literal("1e999")[:-5], Refusal.MALFORMED_JSON),
    "1e999 and NaN": (literal('1e999,"chargeRate":NaN'), Refusal.MALFORMED_JSON),
    "a list": (b"[]", Refusal.INVALID_MESSAGE),
    "JSON null": (b"null", Refusal.INVALID_MESSAGE),
    "deep nesting": (
        raw(CHARGE, extra="HERE").replace(b'"HERE"', b"[" * 30_000 + b"]" * 30_000),
        Refusal.MALFORMED_JSON,
    ),
    "too large": (raw(CHARGE, extra="x" * INPUT_LIMIT_BYTES), Refusal.TOO_LARGE),
    "500 KB": (b" " * 500_000, Refusal.TOO_LARGE),
    "a word for a number": (raw(CHARGE, batteryLevel="full"), Refusal.INVALID_MESSAGE),
    "a truth for a number": (raw(CHARGE, batteryLevel=True), Refusal.INVALID_MESSAGE),
    "a number for a truth": (raw(CHARGE, isPluggedIn=1), Refusal.INVALID_MESSAGE),
    "a number for a name": (raw(CHARGE, vehicleId=7), Refusal.INVALID_MESSAGE),
    "no vehicleId": (raw({name: CHARGE[name] for name in CHARGE if name != "vehicleId"}), Refusal.INVALID_MESSAGE),
    "null vehicleId": (raw(CHARGE, vehicleId=None), Refusal.INVALID_MESSAGE),
    "empty vehicleId": (raw(CHARGE, vehicleId=""), Refusal.INVALID_MESSAGE),
    "an id with a space": (raw(CHARGE, eventId="e 1"), Refusal.INVALID_MESSAGE),
    "a place with an accent": (raw(CHARGE, locationId="maré"), Refusal.INVALID_MESSAGE),
    "a lone surrogate behind a huge number": (
        b'{"energyAdded":1e999,' + raw(CHARGE, userId="\ud800")[1:],
        Refusal.INVALID_MESSAGE,
    ),
    "id of 65 characters": (raw(CHARGE, eventId="x" * 65), Refusal.INVALID_MESSAGE),
    "id with a slash": (raw(CHARGE, userId="a/b"), Refusal.INVALID_MESSAGE),
    "id with a line end": (raw(CHARGE, userId="ann\n"), Refusal.INVALID_MESSAGE),
    "id in another alphabet": (raw(CHARGE, userId="\u00e4nn"), Refusal.INVALID_MESSAGE),
    "no time": (raw({name: CHARGE[name] for name in CHARGE if name != "at"}), Refusal.INVALID_MESSAGE),
    "naive time": (raw(CHARGE, at="2025-03-04T08:00:00"), Refusal.INVALID_MESSAGE),
    "time as a number": (raw(CHARGE, at=1741075200), Refusal.INVALID_MESSAGE),
    "no such day": (raw(CHARGE, at="2025-02-30T08:00:00Z"), Refusal.INVALID_MESSAGE),
    "before year 1 in UTC": (raw(CHARGE, at="0001-01-01T00:00:00+14:00"), Refusal.INVALID_MESSAGE),
    "after year 9999 in UTC": (raw(CHARGE, at="9999-12-31T23:59:59-14:00"), Refusal.INVALID_MESSAGE),
}


@pytest.mark.parametrize(("value", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(value: bytes | None, reason: Refusal) -> None:
    """What cannot be read is refused, on either telemetry topic, with one word and a sentence why."""
    with pytest.raises(DecodeError) as refused:
        decode_charge(value)
    assert refused.value.reason == reason
    assert refused.value.detail


@pytest.mark.parametrize("name", ["null value", "not JSON", "deep nesting", "no vehicleId", "naive time", "bad UTF-8"])
def test_plug_events_are_refused_alike(name: str) -> None:
    """A plug event is refused for the same reasons as a sample."""
    value, reason = REFUSED[name]
    with pytest.raises(DecodeError) as refused:
        decode_plug(value)
    assert refused.value.reason == reason


RANGES: list[tuple[str, object, bool]] = [
    ("batteryLevel", 65_535, False),
    ("batteryLevel", 10**400, False),
    ("batteryLevel", -0.01, False),
    ("batteryLevel", 100.01, False),
    ("batteryLevel", 0, True),
    ("batteryLevel", 100, True),
    ("chargeLimit", 101, False),
    ("batteryCapacity", 0, False),
    ("batteryCapacity", 60_000, False),
    ("chargeRate", -3.3, True),
    ("chargeRate", 11_000, False),
    ("energyAdded", 0, True),
    ("energyAdded", -0.1, False),
    ("energyAdded", 1_000_001, False),
]
FIELDS = {
    "batteryLevel": "battery_level",
    "batteryCapacity": "battery_capacity",
    "chargeLimit": "charge_limit",
    "chargeRate": "charge_rate",
    "energyAdded": "energy_added",
}


@pytest.mark.parametrize(("field", "value", "is_taken"), RANGES)
def test_field_out_of_range(field: str, value: object, is_taken: bool) -> None:
    """A field out of its range counts as null and is named; the rest of the message stands."""
    sample, absurd = decode_charge(raw(CHARGE, **{field: value, "isPluggedIn": True}))
    assert getattr(sample, FIELDS[field]) == (value if is_taken else None)
    assert absurd == (() if is_taken else (FIELDS[field],))
    assert sample.is_plugged_in is True


def test_plug_event_out_of_range() -> None:
    """A plug event's fields have the same ranges."""
    event, absurd = decode_plug(raw(CHARGE, batteryLevel=65_535, batteryCapacity=75, isPluggedIn=False))
    assert (event.battery_level, event.battery_capacity, event.is_plugged_in) == (None, 75, False)
    assert absurd == ("battery_level",)


def test_absent_null_and_extra_fields() -> None:
    """An absent field is null, and a field that nobody knows is ignored, whatever is in it."""
    sample, absurd = decode_charge(raw(CHARGE, chargeRate=None, colour={"red": [1, None]}))
    assert (sample.charge_rate, sample.is_plugged_in, sample.location_id, absurd) == (None, None, None, ())


def test_unknown_word_of_power_delivery() -> None:
    """A word of `powerDeliveryState` that is not listed is no reason to refuse the message."""
    assert decode_charge(raw(CHARGE, powerDeliveryState="PLUGGED_IN:LATER"))[0].power_delivery_state is not None


@pytest.mark.parametrize("text", ["2025-03-04T09:30:00+01:30", "2025-03-04T08:00:00.000Z", "2025-03-04T08:00:00z"])
def test_times_are_utc(text: str) -> None:
    """Every time is read as the same instant in UTC, and written with Z."""
    sample, _ = decode_charge(raw(CHARGE, at=text))
    assert (sample.at, sample.at.tzinfo) == (datetime(2025, 3, 4, 8, tzinfo=UTC), UTC)
    assert b'"at":"2025-03-04T08:00:00Z"' in encode(sample)


def test_policy_round_trip() -> None:
    """A policy is read with its defaults, in UTC, and written so that it reads the same."""
    policy = decode_policy(raw(POLICY, at="2025-03-04T09:00:00+01:00", schedule={"monday": None}))
    assert (policy.battery_reserve, policy.timezone_name, policy.at.tzinfo) == (0.0, "UTC", UTC)
    assert decode_policy(encode(policy)) == policy


POLICY_REFUSED: list[dict[str, object]] = [
    {"id": None},
    {"isEnabled": None},
    {"batteryReserve": 101},
    {"timezoneName": "right/Europe/Berlin"},
    {"timezoneName": None},
    {"maxChargeRate": 0},
    {"maxChargeRate": 0.0999},
    {"maxChargeRate": 4000.1},
    {"batteryCapacity": 1e-320},
    {"at": "2025-03-04T08:00:00"},
    {"at": "0001-01-01T00:00:00+14:00"},
    {"schedule": {"monday": {"deadline": "24:00", "minimumChargeTarget": 80}}},
    {"schedule": {"monday": {"deadline": "07:00", "minimumChargeTarget": 101}}},
    {"schedule": {"monday": {"deadline": "07:00"}}},
]


@pytest.mark.parametrize("fields", POLICY_REFUSED, ids=str)
def test_policy_refused(fields: dict[str, object]) -> None:
    """A policy with a field missing or out of its range is refused as a whole."""
    with pytest.raises(DecodeError) as refused:
        decode_policy(raw(POLICY, **fields))
    assert refused.value.reason == Refusal.INVALID_MESSAGE


def test_a_policy_that_was_taken_keeps_its_zone() -> None:
    """What another release has taken is read with its zone, known here or not; all else of it is judged as ever."""
    taken = decode_taken_policy(raw(POLICY, timezoneName="Mars/Base", at="2025-03-04T09:00:00+01:00"))
    assert (taken.timezone_name, taken.at.tzinfo) == ("Mars/Base", UTC)
    assert decode_taken_policy(encode(taken)) == taken
    with pytest.raises(DecodeError):
        decode_taken_policy(raw(POLICY, timezoneName=7))
