"""Errors of a session: when each is found, when it is cleared, and which is shown."""

import pytest

from models.command import Action
from models.telemetry import PowerDeliveryState
from sessions.faults import (
    Fault,
    clear_fault,
    newest_fault,
    raise_fault,
    take_disobedience,
    take_limit,
    take_power_state,
    timed_out,
    unreachable_at,
)
from sessions.state import Control, PowerState, Sent
from tests.builders import minute
from tests.support.controls import block, charging, control, minutes, plan, wanted, wanted_at_once


def codes(state: Control) -> list[str]:
    return [error.code for error in state.errors]


def test_an_error_that_stands_keeps_its_time_and_its_place() -> None:
    """Found again, it is the same error, though more may be known of it."""
    state = control()
    raise_fault(state, Fault.FAULT, "one", minute(1))
    raise_fault(state, Fault.NO_POWER, "other", minute(2))
    before = state.errors
    raise_fault(state, Fault.FAULT, "one", minute(3))
    assert state.errors is before
    raise_fault(state, Fault.FAULT, "more", minute(3))
    assert [(one.code, one.detail, one.occurred_at) for one in state.errors] == [
        (Fault.FAULT, "more", minute(1)),
        (Fault.NO_POWER, "other", minute(2)),
    ]


def test_the_newest_is_shown() -> None:
    """The one found last; of two of one moment the first; null where none stands."""
    state = control()
    assert newest_fault(state) is None
    raise_fault(state, Fault.FAULT, "", minute(2))
    raise_fault(state, Fault.NO_POWER, "", minute(2))
    raise_fault(state, Fault.START_FAILED, "", minute(1))
    shown = newest_fault(state)
    assert shown is not None
    assert shown.code == Fault.FAULT


def test_clearing_lets_go_of_what_is_named_and_of_nothing_else() -> None:
    """One that does not stand changes nothing."""
    state = control()
    clear_fault(state, Fault.FAULT)
    for fault in (Fault.FAULT, Fault.NO_POWER, Fault.UNREACHABLE):
        raise_fault(state, fault, "", minute(1))
    before = state.errors
    clear_fault(state, Fault.STOP_FAILED)
    assert state.errors is before
    clear_fault(state, Fault.NO_POWER, Fault.FAULT)
    assert codes(state) == ["UNREACHABLE"]


S = PowerDeliveryState


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(10, S.FAULT)], ["FAULT"]),
        ([(10, S.NO_POWER)], ["NO_POWER"]),
        ([(9, S.FAULT)], []),
        ([(10, S.FAULT), (11, S.NO_POWER)], ["NO_POWER"]),
        ([(10, S.FAULT), (11, S.CHARGING)], []),
        ([(10, S.STOPPED)], []),
    ],
)
def test_what_the_vehicle_says_of_its_power(told: list[tuple[float, S]], found: list[str]) -> None:
    """Its newest word since the plug-in stands, from the time of that word."""
    state = control()
    for at, power in told:
        take_power_state(PowerState(minute(at), power), minute(10), state)
    assert codes(state) == found
    assert all(minutes(error.occurred_at) == told[-1][0] for error in state.errors)


def test_no_word_on_power_clears_nothing() -> None:
    """Nor does one from before the plug-in."""
    state = control()
    raise_fault(state, Fault.FAULT, "", minute(11))
    take_power_state(None, minute(10), state)
    take_power_state(PowerState(minute(9), S.CHARGING), minute(10), state)
    assert codes(state) == ["FAULT"]


def test_power_says_nothing_of_other_errors() -> None:
    """They stand."""
    state = control()
    raise_fault(state, Fault.UNREACHABLE, "", minute(1))
    take_power_state(PowerState(minute(10), S.CHARGING), minute(10), state)
    assert codes(state) == ["UNREACHABLE"]


@pytest.mark.parametrize(("limit", "found"), [(79.9, ["TARGET_ABOVE_LIMIT"]), (80.0, []), (100.0, [])])
def test_a_target_above_the_limit(limit: float, found: list[str]) -> None:
    """It is an error while it is above, of either kind of target."""
    for target in (wanted(80.0), wanted_at_once(80.0)):
        state = control()
        take_limit(state, target, limit, minute(1))
        assert codes(state) == found
        take_limit(state, target, 80.0, minute(2))
        assert codes(state) == []


