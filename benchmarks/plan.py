"""How long a plan over 48 hours of quarter-hours takes, the look-up of its prices included."""

import gc
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import cos, pi
from time import perf_counter_ns
from typing import Final

from models.ids import Zone
from models.prices import PriceRecord, Resolution
from sessions.grid import quarter_index
from sessions.planner import DONE_EARLY, PlanRequest, horizon_quarters, make_plan
from sessions.prices import DAY_QUARTERS, EPOCH, PriceBook

RUNS: Final = 4_000
HORIZON: Final = timedelta(hours=48)
ZONE: Final = Zone("BENCH")
START: Final = datetime(2025, 1, 1, tzinfo=UTC)
DAYS: Final = 60
# Like a day-ahead auction: one day's prices, known from noon of the day before.
AUCTION: Final = timedelta(hours=12)


def measure() -> dict[str, dict[str, float | str]]:
    """Medians over requests that differ in time, energy, power and deadline; every other one while a block runs.

    A running block costs more: where the optimum would end it, the best plan that goes on has to be found too. Prices
    that ripple within the hour cost more than hourly ones: they leave more stretches that are too short.
    """
    durations_us = _durations_us(_book(_quarter_hour_price))
    hourly_us = _durations_us(_book(_hour_price))
    return {
        "plan_48h_us": _in_us(statistics.median(durations_us)),
        "plan_48h_at_rest_us": _in_us(statistics.median(durations_us[::2])),
        "plan_48h_running_us": _in_us(statistics.median(durations_us[1::2])),
        "plan_48h_p99_us": _in_us(statistics.quantiles(durations_us, n=100)[-1]),
        "plan_48h_hourly_prices_us": _in_us(statistics.median(hourly_us)),
    }


def _in_us(value: float) -> dict[str, float | str]:
    return {"value": value, "unit": "us"}


def _durations_us(book: PriceBook) -> list[float]:
    durations_us = []
    gc.collect()
    for run in range(RUNS):
        # Steps of 37 min and 13 s: every request begins elsewhere in its quarter-hour.
        now = START + timedelta(days=10 + run % 40, minutes=(run * 37) % 1_440, seconds=(run * 13) % 60)
        # The last quarter-hour before the deadline is not planned with.
        ready_by = now + HORIZON + DONE_EARLY
        power_w = (3_680, 7_400, 11_000)[run % 3]
        # About 10 hours of charging.
        needed_wh = power_w * (90 + run % 21) // 10
        begun = perf_counter_ns()
        prices = book.planning(ZONE, quarter_index(EPOCH, now), horizon_quarters(now, ready_by), now)
        plan = make_plan(
            PlanRequest(
                now=now,
                power_w=power_w,
                reserve_wh=(0, 0, 2_000)[run % 3],
                needed_wh=needed_wh,
                ready_by=ready_by,
                prices=prices,
                is_running=run % 2 == 1,
            )
        )
        durations_us.append((perf_counter_ns() - begun) / 1_000)
        assert plan.blocks
    return durations_us


def _book(price: Callable[[int], float]) -> PriceBook:
    book = PriceBook()
    for day in range(DAYS):
        start_at = START + timedelta(days=day)
        record = PriceRecord(
            zone=ZONE,
            currency="EUR",
            resolution=Resolution.QUARTER_HOUR,
            start_at=start_at,
            prices=tuple(round(price(DAY_QUARTERS * day + quarter), 5) for quarter in range(DAY_QUARTERS)),
            at=start_at - AUCTION,
        )
        book.add(record, record.at)
    return book


def _quarter_hour_price(quarter: int) -> float:
    """Two peaks a day, windy and calm days, and the ripple within each hour that quarter-hour auctions show."""
    return _hour_price(quarter) + 0.02 * ((quarter * 7_919) % 101 / 101 - 0.5)


def _hour_price(quarter: int) -> float:
    hour = quarter // 4
    peaks = 0.03 * cos(2 * pi * (hour - 19) / 12) + 0.02 * cos(2 * pi * (hour - 18) / 24)
    weather = 0.05 * cos(2 * pi * hour / 97)
    return 0.08 + peaks + weather + 0.01 * ((hour * 6_101) % 89 / 89 - 0.5)
