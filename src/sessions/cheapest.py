"""The cheapest stretches of a window of quarter-hours: where to charge for so long, without blocks that are too short.

Decides by price and time alone, exactly; it must not know of energies, targets or vehicles. Times are whole
microseconds since the epoch.

The rules: charge for just so long within the window; of equal prices the earlier; every run of charging lasts a
quarter-hour at least, except the last in time, which finishes the job, and one from the window's start, which may
continue charging of before and then needs `first_min_us` only.

Some cheapest answer consists of whole intervals of the window (all are quarter-hours but the first and the last, which
the window clips), one interval taken in part, and perhaps a run from the window's start of just `first_min_us`: cost is
linear in every bound, and a run as long as an interval can be shifted onto the grid. So nothing else is looked at.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from sessions.quarter_choice import QUARTER_US, QuarterChoice, flags, price_keys

# 7 days.
WINDOW_LIMIT_QUARTERS: Final = 672

Run = tuple[int, int]


class Window(NamedTuple):
    """A stretch of time, and the price of each quarter-hour that it touches."""

    prices: Sequence[float]
    start_us: int
    end_us: int

    def bounds(self, place: int) -> Run:
        """From when to when the interval lasts."""
        opens_us = (self.start_us // QUARTER_US + place) * QUARTER_US
        return max(opens_us, self.start_us), min(opens_us + QUARTER_US, self.end_us)

    def cost(self, runs: Sequence[Run]) -> float:
        """Price x microseconds of runs within the window."""
        prices, origin = self.prices, self.start_us // QUARTER_US
        total = 0.0
        for start_us, end_us in runs:
            first, since_us = divmod(start_us, QUARTER_US)
            last, until_us = divmod(end_us, QUARTER_US)
            total += sum(prices[first - origin : last - origin]) * QUARTER_US - prices[first - origin] * since_us
            if until_us:
                total += prices[last - origin] * until_us
        return total


class Cheapest:
    """Where to charge for `charge_us` in a window that holds so much; it is more than 0.

    `first_min_us`: how long a run from the window's start must last, a quarter-hour at most.
    """

    def __init__(self, window: Window, charge_us: int) -> None:
        self.window = window
        self.charge_us = charge_us
        self.lengths = [QUARTER_US] * len(window.prices)
        for place in (0, len(window.prices) - 1):
            opens_us, closes_us = window.bounds(place)
            self.lengths[place] = closes_us - opens_us

    def runs(self, first_min_us: int) -> list[Run]:
        """The runs that cost least."""
        taken = self._unruled
        if not _is_allowed(taken, self.lengths[0], len(self.lengths), first_min_us):
            taken = _Search(self, first_min_us).best(is_from_start=False)
        return _runs(self.window, taken, first_min_us)

    def runs_from_start(self, first_min_us: int) -> list[Run]:
        """The same, of all that charge from the window's start on, for `first_min_us` (more than 0) at least."""
        return _runs(self.window, _Search(self, first_min_us).best(is_from_start=True), first_min_us)

    def least_cost_from_start(self, first_us: int) -> float:
        """A lower bound, quick to find: no runs that charge for `first_us` from the start on cost less.

        The runs that know no rule cost least of all; they give up their dearest `first_us` for those at the start.
        """
        prices, unruled = self.window.prices, self._unruled
        cost = sum(prices[place] * self.lengths[place] for place in unruled.whole)
        dearest = prices[unruled.whole[-1] if unruled.part is None else unruled.part]
        at_start = (self.window.start_us, self.window.start_us + first_us)
        return cost + dearest * (unruled.part_us - first_us) + self.window.cost([at_start])

    @cached_property
    def _unruled(self) -> "_Taken":
        """The cheapest time, the dearest last, were there no rule of how long a run must last."""
        left_us, lengths = self.charge_us, self.lengths
        whole: list[int] = []
        # The sort is stable: of equal prices the earlier comes first.
        for place in sorted(range(len(lengths)), key=self.window.prices.__getitem__):
            if lengths[place] > left_us:
                break
            whole.append(place)
            left_us -= lengths[place]
        return _Taken(whole, place if left_us else None, left_us, 0)

    @cached_property
    def keys(self) -> list[int]:
        """By which costs are summed and compared: see `price_keys`."""
        return price_keys(self.window.prices)

    @cached_property
    def from_second(self) -> QuarterChoice:
        """All between the first and the last interval."""
        return QuarterChoice(self.keys, 1)

    @cached_property
    def from_third(self) -> QuarterChoice:
        """The same without the second."""
        return QuarterChoice(self.keys, 2)


