"""Commands: what the plan asks of the vehicle, whenever that is not what the vehicle does.

One command is in force at a time: each holds for 2 minutes, and only then another follows. One that is not followed is
repeated after 5, 10 and 20 minutes, then every 30. What is decided of a vehicle whose messages come late is late as
well: both times count from when the vehicle can hear of the command.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.command import Action, ChargeCommand, Reason
from sessions.blocks import PAUSE, stands_after, wanted_block
from sessions.events import CommandIssued
from sessions.faults import Fault, clear_fault
from sessions.identity import command_id
from sessions.planner import BlockType
from sessions.state import Control, Sent
from sessions.step import Step

VALID: Final = timedelta(minutes=2)
FIRST_WAIT: Final = timedelta(minutes=5)
LONGEST_WAIT: Final = timedelta(minutes=30)
# Of a feed that is later than this no command is of use any more.
GIVEN_LATE_LIMIT: Final = timedelta(minutes=30)

_REASONS: Final = {
    BlockType.BATTERY_RESERVE: Reason.BATTERY_RESERVE,
    BlockType.IMMEDIATE_START: Reason.IMMEDIATE_START,
    BlockType.REGULAR: Reason.REGULAR,
}


def steer(step: Step, now: datetime) -> None:
    """Ask for what the plan wants, unless the vehicle does it or was asked just now."""
    control, vehicle = step.control, step.vehicle
    control.asks_at = None
    if step.visit.unplugged_at is not None:
        return
    wanted = wanted_block(control.plan, now)
    if wanted is None and step.charging is not None and step.charging.is_charging:
        # For a gap that would end no block it need not stop.
        wanted = wanted_block(control.plan, now + PAUSE)
    action = Action.STOP if wanted is None else Action.START
    charging, sent = step.charging, control.sent
    is_told = charging is not None
    if charging is not None and charging.is_charging == (action is Action.START):
        _is_done(control, action, now)
        return
    if sent is not None and sent.action is action and not is_told:
        # Nobody tells whether it was followed: asked once is asked enough.
        return
    may_at = now if vehicle.command_until is None else vehicle.command_until
    is_again = sent is not None and sent.action is action and (sent.is_open or sent.is_lapsed)
    if is_again and sent is not None:
        may_at = max(may_at, retry_at(sent))
        if charging is not None and charging.is_charging and not charging.is_told and charging.at < may_at:
            # It may have followed, and its counter stands not long enough to tell.
            may_at = max(may_at, charging.at + stands_after(vehicle, step.visit))
    if now < may_at:
        control.asks_at = may_at
        return
    given_at = _given_at(step, now)
    if is_again and sent is not None:
        first_at = sent.first_at if sent.is_open else given_at
        control.sent = Sent(action, first_at, now, given_at, attempts=sent.attempts + 1)
    else:
        clear_fault(control, Fault.START_FAILED, Fault.STOP_FAILED)
        # Of a vehicle that does not tell whether it charges no answer is waited for.
        control.sent = Sent(action, first_at=given_at, at=now, given_at=given_at, is_open=is_told)
    control.asks_at = retry_at(control.sent) if is_told else None
    if wanted is not None:
        reason = _REASONS[wanted.type]
    else:
        reason = Reason.WAITING if control.reached_at is None else Reason.TARGET_REACHED
    _issue(step, action, reason, now)


def retry_at(sent: Sent) -> datetime:
    """When a command that is not followed is repeated."""
    doubled = FIRST_WAIT * (1 << min(sent.attempts - 1, 3))
    return sent.given_at + min(doubled, LONGEST_WAIT)


def release(step: Step, now: datetime) -> None:
    """Our control of a plugged-in vehicle ends: what we stopped, or what may still follow a STOP, may charge again."""
    sent, charging, until = step.control.sent, step.charging, step.vehicle.command_until
    if sent is None or sent.action is not Action.STOP or step.visit.unplugged_at is not None:
        return
    if charging is not None and charging.is_charging and (until is None or charging.at >= until):
        return
    _issue(step, Action.START, Reason.RELEASED, max(now, until or now))


def _given_at(step: Step, at: datetime) -> datetime:
    """When the vehicle can hear of a command of that time: when it could be decided."""
    given_at = step.decided_at
    if given_at is None or given_at > at + GIVEN_LATE_LIMIT:
        return at
    return max(at, given_at)


def _is_done(control: Control, action: Action, now: datetime) -> None:
    """The vehicle does what is wanted: it follows the newest command, or that one is not wanted any more."""
    sent = control.sent
    if sent is None or not (sent.is_open or sent.is_lapsed):
        return
    is_followed = sent.action is action
    # One that did not start for a block has not started by the next either, as far as anybody knows.
    is_still_failed = not is_followed and sent.action is Action.START and _is_more_planned(control, now)
    if not is_still_failed:
        clear_fault(control, Fault.START_FAILED, Fault.STOP_FAILED)
    if sent.is_open or is_followed:
        control.sent = structs.replace(sent, is_open=False, is_lapsed=not is_followed)


def _is_more_planned(control: Control, now: datetime) -> bool:
    return bool(control.plan.blocks) and control.plan.blocks[-1].end_at > now


def _issue(step: Step, action: Action, reason: Reason, at: datetime) -> None:
    managed, session = step.managed(step.visit.part.policy_id)
    valid_until = step.vehicle.command_until = _given_at(step, at) + VALID
    step.outputs.append(
        CommandIssued(
            ChargeCommand(
                command_id=command_id(step.vehicle.id, at),
                vehicle_id=step.vehicle.id,
                user_id=managed.policy.user_id,
                policy_id=managed.policy.id,
                session_id=session.id,
                action=action,
                reason=reason,
                at=at,
                valid_until=valid_until,
            )
        )
    )
