"""What one record of the topics changes in the view. Pure over a draft: no Kafka, no database, no clock.

Of the settled sessions that share a charging event, the vehicle's and the location's lists show one: the one whose
header says that it represents the event and, where several still say so, the managed one, else the later (SPEC 3.9).
"""

import msgspec

from api.view.keys import body_key, current_key, event_key, head_key, policy_key
from api.view.rows import PolicyHead, SessionHead, index_keys, pack, unpack_head, unpack_ids
from api.view.store import Draft


def apply_update(draft: Draft, head: SessionHead, body: bytes) -> bool:
    """Take a session's new version. False, and nothing changed, where a version as new is already there."""
    old = stored_head(draft, head.id)
    if old is not None and old.version >= head.version:
        return False
    if old is not None:
        _leave(draft, old)
    draft.put(body_key(head.id), body)
    _store_head(draft, head)
    if head.is_settled:
        _enter_event(draft, head)
    elif head.policy_id is not None:
        draft.put(current_key(head.policy_id), head.id.encode())
    return True


def apply_erasure(draft: Draft, session_id: str) -> bool:
    """Remove a session and whatever points at it. False where there is none."""
    old = stored_head(draft, session_id)
    if old is None:
        return False
    _leave(draft, old)
    draft.delete(head_key(session_id))
    draft.delete(body_key(session_id))
    return True


def apply_policy(draft: Draft, policy_id: str, policy: PolicyHead | None) -> None:
    """Take a policy as it stands now; None: it was deleted."""
    if policy is None:
        draft.delete(policy_key(policy_id))
    else:
        draft.put(policy_key(policy_id), pack(policy))


def stored_head(draft: Draft, session_id: str) -> SessionHead | None:
    raw = draft.get(head_key(session_id))
    return None if raw is None else unpack_head(raw)


def _leave(draft: Draft, old: SessionHead) -> None:
    """Undo everything that points at a session's former version."""
    for key in index_keys(old):
        draft.delete(key)
    if old.policy_id is not None and draft.get(current_key(old.policy_id)) == old.id.encode():
        draft.delete(current_key(old.policy_id))
    if old.is_settled:
        members = tuple(one for one in _members(draft, old.charging_event_id) if one != old.id)
        _set_members(draft, old.charging_event_id, members)


def _enter_event(draft: Draft, head: SessionHead) -> None:
    members = tuple(one for one in _members(draft, head.charging_event_id) if one != head.id)
    _set_members(draft, head.charging_event_id, (*members, head.id))


def _members(draft: Draft, event: str) -> tuple[str, ...]:
    return unpack_ids(draft.get(event_key(event)))


def _set_members(draft: Draft, event: str, members: tuple[str, ...]) -> None:
    """Note who shares a charging event, and let the lists show the one that represents it."""
    if members:
        draft.put(event_key(event), pack(members))
    else:
        draft.delete(event_key(event))
    heads = [head for one in members if (head := stored_head(draft, one)) is not None]
    claims = [head for head in heads if head.represents]
    chosen = max(claims, key=_rank).id if claims else None
    for head in heads:
        if head.listed != (head.id == chosen):
            for key in index_keys(head):
                draft.delete(key)
            _store_head(draft, msgspec.structs.replace(head, listed=not head.listed))


def _rank(head: SessionHead) -> tuple[bool, int, str]:
    return head.policy_id is not None, head.plugged_in_us or 0, head.id


def _store_head(draft: Draft, head: SessionHead) -> None:
    raw = pack(head)
    draft.put(head_key(head.id), raw)
    for key in index_keys(head):
        draft.put(key, raw)
