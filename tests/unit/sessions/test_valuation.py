"""What a visit part cost. It starts at 08:00 UTC or in minutes after it; prices are of 08:00 and later."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from models.session import TariffCost, Valuation
from sessions.valuation import tariff_cost
from tests.builders import minute
from tests.support.price_records import NORTH, Told, price_book

LATE = 10**6
# A quarter-hour at this power is 1 kWh.
POWER_W = 4_000
DAY = 96


def valued(
    energy_wh: Sequence[int], *records: Told, started: float = 0, power_w: int = POWER_W, at: float = LATE
) -> Valuation | None:
    return tariff_cost(price_book(*records), NORTH, minute(started), energy_wh, power_w=power_w, at=minute(at))


def costs(valuation: Valuation | None) -> tuple[float, float, float]:
    """Actual, baseline and savings."""
    assert valuation is not None
    cost = valuation.tariff_cost
    return cost.actual, cost.baseline, cost.savings


VALUED: dict[str, tuple[Sequence[int], Sequence[float], float, tuple[float, float, float]]] = {
    "charged at once": ([1_000, 1_000], [0.3, 0.2], 0, (0.5, 0.5, 0.0)),
    "charged when it was cheap": ([0, 0, 1_000], [0.3, 0.2, 0.1], 0, (0.1, 0.3, 0.2)),
    "charged when it was dear": ([0, 1_000], [0.1, 0.3], 0, (0.3, 0.1, -0.2)),
    "charged slowly": ([500, 500], [0.3, 0.1], 0, (0.2, 0.3, 0.1)),
    "plugged in mid-quarter": ([0, 0, 1_000], [0.3, 0.6, 0.1], 10, (0.1, 0.5, 0.4)),
    "the baseline runs past the end": ([3_000], [0.1, 0.2, 0.3], 0, (0.3, 0.6, 0.3)),
    "below zero": ([1_000, 1_000], [-0.1, -0.2], 0, (-0.3, -0.3, 0.0)),
    "paid to have waited": ([0, 1_000], [0.1, -0.2], 0, (-0.2, 0.1, 0.3)),
    "a price of nothing": ([1_000], [0.0], 0, (0.0, 0.0, 0.0)),
    "4 decimals": ([333, 667], [0.12345, 0.2], 0, (0.1745, 0.1235, -0.051)),
    "not a thousandth of a cent": ([0, 1], [0.04, 0.06], 0, (0.0001, 0.0, -0.0001)),
    "less than nothing, rounded": ([1], [-0.04], 0, (0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("name", VALUED)
def test_valued(name: str) -> None:
    """Actual is energy times price per interval, baseline the same energy at full power from plug-in."""
    energy_wh, prices, started, expected = VALUED[name]
    valuation = valued(energy_wh, Told(0, prices, 0), started=started)
    assert costs(valuation) == expected
    assert "-0.0" not in [str(cost) for cost in costs(valuation)]
    assert valuation is not None
    assert valuation.currency == "EUR"


def test_savings_are_the_difference_of_what_is_told() -> None:
    """Savings are the rounded baseline less the rounded actual, so that a reader's own sum is the same."""
    # Unrounded: 0.00014, 0.00026 and 0.00012.
    assert costs(valued([0, 1], Told(0, [0.26, 0.14], 0))) == (0.0001, 0.0003, 0.0002)


def test_the_baseline_is_not_in_whole_wh() -> None:
    """The baseline is priced by time, to the fraction of a Wh."""
    # 1000 Wh in 15 min: a third of it at 0.3, the rest at 0.6, where 333 Wh and 667 Wh would cost 0.5001.
    assert costs(valued([0, 0, 1_000], Told(0, [0.3, 0.6, 0.1], 0), started=10)) == (0.1, 0.5, 0.4)


MISSING: dict[str, tuple[Sequence[int], list[Told]]] = {
    "no price at all": ([1_000], []),
    "none for the actual": ([0, 1_000], [Told(0, [0.1], 0)]),
    "none for the baseline": ([0, 1_000], [Told(1, [0.1], 0)]),
    "none for the end of the baseline": ([2_000], [Told(0, [0.1], 0)]),
    "one of the day before stands in": ([1_000], [Told(-DAY, [0.1], 0), Told(1, [0.1], 0)]),
    "two currencies": ([1_000, 1_000], [Told(0, [0.1], 0), Told(1, [0.1], 0, currency="DKK")]),
    "another currency in the baseline": ([0, 1_000], [Told(0, [0.1], 0, currency="DKK"), Told(1, [0.1], 0)]),
    "no energy, no price": ([0, 0], []),
    "no interval, no price": ([], []),
    "no energy, two currencies": ([0, 0], [Told(0, [0.1], 0), Told(1, [0.1], 0, currency="DKK")]),
}


@pytest.mark.parametrize("name", MISSING)
def test_no_valuation(name: str) -> None:
    """There is no valuation, rather than one of 0, where a needed price is missing or currencies differ."""
    energy_wh, records = MISSING[name]
    assert valued(energy_wh, *records) is None


@pytest.mark.parametrize(
    ("energy_wh", "records"),
    [
        ([1_000, 0, 0, 1_000], [Told(0, [0.1, 0.1], 0), Told(3, [0.1], 0)]),
        ([1_000, 0, 0, 1_000], [Told(0, [0.1, 0.1, 7, 0.1], 0), Told(2, [9], 0, currency="DKK")]),
        ([1_000, 1_000], [Told(0, [9, 9], 0, currency="DKK"), Told(0, [0.1, 0.1], 1)]),
    ],
)
def test_only_what_is_needed(energy_wh: Sequence[int], records: list[Told]) -> None:
    """An interval without energy needs no price, and neither its currency matters nor that of a replaced price."""
    assert costs(valued(energy_wh, *records)) == (0.2, 0.2, 0.0)


@pytest.mark.parametrize("energy_wh", [[], [0], [0, 0, 0]])
def test_no_energy(energy_wh: Sequence[int]) -> None:
    """No energy costs nothing, in the currency of the prices."""
    beyond = Told(max(1, len(energy_wh)), [0.1], 0)
    found = valued(energy_wh, Told(0, [0.1], 0, currency="SEK"), beyond)
    assert found == Valuation(currency="SEK", tariff_cost=TariffCost(actual=0.0, baseline=0.0, savings=0.0))


def test_prices_as_known_then() -> None:
    """Prices count as they were known at the moment of the valuation."""
    records = [Told(0, [0.1], 0), Told(0, [0.2], 10)]
    assert [costs(valued([1_000], *records, at=at))[0] for at in (0, 9.9, 10)] == [0.1, 0.1, 0.2]
    assert valued([1_000], *records, at=-1) is None


def test_no_zone() -> None:
    """Without a price zone there is no valuation."""
    assert tariff_cost(price_book(), None, minute(0), [1_000], power_w=POWER_W, at=minute(0)) is None


@pytest.mark.parametrize(("power_w", "is_valued"), [(1, False), (100, True), (99, False)])
def test_the_longest_baseline(power_w: int, is_valued: bool) -> None:
    """A baseline of 180 days, the longest part of a visit that a setting allows, is valued; a longer one is not.

    Nor does it take any time.
    """
    energy_wh = 100 * 24 * 180
    book = price_book(*(Told(DAY * day, [0.1] * DAY, 0) for day in range(190)))
    found = tariff_cost(book, NORTH, minute(0), [energy_wh], power_w=power_w, at=minute(0) + timedelta(days=1))
    assert (found is not None) == is_valued
