"""Which costs the judge takes where a quarter-hour has no price."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.ids import SessionId, VehicleId, Zone
from models.session import Aggregated, Session, SessionState, Statistics, TariffCost, TimeseriesPoint, Valuation
from simulator.feeds.catalogue import BOUNDS
from simulator.judge.truth import Comparison
from simulator.world.market import ZONES, Market
from simulator.world.moments import DAY_MS, QUARTER_MS, millis, moment
from simulator.world.oracle import Oracle, Stretch, TruePart
from tests.builders import ANN, HOME, policy

_ZONE = Zone(ZONES[0].name)
_START_MS = millis(moment(0)) + 20_000 * DAY_MS
# Energy (kWh) of the quarter-hour with the last price.
_PRICED_KWH = 8.0


def found(feed: str, unpriced_kwh: float, shown_kwh: float) -> list[str]:
    """The laws that a session broke: what it drew in a quarter-hour without a price, and what it shows there (kWh)."""
    market = Market(1, _START_MS, is_calm=True)
    market.publish(_START_MS)
    at_ms = _START_MS
    last = next(
        quarter
        for quarter in range(_START_MS // QUARTER_MS, (_START_MS + 3 * DAY_MS) // QUARTER_MS)
        if market.price(_ZONE, quarter + 1, at_ms + 3 * DAY_MS) is None
    )
    price = market.price(_ZONE, last, at_ms + 3 * DAY_MS)
    assert price is not None
    begun_ms, ended_ms = last * QUARTER_MS, (last + 2) * QUARTER_MS
    part = TruePart(
        user_id=ANN,
        location_id=HOME,
        plugged_in_ms=begun_ms,
        started_ms=begun_ms,
        level_from=20.0,
        ended_ms=ended_ms,
        known_ms=ended_ms,
        level_to=20.0,
        policy=structs.replace(policy(0).policy, zone=_ZONE),
        stretches=[
            Stretch(at_ms, at_ms + QUARTER_MS, 20.0, 100.0, None, flat_kw=4 * energy_kwh)
            for at_ms, energy_kwh in ((begun_ms, _PRICED_KWH), (begun_ms + QUARTER_MS, unpriced_kwh))
        ],
    )
    cost = round(_PRICED_KWH * price, 4)
    points = tuple(
        TimeseriesPoint(
            start_at=moment(at_ms), end_at=moment(at_ms) + timedelta(minutes=15), kwh=energy_kwh, battery_level=20
        )
        for at_ms, energy_kwh in ((begun_ms, _PRICED_KWH), (begun_ms + QUARTER_MS, shown_kwh))
    )
    session = Session(
        id=SessionId("s"),
        policy_id=policy(0).policy.id,
        vehicle_id=VehicleId("v"),
        user_id=ANN,
        location_id=HOME,
        state=SessionState.SETTLED,
        plugged_in_at=moment(begun_ms),
        plugged_out_at=moment(ended_ms),
        statistics=Statistics(
            aggregated=Aggregated(kwh_sum=_PRICED_KWH + shown_kwh, battery_from=20, battery_to=20), timeseries=points
        ),
        valuation=Valuation(currency="EUR", tariff_cost=TariffCost(actual=cost, baseline=cost, savings=0.0)),
    )
    laws: list[str] = []
    judged = Comparison(Oracle(), VehicleId("v"), BOUNDS[feed], market, lambda finding: laws.append(finding.law))
    judged.happened([part])
    judged.settled(session, ended_ms)
    judged.judge(ended_ms + DAY_MS)
    assert (judged.compared, judged.unjudged, judged.skipped) == (1, 0, {})
    return laws


@pytest.mark.parametrize(
    ("feed", "unpriced_kwh", "shown_kwh", "laws"),
    [
        # All that was drawn has a price.
        ("clean", 0.0, 0.0, []),
        # A clean feed hides nothing.
        ("clean", 0.04, 0.0, ["no price, no cost"]),
        # A drain of 2 % and 0.12 kWh may.
        ("falling-counter", 0.2, 0.0, []),
        # But then none of it is shown, nor more of it hidden.
        ("falling-counter", 0.2, 0.2, ["no price, no cost"]),
        ("falling-counter", 0.31, 0.0, ["no price, no cost"]),
    ],
)
def test_energy_without_a_price(feed: str, unpriced_kwh: float, shown_kwh: float, laws: list[str]) -> None:
    """A session has a cost beside energy without a price only if its feed may hide that energy, and it shows none."""
    assert found(feed, unpriced_kwh, shown_kwh) == laws
