"""Charge rates within one quarter-hour: which of them are worth keeping.

A rate fills the time that no counter covers. Of each minute the first and the last are kept, and hardly any from
between counter readings; what is kept depends on what was told, and not on the order in which it came.
"""

from itertools import pairwise
from typing import Final

from sessions.counters import Reading
from sessions.grid import MINUTE_US

# Counter readings at most so far apart leave nothing to the rates between them, whatever the readings are worth.
CLOSE_US: Final = 5 * MINUTE_US

# When (µs), and how much (W).
Rate = tuple[int, int]


def put_rate(rates: tuple[Rate, ...], at_us: int, rate_w: int) -> tuple[Rate, ...]:
    """The rates with another one; of two for one moment the higher is the later. The same object if that is no news."""
    new, minute = (at_us, rate_w), at_us // MINUTE_US
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

    Of the minute in which such readings begin, and before them, only the first rate is kept: the last of that minute
    may be gone, and it would not do if another one took its place.
    """
    first, last = counters[max(len(counters) - 2, 0)], counters[-1]
    if _is_close(first, last) and rates[0][0] >= first[0] and rates[-1][0] <= last[0]:
        return rates[-1:]
    for first_us, last_us in _close_spans(counters):
        following_us = [at_us for at_us, _ in rates[1:]] + [last_us + 1]
        minutes = [0, *(at_us // MINUTE_US for at_us, _ in rates)]
        rates = tuple(
            rate
            for number, rate in enumerate(rates)
            if following_us[number] > last_us
            or (rate[0] < first_us and not minutes[number] == minutes[number + 1] == first_us // MINUTE_US)
        )
    return rates


def _is_close(before: Reading, after: Reading) -> bool:
    return after[2] or after[0] - before[0] <= CLOSE_US


def _close_spans(counters: tuple[Reading, ...]) -> list[tuple[int, int]]:
    """The first and the last time of counter readings that follow each other closely."""
    spans = [(counters[0][0], counters[0][0])]
    for before, after in pairwise(counters):
        if _is_close(before, after):
            spans[-1] = (spans[-1][0], after[0])
        else:
            spans.append((after[0], after[0]))
    return spans
