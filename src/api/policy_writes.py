"""Policies written by this API: checked against the view, written to their topic, and answered once read back.

What another process writes at the same time is not seen by the check; the log's order decides then, for the worker and
for every view alike (sessions.policy_rules), and this record's verdict says how. A refused record is overwritten by the
worker with what stands, so nothing has to be taken back here. Requests of this process take turns at a policy.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from msgspec import structs
from msgspec.json import encode as to_json

from api.policy_bodies import changed_policy
from api.problems import Issue, ProblemError, not_found, unavailable
from api.turns import NoTurnError, Turns
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
from sessions.policy_rules import POLICIES_PER_USER, refusal_to_write

# Seconds from the request until its record must have been read back, however many had their turn or came first.
READ_BACK_S: Final = 5.0
_RETRY_AFTER_S: Final = 1
_NAMESPACE: Final = uuid.UUID("6b0f5a0e-52b8-5d0a-9c51-0f1b54c6f7a1")


class PolicyWrites:
    """One per app. Every method raises ProblemError, ViewNotReadyError."""

    def __init__(self, view: View, writer: Writer, topic: str, now: Callable[[], datetime]) -> None:
        self._view = view
        self._writer = writer
        self._topic = topic
        self._now = now
        self._turns = Turns()

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
        async with self._turn(policy.id) as until_s:
            known = self._made_before(policy.id, fingerprint)
            if known is not None:
                return known, False
            self._check(policy, NOTHING)
            refused = await self._write(policy, policy.id, policy.vehicle_id, NOTHING, fingerprint, until_s)
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
        async with self._turn(policy_id) as until_s:
            while True:
                stored, known = self._standing(policy_id, user_id, tags)
                policy = changed_policy(stored.body, patch, self._now())
                if policy == known:
                    return stored
                self._check(policy, stored.tag)
                refused = await self._write(
                    policy, policy_id, known.vehicle_id, stored.tag, stored.fingerprint, until_s
                )
                if refused is None:
                    return _written(policy)
                _refuse_unless_again(refused, tags, until_s)

    async def delete(self, policy_id: str, user_id: str | None, tags: Collection[str] | None) -> None:
        """The policy is gone. `tags`: the versions that may be deleted; None: any."""
        async with self._turn(policy_id) as until_s:
            while True:
                stored, known = self._standing(policy_id, user_id, tags)
                refused = await self._write(None, policy_id, known.vehicle_id, stored.tag, stored.fingerprint, until_s)
                if refused is None:
                    return
                _refuse_unless_again(refused, tags, until_s)

    @asynccontextmanager
    async def _turn(self, policy_id: str) -> AsyncIterator[float]:
        """The turn at a policy, and by when (of the event loop's clock) its request must be answered."""
        until_s = asyncio.get_running_loop().time() + READ_BACK_S
        try:
            async with self._turns.at(policy_id, until_s):
                yield until_s
        except NoTurnError as error:
            raise _contended() from error

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

    async def _write(
        self,
        policy: VehiclePolicy | None,
        policy_id: str,
        vehicle_id: str,
        replaces: str,
        fingerprint: str | None,
        until_s: float,
    ) -> Refused | None:
        """Write a record (None: a deletion) and say what became of it once it is read back."""
        request = uuid.uuid4().hex
        headers = {REQUEST_HEADER: request, REPLACES_HEADER: replaces}
        if fingerprint is not None:
            headers[FINGERPRINT_HEADER] = fingerprint
        try:
            async with asyncio.timeout_at(until_s):
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


def _refuse_unless_again(refused: Refused, tags: Collection[str] | None, until_s: float) -> None:
    """Whoever takes whatever stands takes what came first too, while there is time: never does he hear of a version
    that he did not name. Raises ProblemError.
    """
    if refused.reason is not Refusal.POLICY_STALE or tags is not None:
        raise _refusal(refused)
    if asyncio.get_running_loop().time() >= until_s:
        raise _contended()


def _refusal(refused: Refused) -> ProblemError:
    match refused.reason:
        case Refusal.POLICY_CONFLICT:
            issues = [Issue("locationId", "conflict", refused.detail)]
            detail = "Another policy is enabled for this user, vehicle and location."
            return ProblemError(HTTPStatus.CONFLICT, "policy-conflict", detail, issues=issues)
        case Refusal.POLICY_STALE:
            return _changed_meanwhile()
        case Refusal.POLICY_LIMIT:
            # The same words for either limit: how many policies other users have is not for this one to know.
            detail = f"This user can have no more policies for this vehicle, at most {POLICIES_PER_USER}."
            return ProblemError(HTTPStatus.CONFLICT, "too-many-policies", detail)
        case _:
            # The log's clock, or its partitions, are not as this process takes them to be.
            return unavailable(f"The log refused the change: {refused.detail}.", _RETRY_AFTER_S)


def _contended() -> ProblemError:
    detail = f"Others changed the policy for {READ_BACK_S:g} s without a pause; nothing came of this change. Repeat it."
    return unavailable(detail, _RETRY_AFTER_S)


def _changed_meanwhile() -> ProblemError:
    detail = "The policy is not as it was when its ETag was read; read it again."
    return ProblemError(HTTPStatus.PRECONDITION_FAILED, "precondition-failed", detail)
