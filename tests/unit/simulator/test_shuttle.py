"""The shared cars of a live fleet."""

from itertools import islice, pairwise

from simulator.world.acts import PlugIn, PlugOut, WritePolicy
from simulator.world.moments import HOUR_MS, MINUTE_MS
from simulator.world.oracle import DEBOUNCE_MS
from simulator.world.people import person
from simulator.world.shuttle import sharer, shuttle_acts

START_MS = 20_600 * 24 * HOUR_MS


def test_a_shared_car_comes_and_goes_from_the_end_of_the_past_on() -> None:
    """It is in use from then on, in visits of 12 to 30 min, each of its own, of which one begins or ends in 32 min;
    before that it only has its policy.
    """
    who = sharer(person(1, 9))
    begin_ms = START_MS + 54 * HOUR_MS
    acts = list(islice(shuttle_acts(who, START_MS, [(START_MS, begin_ms)]), 400))
    assert [act for act in acts if isinstance(act, WritePolicy)] == [acts[1]]
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(acts))
    plugs = [act for act in acts if isinstance(act, PlugIn | PlugOut)]
    assert begin_ms < plugs[0].at_ms < begin_ms + 20 * MINUTE_MS
    for one, other in pairwise(plugs):
        assert type(one) is not type(other)
        assert DEBOUNCE_MS < other.at_ms - one.at_ms < 32 * MINUTE_MS
        if isinstance(one, PlugIn):
            assert other.at_ms - one.at_ms >= 12 * MINUTE_MS


def test_its_past_may_be_told_later() -> None:
    """Where its past ends is asked when it comes to that: it is known only once the fleet runs."""
    pasts: list[tuple[int, int]] = []
    acts = shuttle_acts(sharer(person(1, 9)), START_MS, pasts)
    next(acts)
    pasts.append((START_MS, START_MS + 30 * HOUR_MS))
    assert next(act for act in acts if isinstance(act, PlugIn)).at_ms > START_MS + 30 * HOUR_MS
