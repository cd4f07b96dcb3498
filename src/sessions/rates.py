"""Charge rates within one quarter-hour: which of them are worth keeping.

A rate fills the time that no counter covers. Of each minute the first and the last are kept, and hardly any from
between counter readings; what is kept depends on what was told, and not on the order in which it came.
"""

from itertools import pairwise

from sessions.counters import Reading, is_close
from sessions.grid import MINUTE_US

# When (µs), and how much (W).
Rate = tuple[int, int]


def put_rate(rates: tuple[Rate, ...], at_us: int, rate_w: int) -> tuple[Rate, ...]:
    """The rates with another one; of two for one moment the higher is the later. The same object if that is no news."""
    new, minute = (at_us, rate_w), at_us // MINUTE_US
    if not rates or at_us > rates[-1][0]:
        is_third = len(rates) > 1 and rates[-2][0] // MINUTE_US == minute
        return (*(rates[:-1] if is_third else rates), new)
    place = len(rates)
    while place and rates[place - 1] >= new:
        place -= 1
    before, after = rates[:place], rates[place:]
    has_earlier = bool(before) and before[-1][0] // MINUTE_US == minute
    has_later = bool(after) and after[0][0] // MINUTE_US == minute
    if after[:1] == (new,) or (has_earlier and has_later):
        return rates
    if has_earlier and len(before) > 1 and before[-2][0] // MINUTE_US == minute:
        before = before[:-1]
    elif has_later and len(after) > 1 and after[1][0] // MINUTE_US == minute:
        after = after[1:]
    return (*before, new, *after)


def useful_rates(rates: tuple[Rate, ...], counters: tuple[Reading, ...]) -> tuple[Rate, ...]:
    """The rates without those from between close counter readings, but for the newest there.

    Only whole minutes between them are cleared: where a minute keeps some of its rates, the others must not come back.
    """
    for first_us, last_us in _close_spans(counters):
        cleared_us = (first_us // MINUTE_US + 1) * MINUTE_US, last_us // MINUTE_US * MINUTE_US
        newest = len(rates) - 1
        while newest > 0 and rates[newest][0] > last_us:
            newest -= 1
        start = 0
        while start < newest and rates[start][0] < cleared_us[0]:
            start += 1
        end = start
        while end < newest and rates[end][0] < cleared_us[1]:
            end += 1
        rates = rates[:start] + rates[end:] if end > start else rates
    return rates


def _close_spans(counters: tuple[Reading, ...]) -> list[tuple[int, int]]:
    """The first and the last time of counter readings that follow each other closely."""
    if len(counters) == 2:
        # The usual case, at once.
        first, last = counters
        return [(first[0], last[0])] if is_close(first, last) else []
    spans: list[tuple[int, int]] = []
    for before, after in pairwise(counters):
        if is_close(before, after):
            first_us = spans.pop()[0] if spans and spans[-1][1] == before[0] else before[0]
            spans.append((first_us, after[0]))
    return spans
