"""Plans against brute force on every day of recorded day-ahead prices.

Every day of every zone is planned once, in its turn with another hour of plug-in, deadline, battery, power and
situation. All moments lie on a grid of 5 minutes, on which brute force is exact.
"""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from math import ceil
from typing import Final, Literal, NamedTuple

import pytest
from msgspec import structs

from models.ids import Zone
from models.prices import Resolution
from sessions.grid import quarter_index
from sessions.planner import PlanRequest, horizon_quarters, make_plan
from sessions.prices import EPOCH, PriceBook
from tests.support import plan_laws
from tests.support.brute_force import Task, least_cost
from tests.support.day_ahead import LOCAL, Prices, belgium, elspot, local_days, price_book, smard

UNIT: Final = timedelta(minutes=5)
UNITS_OF_A_QUARTER: Final = 3
ZONE: Final = Zone("zone")

Situation = Literal["at rest", "reserve", "running"]


class Car(NamedTuple):
    """A charger's power, and how many units of 5 minutes it charges, with the margin."""

    power_w: int
    units: int


class Case(NamedTuple):
    """What is asked of a day. `ready_by`: days after it and local time; None: no deadline."""

    plugged_in: time
    ready_by: tuple[int, time] | None
    car: Car
    situation: Situation


# Aligned with the grid, a unit before it, and after it; by noon the next day's prices are not known yet.
PLUG_INS: Final = (time(17, 30), time(18, 5), time(22, 10), time(7, 50), time(12, 55), time(0, 0), time(23, 40))
DEADLINES: Final = ((1, time(7, 0)), (1, time(6, 40)), None, (2, time(8, 35)), (1, time(0, 20)))
# 2 to 75 kWh.
CARS: Final = (
    Car(4_200, 37),
    Car(7_400, 4),
    Car(11_000, 29),
    Car(22_000, 2),
    Car(7_400, 50),
    Car(11_000, 14),
    Car(22_000, 41),
    Car(11_000, 61),
)
SITUATIONS: Final[tuple[Situation, ...]] = ("at rest", "reserve", "running")
CASES: Final = [Case(*parts) for parts in product(PLUG_INS, DEADLINES, CARS, SITUATIONS)]
# Shares no factor with the number of cases: neighbouring days get unlike cases, and all cases have their turn.
STEP: Final = 331

SMARD_DAYS: Final = {
    "Deutschland/Luxemburg": 365,
    "Belgien": 365,
    "Dänemark 1": 365,
    "Dänemark 2": 365,
    "Frankreich": 365,
    "Niederlande": 365,
    "Norwegen 2": 365,
    "Österreich": 365,
    "Schweden 4": 365,
    "Schweiz": 365,
    "Tschechien": 365,
    "Italien (Nord)": 365,
    "Slowenien": 365,
    "Ungarn": 364,
    "Polen": 41,
    "∅ Anrainer DE/LU": 41,
}


def request_of(case: Case, day: date, book: PriceBook) -> PlanRequest:
    """The request, with prices as they are known at plug-in."""
    now = local(day, case.plugged_in)
    ready_by = None if case.ready_by is None else local(day + timedelta(days=case.ready_by[0]), case.ready_by[1])
    needed_wh = needed_for(case.car)
    reserve_wh = 0
    if case.situation == "reserve":
        # 20 minutes, which the energy for the rest then comes on top of.
        reserve_wh = case.car.power_w // 3
        needed_wh += reserve_wh
    first, count = quarter_index(EPOCH, now), horizon_quarters(now, ready_by)
    return PlanRequest(
        now=now,
        power_w=case.car.power_w,
        reserve_wh=reserve_wh,
        needed_wh=needed_wh,
        ready_by=ready_by,
        prices=book.planning(ZONE, first, count, now),
        is_running=case.situation == "running",
    )


def local(day: date, at: time) -> datetime:
    """The moment in UTC, where an hour occurs twice the first."""
    return datetime.combine(day, at, LOCAL).astimezone(UTC)


def needed_for(car: Car) -> int:
    """So many Wh that, with the margin, they take just the units."""
    upper_wh = ceil(car.power_w * car.units / 12)
    for needed_wh in range(upper_wh, 0, -1):
        if plan_laws.charge_time(ceil(needed_wh * 105 / 100), car.power_w) == car.units * UNIT:
            return needed_wh
    raise AssertionError(f"no energy takes {car}")


