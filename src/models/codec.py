"""Bytes to structs and back. Decides what can be read at all, and says in one word why something cannot.

A number outside its physical range reads as null and its field is named, so that the caller can count it; the rest
of the message stands. Whatever else is wrong with a message makes a DecodeError.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from models.ids import has_foreign, is_id
from models.policy import VehiclePolicy
from models.prices import AHEAD_LIMIT, PriceRecord
from models.target import READY_BY_LIMIT, RegularOverride, SessionTarget
from models.telemetry import ChargeSample, PlugEvent
from models.topics import INPUT_LIMIT_BYTES
from models.units import (
    BATTERY_CAPACITY_KWH,
    BATTERY_LEVEL_PERCENT,
    CHARGE_RATE_KW,
    EARLIEST,
    ENERGY_COUNTER_KWH,
    utc,
)
from models.zones import is_zone


class Refusal(StrEnum):
    """Why a record goes to the dead letter (header `dlq-reason`)."""

    NULL_VALUE = "NULL_VALUE"
    TOO_LARGE = "TOO_LARGE"
    MALFORMED_JSON = "MALFORMED_JSON"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    WRONG_KEY = "WRONG_KEY"
    WRONG_PARTITION = "WRONG_PARTITION"
    TOO_OLD = "TOO_OLD"
    TOO_LATE = "TOO_LATE"
    IN_FUTURE = "IN_FUTURE"
    POLICY_CONFLICT = "POLICY_CONFLICT"
    POLICY_IMMUTABLE = "POLICY_IMMUTABLE"
    POLICY_LIMIT = "POLICY_LIMIT"
    POLICY_STALE = "POLICY_STALE"


class DecodeError(ValueError):
    """A record that cannot be read. `reason` is for machines, `detail` for people."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


_PLUG: Final = msgspec.json.Decoder(PlugEvent)
_CHARGE: Final = msgspec.json.Decoder(ChargeSample)
_POLICY: Final = msgspec.json.Decoder(VehiclePolicy)
_PRICES: Final = msgspec.json.Decoder(PriceRecord)
_TARGET: Final = msgspec.json.Decoder(SessionTarget)
_ENCODER: Final = msgspec.json.Encoder()

_Message = TypeVar("_Message", PlugEvent, ChargeSample)

_PLUG_RANGES: Final = {"battery_level": BATTERY_LEVEL_PERCENT, "battery_capacity": BATTERY_CAPACITY_KWH}
_CHARGE_RANGES: Final = {
    "battery_level": BATTERY_LEVEL_PERCENT,
    "battery_capacity": BATTERY_CAPACITY_KWH,
    "charge_limit": BATTERY_LEVEL_PERCENT,
    "charge_rate": CHARGE_RATE_KW,
    "energy_added": ENERGY_COUNTER_KWH,
}


def decode_plug(raw: bytes | None) -> tuple[PlugEvent, tuple[str, ...]]:
    """A plug event, and the names of its fields that were out of range. Raises DecodeError."""
    plug = _decode(_PLUG, raw)
    if has_foreign(f"{plug.event_id}{plug.vehicle_id}{plug.user_id}{plug.location_id}{plug.charger_id}"):
        raise _no_ids(plug)
    return _in_range(plug, _PLUG_RANGES)


def decode_charge(raw: bytes | None) -> tuple[ChargeSample, tuple[str, ...]]:
    """A charge sample, and the names of its fields that were out of range. Raises DecodeError."""
    sample = _decode(_CHARGE, raw)
    if has_foreign(f"{sample.event_id}{sample.vehicle_id}{sample.user_id}{sample.location_id}"):
        raise _no_ids(sample)
    return _in_range(sample, _CHARGE_RANGES)


def decode_policy(raw: bytes) -> VehiclePolicy:
    """A policy that is to be judged. Raises DecodeError."""
    policy = decode_taken_policy(raw)
    if not is_zone(policy.timezone_name):
        raise DecodeError(Refusal.INVALID_MESSAGE, f"{policy.timezone_name!r} is no IANA time zone")
    return policy


def decode_taken_policy(raw: bytes) -> VehiclePolicy:
    """A policy whose time zone others have judged: it may be one of another release. Raises DecodeError."""
    policy = _decode(_POLICY, raw)
    return msgspec.structs.replace(policy, at=_utc(policy.at))


