"""What a visit part cost, against charging the same energy at once.

Decides the sums and when there is none; it must not know why the energy came when it did. Only real prices count: what
stands in for one in a plan is no price.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import fsum
from typing import Final

from models.ids import Zone
from models.session import TariffCost, Valuation
from models.units import WH_PER_KWH
from sessions.grid import quarter_index, quarters
from sessions.prices import EPOCH, PriceBook

# Prices are told to 0.01 of a currency per MWh: finer money would be noise.
MONEY_DECIMALS: Final = 4
# The longest part of a visit. Energy that takes longer at full power was not charged in one.
BASELINE_MAX: Final = timedelta(days=180)

_HOUR: Final = timedelta(hours=1)


def tariff_cost(
    prices: PriceBook,
    zone: Zone | None,
    started_at: datetime,
    energy_wh: Sequence[int],
    *,
    power_w: int,
    at: datetime,
) -> Valuation | None:
    """Cost of the energies of the quarter-hours from the one that holds `started_at`, by prices as known `at`.

    The baseline is the same energy charged at `power_w` (more than 0) from `started_at` on, be it past the end. None
    where a price is missing that either needs, or where currencies differ. Without energy both cost nothing, in the
    currency of the prices of those quarter-hours.
    """
    first = quarter_index(EPOCH, started_at)
    total_wh = sum(energy_wh)
    at_full_power = total_wh * _HOUR / power_w
    if at_full_power > BASELINE_MAX:
        return None
    actual: dict[int, float] = {first + place: energy for place, energy in enumerate(energy_wh) if energy}
    # Not in whole Wh: nothing of it is published, and rounding would show in its cost.
    baseline = {
        quarter_index(EPOCH, start): total_wh * ((end - start) / at_full_power)
        for start, end in quarters(started_at, started_at + at_full_power)
    }
    needed = actual.keys() | baseline.keys()
    currencies = prices.currencies(zone, needed or range(first, first + max(1, len(energy_wh))), at)
    by_quarter = _known(prices, zone, needed, at)
    if by_quarter is None or len(currencies) != 1:
        return None
    return Valuation(
        currency=currencies.pop(), tariff_cost=_tariff_cost(_cost(actual, by_quarter), _cost(baseline, by_quarter))
    )


def _known(prices: PriceBook, zone: Zone | None, needed: set[int], at: datetime) -> dict[int, float] | None:
    """The price of each of these quarter-hours; None where one of them has none."""
    if not needed:
        return {}
    first = min(needed)
    known = prices.known(zone, first, max(needed) - first + 1, at)
    by_quarter = {quarter: price for quarter in needed if (price := known[quarter - first]) is not None}
    return by_quarter if len(by_quarter) == len(needed) else None


def _cost(energies_wh: Mapping[int, float], price_per_kwh: Mapping[int, float]) -> float:
    return fsum(energy * price_per_kwh[quarter] for quarter, energy in energies_wh.items()) / WH_PER_KWH


def _tariff_cost(actual: float, baseline: float) -> TariffCost:
    actual, baseline = _money(actual), _money(baseline)
    # Of what is told, so that a reader's own difference is the same.
    return TariffCost(actual=actual, baseline=baseline, savings=_money(baseline - actual))


def _money(amount: float) -> float:
    # Adding 0.0 turns -0.0 into 0.0.
    return round(amount, MONEY_DECIMALS) + 0.0