def expected_cost(request: PlanRequest, units: int) -> float:
    """The least cost by the rules, in price x hours."""
    assert request.prices is not None
    start, end = plan_laws.regular_start(request), plan_laws.deadline(request)
    prices = [
        request.prices[quarter_index(request.now, start + place * UNIT)] / 12 for place in range((end - start) // UNIT)
    ]
    lasted = (start - request.now) // UNIT
    task = Task(prices=prices, needed=units, minimum=UNITS_OF_A_QUARTER, lasted=lasted)
    least = least_cost(task)
    if not request.is_running:
        return least
    held = least_cost(structs.replace(task, is_from_start=True))
    quarters = quarter_index(request.now, end - UNIT) + 1
    mean = sum(map(abs, request.prices[:quarters])) / quarters
    return held if held - least < 0.02 * (units / 12) * mean else least


def check_days(prices: Prices, resolution: Resolution, turn: int) -> Counter[str]:
    """Plan every day of a zone, and count what was seen."""
    book = price_book(ZONE, prices, resolution)
    seen: Counter[str] = Counter()
    for number, day in enumerate(local_days(prices)):
        case = CASES[(turn + number) * STEP % len(CASES)]
        request = request_of(case, day, book)
        if request.prices is None:
            # Before the first auction: nothing is known, and nothing can be compared.
            seen["no price"] += 1
            continue
        plan = make_plan(request)
        plan_laws.check_plan(plan, request)
        seen["days"] += 1
        if not plan_laws.fits(request):
            seen["late"] += 1
            continue
        found, least = plan_laws.cost(plan, request), expected_cost(request, case.car.units)
        scale = sum(map(abs, request.prices))
        assert abs(found - least) <= 1e-9 * scale, (day, case, found, least)
        assert found <= plan_laws.cost_at_once(request) + 1e-9 * scale, (day, case)
        seen[case.situation] += 1
        seen["negative"] += least < 0
    return seen


@pytest.mark.parametrize(("column", "days"), SMARD_DAYS.items())
def test_every_day_of_2019(column: str, days: int) -> None:
    """On every day of a zone of 2019 a plan costs what the cheapest costs, and never more than charging at once."""
    turn = 365 * list(SMARD_DAYS).index(column)
    seen = check_days(smard()[column], Resolution.HOUR, turn)
    assert seen["days"] + seen["no price"] == days
    assert seen["no price"] <= 1


@pytest.mark.parametrize("zone", ["SE3", "SE4"])
def test_every_day_of_sweden(zone: str) -> None:
    """On every day of 2023 and 2024, a thousand hours below zero among them, a plan costs what the cheapest costs."""
    seen = check_days(elspot()[zone], Resolution.HOUR, 11 if zone == "SE3" else 420)
    assert seen["days"] + seen["no price"] == 731
    assert seen["no price"] <= 1
    assert seen["negative"] >= 10


def test_every_day_of_belgium() -> None:
    """On every day in quarter-hours, those with missing slots among them, a plan costs what the cheapest costs."""
    seen = check_days(belgium(), Resolution.QUARTER_HOUR, 0)
    assert seen["days"] + seen["no price"] == 499
    assert seen["no price"] <= 1


@pytest.mark.parametrize("offset", range(13))
def test_days_of_genuine_quarter_hours(offset: int) -> None:
    """On days of quarter-hour prices, a plan for every car and situation costs what the cheapest costs."""
    day = date(2025, 10, 1) + timedelta(days=offset)
    book = price_book(ZONE, belgium(), Resolution.QUARTER_HOUR)
    checked = 0
    for case in CASES[offset::13]:
        request = request_of(case, day, book)
        plan = make_plan(request)
        plan_laws.check_plan(plan, request)
        if plan_laws.fits(request):
            assert plan_laws.cost(plan, request) == pytest.approx(expected_cost(request, case.car.units), abs=1e-9)
        checked += 1
    assert checked >= 64


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2019, 3, 31), 23), (date(2019, 10, 27), 25), (date(2019, 10, 28), 24)]
)
def test_days_of_the_clock_changes(day: date, hours: int) -> None:
    """On a day of 23 or 25 hours every case's plan costs what the cheapest costs, and the deadline is in wall time."""
    prices = smard()["Deutschland/Luxemburg"]
    assert sum(moment.astimezone(LOCAL).date() == day for moment in prices) == hours
    book = price_book(ZONE, prices, Resolution.HOUR)
    eve = day - timedelta(days=1)
    cases = [case for case in CASES if case.car.units < 40][::5]
    for case in cases:
        request = request_of(case, eve, book)
        plan = make_plan(request)
        plan_laws.check_plan(plan, request)
        if plan_laws.fits(request):
            assert plan_laws.cost(plan, request) == pytest.approx(expected_cost(request, case.car.units), abs=1e-9)
    assert len(cases) >= 90


def test_cases_all_have_their_turn() -> None:
    """Over the days of the recorded prices, every combination of plug-in, deadline, car and situation comes up."""
    turns = range(sum(SMARD_DAYS.values()))
    counts = Counter(turn * STEP % len(CASES) for turn in turns)
    assert set(counts) == set(range(len(CASES)))
    assert min(counts.values()) >= 6


def test_the_prices_are_whole() -> None:
    """The recorded prices are those of 7,152 days, and only the slots known to be missing are."""
    zones = [*smard().values(), *elspot().values(), belgium()]
    assert sum(len(local_days(prices)) for prices in zones) == 7_152
    days = Counter(moment.astimezone(LOCAL).date() for moment in belgium())
    assert {day: count for day, count in days.items() if count != 96} == {
        date(2024, 3, 31): 84,
        date(2024, 10, 27): 92,
        date(2025, 3, 30): 90,
    }
