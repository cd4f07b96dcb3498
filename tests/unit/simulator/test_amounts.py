"""Which energies the judge takes for those of a visit in a clean feed."""

import pytest

from models.ids import SessionId, VehicleId
from models.session import Aggregated, Session, SessionState, Statistics
from simulator.feeds.catalogue import BOUNDS
from simulator.judge.truth import Comparison
from simulator.world.market import Market
from simulator.world.moments import MINUTE_MS, NEVER_MS, SECOND_MS, moment
from simulator.world.oracle import Oracle, Stretch, TruePart
from tests.builders import ANN

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
    flat = Stretch(MINUTE_MS, MINUTE_MS + charged_s * SECOND_MS, 20.0, 100.0, None, flat_kw=power_kw)
    part = TruePart(
        user_id=ANN,
        location_id=None,
        plugged_in_ms=0,
        started_ms=0,
        level_from=20.0,
        ended_ms=ended_ms,
        known_ms=ended_ms,
        level_to=20.0,
        stretches=[flat],
    )
    shown_kwh = power_kw * charged_s / 3_600 + off_kwh
    session = Session(
        id=SessionId("s"),
        policy_id=None,
        vehicle_id=VehicleId("v"),
        user_id=ANN,
        location_id=None,
        state=SessionState.SETTLED,
        plugged_in_at=moment(0),
        plugged_out_at=moment(ended_ms),
        statistics=Statistics(aggregated=Aggregated(kwh_sum=shown_kwh, battery_from=20, battery_to=20)),
    )
    found: list[str] = []
    market = Market(1, 0, is_calm=True)
    judged = Comparison(Oracle(), VehicleId("v"), BOUNDS["clean"], market, lambda finding: found.append(finding.law))
    judged.happened([part])
    judged.settled(session, ended_ms)
    judged.judge(NEVER_MS)
    assert (judged.compared, found) == (1, laws)
