"""Charge commands: which of them reach a vehicle, and what is counted."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codec import encode
from models.command import Action, ChargeCommand
from models.ids import UserId, VehicleId
from models.telemetry import ChargeSample
from simulator.commands import parse
from simulator.fleet import Answer, Fleet
from simulator.households import household
from simulator.orders import Orders
from simulator.vehicle import delay_s
from tests.support.fleets import DAY_S, HOUR_S, MOMENTS, SEEDS, START_S, at_home_s, command, second, smart, told, until

OWNER = smart(1)
PLUGGED_S, UNPLUGGED_S = at_home_s(OWNER, START_S)
NIGHT_S = PLUGGED_S + HOUR_S
COMMAND = command(OWNER, Action.STOP, NIGHT_S)


def _fleet(reached_s: int = NIGHT_S) -> Fleet:
    """A live fleet that has come to this moment."""
    fleet = Fleet(1, OWNER.number, PLUGGED_S - DAY_S)
    until(fleet, reached_s, live_from_s=0)
    return fleet


def _at(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def test_a_command_takes_effect_5_to_60_s_after_its_time() -> None:
    """The vehicle's samples say so 2 s later, and not before."""
    fleet = _fleet()
    assert fleet.command(COMMAND, 0) is Answer.ACCEPTED
    found = [record.message for record in until(fleet, NIGHT_S + 900) if record.key == OWNER.vehicle_id]
    effect = _at(NIGHT_S + delay_s(COMMAND.command_id))
    seen = [one for one in found if isinstance(one, ChargeSample) and one.is_charging is not None]
    assert {one.is_charging for one in seen if one.at < effect} <= {True}
    assert {one.is_charging for one in seen if one.at >= effect} == {False}
    assert min(one.at for one in seen if one.at >= effect) == effect + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"user_id": UserId("sim-user-9999")}, Answer.FOREIGN),
        ({"vehicle_id": VehicleId("car-1")}, Answer.FOREIGN),
        ({"vehicle_id": VehicleId("sim-vehicle-0999")}, Answer.FOREIGN),
        ({"valid_until": _at(NIGHT_S - 1)}, Answer.EXPIRED),
        ({"valid_until": _at(NIGHT_S + 4)}, Answer.EXPIRED),
        ({"at": _at(NIGHT_S - HOUR_S), "valid_until": _at(NIGHT_S + 61)}, Answer.ACCEPTED),
        ({"valid_until": _at(NIGHT_S + 61)}, Answer.ACCEPTED),
    ],
)
def test_expired_and_foreign_commands_change_nothing(changes: dict[str, Any], answer: Answer) -> None:
    """A command is obeyed by its own vehicle, for its own user, if it takes effect while it is valid."""
    fleet, quiet = _fleet(), _fleet()
    assert fleet.command(msgspec.structs.replace(COMMAND, **changes), 0) is answer
    end_s = NIGHT_S + HOUR_S
    assert (until(fleet, end_s) == until(quiet, end_s)) is (answer is not Answer.ACCEPTED)


def test_a_vehicle_on_the_road_cannot_obey() -> None:
    """Away from its wall box a vehicle takes no command."""
    fleet = _fleet(PLUGGED_S - 1)
    assert fleet.command(command(OWNER, Action.START, PLUGGED_S - 1), 0) is Answer.NOT_PLUGGED_IN_AT_HOME


def test_a_fleet_in_the_past_obeys_nobody() -> None:
    """Until simulated time has caught up, commands come too late for its vehicles."""
    assert _fleet().command(COMMAND, NIGHT_S + 1) is Answer.IN_THE_PAST
    assert _fleet().command(COMMAND, NIGHT_S) is Answer.ACCEPTED


def test_a_command_from_before_a_pause_takes_effect_after_what_was_told() -> None:
    """One whose time has passed counts from now: no event is told for a moment that is over."""
    fleet = _fleet()
    late = command(OWNER, Action.STOP, NIGHT_S - 600)
    assert fleet.command(late, 0) is Answer.ACCEPTED
    assert all(second(record) > NIGHT_S for record in until(fleet, NIGHT_S + HOUR_S))


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"\xff", b'{"commandId":"x"}', b"[" * 100_000]
    + [
        msgspec.json.encode(msgspec.to_builtins(COMMAND) | {name: wrong})
        for name, wrong in (
            ("action", "DANCE"), ("at", "yesterday"), ("at", "2026-03-01T00:00:00"),
            ("validUntil", "2026-03-01T00:00:00"), ("vehicleId", None),
        )
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_command(value: bytes | None) -> None:
    """Malformed values are told apart, and stop nothing."""
    assert parse(value) is None
    assert parse(encode(COMMAND)) == COMMAND


def test_what_became_of_commands_is_counted() -> None:
    """Each command counts once, by its answer."""
    commands = [COMMAND, None, msgspec.structs.replace(COMMAND, vehicle_id=VehicleId("x")), None]

    class Source:
        offsets: dict[int, int] = {}  # noqa: RUF012 - of a test

        def begin(self, offsets: object) -> None: ...

        def read(self) -> list[ChargeCommand | None]:
            return [commands.pop()] if commands else []

    orders = Orders(Source(), _fleet(), lambda: 0.0)
    for _ in range(6):
        orders.hand_over(0)
    assert orders.answers == {Answer.ACCEPTED: 1, Answer.MALFORMED: 2, Answer.FOREIGN: 1}


STEPS = st.lists(st.tuples(st.integers(1, HOUR_S), st.integers(1, 4), st.sampled_from(Action)), max_size=40)


@settings(max_examples=20, deadline=None)
@given(SEEDS, MOMENTS, STEPS)
def test_whatever_is_commanded_times_never_fall(seed: int, start_s: int, steps: list[tuple[int, int, Action]]) -> None:
    """Under any commands the fleet's times never fall, each vehicle's rise strictly but for duplicates, and the
    waiting list of the fleet stays as long as it must be.
    """
    fleet, found, now_s = Fleet(seed, 4, start_s), [], start_s
    for pause_s, number, action in steps:
        fleet.command(command(household(seed, number), action, now_s), 0)
        now_s += pause_s
        found += until(fleet, now_s, live_from_s=0)
    found += until(fleet, now_s + DAY_S, live_from_s=0)
    assert [second(record) for record in found] == sorted(second(record) for record in found)
    for key in {record.key for record in found}:
        own = [record for record in found if record.key == key]
        assert all(second(one) < second(other) or one == other for one, other in pairwise(own))
    assert len(fleet._heap) == 4


@settings(max_examples=20, deadline=None)
@given(SEEDS, MOMENTS, STEPS)
def test_commands_for_others_leave_a_vehicle_alone(
    seed: int, start_s: int, steps: list[tuple[int, int, Action]]
) -> None:
    """What vehicle 5 tells follows from the seed alone while others are commanded."""
    fleet, found, now_s = Fleet(seed, 5, start_s), [], start_s
    for pause_s, number, action in steps:
        fleet.command(command(household(seed, number), action, now_s), 0)
        now_s += pause_s
        found += until(fleet, now_s)
    found += until(fleet, now_s + HOUR_S)
    key = household(seed, 5).vehicle_id
    alone = told(seed, 5, start_s, now_s + HOUR_S)
    assert [record for record in found if record.key == key] == [record for record in alone if record.key == key]