class _Taken(NamedTuple):
    """Intervals taken whole, one taken for `part_us`, and a run from the start of just `tight_us` (0: none)."""

    whole: list[int]
    part: int | None
    part_us: int
    tight_us: int


def _is_allowed(taken: _Taken, first_us: int, count: int, first_min_us: int) -> bool:
    """Tell whether no run but the last is too short. Whole intervals are long enough, but for the first."""
    used = flags(taken.whole, count)
    part, part_us = taken.part, taken.part_us
    if used[0] and first_us < first_min_us and not used[1]:
        run_us = first_us + (part_us if part == 1 else 0)
        is_all = sum(used) == 1 and part in {None, 1}
        if run_us < first_min_us and not is_all:
            return False
    if part is None or used[part - 1] or used[part + 1]:
        return True
    return used.find(1, part) < 0 or (part == 0 and part_us >= first_min_us)


def _runs(window: Window, taken: _Taken, first_min_us: int) -> list[Run]:
    """The runs in order of time. The part leans on a whole neighbour, on the one before it if it can."""
    origin_us = window.start_us // QUARTER_US * QUARTER_US
    opens = [origin_us + place * QUARTER_US for place in taken.whole]
    pieces = [(opens_us, opens_us + QUARTER_US) for opens_us in opens]
    if taken.tight_us:
        pieces.append((window.start_us, window.start_us + taken.tight_us))
    part, part_us = taken.part, taken.part_us
    if part is not None:
        used = flags(taken.whole, len(window.prices))
        opens_us, closes_us = window.bounds(part)
        leans_back = part_us >= first_min_us if part == 0 else used[part - 1]
        is_late = used[part + 1] and not leans_back
        pieces.append((closes_us - part_us, closes_us) if is_late else (opens_us, opens_us + part_us))
    return [(max(a, window.start_us), min(b, window.end_us)) for a, b in _joined(pieces)]


def _joined(pieces: list[Run]) -> Iterator[Run]:
    """Pieces that touch as one run, in order of time."""
    pieces.sort()
    start_us, end_us = pieces[0]
    for opens_us, closes_us in pieces:
        if opens_us > end_us:
            yield start_us, end_us
            start_us = opens_us
        end_us = closes_us
    yield start_us, end_us


class _Edges(NamedTuple):
    """What is taken of the clipped first and last interval, and of the second as far as the first needs it.

    `rest_us` is left for the quarter-hours from place `low` on; `leans_low`, `leans_high`: the interval before, or
    after these is taken whole, so that a part may lean on it.
    """

    cost: int
    whole: tuple[int, ...]
    part: tuple[int, int] | None
    tight_us: int
    low: int
    rest_us: int
    leans_low: bool = False
    leans_high: bool = False


