"""Which whole quarter-hours, and what part of one more, carry an amount of charging at the least cost.

Decides within a stretch of full quarter-hours; what happens at its edges is told. A part needs a neighbour that is
taken whole to lean on, or it must be the last of all.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, log10
from typing import Final, NamedTuple

QUARTER_US: Final = 15 * 60 * 1_000_000
# An interval's place lies in the low bits of its key; a week has 672.
_PLACE: Final = 0x3FF
# Room below a key's price for the sum of place x microseconds over 7 days: less than 2 ** 49.
_PRICE_SHIFT: Final = 50
# Prices count as whole numbers of so many digits: finer than any market, and what costs the same in decimals is a tie.
_PRICE_DIGITS: Final = 14
# The scale that makes them whole must be a double itself.
_SCALE_DIGITS_LIMIT: Final = 300


def price_keys(prices: Sequence[float]) -> list[int]:
    """Each price with its place below it: the smaller sum of key x time is the cheaper and, of equals, the earlier."""
    highest = max(map(abs, prices))
    digits = ceil(log10(highest)) if highest else 0
    scale = 10.0 ** min(_PRICE_DIGITS - digits, _SCALE_DIGITS_LIMIT)
    return [(round(price * scale) << _PRICE_SHIFT) + place for place, price in enumerate(prices)]


def flags(places: Sequence[int], count: int) -> bytearray:
    """A 1 for each of the places; one 0 more at the end, which is also what place -1 finds."""
    marked = bytearray(count + 1)
    for place in places:
        marked[place] = 1
    return marked


class Found(NamedTuple):
    cost: int
    whole: list[int]
    part: int | None


class _Change(NamedTuple):
    """One way to place the part: at `place`; `out` is no longer taken whole, `enters` is. `extra`: what it adds."""

    extra: int
    place: int
    out: int | None = None
    enters: int | None = None


class QuarterChoice:
    """The full quarter-hours between the edges, from place `low` on: which of them carry an amount of charging."""

    def __init__(self, keys: list[int], low: int) -> None:
        self.keys = keys
        self.low = low
        self.high = len(keys) - 2
        self.ordered = sorted(keys[low:-1])
        self.sums = [0, *accumulate(self.ordered)]

    def bound(self, rest_us: int) -> int | None:
        """What the amount costs at least; None where it does not fit."""
        count, part_us = divmod(rest_us, QUARTER_US)
        if rest_us < 0 or count + (part_us > 0) > len(self.ordered):
            return None
        return self.sums[count] * QUARTER_US + (self.ordered[count] * part_us if part_us else 0)

    def best(self, rest_us: int, leans: tuple[bool, bool]) -> Found:
        """The best for an amount that fits: the cheapest whole ones and a part, or one exchange away from these.

        `leans`: whether the interval before, and the one after, are taken whole, so that a part may lean on it. More
        exchanges never pay: the part needs one neighbour taken whole, or to be the last, and no more.
        """
        count, part_us = divmod(rest_us, QUARTER_US)
        chosen = self.ordered[:count]
        base = self.sums[count] * QUARTER_US
        if not part_us:
            return Found(base, [key & _PLACE for key in chosen], None)
        used = flags([key & _PLACE for key in chosen], len(self.keys))
        used[self.low - 1], used[self.high + 1] = leans
        change = self._leaning(count, part_us, used)
        if count and change.place != self.ordered[count] & _PLACE:
            change = self._paired(count, part_us, used, self._swapped(count, part_us, used, change))
        whole = [key & _PLACE for key in chosen if key != change.out]
        if change.enters is not None:
            whole.append(change.enters & _PLACE)
        return Found(base + change.extra, whole, change.place)

    def _leaning(self, count: int, part_us: int, used: bytearray) -> _Change:
        """The part beside one that is taken, or after all: there is always such a place."""
        latest = used.rfind(1)
        for key in self.ordered[count:]:
            place = key & _PLACE
            if used[place - 1] or used[place + 1] or place > latest:
                return _Change(key * part_us, place)
        raise AssertionError("the stretch is full")

    def _swapped(self, count: int, part_us: int, used: bytearray, best: _Change) -> _Change:
        """The next cheapest taken whole, and of a chosen one only the part: of the dearest that allows it."""
        latest = used.rfind(1)
        next_key = self.ordered[count]
        for key in reversed(self.ordered[:count]):
            place = key & _PLACE
            if used[place - 1] or used[place + 1] or place == latest:
                extra = next_key * QUARTER_US - key * (QUARTER_US - part_us)
                return _Change(extra, place, out=key, enters=next_key) if extra < best.extra else best
        return best

    def _paired(self, count: int, part_us: int, used: bytearray, best: _Change) -> _Change:
        """The dearest chosen one given up for another, with the part beside that."""
        worst, next_key = self.ordered[count - 1], self.ordered[count]
        for key in self.ordered[count:]:
            more = (key - worst) * QUARTER_US
            if more + next_key * part_us >= best.extra:
                break
            for place in ((key & _PLACE) - 1, (key & _PLACE) + 1):
                if self.low <= place <= self.high and not used[place]:
                    extra = more + self.keys[place] * part_us
                    if extra < best.extra:
                        best = _Change(extra, place, out=worst, enters=key)
        return best
