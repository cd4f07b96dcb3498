"""Which records the view can read, and which it cannot."""

import json

import pytest

from api.view.records import UnreadableError, read_policy, read_session_id, read_update
from models.session import SessionState
from tests.support.updates import START, Update, policy_value, session_id

GOOD = Update(id=session_id(1), version=3, in_h=0.5, out_h=2.0)
START_US = int(START.timestamp()) * 1_000_000


def read(update: Update = GOOD, *, key: bytes | None = None, value: bytes | None = None, **headers: str | None) -> None:
    """Read the update with one thing changed; a header of None is left out."""
    changed = {name.replace("_", "-").replace("ce-", "ce_"): text for name, text in headers.items()}
    said = {name: text for name, text in (update.headers | changed).items() if text is not None}
    read_update(
        update.id.encode() if key is None else key,
        update.value if value is None else value,
        [(name, text.encode()) for name, text in said.items()],
    )


def altered(**fields: object) -> bytes:
    """The good value with fields of its session replaced."""
    value = json.loads(GOOD.value)
    value["session"] |= fields
    return json.dumps(value).encode()


def test_what_is_read() -> None:
    """The body is the session's bytes as they came; the head holds what lists and access rules ask."""
    head, body = GOOD.read()
    assert body == GOOD.body
    assert (head.id, head.version, head.is_settled) == (GOOD.id, 3, True)
    assert (head.plugged_in_us, head.plugged_out_us) == (START_US + 1_800_000_000, START_US + 7_200_000_000)


def test_a_newer_field_passes_through() -> None:
    """A field that this version does not know is sent on, not lost."""
    value = altered(novelty=[1, 2])
    _, body = read_update(GOOD.id.encode(), value, [(name, text.encode()) for name, text in GOOD.headers.items()])
    assert json.loads(body)["novelty"] == [1, 2]


def test_every_envelope_is_read_alike() -> None:
    """However an envelope is written, its session is taken from it as it stands there."""
    said = json.loads(GOOD.value)
    session = GOOD.body
    usual = b'{"event":"flex:session:updated","userId":"u1","createdAt":"%b","session":' % said["createdAt"].encode()
    decoy = b'{"event":"flex:session:updated","userId":"u1","createdAt":"2025-01-01T00:00:00Z","note":"}","session":'
    envelopes = [
        usual + session + b"}",
        usual + session + b"}\n",
        usual + session + b',"later":{"id":"x"}}',
        usual + b" " + session + b" }",
        b'{"session":' + session + b',"userId":"u1","event":"flex:session:updated","createdAt":"now"}',
        decoy + session + b"}",
    ]
    headers = [(name, text.encode()) for name, text in GOOD.headers.items()]
    assert [read_update(GOOD.id.encode(), value, headers)[1] for value in envelopes] == [session] * len(envelopes)


@pytest.mark.parametrize("ending", [b"", b"}}", b"},{}}", b"}]}", b'},"a":}', b"} x}"])
def test_half_an_envelope_is_none(ending: bytes) -> None:
    """Whatever follows the session must close the envelope: else nothing of it is taken."""
    said = json.loads(GOOD.value)
    usual = b'{"event":"flex:session:updated","userId":"u1","createdAt":"%b","session":' % said["createdAt"].encode()
    with pytest.raises(UnreadableError):
        read(value=usual + GOOD.body + ending)


@pytest.mark.parametrize(
    "change",
    [
        {"key": b"\xff"},
        {"key": b"not-a-uuid"},
        {"key": session_id(2).encode()},
        {"value": b""},
        {"value": b"\x00\x01"},
        {"value": b"[]"},
        {"value": b'{"session": null}'},
        {"value": b'{"session": ' + b"[" * 100_000},
        {"value": altered(state="ASLEEP")},
        {"value": altered(id=session_id(2))},
        {"value": altered(userId=None)},
        {"value": altered(vehicleId="a b")},
        {"value": altered(pluggedInAt="2025-01-01T00:00:00")},
        {"value": altered(pluggedInAt=None)},
        {"value": altered(pluggedOutAt=None)},
        {"value": altered(pluggedOutAt="2024-12-31T00:00:00Z")},
        {"value": altered(extra="?").replace(b'"?"', b'"\xff"')},
        {"session_version": None},
        {"session_version": "one"},
        {"session_version": "0"},
        {"ce_subject": None},
        {"ce_subject": session_id(2)},
        {"charging_event_id": None},
        {"charging_event_id": "a\x00b"},
        {"vehicle_id": None},
        {"vehicle_id": "v2"},
    ],
)
def test_unreadable_updates(change: dict[str, bytes | str | None]) -> None:
    """A record with one thing wrong is unreadable, and no other error comes of it."""
    with pytest.raises(UnreadableError):
        read(**change)  # type: ignore[arg-type]


def test_no_key() -> None:
    """A record without a key is about no session."""
    with pytest.raises(UnreadableError):
        read_session_id(None)


def test_an_upcoming_session_has_no_times() -> None:
    """Only settled sessions need times."""
    head, _ = Update(id=session_id(1), state=SessionState.UPCOMING).read()
    assert (head.is_settled, head.plugged_in_us, head.plugged_out_us) == (False, None, None)


def test_policies() -> None:
    """A policy is read with its user, its vehicle, and whether it is enabled; null means that it was deleted."""
    raw = json.dumps(policy_value("p1", enabled=False)).encode()
    policy_id, policy = read_policy(b"p1", raw)
    assert policy is not None
    assert (policy_id, policy.user_id, policy.vehicle_id, policy.is_enabled) == ("p1", "u1", "v1", False)
    assert read_policy(b"p1", None) == ("p1", None)


@pytest.mark.parametrize(
    ("key", "value"),
    [(None, b"{}"), (b"a b", b"{}"), (b"p1", b"{}"), (b"p1", b"x"), (b"p2", b"as p1"), (b"\xff", None)],
)
def test_unreadable_policies(key: bytes | None, value: bytes | None) -> None:
    """A policy record with a wrong key or value is unreadable."""
    with pytest.raises(UnreadableError):
        read_policy(key, json.dumps(policy_value("p1")).encode() if value == b"as p1" else value)
