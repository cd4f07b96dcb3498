"""One vehicle at home: left to itself in the past, told what to do in the present."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.command import Action
from models.telemetry import ChargeSample
from simulator.days import Place
from simulator.households import Household
from simulator.prices import price_at
from simulator.vehicle import NEVER_S, Order, State, Vehicle, delay_s
from tests.support.fleets import DAY_S, HOUR_S, MOMENTS, SEEDS, START_S, at_home_s, lived, smart

OWNER = smart(1)
PLUGGED_S, UNPLUGGED_S = at_home_s(OWNER, START_S)
INITIALIZING, STOPPED, CHARGING, COMPLETE = (
    f"PLUGGED_IN:{word}" for word in ("INITIALIZING", "STOPPED", "CHARGING", "COMPLETE")
)


def _plugged_in(at_s: int, *, is_live: bool = True, owner: Household = OWNER) -> Vehicle:
    """The vehicle in its visit at home, at this moment."""
    plugged_s, _ = at_home_s(owner, START_S)
    vehicle = Vehicle.begin(owner, plugged_s)
    lived(vehicle, at_s, 0 if is_live else NEVER_S)
    return vehicle


def _seconds(found: list[ChargeSample]) -> list[int]:
    return [int(sample.at.timestamp()) - PLUGGED_S for sample in found]


def _states(found: list[ChargeSample]) -> list[str | None]:
    return [sample.power_delivery_state for sample in found]


def test_a_live_vehicle_charges_by_itself_45_s_after_the_plug() -> None:
    """Whatever the price; told at once, and then every 5 minutes, until its limit, which is more than its target."""
    vehicle = _plugged_in(PLUGGED_S)
    found = lived(vehicle, PLUGGED_S + 1_000)
    assert _seconds(found) == [2, 47, 347, 647, 947]
    assert _states(found) == [INITIALIZING, *[CHARGING] * 4]
    last = lived(vehicle, UNPLUGGED_S - 1)[-1]
    assert (last.battery_level, last.power_delivery_state) == (OWNER.limit_percent, COMPLETE)
    assert OWNER.limit_percent > OWNER.target_percent


def test_start_and_stop_change_what_is_told() -> None:
    """A STOP ends the power at its moment, a START brings it back: each told 2 s later, with a level that stands still
    or rises, and a counter that agrees with it.
    """
    vehicle = _plugged_in(PLUGGED_S + 400)
    for at_s, action, state in ((500, Action.STOP, STOPPED), (2_000, Action.START, CHARGING)):
        vehicle.take(Order(PLUGGED_S + at_s, action))
        lived(vehicle, PLUGGED_S + at_s - 1)
        found = lived(vehicle, PLUGGED_S + at_s + 650)
        assert _seconds(found) == [at_s + 2, at_s + 302, at_s + 602]
        assert _states(found) == [state] * 3
        energies = [sample.energy_added or 0 for sample in found]
        levels = [sample.battery_level or 0 for sample in found]
        assert {bool(sample.charge_rate) for sample in found} == {action is Action.START}
        assert (energies[-1] > energies[0]) is (levels[-1] > levels[0]) is (action is Action.START)
        kwh_per_percent = OWNER.capacity_kwh / 100
        assert energies[-1] - energies[0] == pytest.approx((levels[-1] - levels[0]) * kwh_per_percent, abs=0.2)


def test_a_stopped_vehicle_stays_stopped_until_it_leaves() -> None:
    """It departs with what it had, and what the night did not bring is missing the next evening."""
    vehicle = _plugged_in(PLUGGED_S + 400)
    vehicle.take(Order(PLUGGED_S + 500, Action.STOP))
    found = lived(vehicle, UNPLUGGED_S - 1)
    assert {sample.battery_level for sample in found[1:]} == {found[-1].battery_level}
    vehicle.step(NEVER_S)
    assert vehicle.left.location_id == OWNER.home
    assert vehicle.state.level_percent == pytest.approx(found[-1].battery_level, abs=0.1)
    assert vehicle.state.level_percent < OWNER.usual_percent


def test_a_command_takes_the_wall_boxs_plan_away() -> None:
    """After a START in a night of the past the vehicle charges until its limit, and its own timer says nothing more."""
    vehicle = _plugged_in(PLUGGED_S + 400, is_live=False)
    vehicle.take(Order(PLUGGED_S + 500, Action.START))
    assert lived(vehicle, UNPLUGGED_S - 1)[-1].battery_level == OWNER.limit_percent


def test_an_order_ends_with_its_visit() -> None:
    """One that would take effect after the plug-out never does."""
    vehicle = _plugged_in(UNPLUGGED_S - 10)
    vehicle.take(Order(UNPLUGGED_S + 5, Action.STOP))
    lived(vehicle, UNPLUGGED_S)
    assert vehicle.state.order is None
    assert not vehicle.can_obey


def test_a_newer_order_replaces_one_that_had_no_effect_yet() -> None:
    """Of two commands on their way the later one counts."""
    vehicle = _plugged_in(PLUGGED_S + 400)
    vehicle.take(Order(PLUGGED_S + 450, Action.STOP))
    vehicle.take(Order(PLUGGED_S + 440, Action.START))
    assert set(_states(lived(vehicle, PLUGGED_S + 2_000))) == {CHARGING}


def test_a_start_before_the_handshake_waits_for_it() -> None:
    """No power flows in the first 45 s, whatever is asked."""
    vehicle = _plugged_in(PLUGGED_S)
    vehicle.take(Order(PLUGGED_S + 10, Action.START))
    found = lived(vehicle, PLUGGED_S + 100)
    assert list(zip(_seconds(found), _states(found), strict=True)) == [
        (2, INITIALIZING),
        (12, INITIALIZING),
        (47, CHARGING),
    ]


@settings(max_examples=30, deadline=None)
@given(SEEDS, MOMENTS)
def test_nights_of_the_past_follow_the_prices(seed: int, moment_s: int) -> None:
    """With a smart wall box what a night of the past costs is at most what charging at once would have cost."""
    owner = smart(seed)
    plugged_s, unplugged_s = at_home_s(owner, moment_s)
    costs = []
    for live_from_s in (NEVER_S, 0):
        vehicle = Vehicle.begin(owner, plugged_s)
        cost, energy_kwh = 0.0, 0.0
        for sample in lived(vehicle, unplugged_s - 1, live_from_s):
            # As far as both have come: a live vehicle goes on to its limit.
            enough_kwh = (owner.target_percent - vehicle.state.plugged_percent) / 100 * owner.capacity_kwh
            now_kwh = min(sample.energy_added or 0.0, enough_kwh)
            cost += (now_kwh - energy_kwh) * price_at(seed, owner.price_zone, int(sample.at.timestamp()) - 150)
            energy_kwh = now_kwh
        costs.append(cost)
    # The samples cut the energy in pieces that may lie across a change of price.
    assert costs[0] <= costs[1] + 0.05


def test_without_a_smart_box_even_the_past_charges_at_once() -> None:
    """One household in four has a plain box: its vehicle charges from plug-in to its limit."""
    owner = smart(1, is_smart=False)
    plugged_s, unplugged_s = at_home_s(owner, START_S)
    found = lived(_plugged_in(plugged_s, is_live=False, owner=owner), unplugged_s - 1)
    assert found[1].is_charging
    assert found[-1].battery_level == owner.limit_percent == owner.usual_percent


@given(st.text(max_size=40))
def test_a_commands_delay_is_its_own(command_id: str) -> None:
    """Between 5 and 60 s, and the same for the same command."""
    assert 5 <= delay_s(command_id) <= 60
    assert delay_s(command_id) == delay_s(command_id)


def test_delays_differ() -> None:
    """Not every command takes as long."""
    assert len({delay_s(str(number)) for number in range(200)}) > 40


ORDERS = st.lists(
    st.tuples(st.integers(1, 4 * HOUR_S), st.sampled_from(Action), st.integers(5, 60)), max_size=12
)  # how long after the one before, what, and how soon it takes effect


@settings(max_examples=40, deadline=None)
@given(SEEDS, MOMENTS, ORDERS, st.booleans())
def test_whatever_it_is_told_a_vehicle_stays_true_to_itself(
    seed: int, start_s: int, orders: list[tuple[int, Action, int]], is_live: bool
) -> None:
    """Times rise, levels stay within bounds, the counter is the rise of the level since the plug, and a stopped
    vehicle takes nothing.
    """
    vehicle = Vehicle.begin(smart(seed), start_s)
    live_from_s = 0 if is_live else NEVER_S
    at_s, found = start_s, []
    for pause_s, action, delay in orders:
        at_s += pause_s
        found += lived(vehicle, at_s, live_from_s)
        if vehicle.can_obey:
            vehicle.take(Order(at_s + delay, action))
    found += lived(vehicle, at_s + 2 * DAY_S, live_from_s)
    assert all(one.at < other.at for one, other in pairwise(found))
    for one, other in pairwise(found):
        assert 4.9 <= (other.battery_level or 0) <= 100
        if not (one.is_plugged_in and other.is_plugged_in) or (other.energy_added or 0) < (one.energy_added or 0):
            continue
        gained_kwh = (other.energy_added or 0) - (one.energy_added or 0)
        rise = (other.battery_level or 0) - (one.battery_level or 0)
        assert gained_kwh == pytest.approx(rise / 100 * vehicle.owner.capacity_kwh, abs=0.11)
        if not one.is_charging and not other.is_charging:
            assert gained_kwh == 0


@settings(max_examples=40, deadline=None)
@given(SEEDS, MOMENTS, ORDERS, st.booleans())
def test_a_kept_state_goes_on_as_if_nothing_had_been(
    seed: int, start_s: int, orders: list[tuple[int, Action, int]], is_live: bool
) -> None:
    """A vehicle made anew from its state at any event tells what the old one would have."""
    vehicle = Vehicle.begin(smart(seed), start_s)
    live_from_s, at_s = 0 if is_live else NEVER_S, start_s
    for pause_s, action, delay in orders:
        at_s += pause_s
        lived(vehicle, at_s, live_from_s)
        if vehicle.can_obey:
            vehicle.take(Order(at_s + delay, action))
        kept = msgspec.json.decode(msgspec.json.encode(vehicle.state), type=State)
        again = Vehicle(vehicle.owner, kept)
        assert lived(again, at_s + HOUR_S, live_from_s) == lived(vehicle, at_s + HOUR_S, live_from_s)
        assert (again.state, again.leg) == (vehicle.state, vehicle.leg)
        at_s += HOUR_S
    assert vehicle.leg.place in Place
