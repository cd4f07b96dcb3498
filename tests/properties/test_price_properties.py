"""Laws of prices for any history of records: what is asked of the book is what reading them one by one tells."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prices import Resolution
from tests.builders import minute
from tests.properties.histories import CHECK
from tests.support.price_records import FIRST, NORTH, Told, price_book, price_record, read_off, read_off_planning

_PRICES: Final = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.25, 3.0]), min_size=1, max_size=120)
_TIMES: Final = st.integers(0, 20)
_TOLD: Final = st.builds(
    Told,
    start=st.integers(-800, 300),
    prices=_PRICES,
    known_at=_TIMES,
    resolution=st.sampled_from(Resolution),
    currency=st.sampled_from(["EUR", "EUR", "DKK"]),
    zone=st.just(NORTH),
)


@CHECK
@given(st.lists(_TOLD, max_size=12), st.integers(-100, 300), st.integers(0, 200), _TIMES)
def test_prices_as_read_off(records: list[Told], first: int, count: int, at: int) -> None:
    """The book tells of any window, at any moment, what the records say one by one, stand-ins included."""
    book = price_book(*records)
    found = read_off(records, at)
    window = range(first, first + count)
    known = [found[quarter][0] if quarter in found else None for quarter in window]
    assert book.known(NORTH, FIRST + first, count, minute(at)) == known
    currencies = {found[quarter][1] for quarter in window if quarter in found}
    assert book.currencies(NORTH, [FIRST + quarter for quarter in window], minute(at)) == currencies
    planned = book.planning(NORTH, FIRST + first, count, minute(at))
    expected = read_off_planning(records, first, count, at)
    if count and expected is not None:
        assert planned == pytest.approx(expected, rel=1e-12)
    elif count:
        assert planned is None


@CHECK
@given(st.lists(st.tuples(_TOLD, st.booleans()), min_size=2, max_size=8), _TIMES)
def test_asking_changes_nothing(history: list[tuple[Told, bool]], at: int) -> None:
    """What the book tells does not depend on when it was asked before, nor on the order in which records came."""
    asked = price_book()
    for told, is_asked in history:
        asked.add(price_record(told), minute(told.known_at))
        if is_asked:
            asked.planning(NORTH, FIRST, 50, minute(at))
    records = [told for told, _ in history]
    by_time = sorted(records, key=lambda told: told.known_at)
    window = (NORTH, FIRST - 300, 600, minute(at))
    assert asked.known(*window) == price_book(*records).known(*window) == price_book(*by_time).known(*window)
