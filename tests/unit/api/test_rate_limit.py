"""The bucket of each token."""

import pytest

from api import rate_limit
from api.rate_limit import RateLimit


def test_burst_then_rate() -> None:
    """A rested token may ask `burst` times at once, then at the steady rate, and is told when."""
    limit = RateLimit(10, 5)
    assert [limit.take(b"a", 0) for _ in range(5)] == [0] * 5
    assert limit.take(b"a", 0) == pytest.approx(0.1)
    assert limit.take(b"a", 0.1) == 0
    assert limit.take(b"a", 0.15) == pytest.approx(0.05)


def test_tokens_do_not_share() -> None:
    """What one token used up, another still has."""
    limit = RateLimit(1, 1)
    assert limit.take(b"a", 0) == 0
    assert limit.take(b"a", 0) > 0
    assert limit.take(b"b", 0) == 0


def test_a_long_rest_saves_no_more_than_the_burst() -> None:
    """However long a token rests, no more than `burst` requests pass at once."""
    limit = RateLimit(10, 3)
    limit.take(b"a", 0)
    assert [limit.take(b"a", 1_000_000) > 0 for _ in range(4)] == [False, False, False, True]


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens come, only so many are remembered, the latest ones."""
    monkeypatch.setattr(rate_limit, "_BUCKETS_LIMIT", 3)
    limit = RateLimit(1, 1)
    for key in (b"a", b"b", b"c", b"d"):
        limit.take(key, 0)
    assert list(limit._buckets) == [b"b", b"c", b"d"]
