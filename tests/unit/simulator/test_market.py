"""The market of the world whose truth is known."""

from datetime import UTC, datetime, timedelta

from models.prices import PriceRecord
from simulator.world.market import ZONES, Market
from simulator.world.moments import DAY_MS, millis

_CENTRE = ZONES[0]


def published(day: datetime, seed: int = 1, days: int = 6, *, is_calm: bool = True) -> list[PriceRecord]:
    start_ms = millis(day)
    return Market(seed, start_ms, is_calm=is_calm).publish(start_ms + days * DAY_MS)


def test_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    """The record of a local day has as many prices as the day has intervals: 92, 96 or 100 quarter-hours."""
    spring = {
        len(record.prices) for record in published(datetime(2026, 3, 27, tzinfo=UTC)) if record.zone == _CENTRE.name
    }
    autumn = {
        len(record.prices) for record in published(datetime(2026, 10, 23, tzinfo=UTC)) if record.zone == _CENTRE.name
    }
    assert (spring, autumn) == ({92, 96}, {96, 100})


def test_calm_days_follow_one_another_without_a_gap() -> None:
    """Each day's record begins where that of the day before ends."""
    records = [record for record in published(datetime(2026, 3, 27, tzinfo=UTC)) if record.zone == _CENTRE.name]
    ends = [record.start_at + len(record.prices) * record.resolution.length for record in records]
    assert ends[:-1] == [record.start_at for record in records[1:]]


def test_some_days_are_missing_late_or_corrected() -> None:
    """Of many days a few have no prices, a few are told late, and a few are told twice."""
    records = [
        record
        for record in published(datetime(2026, 1, 5, tzinfo=UTC), days=200, is_calm=False)
        if record.zone == _CENTRE.name
    ]
    days = [record.start_at.astimezone(_CENTRE.clock).date() for record in records]
    assert len(set(days)) < (max(days) - min(days)).days + 1
    assert len(days) > len(set(days))
    assert any(record.at > record.start_at - timedelta(hours=6) for record in records)
    assert any(price < 0 for record in records for price in record.prices)


def test_a_price_is_known_from_its_time_on_and_a_correction_replaces_it() -> None:
    """A quarter-hour's price is that of the newest record known by then; before the first there is none."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    market = Market(1, millis(start))
    records = market.publish(millis(start) + 30 * DAY_MS)
    by_start = {(record.zone, record.start_at) for record in records}
    twice = next(
        record
        for record in records
        if sum(
            other.zone == record.zone
            and other.start_at <= record.start_at < other.start_at + len(other.prices) * other.resolution.length
            for other in records
        )
        > 1
    )
    first = next(
        other
        for other in records
        if other is not twice
        and other.zone == twice.zone
        and other.at < twice.at
        and other.start_at <= twice.start_at < other.start_at + len(other.prices) * other.resolution.length
    )
    quarter = millis(twice.start_at) // 900_000
    assert len(by_start) > 90
    assert market.price(twice.zone, quarter, millis(first.at) - 1) is None
    assert (
        market.price(twice.zone, quarter, millis(twice.at) - 1)
        == first.prices[(twice.start_at - first.start_at) // first.resolution.length]
    )
    assert market.price(twice.zone, quarter, millis(twice.at)) == twice.prices[0]
