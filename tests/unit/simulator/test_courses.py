"""Managed sessions from their first update to their verdict, each held against a truth that it does not fit.

The car plugs in at minute 0 with 50 % of 100 kWh, charges for an hour at 10 kW, and is unplugged at minute 180.
"""

from typing import Final

import pytest

from models.command import Action, ChargeCommand, Reason
from models.ids import CommandId, PolicyId, UserId
from models.session import (
    ImmediateStartTarget,
    SessionError,
    SessionState,
)
from simulator.judge.findings import Update
from simulator.world.moments import millis
from simulator.world.oracle import Stretch
from tests.builders import ANN, BOB, HOME, VEHICLE, minute, policy
from tests.support.judged_courses import ID, RESERVE, START_MS, Judged, part, settled, target, told


def error(code: str, at: float) -> SessionError:
    """An error that was found at that minute."""
    return SessionError(code=code, detail="", occurred_at=minute(at))


def command(at: float, action: Action = Action.STOP, reason: Reason = Reason.WAITING) -> ChargeCommand:
    """What was asked of the car."""
    return ChargeCommand(
        command_id=CommandId(f"c{at}"),
        vehicle_id=VEHICLE,
        user_id=ANN,
        policy_id=PolicyId("p1"),
        session_id=ID,
        action=action,
        reason=reason,
        at=minute(at),
        valid_until=minute(at + 2),
    )


VERDICT: Final = "a verdict is true"
ERROR: Final = "an error has its cause, and a cause its error"
BLOCK: Final = "a block is of the kind that was shown"
LEVEL: Final = "a quarter-hour has its level"
ENERGY: Final = "a quarter-hour has its energy"
NOW: Final = ImmediateStartTarget(id=2, minimum_charge_target=60.0)
CASES: Final[dict[str, tuple[list[Update], list[str]]]] = {
    "reached in time": ([told(0), settled()], []),
    "said to have failed": ([told(0), settled("FAILED")], [VERDICT]),
    "never reached": ([told(0, target=target(61)), settled("FAILED", target=target(61))], []),
    "said to have succeeded": ([told(0, target=target(61)), settled(target=target(61))], [VERDICT]),
    "reached too late": ([told(0, target=target(60, 50)), settled("FAILED", target=target(60, 50), level=58)], []),
    "too late, and said to have succeeded": (
        [told(0, target=target(60, 50)), settled(target=target(60, 50))], [VERDICT]),
    "a level at that time that was none": ([told(0), settled(level=57)], [VERDICT]),
    "a level that was to come": ([told(0, target=target(60, 50)), settled("FAILED", target=target(60, 50))], [VERDICT]),
    "no level at that time": ([told(0), settled(level=None)], [VERDICT]),
    # Told every 5 min, 60 % may have been told at minute 55 last, or at 60 sharp.
    "reached with the last word before its time": (
        [told(0, target=target(60, 62)), settled(target=target(60, 62))], []),
    "the same, judged otherwise": ([told(0, target=target(60, 62)), settled("FAILED", target=target(60, 62))], []),
    "as far as the car's limit": (
        [told(0, target=target(95), error=error("TARGET_ABOVE_LIMIT", 0)), settled("FAILED", target=target(95))],
        [ERROR]),
    "a limit above the target, and an error": ([told(0, error=error("TARGET_ABOVE_LIMIT", 0)), settled()], [ERROR]),
    "above the limit, and told so": (
        [told(0, target=target(95), error=error("TARGET_ABOVE_LIMIT", 0)),
         settled("FAILED", target=target(95), error=error("TARGET_ABOVE_LIMIT", 0))], []),
    "nobody's wish above the limit": (
        [told(0, target=target(100, None)), settled("FAILED", target=target(100, None), level=None)], []),
    "no time to be ready by": ([told(0, target=target(60, None)), settled(target=target(60, None), level=None)], []),
    "the next target, of which nobody asks yet": (
        [told(0), told(100, target=target(80, 400, 2)), settled(target=target(80, 400, 2))], []),
    "the next target was judged": (
        [told(0), told(100, target=target(80, 400, 2)), settled("FAILED", number=2, target=target(80, 400, 2))],
        [VERDICT]),
    "a target that another took the place of": (
        [told(0), told(90, target=target(80, 400, 2)), settled("FAILED", number=2, target=target(80, 400, 2))], []),
    # A policy that took over at minute 90, of a part that lasts since minute 0.
    "a time that passed while it waited": (
        [told(-9, SessionState.UPCOMING, target=target(60, 80)),
         told(81, SessionState.UPCOMING, target=target(80, 400, 2)),
         told(90, target=target(80, 400, 2)), settled("FAILED", number=2, kind="REGULAR", target=target(80, 400, 2))],
        []),
    # A user's target rolls on to no other; cleared at minute 50, it is still the last one whose time has passed.
    "a user's time that passed while it waited": (
        [told(-9, SessionState.UPCOMING, target=target(60, -5, 2)), told(0, target=target(60, -5, 2)),
         told(50, target=target(80, 400, 3)), settled("FAILED", number=2, level=50, target=target(80, 400, 3))], []),
    "the same, and another was judged": (
        [told(-9, SessionState.UPCOMING, target=target(60, -5, 2)), told(0, target=target(60, -5, 2)),
         told(50, target=target(80, 400, 3)), settled("FAILED", number=3, target=target(80, 400, 3))], [VERDICT]),
    "at once": ([told(0), told(110, target=NOW), settled(target=NOW)], []),
    "an error that no device of this world tells": ([told(0, error=error("NO_POWER", 5)), settled()], [ERROR]),
    "a fault that nobody told": ([told(0, error=error("FAULT", 5)), settled()], [ERROR]),
    "a start that failed, but was never asked for": ([told(0), told(90, error=error("START_FAILED", 90)), settled()],
                                                     [ERROR]),
    "interrupted while it charged": ([told(0), told(30, error=error("CHARGE_INTERRUPTED", 30)), settled()], [ERROR]),
    "interrupted": ([told(0), told(65, error=error("CHARGE_INTERRUPTED", 65)), settled()], []),
    "a block of another kind": ([told(0), settled(kind="BATTERY_RESERVE")], [BLOCK]),
    "a reserve": ([told(0, RESERVE), told(60), settled(kind="BATTERY_RESERVE")], []),
    "a reserve that looks like any block": ([told(0, RESERVE), told(60), settled()], [BLOCK]),
    "no levels": ([told(0), settled(levels=())], [LEVEL]),
    "the level of an hour ago": ([told(0), settled(levels=(52, 55, 57, 59, *(60,) * 8))], []),
    "a level that was never reached": ([told(0), settled(levels=(52, 55, 57, 61, *(60,) * 8))], [LEVEL]),
    "a level that is too low": ([told(0), settled(levels=(52, 55, 54, *(60,) * 9))], [LEVEL]),
    "energy in another quarter-hour": ([told(0), settled(energy_wh=(0, 2_500, 2_500, 2_500, 2_500))], [ENERGY]),
}  # fmt: skip


