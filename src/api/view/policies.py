"""Policies in the view: what a record of their topic changes, and what requests ask of them.

A record is judged as the worker judges it (sessions.policy_rules), over the same records in the same order, so the view
never shows a policy that the worker refuses. What the worker restores is taken as it stands: it is the worker's word,
as of the record that it answers. Where a later one was taken since, the worker had not read that yet.
Where the view began on a log that was compacted meanwhile it knows fewer deletions than the worker, never others: so it
may take what the worker refuses until that is restored, and never refuses what the worker takes. The same holds of a
time zone that the worker does not know: which zones there are depends on the release, and the view need not be of its.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct as Layout
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from api.view.keys import microseconds
from api.view.paging import Direction
from api.view.projector import apply_policy, stored_policy
from api.view.records import UnreadableError, read_policy
from api.view.rows import PolicyHead, pack, unpack_ids
from api.view.store import Draft, Store
from models.codec import decode_taken_policy, encode
from models.ids import PolicyId, UserId
from models.policy import (
    ANSWERS_HEADER,
    FINGERPRINT_HEADER,
    REPLACES_HEADER,
    RESTORED_HEADER,
    VehiclePolicy,
    policy_tag,
)
from runtime.partitions import partition_of
from sessions.arrival import refusal_by_time
from sessions.events import Refused
from sessions.policy_rules import (
    DELETION_KEPT,
    refusal_to_delete,
    refusal_to_write,
    still_known,
    was_deleted,
    with_deletion,
    without_deletion,
)
from sessions.state import DeletedPolicy

# A random word that says which request wrote a record: its process waits to read it back.
REQUEST_HEADER: Final = "policy-request"
# Forgotten deletions per record read: more than one record can add.
_FORGOTTEN_PER_RECORD: Final = 4
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = Layout(">Q")
# A partition and an offset on it.
_PLACE: Final = Layout(">IQ")
_OFFSET: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_PAST_ANY_ID: Final = b"\xff"


class PolicyDocument(Struct, frozen=True, array_like=True):
    """A policy as requests get it. `body`: JSON, ready to send; `tag`: its version; `fingerprint`: models.policy."""

    body: bytes
    tag: str
    fingerprint: str | None = None


class PolicyRecord(Struct, frozen=True, kw_only=True):
    """One record of the policies' topic. `policy` None: a deletion. `logged_at`: when the broker took it. `answers`:
    the offset of the record in answer to which the worker restored the policy, where it says so.
    """

    policy_id: str
    policy: VehiclePolicy | None
    logged_at: datetime
    offset: int = 0
    is_restored: bool = False
    answers: int | None = None
    replaces: str | None = None
    request: str | None = None
    fingerprint: str | None = None


class PolicySelection(Struct, frozen=True, kw_only=True):
    """The filters of a list of policies, all of which must hold. `is_nobodys`: they exclude each other."""

    user_id: str | None = None
    vehicle_id: str | None = None
    is_nobodys: bool = False


class PolicyPage(NamedTuple):
    """Bodies in the order of their ids, and the ids from which to go on; None where nothing follows."""

    bodies: list[bytes]
    after: str | None
    before: str | None


class _Rows(Protocol):
    """A store, or a draft over one."""

    def get(self, key: bytes) -> bytes | None: ...


_DOCUMENT: Final = msgspec.msgpack.Decoder(PolicyDocument)
_DELETED: Final = msgspec.msgpack.Decoder(tuple[DeletedPolicy, ...])


# --- what a record changes


def request_of(headers: Sequence[tuple[str, bytes | None]] | None) -> str | None:
    """Which request wrote a record, as far as it says."""
    return _header(headers, REQUEST_HEADER)


def read_policy_record(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] | None,
    timestamp_ms: int,
    offset: int,
) -> PolicyRecord:
    """A record of the policies' topic. Raises UnreadableError."""
    policy_id, policy = read_policy(key, value)
    answers = _header(headers, ANSWERS_HEADER) or ""
    return PolicyRecord(
        policy_id=policy_id,
        policy=policy,
        logged_at=_EPOCH + timestamp_ms * _MILLISECOND,
        offset=offset,
        is_restored=_header(headers, RESTORED_HEADER) is not None,
        answers=int(answers) if _OFFSET.fullmatch(answers) else None,
        replaces=_header(headers, REPLACES_HEADER),
        request=request_of(headers),
        fingerprint=_header(headers, FINGERPRINT_HEADER),
    )


def apply_record(draft: Draft, record: PolicyRecord, partition: int, partitions: int) -> Refused | None:
    """Take a record, or say why it is refused. Raises UnreadableError where it lies on another vehicle's partition."""
    known = stored_policy(draft, record.policy_id)
    home = known if record.policy is None else record.policy
    if home is not None and partition_of(home.vehicle_id, partitions) != partition:
        # The worker refuses it too: a policy stands where its vehicle's records are.
        raise UnreadableError("it is on a partition that is not its vehicle's")
    refused = None if record.is_restored else _refusal(draft, record)
    if refused is None and not _is_overtaken(draft, record, partition):
        _put(draft, record, known)
        _note_taken(draft, record, known, partition)
    return refused


