"""A night under a policy is cheap, as the judge sees it, unless somebody disturbed it."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from models.ids import Zone
from simulator.world.market import ZONES
from simulator.world.moments import HOUR_MS, MINUTE_MS, QUARTER_MS, moment
from simulator.world.oracle import Stretch
from tests.builders import policy
from tests.support.judged_courses import START_MS, Judged, part, settled, target, told

# From 18:00 to 6:00, in quarter-hours; four of them are needed.
NIGHT_MS: Final = START_MS + 10 * HOUR_MS
NIGHT_QUARTERS: Final = range(NIGHT_MS // QUARTER_MS, (NIGHT_MS + 12 * HOUR_MS) // QUARTER_MS)


def night(choose: Callable[[dict[int, float]], list[int]], **spoilt: Any) -> list[str]:
    """The laws that a night breaks that charged in these quarter-hours."""
    judged = Judged()
    zone = Zone(ZONES[0].name)
    known = {quarter: judged.market.price(zone, quarter, NIGHT_MS) for quarter in NIGHT_QUARTERS}
    prices = {quarter: price for quarter, price in known.items() if price is not None}
    assert len(prices) == len(NIGHT_QUARTERS)
    stretches = [
        Stretch(quarter * QUARTER_MS, (quarter + 1) * QUARTER_MS, 50.0, 90.0, None, flat_kw=40.0)
        for quarter in sorted(choose(prices))
    ]
    ended_ms = NIGHT_MS + 13 * HOUR_MS
    for at_ms in spoilt.pop("meddled", ()):
        judged.car.oracle.note_meddling(at_ms)
    true = part(
        plugged_in_ms=NIGHT_MS,
        started_ms=NIGHT_MS,
        managed_ms=NIGHT_MS,
        ended_ms=ended_ms,
        stretches=stretches,
        policy=structs.replace(policy(0).policy, zone=zone),
        **spoilt,
    )
    named = structs.replace(target(50.0), ready_by=moment(NIGHT_MS + 12 * HOUR_MS))
    begun = structs.replace(told(600, target=named).head, plugged_in_at=moment(NIGHT_MS))
    over = settled(target=named, level=50)
    judged.tell(
        structs.replace(told(600), head=begun),
        structs.replace(
            over,
            head=structs.replace(over.head, plugged_in_at=moment(NIGHT_MS), plugged_out_at=moment(ended_ms), blocks=()),
            intervals=None,
        ),
    )
    judged.courses.happened([true])
    return judged.laws


def cheapest(prices: dict[int, float]) -> list[int]:
    return sorted(prices, key=lambda quarter: prices[quarter])[:4]


def at_once(prices: dict[int, float]) -> list[int]:
    return sorted(prices)[:4]


def dearest(prices: dict[int, float]) -> list[int]:
    return sorted(prices, key=lambda quarter: -prices[quarter])[:4]


def test_a_night_that_nobody_disturbed_is_cheap() -> None:
    """The dearest quarter-hours of a night, or the first ones, are a finding where the cheapest were free."""
    assert night(cheapest) == []
    assert night(dearest) == ["a night is cheap"]
    assert night(at_once) == ["a night is cheap"]


def test_a_night_that_somebody_disturbed_proves_nothing() -> None:
    """Whoever starts the car by hand, or lets a policy go, may pay what he likes."""
    assert night(dearest, meddled=[NIGHT_MS + 5 * MINUTE_MS]) == []
    assert night(dearest, is_cut=True) == []
    assert night(dearest, replugs=1) == []
