"""The oracle's own count of true visits."""

from models.ids import ChargerId, LocationId, PolicyId, UserId, VehicleId
from models.policy import VehiclePolicy
from simulator.world.battery import ChargeCurve
from simulator.world.moments import HOUR_MS, MINUTE_MS, SECOND_MS, moment
from simulator.world.oracle import Oracle, Stretch

_USER, _HOME, _BOX = UserId("u"), LocationId("home"), ChargerId("box")
_CURVE = ChargeCurve(rate_kw=9.0, capacity_kwh=60.0, knee_percent=90.0, end_share=0.3)


def policy(at_ms: int, *, is_enabled: bool = True, name: str = "p") -> VehiclePolicy:
    return VehiclePolicy(
        id=PolicyId(name), user_id=_USER, vehicle_id=VehicleId("v"), location_id=_HOME, is_enabled=is_enabled,
        at=moment(at_ms),
    )  # fmt: skip


def charging(oracle: Oracle, start_ms: int, end_ms: int) -> None:
    oracle.flow(Stretch(start_ms, end_ms, 20.0, 80.0, _CURVE, 0.9))


def test_energy_is_counted_at_the_grid() -> None:
    """An hour at 9 kW into the battery is 10 kWh from the grid at an efficiency of 0.9."""
    oracle = Oracle()
    oracle.plug_in(0, _USER, _HOME, _BOX, 20.0)
    charging(oracle, 0, HOUR_MS)
    oracle.plug_out(2 * HOUR_MS, 35.0)
    (part,) = oracle.finished(3 * HOUR_MS)
    assert abs(part.energy_kwh() - 10.0) < 1e-9
    assert abs(sum(energy for _, energy in part.by_quarter()) - 10.0) < 1e-9
    assert (part.started_ms, part.ended_ms, part.policy) == (0, 2 * HOUR_MS, None)


def test_a_plug_that_is_back_within_the_debounce_never_left() -> None:
    """A gap of 60 s goes on with the visit; one of 61 s, or another charger, begins another."""
    for gap_s, charger_id, visits in ((60, _BOX, 1), (61, _BOX, 2), (5, ChargerId("other"), 2)):
        oracle = Oracle()
        oracle.plug_in(0, _USER, _HOME, _BOX, 20.0)
        oracle.plug_out(HOUR_MS, 20.0)
        oracle.plug_in(HOUR_MS + gap_s * SECOND_MS, _USER, _HOME, charger_id, 20.0)
        oracle.plug_out(2 * HOUR_MS, 20.0)
        assert len(oracle.finished(3 * HOUR_MS)) == visits


def test_a_policy_that_lets_go_cuts_the_visit() -> None:
    """The managed part ends at that moment, and the rest is nobody's; energy is on the side where it flowed."""
    oracle = Oracle()
    oracle.write_policy(0, policy(0), 20.0, 0.0)
    oracle.plug_in(MINUTE_MS, _USER, _HOME, _BOX, 20.0)
    charging(oracle, HOUR_MS, 2 * HOUR_MS)
    oracle.write_policy(HOUR_MS + 30 * MINUTE_MS, policy(1, is_enabled=False), 27.5, 0.0)
    oracle.plug_out(3 * HOUR_MS, 35.0)
    managed, rest = oracle.finished(4 * HOUR_MS)
    assert (managed.policy is None, rest.policy is None) == (False, True)
    assert managed.ended_ms == rest.started_ms == HOUR_MS + 30 * MINUTE_MS
    assert abs(managed.energy_kwh() - 5.0) < 1e-9
    assert abs(rest.energy_kwh() - 5.0) < 1e-9


def test_a_cut_remembers_the_replugs_before_it() -> None:
    """The counter goes on across a cut, and so does what a re-plug before it may hide."""
    oracle = Oracle()
    oracle.write_policy(0, policy(0), 20.0, 0.0)
    oracle.plug_in(MINUTE_MS, _USER, _HOME, _BOX, 20.0)
    oracle.plug_out(HOUR_MS, 20.0)
    oracle.plug_in(HOUR_MS + SECOND_MS, _USER, _HOME, _BOX, 20.0)
    oracle.write_policy(2 * HOUR_MS, policy(1, is_enabled=False), 20.0, 0.0)
    oracle.plug_out(3 * HOUR_MS, 20.0)
    parts = oracle.finished(4 * HOUR_MS)
    assert [(part.replugs, part.replugs_before) for part in parts] == [(1, 0), (0, 1)]


def test_a_rival_policy_is_refused() -> None:
    """Of two policies for one user, vehicle and place the first that is enabled stands."""
    oracle = Oracle()
    oracle.write_policy(0, policy(0), 20.0, 0.0)
    oracle.write_policy(1, policy(1, name="q"), 20.0, 0.0)
    assert list(oracle.policies) == ["p"]


def test_another_user_ends_the_visit_with_the_last_word_of_the_one_before() -> None:
    """What is told next belongs to another visit."""
    oracle = Oracle()
    oracle.plug_in(0, _USER, _HOME, _BOX, 20.0)
    oracle.change_user(HOUR_MS, HOUR_MS - MINUTE_MS)
    oracle.plug_in(HOUR_MS + SECOND_MS, UserId("w"), _HOME, _BOX, 20.0)
    (part,) = oracle.finished(2 * HOUR_MS)
    assert (part.user_id, part.ended_ms) == (_USER, HOUR_MS - MINUTE_MS)
    assert oracle.is_open


def test_the_reference_is_the_same_energy_at_full_power_from_the_start() -> None:
    """10 kWh that flowed an hour late at 10 kW would have filled the first hour, quarter by quarter."""
    oracle = Oracle()
    oracle.plug_in(5 * MINUTE_MS, _USER, _HOME, _BOX, 20.0)
    charging(oracle, HOUR_MS, 2 * HOUR_MS)
    oracle.plug_out(3 * HOUR_MS, 35.0)
    (part,) = oracle.finished(4 * HOUR_MS)
    assert part.steady_ms() == HOUR_MS
    reference = list(part.at_full_power())
    assert [quarter for quarter, _ in reference] == [0, 1, 2, 3, 4]
    assert all(abs(energy - 10 / 4) < 1e-6 for _, energy in reference[1:4])
    assert abs(reference[0][1] - 10 / 6) < 1e-6
    assert abs(sum(energy for _, energy in reference) - 10.0) < 1e-9