def forget_deletions(draft: Draft, store: Store, now: datetime) -> None:
    """Drop what is remembered of deletions for longer than DELETION_KEPT, a few at a time."""
    upper = _gone_at_prefix(now - DELETION_KEPT)
    for number, (key, vehicle_id) in enumerate(store.scan(b"x", upper, backwards=False)):
        if number >= _FORGOTTEN_PER_RECORD:
            return
        draft.delete(key)
        moment, policy_id = key[1 : 1 + _TIME.size], key[1 + _TIME.size :].decode()
        if draft.get(_gone_key(policy_id)) == moment:  # else it was made anew, and deleted later once more
            draft.delete(_gone_key(policy_id))
        if document(draft, policy_id) is None:
            draft.delete(_taken_key(policy_id))
        if vehicle_id:
            _keep_deleted(draft, vehicle_id.decode(), still_known(_deleted(draft, vehicle_id.decode()), now))


def _is_overtaken(draft: Draft, record: PolicyRecord, partition: int) -> bool:
    """Whether it was restored before the worker read what was taken of this policy since."""
    raw = draft.get(_taken_key(record.policy_id))
    if raw is None or not record.is_restored or record.answers is None:
        return False
    taken_on, offset = _PLACE.unpack(raw)
    return bool(taken_on == partition and record.answers < offset)


def _note_taken(draft: Draft, record: PolicyRecord, known: PolicyHead | None, partition: int) -> None:
    """Remember where the newest record of a policy lies that was taken, until its deletion is forgotten."""
    if record.is_restored:
        if record.policy is None:
            draft.delete(_taken_key(record.policy_id))
    elif record.policy is not None or known is not None:
        draft.put(_taken_key(record.policy_id), _PLACE.pack(partition, record.offset))


def _refusal(draft: Draft, record: PolicyRecord) -> Refused | None:
    policy = record.policy
    if policy is None:
        return refusal_to_delete(decoded(document(draft, record.policy_id)), record.replaces)
    standing = standing_policies(draft, policy.vehicle_id)
    known = decoded(document(draft, policy.id))
    if known is not None and known.vehicle_id != policy.vehicle_id:
        standing = [known]
    is_deleted = was_deleted(_deleted(draft, policy.vehicle_id), policy.id, record.logged_at)
    refused = refusal_by_time(policy.at, record.logged_at)
    return refused or refusal_to_write(standing, policy, record.replaces, is_deleted=is_deleted)


def _put(draft: Draft, record: PolicyRecord, known: PolicyHead | None) -> None:
    policy_id, policy = record.policy_id, record.policy
    former = document(draft, policy_id)
    fingerprint = record.fingerprint or (None if former is None else former.fingerprint)
    owners = None if policy is None else (policy.user_id, policy.vehicle_id)
    if known is not None and (known.user_id, known.vehicle_id) != owners:
        draft.delete(_user_prefix(known.user_id) + policy_id.encode())
        _keep_vehicle(draft, known.vehicle_id, set(_vehicle_ids(draft, known.vehicle_id)) - {policy_id})
    if policy is None:
        apply_policy(draft, policy_id, None)
        draft.delete(_document_key(policy_id))
        _note_deletion(draft, record, known, fingerprint)
        return
    apply_policy(draft, policy_id, PolicyHead(policy.user_id, policy.vehicle_id, policy.is_enabled))
    draft.put(_document_key(policy_id), pack(PolicyDocument(encode(policy), policy_tag(policy), fingerprint)))
    draft.put(_user_prefix(policy.user_id) + policy_id.encode(), b"")
    _keep_vehicle(draft, policy.vehicle_id, {*_vehicle_ids(draft, policy.vehicle_id), policy_id})
    if not record.is_restored:
        left = without_deletion(_deleted(draft, policy.vehicle_id), policy.id, record.logged_at)
        _keep_deleted(draft, policy.vehicle_id, left)


def _note_deletion(draft: Draft, record: PolicyRecord, known: PolicyHead | None, fingerprint: str | None) -> None:
    """Remember a deletion: of a policy that stood, as the worker does; of one made under an Idempotency-Key."""
    policy_id, vehicle_id = record.policy_id, ""
    gone_at = _gone_at_prefix(record.logged_at)
    if fingerprint is not None:
        draft.put(_gone_key(policy_id), gone_at[1:])
    if known is not None and not record.is_restored:
        vehicle_id = known.vehicle_id
        remembered = _deleted(draft, vehicle_id)
        deleted = with_deletion(remembered, PolicyId(policy_id), UserId(known.user_id), record.logged_at)
        _keep_deleted(draft, vehicle_id, deleted)
    if fingerprint is not None or vehicle_id:
        draft.put(gone_at + policy_id.encode(), vehicle_id.encode())


def _deleted(rows: _Rows, vehicle_id: str) -> tuple[DeletedPolicy, ...]:
    raw = rows.get(_deleted_key(vehicle_id))
    return () if raw is None else _DELETED.decode(raw)


