"""Errors of a session: each stands from when it is found until it is cleared; the newest is shown.

An error is something that a user or an operator can act on. A vehicle that sleeps between two blocks is none.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import structs

from models.command import Action
from models.session import ImmediateStartTarget, SessionError
from models.telemetry import PowerDeliveryState
from sessions.blocks import wanted_block
from sessions.state import Charging, Control, PowerState, Target


class Fault(StrEnum):
    """Codes of `error.latest`."""

    NO_POWER = "NO_POWER"
    FAULT = "FAULT"
    START_FAILED = "START_FAILED"
    STOP_FAILED = "STOP_FAILED"
    CHARGE_INTERRUPTED = "CHARGE_INTERRUPTED"
    TARGET_ABOVE_LIMIT = "TARGET_ABOVE_LIMIT"
    UNREACHABLE = "UNREACHABLE"
    VISIT_TIMED_OUT = "VISIT_TIMED_OUT"


# How long a vehicle may take to follow a command before that is an error.
FOLLOW_TIME: Final = timedelta(minutes=10)
# How long it may be silent while it should do something.
REACH_TIME: Final = timedelta(minutes=60)

TOLD_BY_VEHICLE: Final = {
    PowerDeliveryState.NO_POWER: (Fault.NO_POWER, "the vehicle gets no power from the charger"),
    PowerDeliveryState.FAULT: (Fault.FAULT, "the vehicle reports a fault"),
}


def raise_fault(control: Control, fault: Fault, detail: str, at: datetime) -> None:
    """Let an error stand; one that stands already keeps its time, whatever there is to say of it now."""
    for place, error in enumerate(control.errors):
        if error.code == fault:
            if error.detail != detail:
                told_anew = structs.replace(error, detail=detail)
                control.errors = (*control.errors[:place], told_anew, *control.errors[place + 1 :])
            return
    control.errors = (*control.errors, SessionError(code=fault, detail=detail, occurred_at=at))


def clear_fault(control: Control, *faults: Fault) -> None:
    """Let errors go, if they stand."""
    if control.errors:
        kept = tuple(error for error in control.errors if error.code not in faults)
        if len(kept) < len(control.errors):
            control.errors = kept


def timed_out(at: datetime) -> SessionError:
    """The visit was closed at its last evidence, for want of a plug-out."""
    return SessionError(
        code=Fault.VISIT_TIMED_OUT, detail="closed at its last evidence: no plug-out came", occurred_at=at
    )


def newest_fault(control: Control) -> SessionError | None:
    """The one to show: that found last."""
    return max(control.errors, key=lambda error: error.occurred_at) if control.errors else None


def take_power_state(state: PowerState | None, plugged_in_at: datetime, control: Control) -> None:
    """What the vehicle itself says of its power, since it was plugged in."""
    if state is None or state.at < plugged_in_at:
        return
    found = TOLD_BY_VEHICLE.get(state.state)
    if found is not None:
        raise_fault(control, *found, state.at)
    if control.errors:
        clear_fault(control, *(fault for fault, _ in TOLD_BY_VEHICLE.values() if found is None or fault != found[0]))


def take_limit(control: Control, target: Target, limit_percent: float, at: datetime) -> None:
    """A target that somebody asked for and the vehicle does not allow is planned up to what it allows.

    The 100 % of a policy without any deadline are nobody's wish.
    """
    is_wish = isinstance(target, ImmediateStartTarget) or target.ready_by is not None
    if is_wish and target.minimum_charge_target > limit_percent:
        wanted = f"the target is {target.minimum_charge_target:g} %"
        raise_fault(control, Fault.TARGET_ABOVE_LIMIT, f"{wanted}, the vehicle's own limit {limit_percent:g} %", at)
    elif control.errors:
        clear_fault(control, Fault.TARGET_ABOVE_LIMIT)


def take_disobedience(control: Control, charging: Charging | None) -> None:
    """What the vehicle told of its charging, so long after a command, is not what was asked."""
    sent = control.sent
    if sent is None or not sent.is_open or charging is None or charging.at < sent.first_at + FOLLOW_TIME:
        return
    if sent.action is Action.START:
        if any(error.code in {Fault.NO_POWER, Fault.FAULT} for error in control.errors):
            # That is why, and it says more.
            return
        raise_fault(control, Fault.START_FAILED, "the vehicle does not charge though it was told to", charging.at)
    else:
        raise_fault(control, Fault.STOP_FAILED, "the vehicle goes on charging though it was told to stop", charging.at)


def unreachable_at(control: Control, newest_at: datetime) -> datetime | None:
    """When silence becomes an error; null: nothing is expected of the vehicle now, or it is one already.

    It counts from when something was expected, too: a vehicle that slept until its block was no error then.
    """
    running, sent = control.running, control.sent
    # A plan made anew in the middle of a block begins with the rest of it.
    expected_at: datetime | None = None
    if running is not None:
        expected_at = running.start_at
    elif sent is not None and sent.is_open:
        expected_at = sent.first_at
    else:
        wanted = wanted_block(control.plan, control.checked_at)
        expected_at = None if wanted is None else wanted.start_at
    if expected_at is None or any(error.code == Fault.UNREACHABLE for error in control.errors):
        return None
    return max(newest_at, expected_at) + REACH_TIME
