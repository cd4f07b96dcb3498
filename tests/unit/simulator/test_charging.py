"""What the smart wall box chooses."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.charging import Charging, cheapest
from simulator.households import Household
from simulator.prices import price_at
from tests.support.fleets import MOMENTS, SEEDS, smart

QUARTER_S = 900


def _evening(owner: Household, moment_s: int) -> int:
    """Some eleven hours before a deadline."""
    return owner.ready_by_s(moment_s) - 11 * 3_600 + moment_s % 600


@settings(max_examples=60, deadline=None)
@given(SEEDS, MOMENTS, st.floats(5, 100))
def test_it_takes_the_cheapest_quarter_hours_before_the_deadline(seed: int, moment_s: int, level: float) -> None:
    """No whole quarter-hour that it leaves out is cheaper than one that it takes, and it is done 15 min early."""
    owner = smart(seed)
    from_s = _evening(owner, moment_s)
    chosen = cheapest(owner, level, from_s)
    done_s = owner.ready_by_s(from_s) - QUARTER_S
    reserve_s = chosen.spans[0][1] if level < owner.reserve_percent else from_s
    first_s = -(-reserve_s // QUARTER_S) * QUARTER_S
    taken: list[float] = []
    left: list[float] = []
    for start_s in range(first_s, done_s, QUARTER_S):
        (taken if chosen.is_on(start_s) else left).append(price_at(seed, owner.price_zone, start_s))
    assert not taken or not left or max(taken) <= min(left)
    assert all(from_s <= start_s < end_s <= done_s for start_s, end_s in chosen.spans)


@settings(max_examples=60, deadline=None)
@given(SEEDS, MOMENTS, st.floats(5, 100))
def test_it_takes_enough_and_the_reserve_at_once(seed: int, moment_s: int, level: float) -> None:
    """The spans are long enough to the target; below the reserve the first one begins now and leads up to it."""
    owner = smart(seed)
    from_s = _evening(owner, moment_s)
    chosen = cheapest(owner, level, from_s)
    assert chosen.until_percent == owner.target_percent
    reached = level
    for start_s, end_s in chosen.spans:
        reached = owner.curve.level_after(reached, end_s - start_s, 100)
    assert reached >= owner.target_percent - 1e-6
    if level < owner.reserve_percent:
        start_s, end_s = chosen.spans[0]
        assert start_s == from_s
        assert owner.curve.level_after(level, end_s - start_s, 100) >= owner.reserve_percent - 1e-6
    if level >= owner.target_percent:
        assert chosen.spans == ()


def test_spans_tell_when_power_flows_and_when_that_changes() -> None:
    """A span holds its beginning and not its end."""
    charging = Charging(((10, 20), (30, 40)), 80)
    assert [charging.is_on(at_s) for at_s in (9, 10, 19, 20, 29, 30, 39, 40)] == [False, True, True, False] * 2
    assert [charging.next_bound_s(after_s) for after_s in (0, 10, 20, 35, 40)] == [10, 20, 30, 40, None]
