"""Which target is in force: the policy's next deadline, or what the user asked for instead.

Target ids count 1, 2, 3 ... within a session: a target that says something else has another id.
"""

from datetime import datetime
from typing import Final

from msgspec import structs

from models.policy import VehiclePolicy
from models.session import ImmediateStartTarget, RegularTarget
from models.target import ImmediateStartOverride, RegularOverride
from sessions.schedule import next_deadline
from sessions.state import CurrentSession, Target

FROM_POLICY: Final = "POLICY"
FROM_OVERRIDE: Final = "OVERRIDE"
# Without any deadline in the schedule a battery is to be filled, at no particular time.
WITHOUT_DEADLINE_PERCENT: Final = 100.0


def with_target(session: CurrentSession, policy: VehiclePolicy, after: datetime) -> CurrentSession:
    """The session with the target that is in force; a policy's deadline is the first after `after`."""
    target_id = 1 if session.target is None else session.target.id
    wanted = _wanted(session, policy, after, target_id)
    if wanted == session.target:
        return session
    if session.target is not None:
        wanted = structs.replace(wanted, id=target_id + 1)
    return structs.replace(session, target=wanted)


def ready_by(target: Target | None) -> datetime | None:
    """When the target is to be reached; null: no matter when."""
    return target.ready_by if isinstance(target, RegularTarget) else None


def _wanted(session: CurrentSession, policy: VehiclePolicy, after: datetime, target_id: int) -> Target:
    match session.override:
        case ImmediateStartOverride(minimum_charge_target=percent):
            return ImmediateStartTarget(id=target_id, minimum_charge_target=percent)
        case RegularOverride() as wish:
            return RegularTarget(
                id=target_id,
                source=FROM_OVERRIDE,
                battery_reserve=wish.battery_reserve,
                minimum_charge_target=wish.minimum_charge_target,
                ready_by=wish.ready_by,
            )
        case None:
            due = next_deadline(policy.schedule, policy.timezone_name, after)
            return RegularTarget(
                id=target_id,
                source=FROM_POLICY,
                battery_reserve=policy.battery_reserve,
                minimum_charge_target=WITHOUT_DEADLINE_PERCENT if due is None else due.percent,
                ready_by=None if due is None else due.ready_by,
            )
