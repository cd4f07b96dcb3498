"""What of one user stands on the topics: policies, open visits, sessions. Decides whether its sessions may be erased.

The newest record of a key counts. A policy is looked for in two places, its topic and the worker's state: a record that
the worker has not read yet, or one that it is about to put back, counts as well.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from models.ids import UserId
from models.session import SessionState
from models.topics import CHANGELOG, SESSION_UPDATED, VEHICLE_POLICIES
from streams.errors import WorkerError
from streams.states import VEHICLE, decode_vehicle

# Named in the refusal at most.
_NAMES_LIMIT: Final = 3

# What has to be read, whole.
TOPICS: Final = (VEHICLE_POLICIES, CHANGELOG, SESSION_UPDATED)


class _Owner(Struct, rename="camel"):
    user_id: str


class _State(Struct):
    state: SessionState


class _Update(Struct, rename="camel"):
    user_id: str
    session: _State


_OWNER: Final = msgspec.json.Decoder(_Owner)
_UPDATE: Final = msgspec.json.Decoder(_Update)


class Holdings:
    """Bounded by what the one user has."""

    def __init__(self, user_id: UserId) -> None:
        self._user_id = user_id
        self._policies: set[tuple[int, str]] = set()
        self._known_policies: dict[str, frozenset[str]] = {}
        self._visits: set[str] = set()
        self._current: set[str] = set()
        # The partition of each session's newest record, by the session's id.
        self.sessions: dict[str, int] = {}

    def take(self, topic: str, message: Any) -> None:
        """Take the next record of one of TOPICS, named without the prefix. Raises WorkerError if it cannot be read."""
        raw_key = message.key() or b""
        key = raw_key.decode(errors="replace")
        try:
            if topic == VEHICLE_POLICIES:
                self._take_policy((message.partition(), key), message.value())
            elif topic == CHANGELOG:
                if raw_key.startswith(VEHICLE):
                    self._take_vehicle(key.removeprefix(VEHICLE.decode()), message.value())
            else:
                self._take_update(key, message.partition(), message.value())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            where = f"partition {message.partition()}, offset {message.offset()}"
            raise WorkerError(f"{message.topic()}, {where} cannot be read: {error}") from error

    def reason_to_refuse(self) -> str | None:
        """Why the user's sessions may not be erased now; None: they may."""
        policies = {key for _, key in self._policies}.union(*self._known_policies.values())
        held = {"policy": policies, "open visit of": self._visits, "current session": self._current}
        said = [f"{what} {_named(names)}" for what, names in held.items() if names]
        return f"user {self._user_id} still has {', '.join(said)}" if said else None

    def _take_policy(self, at: tuple[int, str], value: bytes | None) -> None:
        self._policies.discard(at)
        if value is None:
            return
        try:
            owner = _OWNER.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Bad input: the worker puts back what stands.
            return
        if owner.user_id == self._user_id:
            self._policies.add(at)

    def _take_vehicle(self, vehicle_id: str, value: bytes | None) -> None:
        self._visits.discard(vehicle_id)
        self._known_policies.pop(vehicle_id, None)
        if value is None:
            return
        vehicle = decode_vehicle(value, None)
        if vehicle.visit is not None and vehicle.visit.user_id == self._user_id:
            self._visits.add(vehicle_id)
        policies = (managed.policy for managed in vehicle.policies)
        owned = frozenset(policy.id for policy in policies if policy.user_id == self._user_id)
        if owned:
            self._known_policies[vehicle_id] = owned

    def _take_update(self, session_id: str, partition: int, value: bytes | None) -> None:
        self.sessions.pop(session_id, None)
        self._current.discard(session_id)
        update = None if value is None else _UPDATE.decode(value)
        if update is None or update.user_id != self._user_id:
            return
        self.sessions[session_id] = partition
        if update.session.state is not SessionState.SETTLED:
            self._current.add(session_id)


def _named(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_LIMIT])
    return shown if len(names) <= _NAMES_LIMIT else f"{shown} and {len(names) - _NAMES_LIMIT} more"
