"""What one record of the topics changes in the view. Pure over a draft: no Kafka, no database, no clock.

Of the settled sessions that share a charging event, the vehicle's and the location's lists show one: the one whose
header says that it represents the event and, where several still say so, the managed one, else the later (SPEC 3.9).
"""

import msgspec

from api.view.keys import current_key, event_key, head_key, policy_key
from api.view.rows import (
    CurrentRow,
    CurrentSession,
    PolicyHead,
    SessionHead,
    body_place,
    index_keys,
    pack,
    unpack_current,
    unpack_head,
    unpack_ids,
    unpack_policy,
)
from api.view.store import Draft


def apply_update(draft: Draft, head: SessionHead, body: bytes) -> bool:
    """Take a session's new version. False, and nothing changed, where a version as new is already there."""
    old = stored_head(draft, head.id)
    if old is not None and old.version >= head.version:
        return False
    if old is not None:
        _leave(draft, old)
    if head.is_settled:
        draft.put(body_place(head), body)
        others = _sharers(draft, head)
        if others:
            _share_event(draft, head.charging_event_id, others, entering=head)
        else:  # nearly always
            draft.put(event_key(head.charging_event_id), pack((head.id,)))
            is_right = head.listed == head.represents
            _store_head(draft, head if is_right else msgspec.structs.replace(head, listed=head.represents))
        return True
    _store_head(draft, head)
    if head.policy_id is not None:
        _put_current(draft, head.policy_id, session=CurrentSession(head.id, head.user_id, head.version, body))
    return True


def keys_asked(head: SessionHead) -> list[bytes]:
    """What `apply_update` asks of the store, unless something of the session or its event is there already."""
    keys = [head_key(head.id)]
    if head.is_settled:
        keys.append(event_key(head.charging_event_id))
    elif head.policy_id is not None:
        keys.append(current_key(head.policy_id))
    return keys


def apply_erasure(draft: Draft, session_id: str) -> bool:
    """Remove a session and whatever points at it. False where there is none."""
    old = stored_head(draft, session_id)
    if old is None:
        return False
    _leave(draft, old)
    draft.delete(head_key(session_id))
    return True


def apply_policy(draft: Draft, policy_id: str, policy: PolicyHead | None) -> None:
    """Take a policy as it stands now; None: it was deleted."""
    if policy is None:
        draft.delete(policy_key(policy_id))
    else:
        draft.put(policy_key(policy_id), pack(policy))
    owner_id = policy.user_id if policy is not None and policy.is_enabled else None
    _put_current(draft, policy_id, owner_id=owner_id)


def stored_policy(draft: Draft, policy_id: str) -> PolicyHead | None:
    raw = draft.get(policy_key(policy_id))
    return None if raw is None else unpack_policy(raw)


def stored_head(draft: Draft, session_id: str) -> SessionHead | None:
    raw = draft.get(head_key(session_id))
    return None if raw is None else unpack_head(raw)


def _leave(draft: Draft, old: SessionHead) -> None:
    """Undo everything that points at a session's former version."""
    for key in index_keys(old):
        draft.delete(key)
    if old.policy_id is not None and not old.is_settled:
        current = unpack_current(draft.get(current_key(old.policy_id))).session
        if current is not None and current.id == old.id:
            _put_current(draft, old.policy_id, session=None)
    if old.is_settled:
        draft.delete(body_place(old))
        _share_event(draft, old.charging_event_id, _sharers(draft, old), entering=None)


def _put_current(draft: Draft, policy_id: str, **changes: str | CurrentSession | None) -> None:
    """Change the row that the read of the current session is answered from."""
    key = current_key(policy_id)
    row = msgspec.structs.replace(unpack_current(draft.get(key)), **changes)
    if row == CurrentRow():
        draft.delete(key)
    else:
        draft.put(key, pack(row))


def _sharers(draft: Draft, head: SessionHead) -> list[SessionHead]:
    """The other settled sessions of this one's charging event."""
    raw = draft.get(event_key(head.charging_event_id))
    if raw is None:  # nearly always
        return []
    ids = unpack_ids(raw)
    heads = (stored_head(draft, one) for one in ids if one != head.id)
    return [one for one in heads if one is not None]


def _share_event(draft: Draft, event: str, others: list[SessionHead], *, entering: SessionHead | None) -> None:
    """Note who shares a charging event, and let the lists show the one that represents it."""
    heads = others if entering is None else [*others, entering]
    if heads:
        draft.put(event_key(event), pack(tuple(head.id for head in heads)))
    else:
        draft.delete(event_key(event))
    chosen = max((head for head in heads if head.represents), key=_rank, default=None)
    for head in heads:
        is_listed = head is chosen
        if head is not entering and head.listed == is_listed:
            continue
        if head is not entering:
            for key in index_keys(head):
                draft.delete(key)
        _store_head(draft, msgspec.structs.replace(head, listed=is_listed))


def _rank(head: SessionHead) -> tuple[bool, int, str]:
    return head.policy_id is not None, head.plugged_in_us or 0, head.id


def _store_head(draft: Draft, head: SessionHead) -> None:
    draft.put_all([head_key(head.id), *index_keys(head)], pack(head))