@pytest.mark.parametrize(("updates", "laws"), CASES.values(), ids=CASES)
def test_a_session_that_does_not_fit_its_truth(updates: list[Update], laws: list[str]) -> None:
    """Verdict, errors, block types, levels and energies of a session that do not fit its truth are found by name."""
    judged = Judged().tell(*updates)
    judged.courses.happened([part()])
    assert judged.laws == laws
    assert judged.courses.verdicts == 1


def test_a_part_may_be_known_before_its_session() -> None:
    """It does not matter which comes first, the session or the part that it stands for."""
    judged = Judged().tell(told(0))
    judged.courses.happened([part()])
    assert judged.tell(settled("FAILED")).laws == [VERDICT]


def test_a_limit_that_was_raised_leaves_a_verdict_open() -> None:
    """Where the car's limit changed before the time, either verdict is taken; where it stands, only the true one."""
    for limits, laws in (([], [VERDICT]), ([(millis(minute(70)), 58.0), (millis(minute(80)), 90.0)], [])):
        judged = Judged()
        judged.car.oracle.limits.extend(limits)
        judged.tell(told(0, target=target(61)), settled(target=target(61))).courses.happened([part()])
        assert judged.laws == laws


def test_a_feed_that_leaves_out_what_did_not_change_may_tell_no_level() -> None:
    """Where not every word arrives whole, a quarter-hour without a level is none that lost one."""
    judged = Judged(is_whole=False).tell(told(0), settled(levels=(52, 55, 57, 60)))
    judged.courses.happened([part()])
    assert judged.laws == []


