"""One step of a vehicle: what it was, what it becomes, and what is published on the way.

Sessions are opened, updated and settled here and nowhere else, each by the table of transitions. A Step is local to one
call of `apply`; nothing of it outlives the decision.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.ids import PolicyId
from models.session import Session, SessionState
from sessions.events import Counted, Decision, Output, SessionChanged, SessionErased
from sessions.identity import awaited_charging_event_id, managed_session_id, unmanaged_session_id
from sessions.public import awaited_session, visit_session
from sessions.state import CurrentSession, ManagedBy, Part, Vehicle, Visit, managed_by
from sessions.statistics import cut_off, energy_sum_wh
from sessions.transitions import Cause, next_state

# Less is a measuring error, not a charge.
OBSERVED_ENERGY_WH: Final = 50
OBSERVED_RISE_PERCENT: Final = 2.0
# Two sessions of one vehicle never open at the same time, or they would share an id.
OPENING_STEP: Final = timedelta(milliseconds=1)


@dataclass(slots=True)
class Step:
    """The vehicle as it stands in the middle of a decision, and what has come out so far."""

    vehicle: Vehicle
    outputs: list[Output] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)

    def decision(self) -> Decision:
        """What this step came to."""
        return Decision(vehicle=self.vehicle, outputs=tuple(self.outputs), counted=tuple(self.counted))

    def open_session(self, policy_id: PolicyId, at: datetime) -> None:
        """Give an enabled policy its next session: UPCOMING, or ACTIVE where its vehicle is already plugged in."""
        last = self.vehicle.session_opened_at
        opened_at = at if last is None else max(at, last + OPENING_STEP)
        self.vehicle = structs.replace(self.vehicle, session_opened_at=opened_at)
        name = (policy_id, self.vehicle.id, opened_at)
        self._keep_session(policy_id, CurrentSession(managed_session_id(*name), awaited_charging_event_id(*name)))
        if not self.manage_visit(at):
            self.await_visit(policy_id, at)

    def await_visit(self, policy_id: PolicyId, at: datetime) -> None:
        """Publish a policy's UPCOMING session."""
        managed, current = self._current(policy_id)
        state = next_state(current.state, Cause.AWAITED)
        self._publish(managed, current, state, awaited_session(self.vehicle.id, managed, current.id), at)

    def manage_visit(self, at: datetime) -> bool:
        """Let a policy take over the open visit, if one stands for its place and user. Tells whether one did."""
        visit = self.vehicle.visit
        if visit is None or visit.part.policy_id is not None:
            return False
        managed = self._policy_for(visit)
        if managed is None:
            return False
        self._put_part(structs.replace(visit.part, policy_id=managed.policy.id))
        self.update_visit(at, Cause.PLUGGED_IN)
        return True

    def update_visit(self, at: datetime, cause: Cause = Cause.TELEMETRY) -> None:
        """Publish the ACTIVE session of the open visit, if a policy manages it. `at`: when the cause happened."""
        visit = self._open_visit()
        if visit.part.policy_id is None:
            return
        managed, current = self._current(visit.part.policy_id)
        state = next_state(current.state, cause)
        assert state is not None
        if cause is Cause.PLUGGED_IN:
            current = structs.replace(current, charging_event_id=visit.part.charging_event_id)
        until = max(at, visit.newest_at, visit.part.started_at)
        self._publish(managed, current, state, visit_session(self.vehicle.id, visit, current.id, state, until), at)

    def settle_part(self, ended_at: datetime, at: datetime, cause: Cause) -> None:
        """End the open visit's part at `ended_at`, and its session with it. The visit itself stays open."""
        visit = self._open_visit()
        ended_at = max(ended_at, visit.part.started_at)
        self._put_part(cut_off(visit.part, ended_at))
        visit = self._open_visit()
        if visit.part.policy_id is None and not _charging_was_observed(visit.part):
            return
        # A policy's time may be ahead of the telemetry: no later visit begins within what has settled.
        self.vehicle = structs.replace(self.vehicle, left_at=max(ended_at, self.vehicle.left_at or ended_at))
        if visit.part.policy_id is None:
            self._publish_observed(visit, ended_at, at)
            return
        managed, current = self._current(visit.part.policy_id)
        state = next_state(current.state, cause)
        assert state is not None
        settled = visit_session(self.vehicle.id, visit, current.id, state, ended_at)
        self._publish(managed, current, state, settled, at)
        self._keep_session(managed.policy.id, None)

    def erase_session(self, policy_id: PolicyId) -> None:
        """Withdraw the UPCOMING session of a policy."""
        _, current = self._current(policy_id)
        next_state(current.state, Cause.WITHDRAWN)
        self.outputs.append(SessionErased(current.id))
        self._keep_session(policy_id, None)

    def _publish(
        self, managed: ManagedBy, current: CurrentSession, state: SessionState | None, session: Session, at: datetime
    ) -> None:
        current = structs.replace(current, state=state, version=current.version + 1)
        self._keep_session(managed.policy.id, current)
        self.outputs.append(
            SessionChanged(
                session=session,
                version=current.version,
                created_at=at,
                charging_event_id=current.charging_event_id,
            )
        )

    def _publish_observed(self, visit: Visit, ended_at: datetime, at: datetime) -> None:
        state = next_state(None, Cause.OBSERVED)
        assert state is not None
        charging_event_id = visit.part.charging_event_id
        session_id = unmanaged_session_id(self.vehicle.id, charging_event_id)
        session = visit_session(self.vehicle.id, visit, session_id, state, ended_at)
        self.outputs.append(
            SessionChanged(session=session, version=1, created_at=at, charging_event_id=charging_event_id)
        )

    def _policy_for(self, visit: Visit) -> ManagedBy | None:
        if visit.location_id is None:
            return None
        for managed in self.vehicle.policies:
            policy = managed.policy
            if policy.is_enabled and (policy.location_id, policy.user_id) == (visit.location_id, visit.user_id):
                return managed
        return None

    def _current(self, policy_id: PolicyId) -> tuple[ManagedBy, CurrentSession]:
        managed = managed_by(self.vehicle, policy_id)
        assert managed is not None
        assert managed.session is not None
        return managed, managed.session

    def _keep_session(self, policy_id: PolicyId, session: CurrentSession | None) -> None:
        self.vehicle = structs.replace(
            self.vehicle,
            policies=tuple(
                structs.replace(managed, session=session) if managed.policy.id == policy_id else managed
                for managed in self.vehicle.policies
            ),
        )

    def _open_visit(self) -> Visit:
        assert self.vehicle.visit is not None
        return self.vehicle.visit

    def _put_part(self, part: Part) -> None:
        self.vehicle = structs.replace(self.vehicle, visit=structs.replace(self._open_visit(), part=part))


def _charging_was_observed(part: Part) -> bool:
    if part.is_energy_known:
        return energy_sum_wh(part) >= OBSERVED_ENERGY_WH
    if part.level_from is None or part.level_to is None:
        return False
    return part.level_to - part.level_from >= OBSERVED_RISE_PERCENT