def _keep_deleted(draft: Draft, vehicle_id: str, deleted: tuple[DeletedPolicy, ...]) -> None:
    if deleted == _deleted(draft, vehicle_id):
        return
    if deleted:
        draft.put(_deleted_key(vehicle_id), pack(deleted))
    else:
        draft.delete(_deleted_key(vehicle_id))


def _keep_vehicle(draft: Draft, vehicle_id: str, ids: set[str]) -> None:
    if ids:
        draft.put(_vehicle_key(vehicle_id), pack(tuple(sorted(ids))))
    else:
        draft.delete(_vehicle_key(vehicle_id))


# --- what requests ask; each raises StoreDamagedError


def document(rows: _Rows, policy_id: str) -> PolicyDocument | None:
    """A policy that stands."""
    raw = rows.get(_document_key(policy_id))
    return None if raw is None else _DOCUMENT.decode(raw)


def decoded(stored: PolicyDocument | None) -> VehiclePolicy | None:
    """The policy that a document holds."""
    return None if stored is None else decode_taken_policy(stored.body)


def had_key(rows: _Rows, policy_id: str) -> bool:
    """Tell whether this policy was made under an Idempotency-Key and deleted, at most DELETION_KEPT ago."""
    return rows.get(_gone_key(policy_id)) is not None


def standing_policies(rows: _Rows, vehicle_id: str) -> list[VehiclePolicy]:
    """A vehicle's policies, enabled or not."""
    found = (decoded(document(rows, policy_id)) for policy_id in _vehicle_ids(rows, vehicle_id))
    return [policy for policy in found if policy is not None]


def read_policy_page(
    store: Store, selection: PolicySelection, start: tuple[Direction, str] | None, size: int
) -> PolicyPage:
    """The next `size` policies from an id on, without it, or the first ones. Reads no others but one at each end."""
    direction, edge = start or (Direction.AFTER, "")
    found: list[tuple[str, bytes]] = []
    onward = None
    for policy_id in _ids(store, selection, direction, edge):
        stored = document(store, policy_id)
        if stored is None:  # deleted since the walk began
            continue
        if len(found) == size:
            onward = found[-1][0]
            break
        found.append((policy_id, stored.body))
    back = None
    if start is not None:
        near = found[0][0] if found else edge
        opposite = Direction.BEFORE if direction is Direction.AFTER else Direction.AFTER
        back = near if next(_ids(store, selection, opposite, near), None) is not None else None
    bodies = [body for _, body in found]
    if direction is Direction.AFTER:
        return PolicyPage(bodies, after=onward, before=back)
    return PolicyPage(bodies[::-1], after=back, before=onward)


def _ids(store: Store, selection: PolicySelection, direction: Direction, edge: str) -> Iterator[str]:
    """Ids of the selection beyond `edge`, in the order of the walk. A vehicle has few; a user's have an index."""
    is_backwards = direction is Direction.BEFORE
    if selection.is_nobodys:
        return
    if selection.vehicle_id is not None:
        ids = _vehicle_ids(store, selection.vehicle_id)
        for policy_id in reversed(ids) if is_backwards else ids:
            is_beyond = policy_id < edge if is_backwards else policy_id > edge
            if is_beyond and _is_of_user(store, policy_id, selection.user_id):
                yield policy_id
        return
    prefix = b"p" if selection.user_id is None else _user_prefix(selection.user_id)
    if is_backwards:
        entries = store.scan(prefix, prefix + edge.encode(), backwards=True)
    else:
        entries = store.scan(prefix + edge.encode() + b"\x00", prefix + _PAST_ANY_ID, backwards=False)
    for key, _ in entries:
        yield key[len(prefix) :].decode()


def _is_of_user(store: Store, policy_id: str, user_id: str | None) -> bool:
    return user_id is None or store.get(_user_prefix(user_id) + policy_id.encode()) is not None


def _vehicle_ids(rows: _Rows, vehicle_id: str) -> tuple[str, ...]:
    return unpack_ids(rows.get(_vehicle_key(vehicle_id)))


def _header(headers: Sequence[tuple[str, bytes | None]] | None, name: str) -> str | None:
    """The last header of this name, as the worker takes it too."""
    found = [(text or b"").decode(errors="replace") for each, text in headers or () if each == name]
    return found[-1] if found else None


# --- keys, beside those of api.view.keys


def _document_key(policy_id: str) -> bytes:
    return b"d" + policy_id.encode()


def _vehicle_key(vehicle_id: str) -> bytes:
    return b"q" + vehicle_id.encode()


def _user_prefix(user_id: str) -> bytes:
    return b"y" + user_id.encode() + b"\x00"


def _deleted_key(vehicle_id: str) -> bytes:
    return b"n" + vehicle_id.encode()


def _taken_key(policy_id: str) -> bytes:
    return b"l" + policy_id.encode()


def _gone_key(policy_id: str) -> bytes:
    return b"g" + policy_id.encode()


def _gone_at_prefix(moment: datetime) -> bytes:
    return b"x" + _TIME.pack(max(0, microseconds(moment)))
