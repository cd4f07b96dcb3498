"""Records of the two topics to what the projector takes. Decides which records cannot be read, and says why.

The `session` object is sliced out of the webhook body as the bytes it arrived in: they are what HTTP sends. Only the
fields that lists and access rules need are decoded, so a field that a newer worker adds passes through untouched.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from api.view.keys import microseconds
from api.view.rows import SessionHead
from models.codec import DecodeError, decode_taken_policy
from models.ids import WireLocationId, WirePolicyId, WireUserId, WireVehicleId, is_id
from models.policy import VehiclePolicy
from models.session import SessionState
from models.units import AwareTime


class UnreadableError(ValueError):
    """A record that the view cannot take; the message says what is wrong with it."""


class _Envelope(Struct, frozen=True):
    session: msgspec.Raw


class _Session(Struct, frozen=True, rename="camel", kw_only=True):
    id: str
    policy_id: WirePolicyId | None
    vehicle_id: WireVehicleId
    user_id: WireUserId
    location_id: WireLocationId | None
    state: SessionState
    plugged_in_at: AwareTime | None
    plugged_out_at: AwareTime | None


class _Said(Struct, frozen=True, gc=False):
    """The headers of an update that the view needs; a rebuild reads millions of them."""

    session_id: str
    version: int
    charging_event_id: str
    represents: bool
    vehicle_id: str


# The canonical form of a UUID, to stand in other patterns too.
UUID_FORM: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID: Final = re.compile(rf"\A{UUID_FORM}\Z")
# As workers write it (models.webhook); any other order, space or field is as good.
_USUAL_BEGINNING: Final = re.compile(
    rb'\A\{"event":"flex:session:updated","userId":"[A-Za-z0-9._:-]{1,64}","createdAt":"[0-9TZ:.+-]{1,40}","session":(?=\{)'
)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_SESSION: Final = msgspec.json.Decoder(_Session)


def is_session_id(text: str) -> bool:
    """Tell whether this is a UUID in its canonical form; no other spelling names a session."""
    return _UUID.match(text) is not None


def read_session_id(key: bytes | None) -> str:
    """The session that a record is about. Raises UnreadableError."""
    text = _key(key)
    if not is_session_id(text):
        raise UnreadableError("the key is not a session id")
    return text


def read_update(
    key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes | None]] | None
) -> tuple[SessionHead, bytes]:
    """A session's head, and its body ready to send. Raises UnreadableError."""
    said = _said(headers)
    try:
        body, session = _opened(value)
        if not body.isascii():
            body.decode()  # strings that were skipped above are still promised to be UTF-8
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"the value is not a session update: {error}") from error
    if not session.id == said.session_id == read_session_id(key):
        raise UnreadableError("key, header and body name different sessions")
    if session.vehicle_id != said.vehicle_id:
        raise UnreadableError("header and body name different vehicles")
    return _head(session, said), body


def _opened(value: bytes) -> tuple[bytes, _Session]:
    """The session within an envelope, as bytes and decoded. Raises msgspec.DecodeError."""
    usual = _USUAL_BEGINNING.match(value)
    if usual is not None and value.endswith(b"}}"):
        body = value[usual.end() : -1]
        try:
            # What decodes whole between this beginning and the last brace is the session: one pass instead of two.
            return body, _SESSION.decode(body)
        except msgspec.DecodeError:
            pass  # perhaps something follows the session; the envelope itself will tell
    body = bytes(_ENVELOPE.decode(value).session)
    return body, _SESSION.decode(body)


def read_policy(key: bytes | None, value: bytes | None) -> tuple[str, VehiclePolicy | None]:
    """A policy by its id; None where it was deleted. Raises UnreadableError.

    Its time zone is the worker's to judge: a view that did so too, with the zones of another release, would lack what
    the worker has taken.
    """
    policy_id = _key(key)
    if not is_id(policy_id):
        raise UnreadableError("the key is not a policy id")
    if value is None:
        return policy_id, None
    try:
        policy = decode_taken_policy(value)
    except DecodeError as error:
        raise UnreadableError(str(error)) from error
    if policy.id != policy_id:
        raise UnreadableError("key and body name different policies")
    return policy_id, policy


def _said(headers: Sequence[tuple[str, bytes | None]] | None) -> _Said:
    found = dict(headers or ())
    try:
        return _Said(
            session_id=(found["ce_subject"] or b"").decode(),
            version=int(found["session-version"] or b""),
            charging_event_id=(found["charging-event-id"] or b"").decode(),
            represents=found["represents-charging-event"] == b"true",
            vehicle_id=(found["vehicle-id"] or b"").decode(),
        )
    except KeyError as error:
        raise UnreadableError(f"header {error.args[0]} is missing") from error
    except ValueError as error:
        raise UnreadableError(f"a header is malformed: {error}") from error


def _head(session: _Session, said: _Said) -> SessionHead:
    if said.version < 1 or not is_id(said.charging_event_id):
        raise UnreadableError("session-version or charging-event-id is out of range")
    is_settled = session.state is SessionState.SETTLED
    plugged_in_us, plugged_out_us = _us(session.plugged_in_at), _us(session.plugged_out_at)
    if is_settled and (plugged_in_us is None or plugged_out_us is None or plugged_out_us < plugged_in_us):
        raise UnreadableError("a settled session needs pluggedInAt and a pluggedOutAt not before it")
    return SessionHead(
        id=session.id,
        version=said.version,
        user_id=session.user_id,
        vehicle_id=session.vehicle_id,
        policy_id=session.policy_id,
        location_id=session.location_id,
        is_settled=is_settled,
        plugged_in_us=plugged_in_us,
        plugged_out_us=plugged_out_us,
        charging_event_id=said.charging_event_id,
        represents=said.represents,
        # Where nobody shares its charging event, as nearly always; else the projector says otherwise.
        listed=is_settled and said.represents,
    )


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def _key(key: bytes | None) -> str:
    if key is None:
        raise UnreadableError("the key is null")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise UnreadableError("the key is not UTF-8") from error