@pytest.mark.parametrize(
    ("level", "tells_again", "laws"),
    [(62, False, []), (63, False, [VERDICT]), (62, True, [VERDICT]), (61, True, [VERDICT]), (60, True, [])],
)
def test_a_level_that_is_not_told_again_is_carried_on(level: int, tells_again: bool, laws: list[str]) -> None:
    """Where nobody tells the same level again, a verdict may have it risen by what the car drew since, and no more."""
    # 2.5 kWh until the target's time: 2.25 %, as 0.9 of it is taken to reach the battery.
    warmed = Stretch(millis(minute(70)), millis(minute(170)), 60.0, 0.0, None, flat_kw=5.0)
    judged = Judged(is_whole=False, tells_again=tells_again)
    judged.tell(told(0), settled(level=level))
    judged.courses.happened([part(stretches=[*part().stretches, warmed])])
    assert judged.laws == laws


@pytest.mark.parametrize(("percent", "laws"), [(62.0, []), (63.0, [VERDICT])])
def test_a_level_that_is_carried_on_may_reach_a_target(percent: float, laws: list[str]) -> None:
    """A target between the true level and the one that is carried on may be reached or not; one above may not."""
    warmed = Stretch(millis(minute(70)), millis(minute(170)), 60.0, 0.0, None, flat_kw=5.0)
    for state in ("SUCCEEDED", "FAILED"):
        judged = Judged(is_whole=False, tells_again=False)
        judged.tell(told(0, target=target(percent)), settled(state, target=target(percent), level=62))
        judged.courses.happened([part(stretches=[*part().stretches, warmed])])
        assert judged.laws == (laws if state == "SUCCEEDED" else [])


@pytest.mark.parametrize(
    ("commands", "is_charging", "level", "laws"),
    [
        ([command(70)], False, 60.0, ["what was stopped is released"]),
        ([command(70), command(180, Action.START, Reason.RELEASED)], False, 60.0, []),
        # It charges all the same, or is as full as it may be: nobody holds it back.
        ([command(70)], True, 60.0, []),
        ([command(70)], False, 90.0, []),
        ([command(0, Action.START)], False, 60.0, []),
    ],
)
def test_what_was_stopped_is_released(
    commands: list[ChargeCommand], is_charging: bool, level: float, laws: list[str]
) -> None:
    """A car that stands stopped by us when its policy lets go of it is told to start."""
    judged = Judged().tell(told(0))
    judged.car.is_plugged_in, judged.car.is_charging, judged.car.level = True, is_charging, level
    judged.car.user_id = ANN
    for each in commands[:1]:
        judged.courses.command(each)
    judged.tell(settled())
    for each in commands[1:]:
        judged.courses.command(each)
    judged.courses.after_step(millis(minute(180)))
    assert judged.laws == laws


@pytest.mark.parametrize(
    ("plugged_min", "owner", "commands", "laws"),
    [
        (0, None, [], ["what was stopped is released"]),
        (0, None, [command(190, Action.START, Reason.RELEASED)], []),
        # The plug is in since after the session's end; or the new owner's policy manages the car.
        (185, None, [], []),
        (0, BOB, [], []),
    ],
)
def test_what_was_stopped_is_released_when_it_is_sold(
    plugged_min: float, owner: UserId | None, commands: list[ChargeCommand], laws: list[str]
) -> None:
    """A car that stands stopped by us when it is found to be another's is told to start, unless they manage it."""
    judged = Judged().tell(told(0))
    car = judged.car
    car.is_plugged_in, car.level, car.plugged_ms = True, 60.0, millis(minute(plugged_min))
    car.user_id, car.location_id = BOB, HOME
    if owner is not None:
        car.oracle.write_policy(START_MS, policy(0, user=owner).policy, 60.0, 0.0)
    judged.courses.command(command(70))
    judged.tell(settled())
    for each in commands:
        judged.courses.command(each)
    judged.courses.after_step(millis(minute(190)))
    assert judged.laws == laws


def test_a_visit_that_ended_with_its_plug_needs_no_release() -> None:
    """A car that was unplugged and is plugged in again when its session settles was not let go of by a policy."""
    judged = Judged().tell(told(0))
    judged.car.is_plugged_in, judged.car.user_id = True, ANN
    judged.courses.command(command(70))
    judged.tell(settled()).courses.after_step(millis(minute(181)))
    assert judged.laws == []
