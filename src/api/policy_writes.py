"""Policies written by this API: checked against the view, written to their topic, and answered once read back.

What another process writes at the same time is not seen by the check; the log's order decides then, for the worker and
for every view alike (sessions.policy_rules), and this record's verdict says how. A refused record is overwritten by the
worker with what stands, so nothing has to be taken back here.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Collection
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from msgspec import structs
from msgspec.json import encode as to_json

from api.policy_bodies import changed_policy
from api.problems import Issue, ProblemError, not_found, unavailable
from api.view.policies import (
    REQUEST_HEADER,
    PolicyDocument,
    decoded,
    document,
    had_key,
    standing_policies,
)
from api.view.verdicts import TooManyWritesError
from api.view.view import View
from api.writer import OutgoingRecord, WriteFailedError, Writer
from models.codec import Refusal, encode
from models.ids import PolicyId
from models.policy import FINGERPRINT_HEADER, NOTHING, REPLACES_HEADER, VehiclePolicy, policy_tag
from runtime.partitions import partition_of
from sessions.events import Refused
from sessions.policy_rules import refusal_to_write

# Seconds from the first byte to Kafka until the record must have been read back.
READ_BACK_S: Final = 5.0
# Policies of one vehicle, enabled or not: each is in the worker's state of it.
POLICIES_PER_VEHICLE: Final = 100
# Attempts at a change that takes whatever stands, each over the version that the last one met.
_ATTEMPTS: Final = 5
_RETRY_AFTER_S: Final = 1
_NAMESPACE: Final = uuid.UUID("6b0f5a0e-52b8-5d0a-9c51-0f1b54c6f7a1")


class PolicyWrites:
    """One per app. Every method raises ProblemError, ViewNotReadyError."""

    def __init__(self, view: View, writer: Writer, topic: str, now: Callable[[], datetime]) -> None:
        self._view = view
        self._writer = writer
        self._topic = topic
        self._now = now

    async def create(
        self, asked: VehiclePolicy, subject: str | None, idempotency_key: str | None
    ) -> tuple[PolicyDocument, bool]:
        """The new policy, and whether it is there by this very call, not by an earlier one with the same key.

        The id follows from the token's `sub`, the user and the key: a repeated call finds what the first one made, in
        whatever process, after whatever restart. 409 where the key's policy was deleted, 422 where it was asked for in
        other words.
        """
        fingerprint = None if idempotency_key is None else _fingerprint(asked)
        policy = structs.replace(asked, id=_new_id(asked, subject, idempotency_key))
        known = self._made_before(policy.id, fingerprint)
        if known is not None:
            return known, False
        self._check(policy, NOTHING)
        refused = await self._write(policy, policy.id, policy.vehicle_id, NOTHING, fingerprint)
        if refused is not None:
            # The same call in another process may have come first.
            known = self._made_before(policy.id, fingerprint)
            if known is not None:
                return known, False
            raise _refusal(refused)
        return _written(policy), True

    async def change(
        self, policy_id: str, user_id: str | None, tags: Collection[str] | None, patch: object
    ) -> PolicyDocument:
        """The policy with a merge patch on it. `tags`: the versions that may be replaced; None: any."""
        for _ in range(_ATTEMPTS):
            stored, known = self._standing(policy_id, user_id, tags)
            policy = changed_policy(stored.body, patch, self._now())
            if policy == known:
                return stored
            self._check(policy, stored.tag)
            refused = await self._write(policy, policy_id, known.vehicle_id, stored.tag, stored.fingerprint)
            if refused is None:
                return _written(policy)
            if refused.reason is not Refusal.POLICY_STALE:
                raise _refusal(refused)
            if tags is not None:
                break
        raise _changed_meanwhile()

    async def delete(self, policy_id: str, user_id: str | None, tags: Collection[str] | None) -> None:
        """The policy is gone. `tags`: the versions that may be deleted; None: any."""
        for _ in range(_ATTEMPTS):
            stored, known = self._standing(policy_id, user_id, tags)
            refused = await self._write(None, policy_id, known.vehicle_id, stored.tag, stored.fingerprint)
            if refused is None:
                return
            if refused.reason is not Refusal.POLICY_STALE:
                raise _refusal(refused)
            if tags is not None:
                break
        raise _changed_meanwhile()

    def _standing(
        self, policy_id: str, user_id: str | None, tags: Collection[str] | None
    ) -> tuple[PolicyDocument, VehiclePolicy]:
        stored = self._view.ask(lambda store: document(store, policy_id))
        known = decoded(stored)
        if stored is None or known is None or user_id not in (None, known.user_id):
            raise not_found("policy")
        if tags is not None and stored.tag not in tags:
            raise _changed_meanwhile()
        return stored, known

    def _made_before(self, policy_id: str, fingerprint: str | None) -> PolicyDocument | None:
        """What an earlier call with the same Idempotency-Key made."""
        if fingerprint is None:
            return None
        stored = self._view.ask(lambda store: document(store, policy_id))
        if stored is not None and stored.fingerprint in (None, fingerprint):
            return stored
        if stored is not None:
            detail = "This Idempotency-Key was used for a policy that was asked for in other words."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
        if self._view.ask(lambda store: had_key(store, policy_id)):
            detail = "The policy that this Idempotency-Key made was deleted since."
            raise ProblemError(HTTPStatus.CONFLICT, "idempotency-key-used", detail)
        return None

    def _check(self, policy: VehiclePolicy, replaces: str) -> None:
        """Refuse at once what the log would refuse as things stand."""
        standing = self._view.ask(lambda store: standing_policies(store, policy.vehicle_id))
        refused = refusal_to_write(standing, policy, replaces, is_deleted=False)
        if refused is not None and refused.reason is not Refusal.POLICY_STALE:
            raise _refusal(refused)
        if len(standing) >= POLICIES_PER_VEHICLE and all(each.id != policy.id for each in standing):
            detail = f"The vehicle has {POLICIES_PER_VEHICLE} policies; delete one first."
            raise ProblemError(HTTPStatus.CONFLICT, "too-many-policies", detail)

    async def _write(
        self, policy: VehiclePolicy | None, policy_id: str, vehicle_id: str, replaces: str, fingerprint: str | None
    ) -> Refused | None:
        """Write a record (None: a deletion) and say what became of it once it is read back."""
        request = uuid.uuid4().hex
        headers = {REQUEST_HEADER: request, REPLACES_HEADER: replaces}
        if fingerprint is not None:
            headers[FINGERPRINT_HEADER] = fingerprint
        try:
            async with asyncio.timeout(READ_BACK_S):
                with self._view.verdicts.expect(request) as verdict:
                    partition = partition_of(vehicle_id, await self._writer.partitions(self._topic))
                    await self._writer.write(
                        OutgoingRecord(
                            topic=self._topic,
                            key=policy_id,
                            value=None if policy is None else encode(policy),
                            headers=headers,
                            partition=partition,
                        )
                    )
                    return await verdict
        except TimeoutError as error:
            detail = f"The change was not read back within {READ_BACK_S:g} s; it may still come to be. Look, or repeat."
            raise unavailable(detail, _RETRY_AFTER_S) from error
        except WriteFailedError as error:
            detail = "The change was not acknowledged; it may still come to be. Look, or repeat."
            raise unavailable(detail, _RETRY_AFTER_S) from error
        except TooManyWritesError as error:
            raise unavailable("Too many changes are under way.", _RETRY_AFTER_S) from error


def _new_id(policy: VehiclePolicy, subject: str | None, idempotency_key: str | None) -> PolicyId:
    if idempotency_key is None:
        return PolicyId(str(uuid.uuid4()))
    # Two clients that think of the same key do not meet, and neither do two users of one client.
    name = to_json((subject, policy.user_id, idempotency_key)).decode()
    return PolicyId(str(uuid.uuid5(_NAMESPACE, name)))


def _fingerprint(policy: VehiclePolicy) -> str:
    """What was asked for, in short; when it was asked does not count."""
    said: dict[str, Any] = structs.asdict(policy)
    del said["id"], said["at"]
    return hashlib.sha256(to_json(said, order="deterministic")).hexdigest()


def _written(policy: VehiclePolicy) -> PolicyDocument:
    return PolicyDocument(encode(policy), policy_tag(policy))


def _refusal(refused: Refused) -> ProblemError:
    match refused.reason:
        case Refusal.POLICY_CONFLICT:
            issues = [Issue("locationId", "conflict", refused.detail)]
            detail = "Another policy is enabled for this user, vehicle and location."
            return ProblemError(HTTPStatus.CONFLICT, "policy-conflict", detail, issues=issues)
        case Refusal.POLICY_STALE:
            return _changed_meanwhile()
        case _:
            # The log's clock, or its partitions, are not as this process takes them to be.
            return unavailable(f"The log refused the change: {refused.detail}.", _RETRY_AFTER_S)


def _changed_meanwhile() -> ProblemError:
    detail = "The policy is not as it was when its ETag was read; read it again."
    return ProblemError(HTTPStatus.PRECONDITION_FAILED, "precondition-failed", detail)
