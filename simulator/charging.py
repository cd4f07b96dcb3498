"""When a plugged-in vehicle takes power: at once, in the cheapest quarter-hours before it leaves, or as it was told.

The smart wall box knows the published prices and its household's wish, and nothing else.
"""

import math
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from simulator.households import Household
from simulator.prices import QUARTER_S, price_at

# Spare time before the deadline, and spare energy for a charge that slows down near the top.
_DONE_BEFORE_S: Final = 900
_SPARE: Final = 1.1

Span = tuple[int, int]


class Charging(Struct, frozen=True):
    """Power flows within the spans (from, up to and not including; seconds since 1970) until the level is reached."""

    spans: tuple[Span, ...]
    until_percent: float

    def is_on(self, at_s: int) -> bool:
        """Tell whether power may flow at this moment."""
        return any(start_s <= at_s < end_s for start_s, end_s in self.spans)

    def next_bound_s(self, after_s: int) -> int | None:
        """When that changes next."""
        return min((bound_s for span in self.spans for bound_s in span if bound_s > after_s), default=None)


OFF: Final = Charging((), 0.0)


def cheapest(owner: Household, level_percent: float, from_s: int) -> Charging:
    """What the smart wall box does: to the reserve at once, then the cheapest quarter-hours before the deadline."""
    reserve_percent = min(owner.reserve_percent, owner.target_percent)
    reserve_s = from_s + math.ceil(owner.curve.seconds_to(level_percent, reserve_percent))
    needed_s = owner.curve.seconds_to(max(level_percent, reserve_percent), owner.target_percent) * _SPARE
    first_s = -(-reserve_s // QUARTER_S) * QUARTER_S
    quarters = range(first_s, owner.ready_by_s(from_s) - _DONE_BEFORE_S - QUARTER_S + 1, QUARTER_S)
    by_price = sorted(quarters, key=lambda start_s: price_at(owner.seed, owner.price_zone, start_s))
    chosen = sorted(by_price[: math.ceil(needed_s / QUARTER_S)])
    spans = [(from_s, reserve_s), *((start_s, start_s + QUARTER_S) for start_s in chosen)]
    return Charging(_joined(spans), owner.target_percent)


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans without those of no length, and with those that touch made one."""
    joined: list[Span] = []
    for start_s, end_s in spans:
        if joined and joined[-1][1] == start_s:
            joined[-1] = (joined[-1][0], end_s)
        elif end_s > start_s:
            joined.append((start_s, end_s))
    return tuple(joined)
