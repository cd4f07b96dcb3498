"""From a Kafka record to an event of the session logic or to a price, or to the reason why it cannot be one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from models.codec import (
    DecodeError,
    Refusal,
    decode_charge,
    decode_plug,
    decode_policy,
    decode_prices,
    decode_taken_policy,
    decode_target,
)
from models.ids import PolicyId, VehicleId, is_id
from models.policy import FINGERPRINT_HEADER, REPLACES_HEADER, RESTORED_HEADER
from models.prices import PriceRecord
from models.topics import SESSION_TARGETS, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from sessions.arrival import refusal_by_time
from sessions.events import (
    Event,
    PolicyDeleted,
    PolicyShown,
    PolicyWritten,
    Refused,
    TargetWritten,
    TelemetryReceived,
)


class InputRecord(Struct, frozen=True):
    """One record as the log has it. `topic` is named without the prefix; `logged_at` is the broker's stamp."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    logged_at: datetime
    headers: tuple[tuple[str, bytes | None], ...] = ()


class ReadEvent(Struct, frozen=True):
    """A record that could be read. `vehicle_id` is None where only the policy is named: the worker knows its vehicle.

    `absurd_fields`: those that were out of their physical range and count as null.
    """

    event: Event
    at: datetime
    vehicle_id: VehicleId | None
    policy_id: PolicyId | None = None
    absurd_fields: tuple[str, ...] = ()


class Unreadable(Struct, frozen=True):
    """A record that could not be read. `shown`: what it shows of a policy, where it is a policy's."""

    refused: Refused
    shown: PolicyShown | None = None


# SHA-256 in hex; what is longer was not written by an API, and is not kept.
_FINGERPRINT_CHARS: Final = 64


def read(record: InputRecord, generation: bytes = b"") -> ReadEvent | Unreadable:
    """Decode a record of one of the inputs that are merged. `generation`: of our state, for what we have restored."""
    try:
        if record.topic == VEHICLE_POLICIES:
            return _read_policy(record, generation)
        return _READERS[record.topic](record)
    except DecodeError as error:
        return Unreadable(Refused(error.reason, error.detail), _shown(record))


def read_price(record: InputRecord) -> PriceRecord | Refused:
    """Decode a record of `energy.prices`."""
    try:
        price = decode_prices(record.value)
        _check_key(record, price.zone)
    except DecodeError as error:
        return Refused(error.reason, error.detail)
    return refusal_by_time(price.at, record.logged_at) or price


def _read_plug(record: InputRecord) -> ReadEvent:
    plug, absurd = decode_plug(record.value)
    _check_key(record, plug.vehicle_id)
    return ReadEvent(TelemetryReceived(plug, record.logged_at), plug.at, plug.vehicle_id, absurd_fields=absurd)


def _read_charge(record: InputRecord) -> ReadEvent:
    sample, absurd = decode_charge(record.value)
    _check_key(record, sample.vehicle_id)
    return ReadEvent(TelemetryReceived(sample, record.logged_at), sample.at, sample.vehicle_id, absurd_fields=absurd)


def _read_target(record: InputRecord) -> ReadEvent:
    target = decode_target(record.value)
    _check_key(record, target.vehicle_id)
    refused = refusal_by_time(target.at, record.logged_at)
    if refused is not None:
        raise DecodeError(refused.reason, refused.detail)
    return ReadEvent(TargetWritten(target, record.logged_at), target.at, target.vehicle_id)


def _read_policy(record: InputRecord, generation: bytes) -> ReadEvent:
    restored_by = [text or b"" for name, text in record.headers if name == RESTORED_HEADER]
    is_ours = bool(restored_by) and restored_by[-1] == generation
    is_inherited = bool(restored_by) and not is_ours
    # A header that makes no sense names no version, so nothing can satisfy it. What is restored has no condition.
    replaces = None if is_inherited else _header(record, REPLACES_HEADER)
    if record.value is None:
        policy_id = PolicyId(_key_text(record))
        gone = PolicyShown(policy_id, None, is_readable=True) if is_ours else None
        event = gone or PolicyDeleted(policy_id, record.logged_at, replaces, is_inherited)
        return ReadEvent(event, record.logged_at, None, policy_id)
    # What a worker has restored, one has taken. Were it refused for a zone that is not known here, what stands would go
    # back to the topic, be refused again, and so on without end.
    policy = decode_taken_policy(record.value) if restored_by else decode_policy(record.value)
    _check_key(record, policy.id)
    fingerprint = _header(record, FINGERPRINT_HEADER)
    if fingerprint is not None and len(fingerprint) > _FINGERPRINT_CHARS:
        fingerprint = None
    shown = PolicyShown(policy.id, policy, is_readable=True) if is_ours else None
    written = shown or PolicyWritten(policy, record.logged_at, replaces, fingerprint, is_inherited)
    return ReadEvent(written, policy.at, policy.vehicle_id, policy.id)


def _header(record: InputRecord, wanted: str) -> str | None:
    said = [(text or b"").decode(errors="replace") for name, text in record.headers if name == wanted]
    return said[-1] if said else None


def _shown(record: InputRecord) -> PolicyShown | None:
    key = "" if record.key is None else record.key.decode(errors="replace")
    if record.topic != VEHICLE_POLICIES or not is_id(key):
        return None
    return PolicyShown(PolicyId(key), None, is_readable=False)


def _check_key(record: InputRecord, expected: str) -> None:
    if record.key != expected.encode():
        raise DecodeError(Refusal.WRONG_KEY, f"the key is {record.key!r}, not {expected!r}")


def _key_text(record: InputRecord) -> str:
    text = "" if record.key is None else record.key.decode(errors="replace")
    if not is_id(text):
        raise DecodeError(Refusal.WRONG_KEY, f"the key {record.key!r} is no id")
    return text


_READERS: Mapping[str, Callable[[InputRecord], ReadEvent]] = {
    VEHICLE_PLUG: _read_plug,
    VEHICLE_CHARGE: _read_charge,
    SESSION_TARGETS: _read_target,
}