class _Search:
    """All cases of the edges, each with the best that the quarter-hours between them can do."""

    def __init__(self, asked: Cheapest, first_min_us: int) -> None:
        self.asked = asked
        self.lengths = asked.lengths
        self.keys = asked.keys
        self.charge_us = asked.charge_us
        self.first_min_us = first_min_us

    def best(self, *, is_from_start: bool) -> _Taken:
        at_once = self._at_once()
        best_cost, best = self._whole_cost(at_once.whole), at_once
        if at_once.part is not None:
            best_cost += self.keys[at_once.part] * at_once.part_us
        cases = []
        for edges in self._cases(is_from_start=is_from_start):
            bound = self._between(edges).bound(edges.rest_us)
            if bound is not None:
                cases.append((bound + edges.cost, edges))
        for bound, edges in sorted(cases, key=lambda case: case[0]):
            if bound >= best_cost:
                break
            found = self._between(edges).best(edges.rest_us, leans=(edges.leans_low, edges.leans_high))
            if found.cost + edges.cost < best_cost:
                best_cost = found.cost + edges.cost
                part, part_us = edges.part or (found.part, edges.rest_us % QUARTER_US)
                best = _Taken([*edges.whole, *found.whole], part, part_us, edges.tight_us)
        return best

    def _between(self, edges: _Edges) -> QuarterChoice:
        return self.asked.from_second if edges.low == 1 else self.asked.from_third

    def _at_once(self) -> _Taken:
        """Charging from the start without a pause: always allowed."""
        left_us = self.charge_us
        for place, length_us in enumerate(self.lengths):
            if length_us > left_us:
                return _Taken(list(range(place)), place if left_us else None, left_us, 0)
            left_us -= length_us
        return _Taken(list(range(len(self.lengths))), None, 0, 0)

    def _cases(self, *, is_from_start: bool) -> Iterator[_Edges]:
        last = len(self.lengths) - 1
        if last == 0:
            return
        last_us = self.lengths[last]
        for left in self._left_cases(is_from_start=is_from_start):
            rest_us = self.charge_us - left.rest_us
            yield left._replace(rest_us=rest_us)
            if rest_us >= last_us:
                cost = left.cost + self.keys[last] * last_us
                whole = (*left.whole, last)
                yield left._replace(cost=cost, whole=whole, rest_us=rest_us - last_us, leans_high=True)
            part_us = rest_us % QUARTER_US
            if 0 < part_us < last_us:
                cost = left.cost + self.keys[last] * part_us
                yield left._replace(cost=cost, part=(last, part_us), rest_us=rest_us - part_us)
        yield from self._split_first(0, (), self.charge_us, is_from_start=is_from_start)
        cost = self.keys[last] * last_us
        yield from self._split_first(cost, (last,), self.charge_us - last_us, is_from_start=is_from_start)

    def _left_cases(self, *, is_from_start: bool) -> Iterator[_Edges]:
        """The first interval not taken, taken whole, or for a run of just the least length; `rest_us`: how long."""
        first_us, least_us, keys = self.lengths[0], self.first_min_us, self.keys
        has_second = len(keys) > 2
        if not is_from_start:
            yield _Edges(0, (), None, 0, 1, 0)
        if first_us >= least_us:
            yield _Edges(keys[0] * first_us, (0,), None, 0, 1, first_us, leans_low=True)
            if least_us:
                yield _Edges(keys[0] * least_us, (), None, least_us, 1, least_us)
        elif has_second:
            taken_us = first_us + QUARTER_US
            yield _Edges(self._whole_cost((0, 1)), (0, 1), None, 0, 2, taken_us, leans_low=True)
            cost = keys[0] * first_us + keys[1] * (least_us - first_us)
            yield _Edges(cost, (), None, least_us, 2, least_us)

    def _split_first(self, cost: int, whole: tuple[int, ...], rest_us: int, *, is_from_start: bool) -> Iterator[_Edges]:
        """The first interval taken in part, or taken whole with a part of the second; what is left are whole ones."""
        first_us, least_us, keys = self.lengths[0], self.first_min_us, self.keys
        has_second = len(keys) > 2
        part_us = rest_us % QUARTER_US
        if 0 < part_us < first_us:
            cost_first = cost + keys[0] * part_us
            if part_us >= least_us:
                yield _Edges(cost_first, whole, (0, part_us), 0, 1, rest_us - part_us)
            elif has_second and not is_from_start:
                cost_both = cost_first + keys[1] * QUARTER_US
                yield _Edges(cost_both, (*whole, 1), (0, part_us), 0, 2, rest_us - part_us - QUARTER_US)
        part_us = (rest_us - first_us) % QUARTER_US
        if has_second and 0 <= least_us - first_us <= part_us and part_us:
            cost_both = cost + keys[0] * first_us + keys[1] * part_us
            yield _Edges(cost_both, (*whole, 0), (1, part_us), 0, 2, rest_us - first_us - part_us)

    def _whole_cost(self, places: Sequence[int]) -> int:
        return sum(self.keys[place] * self.lengths[place] for place in places)
