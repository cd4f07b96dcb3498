"""Day-ahead prices of the simulated zones."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import mean

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import codec
from models.prices import PriceRecord
from models.topics import ENERGY_PRICES
from simulator.prices import ZONES, PriceZone, announcements, day_prices, price_at
from tests.support.fleets import MOMENTS, SEEDS

DAYS = st.dates(date(2024, 1, 1), date(2028, 1, 1))
ZONE = st.sampled_from(ZONES)
HOURS = st.integers(0, 96).map(lambda hours: timedelta(hours=hours))
DAY = timedelta(days=1)


def _records(seed: int, after: datetime, up_to: datetime) -> list[PriceRecord]:
    found = announcements(seed, after, up_to)
    assert {record.topic for record in found} <= {ENERGY_PRICES}
    messages = [record.message for record in found if isinstance(record.message, PriceRecord)]
    assert [(record.key, record.at) for record in found] == [(message.zone, message.at) for message in messages]
    return messages


def _moment(moment_s: int) -> datetime:
    return datetime.fromtimestamp(moment_s, UTC)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", range(3))
def test_nights_and_noons_are_cheap_mornings_and_evenings_dear(seed: int, zone: PriceZone) -> None:
    """Over a month evenings cost the most, then mornings; some hours are negative, most are not."""
    month = [day_prices(seed, zone, date(2026, 3, 1) + number * DAY) for number in range(30)]

    def of_hours(begin: int, end: int) -> float:
        per_hour = len(month[0]) // 24
        return mean(price for day in month for price in day[begin * per_hour : end * per_hour])

    night, morning, noon, evening = of_hours(1, 4), of_hours(6, 9), of_hours(12, 14), of_hours(18, 21)
    assert max(night, noon) < 0.6 * morning < 0.6 * evening
    everything = [price for day in month for price in day]
    assert 0 < sum(price < 0 for price in everything) < len(everything) / 10
    assert max(everything) < 0.4
    assert min(everything) > -0.1


@given(SEEDS, ZONE, DAYS)
def test_a_days_prices_follow_from_seed_zone_and_date(seed: int, zone: PriceZone, day: date) -> None:
    """Asked twice, a day costs the same; another seed, zone or day costs otherwise."""
    found = day_prices(seed, zone, day)
    day_prices.cache_clear()
    assert day_prices(seed, zone, day) == found
    other_zone = ZONES[ZONES.index(zone) - 1]
    for other in (
        day_prices(seed + 1, zone, day),
        day_prices(seed, other_zone, day),
        day_prices(seed, zone, day + DAY),
    ):
        assert other != found


@settings(max_examples=50)
@given(SEEDS, MOMENTS, HOURS)
def test_prices_are_told_at_noon_of_the_day_before_and_none_is_left_out(seed: int, at_s: int, span: timedelta) -> None:
    """Each zone's records follow each other without a gap, each told at 13:00 of the zone's day before it begins."""
    after, up_to = _moment(at_s), _moment(at_s) + span
    for zone in ZONES:
        own = [record for record in _records(seed, after, up_to) if record.zone == zone.name]
        assert len(own) in (span // DAY, span // DAY + 1)
        for record in own:
            assert after < record.at <= up_to
            assert record.start_at - record.at == timedelta(hours=11)
            assert (record.start_at + timedelta(hours=zone.utc_offset_h)).hour == 0
            assert len(record.prices) * record.resolution.length == DAY
        assert all(one.start_at + DAY == other.start_at for one, other in pairwise(own))


@settings(max_examples=50)
@given(SEEDS, MOMENTS, HOURS, HOURS)
def test_every_price_is_told_once(seed: int, at_s: int, one: timedelta, other: timedelta) -> None:
    """What is told in two steps is what is told in one."""
    start, middle, end = _moment(at_s), _moment(at_s) + one, _moment(at_s) + one + other
    assert _records(seed, start, middle) + _records(seed, middle, end) == _records(seed, start, end)


@settings(max_examples=50)
@given(SEEDS, MOMENTS, ZONE)
def test_the_prices_of_the_wall_boxes_are_those_that_are_told(seed: int, at_s: int, zone: PriceZone) -> None:
    """What a kWh costs at a moment stands in the record that holds the moment, known for hours before."""
    at = _moment(at_s)
    (record,) = (
        record
        for record in _records(seed, at - 3 * DAY, at)
        if record.zone == zone.name and record.start_at <= at < record.start_at + DAY
    )
    assert record.prices[(at - record.start_at) // record.resolution.length] == price_at(seed, zone, at_s)


@given(SEEDS, MOMENTS)
def test_records_decode_as_they_are(seed: int, at_s: int) -> None:
    """What is told is a price record by the contract, on the quarter-hour grid."""
    for record in _records(seed, _moment(at_s) - DAY, _moment(at_s)):
        assert msgspec.json.decode(codec.encode(record), type=PriceRecord) == record
        assert record.start_at.timestamp() % 900 == 0
