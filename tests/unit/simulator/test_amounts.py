"""Which energies the judge takes for those of a visit in a clean feed."""

import pytest

from simulator.feeds.catalogue import BOUNDS
from simulator.judge.truth import Comparison
from simulator.world.market import Market
from simulator.world.moments import MINUTE_MS, NEVER_MS, SECOND_MS
from simulator.world.oracle import Oracle
from tests.support.judged_visits import CAR, shown_session, true_visit

_WRONG = ["a session has its visit's energy"]


@pytest.mark.parametrize(
    ("power_kw", "charged_s", "off_kwh", "laws"),
    [
        # 15 Wh, and 0.5 % of 7.2 kWh.
        (7.2, 3_600, 0.05, []),
        (7.2, 3_600, 0.06, _WRONG),
        (7.2, 3_600, -0.06, _WRONG),
        # At 180 kW two seconds are 100 Wh; 1.2 kWh.
        (180.0, 24, 0.1, []),
        (180.0, 24, 0.11, _WRONG),
        (7.2, 24, 0.02, _WRONG),
    ],
)
def test_how_far_an_energy_may_be_off(power_kw: float, charged_s: int, off_kwh: float, laws: list[str]) -> None:
    """A session's energy may be off by 15 Wh, or two seconds of a fast charge, and half a percent."""
    ended_ms = 120 * MINUTE_MS
    part = true_visit((MINUTE_MS, MINUTE_MS + charged_s * SECOND_MS), power_kw, ended_ms)
    session = shown_session(0, ended_ms, power_kw * charged_s / 3_600 + off_kwh)
    found: list[str] = []
    market = Market(1, 0, is_calm=True)
    judged = Comparison(Oracle(), CAR, BOUNDS["clean"], market, lambda finding: found.append(finding.law))
    judged.happened([part])
    judged.settled(session, ended_ms)
    judged.judge(NEVER_MS)
    assert (judged.compared, found) == (1, laws)