def test_the_limit_is_told() -> None:
    """The error names both levels, as they are now."""
    state = control()
    take_limit(state, wanted(80.0), 70.0, minute(1))
    take_limit(state, wanted(80.0), 60.5, minute(2))
    assert [(error.detail, error.occurred_at) for error in state.errors] == [
        ("the target is 80 %, the vehicle's own limit 60.5 %", minute(1))
    ]


def test_full_without_a_deadline_is_nobodys_wish() -> None:
    """The 100 % of a policy without any deadline are no error."""
    state = control()
    take_limit(state, wanted(100.0, None), 80.0, minute(1))
    assert codes(state) == []


@pytest.mark.parametrize(("at", "found"), [(9.9, []), (10, ["{}_FAILED"]), (30, ["{}_FAILED"])])
@pytest.mark.parametrize("action", [Action.START, Action.STOP])
def test_a_command_that_is_not_followed(action: Action, at: float, found: list[str]) -> None:
    """A message from ten minutes after the first asking shows the wrong state: an error, of that message's time."""
    state = control()
    state.sent = Sent(action, first_at=minute(0), at=minute(5), given_at=minute(5), attempts=2)
    take_disobedience(state, charging(since=-10, is_on=action is Action.STOP, at=at))
    assert codes(state) == [name.format(action.value) for name in found]
    assert all(minutes(error.occurred_at) == at for error in state.errors)


def test_what_was_followed_or_never_asked_is_no_error() -> None:
    """Nor is what nobody tells."""
    told = charging(since=-10, is_on=False, at=30)
    state = control()
    take_disobedience(state, told)
    state.sent = Sent(Action.START, first_at=minute(0), at=minute(0), given_at=minute(0), is_open=False)
    take_disobedience(state, told)
    state.sent = Sent(Action.START, first_at=minute(0), at=minute(0), given_at=minute(0))
    take_disobedience(state, None)
    assert codes(state) == []


@pytest.mark.parametrize("why", [Fault.NO_POWER, Fault.FAULT])
@pytest.mark.parametrize(("action", "found"), [(Action.START, []), (Action.STOP, ["STOP_FAILED"])])
def test_a_vehicle_that_says_why_it_does_not_charge(why: Fault, action: Action, found: list[str]) -> None:
    """That says more than that it does not start; a stop has nothing to do with it."""
    state = control()
    raise_fault(state, why, "", minute(1))
    state.sent = Sent(action, first_at=minute(0), at=minute(0), given_at=minute(0))
    take_disobedience(state, charging(since=-10, is_on=action is Action.STOP, at=30))
    assert codes(state) == [why, *found]


@pytest.mark.parametrize(
    ("newest", "running", "asked", "checked", "when"),
    [
        (0, None, None, 0, None),
        (0, None, None, 59, None),
        # The plan wants a block from 60 on; the vehicle has slept since 0, or told something at 70.
        (0, None, None, 60, 120),
        (70, None, None, 60, 130),
        (0, None, None, 120, None),
        (70, 62, None, 60, 130),
        (0, 62, None, 60, 122),
        # It still runs, though its time is over.
        (0, 62, None, 120, 122),
        (0, None, 20, 0, 80),
        (30, None, 20, 0, 90),
        (0, None, 20, 60, 80),
        (0, 62, 20, 60, 122),
    ],
)
def test_silence_while_something_is_expected(
    newest: float, running: float | None, asked: float | None, checked: float, when: float | None
) -> None:
    """..60====120..  60 min of silence, counted from when a block should run or a command was asked."""
    state = control(plan((60, 120)), checked=checked)
    state.running = None if running is None else block(running)
    state.sent = (
        None
        if asked is None
        else Sent(Action.STOP, first_at=minute(asked), at=minute(asked + 5), given_at=minute(asked + 5))
    )
    assert minutes(unreachable_at(state, minute(newest))) == when
    raise_fault(state, Fault.UNREACHABLE, "", minute(1))
    assert unreachable_at(state, minute(newest)) is None


def test_a_command_that_was_followed_expects_nothing() -> None:
    """A vehicle that sleeps between two blocks is no error."""
    state = control(plan((60, 120)))
    state.sent = Sent(Action.STOP, first_at=minute(0), at=minute(0), given_at=minute(0), is_open=False)
    assert unreachable_at(state, minute(0)) is None


def test_a_visit_without_a_plug_out() -> None:
    """Its error is of the time at which it was closed."""
    error = timed_out(minute(5))
    assert (error.code, error.occurred_at) == ("VISIT_TIMED_OUT", minute(5))
