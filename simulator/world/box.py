"""A smart wall box: in a past in which nobody could command it, it charges in the cheapest hours before the deadline.

It knows the prices that are public at the plug-in and its owner's policy, and nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final, Protocol

from models.command import Action
from models.ids import Zone
from models.policy import VehiclePolicy
from models.zones import get_zone
from simulator.world.battery import ChargeCurve
from simulator.world.market import Market
from simulator.world.moments import MINUTE_MS, QUARTER_MS, SECOND_MS, millis, moment

# Charger and car have agreed by then.
_READY_MS: Final = MINUTE_MS
# Spare time before the deadline, and spare energy for a charge that slows down near the top.
_DONE_BEFORE_MS: Final = 15 * MINUTE_MS
_SPARE: Final = 1.1

Span = tuple[int, int]
Order = tuple[int, Action]  # from when (ms) on, and what


class Box(Protocol):
    """A charger with a mind of its own."""

    def plan(self, policy: VehiclePolicy, at_ms: int, level: float, curve: ChargeCurve) -> list[Order] | None:
        """What it is going to do in a visit that begins now, in order of time; null: it leaves that to others."""
        ...


class SmartBox:
    """Boxes of all cars. `pasts`: the spans (ms) in which they act; from the end of the last one on, others command."""

    def __init__(self, market: Market, pasts: Sequence[Span]) -> None:
        self._market = market
        self._pasts = pasts

    def plan(
        self, policy: VehiclePolicy, at_ms: int, level: float, curve: ChargeCurve
    ) -> list[tuple[int, Action]] | None:
        """When it switches in a visit that begins now at that level in %; null: it charges at once."""
        wish = _next_wish(policy, at_ms)
        if wish is None or policy.zone is None or not any(start <= at_ms < end for start, end in self._pasts):
            return None
        deadline_ms, target = wish
        reserve = min(policy.battery_reserve, target)
        ready_ms = at_ms + _READY_MS
        reserve_ms = ready_ms + int(curve.seconds_to(level, reserve) * SECOND_MS)
        needed_ms = curve.seconds_to(max(level, reserve), target) * _SPARE * SECOND_MS
        quarters = range(-(-reserve_ms // QUARTER_MS), (deadline_ms - _DONE_BEFORE_MS) // QUARTER_MS)
        priced = self._priced(policy.zone, quarters, at_ms)
        count = int(-(-needed_ms // QUARTER_MS))
        if len(priced) < count:
            return None
        chosen = sorted(quarter for _, quarter in sorted(priced)[:count])
        spans = [(ready_ms, reserve_ms), *((each * QUARTER_MS, (each + 1) * QUARTER_MS) for each in chosen)]
        return [order for span in _joined(spans) for order in zip(span, (Action.START, Action.STOP), strict=True)]

    def _priced(self, zone: Zone, quarters: Iterable[int], at_ms: int) -> list[tuple[float, int]]:
        known = ((self._market.price(zone, quarter, at_ms), quarter) for quarter in quarters)
        return [(price, quarter) for price, quarter in known if price is not None]


def _next_wish(policy: VehiclePolicy, at_ms: int) -> tuple[int, float] | None:
    """The next deadline (ms) of the schedule, and its target in %; null where there is none within a day."""
    schedule, clock = policy.schedule, get_zone(policy.timezone_name)
    today = moment(at_ms).astimezone(clock).date()
    for day in (today, today + timedelta(days=1)):
        wish = schedule.by_weekday()[day.weekday()]
        if wish is None:
            continue
        wall = datetime.combine(day, time.fromisoformat(wish.deadline), clock)
        if (due_ms := millis(wall.astimezone(UTC))) > at_ms:
            return due_ms, wish.minimum_charge_target
    return None


def _joined(spans: Sequence[Span]) -> list[Span]:
    """The spans without those of no length, and with those that touch made one."""
    kept = [span for span in spans if span[1] > span[0]]
    starts = [span[0] for one, span in pairwise([(0, 0), *kept]) if one[1] != span[0]]
    ends = [one[1] for one, span in pairwise([*kept, (0, 0)]) if one[1] != span[0]]
    return list(zip(starts, ends, strict=True))