def decode_prices(raw: bytes | None) -> PriceRecord:
    """A price record. Raises DecodeError."""
    record = _decode(_PRICES, raw)
    at, start_at = _utc(record.at), _utc(record.start_at, "startAt")
    if start_at.minute % 15 or start_at.second or start_at.microsecond:
        raise DecodeError(Refusal.INVALID_MESSAGE, f"`startAt` {start_at.isoformat()} is on no UTC quarter-hour")
    if start_at < EARLIEST or start_at - at > AHEAD_LIMIT:
        raise DecodeError(
            Refusal.INVALID_MESSAGE,
            f"`startAt` {start_at.isoformat()} is before 2015, or more than {AHEAD_LIMIT.days} d after `at`",
        )
    return msgspec.structs.replace(record, at=at, start_at=start_at)


def decode_target(raw: bytes | None) -> SessionTarget:
    """A target override, or the taking back of one. Raises DecodeError."""
    record = _decode(_TARGET, raw)
    at, target = _utc(record.at), record.target
    if isinstance(target, RegularOverride):
        ready_by = _utc(target.ready_by, "readyBy")
        if ready_by < EARLIEST or ready_by - at > READY_BY_LIMIT:
            raise DecodeError(
                Refusal.INVALID_MESSAGE,
                f"`readyBy` {ready_by.isoformat()} is before 2015, or more than {READY_BY_LIMIT.days} d after `at`",
            )
        target = msgspec.structs.replace(target, ready_by=ready_by)
    return msgspec.structs.replace(record, at=at, target=target)


def encode(message: msgspec.Struct) -> bytes:
    """Any of the models as JSON in UTF-8."""
    return _ENCODER.encode(message)


_Any = TypeVar("_Any")


def _decode(decoder: msgspec.json.Decoder[_Any], raw: bytes | None) -> _Any:
    if raw is None:
        raise DecodeError(Refusal.NULL_VALUE, "the value is null")
    if len(raw) > INPUT_LIMIT_BYTES:
        raise DecodeError(Refusal.TOO_LARGE, f"{len(raw)} bytes; at most {INPUT_LIMIT_BYTES}")
    try:
        # The decoder passes over what it does not know without looking whether it is text at all.
        raw.decode()
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            if not str(error).startswith("Number out of range"):
                raise
            return _decode_huge(decoder, raw)
    except msgspec.ValidationError as error:
        raise DecodeError(Refusal.INVALID_MESSAGE, str(error)) from error
    except (msgspec.DecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DecodeError(Refusal.MALFORMED_JSON, str(error)) from error
    except RecursionError as error:
        raise DecodeError(Refusal.MALFORMED_JSON, "nested too deeply") from error


def _decode_huge(decoder: msgspec.json.Decoder[_Any], raw: bytes) -> _Any:
    """A message with a number beyond any double: read as infinite, it is out of every range."""
    plain = json.loads(raw, parse_int=float, parse_float=float, parse_constant=_not_json)
    return msgspec.convert(plain, decoder.type)


def _not_json(constant: str) -> float:
    raise msgspec.DecodeError(f"{constant} is not JSON")


def _no_ids(message: PlugEvent | ChargeSample) -> DecodeError:
    told = msgspec.to_builtins(message).items()
    wrong = [f"`{name}` {text!r}" for name, text in told if name.endswith("Id") and not is_id(text or "-")]
    return DecodeError(Refusal.INVALID_MESSAGE, f"{', '.join(wrong)}: not 1 to 64 of A-Z a-z 0-9 . _ : -")


def _in_range(message: _Message, ranges: Mapping[str, tuple[float, float]]) -> tuple[_Message, tuple[str, ...]]:
    # Asked of every sample: plain loops, and no copy where there is nothing to change.
    absurd: tuple[str, ...] = ()
    for name, (low, high) in ranges.items():
        value = getattr(message, name)
        if value is not None and not low <= value <= high:
            absurd += (name,)
    if not absurd and message.at.tzinfo is UTC:
        return message, absurd
    changes: dict[str, object] = dict.fromkeys(absurd)
    return msgspec.structs.replace(message, at=_utc(message.at), **changes), absurd


def _utc(moment: datetime, field: str = "at") -> datetime:
    try:
        return utc(moment)
    except OverflowError as error:
        raise DecodeError(Refusal.INVALID_MESSAGE, f"`{field}` has no equivalent in UTC") from error
