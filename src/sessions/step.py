"""One step of a vehicle: what it was, what it becomes, and what is published on the way.

A Step works on copies of whatever may change and is local to one call of `apply`; nothing of it outlives the decision,
and the vehicle that came in stays as it was.
"""

from datetime import datetime
from operator import methodcaller
from typing import Any, Final

from models.ids import PolicyId
from sessions.events import Counted, Decision, Output, Rules
from sessions.prices import PriceBook
from sessions.state import Charging, Control, CurrentSession, ManagedBy, Vehicle, Visit

NO_PRICES: Final = PriceBook()
# What copy.copy comes to in the end, four times for each message.
_copy: Final[Any] = methodcaller("__copy__")


class Step:
    """The vehicle as it stands in the middle of a decision, and what has come out so far."""

    __slots__ = ("before", "counted", "decided_at", "outputs", "prices", "rules", "vehicle")

    def __init__(self, vehicle: Vehicle, rules: Rules, prices: PriceBook) -> None:
        self.before = vehicle
        self.rules = rules
        self.prices = prices
        self.outputs: list[Output] = []
        self.counted: list[Counted] = []
        self.vehicle = _own(vehicle)
        # When, by the wall, what is decided now could be decided; null: at its own time.
        self.decided_at: datetime | None = None

    def decision(self) -> Decision:
        """What this step came to. A vehicle that did not change is the one that came in."""
        vehicle = self.vehicle
        # Most messages are news of their time at least: only of the others everything has to be compared.
        if vehicle.newest_at == self.before.newest_at and vehicle == self.before:
            vehicle = self.before
        return Decision(vehicle=vehicle, outputs=tuple(self.outputs), counted=tuple(self.counted))

    def renewed(self) -> Vehicle:
        """The vehicle as it stands now, which stays so: the step goes on with copies."""
        known, self.vehicle = self.vehicle, _own(self.vehicle)
        return known

    @property
    def visit(self) -> Visit:
        """The open visit; there must be one."""
        assert self.vehicle.visit is not None
        return self.vehicle.visit

    @property
    def control(self) -> Control:
        """What is done with the open visit's vehicle; a policy must manage it."""
        control = self.visit.part.control
        assert control is not None
        return control

    @property
    def charging(self) -> Charging | None:
        """Whether the vehicle charges, as far as it told so in this visit."""
        charging = self.vehicle.charging
        return charging if charging is not None and charging.at >= self.visit.plugged_in_at else None

    def now(self, at: datetime) -> datetime:
        """The vehicle's time: `at`, or its newest message where that is later."""
        newest_at = self.vehicle.newest_at
        return at if newest_at is None or at > newest_at else newest_at

    def managed(self, policy_id: PolicyId | None) -> tuple[ManagedBy, CurrentSession]:
        """A policy that has a current session, and that session."""
        for managed in self.vehicle.policies:
            if managed.policy.id == policy_id:
                assert managed.session is not None
                return managed, managed.session
        raise AssertionError(f"{policy_id} is no policy of {self.vehicle.id}")

    def keep_session(self, policy_id: PolicyId, session: CurrentSession | None) -> None:
        """Let this be the policy's current session."""
        vehicle = self.vehicle
        vehicle.policies = tuple(
            [
                ManagedBy(managed.policy, managed.effective_at, session, managed.fingerprint, managed.is_first)
                if managed.policy.id == policy_id
                else managed
                for managed in vehicle.policies
            ]
        )


def _own(vehicle: Vehicle) -> Vehicle:
    """A copy of everything in it that a step changes in place."""
    vehicle = _copy(vehicle)
    if vehicle.visit is not None:
        visit = vehicle.visit = _copy(vehicle.visit)
        part = visit.part = _copy(visit.part)
        if part.control is not None:
            part.control = _copy(part.control)
    return vehicle
