"""What one managed night cost, between the least and the most that the same energy could have cost until `readyBy`.

Only nights that nobody disturbed tell anything of a plan, and whose prices were all known at the plug-in.
"""

from typing import Final

from msgspec import Struct

from models.ids import Zone
from models.session import RegularTarget
from simulator.judge.course import Course
from simulator.judge.verdicts import Truth
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, HOUR_MS, QUARTER_MS, millis

# A car that needs more of its night than that at full power leaves a plan too little to choose.
_BUSY_SHARE: Final = 0.5


class Night(Struct, frozen=True):
    """Costs of one night's energy: as it was, and at the cheapest and at the dearest times there were."""

    cost: float
    least: float
    most: float

    @property
    def wasted(self) -> float:
        """The share of what could be saved that was not."""
        return (self.cost - self.least) / (self.most - self.least)


def night_of(course: Course, truth: Truth, market: Market) -> Night | None:
    """The night of a session that is over; null: it was none that could be planned."""
    part = truth.part
    policy, targets = part.policy, [target for _, _, target in course.in_force(part.started_ms, truth.ended_ms)]
    target = targets[0] if targets else None
    if policy is None or policy.zone is None or not isinstance(target, RegularTarget) or target.ready_by is None:
        return None
    ready_ms = millis(target.ready_by)
    is_plain = (
        target.source == "POLICY"
        and part.managed_ms == part.started_ms == part.plugged_in_ms
        and part.level_from >= target.battery_reserve
        and not (part.is_cut or part.is_doubtful or part.is_flat or part.replugs)
        and ready_ms <= truth.ended_ms
    )
    if not is_plain:
        return None
    prices = _prices(market, policy.zone, part.started_ms, ready_ms)
    energies = list(part.by_quarter())
    if prices is None or any(quarter not in prices for quarter, _ in energies):
        return None
    total = sum(energy for _, energy in energies)
    free = [
        (prices[quarter], _room_kwh(truth, quarter, ready_ms))
        for quarter in sorted(prices, key=lambda quarter: prices[quarter])
    ]
    if total > sum(room for _, room in free) * _BUSY_SHARE:
        return None
    cost = sum(energy * prices[quarter] for quarter, energy in energies)
    return Night(cost, _filled(total, free), _filled(total, free[::-1]))


def _prices(market: Market, zone: Zone, from_ms: int, until_ms: int) -> dict[int, float] | None:
    """The prices of these quarter-hours; null: one of them was not known at the beginning as it was in the end."""
    prices: dict[int, float] = {}
    for quarter in range(from_ms // QUARTER_MS, -(-until_ms // QUARTER_MS)):
        known, price = market.price(zone, quarter, from_ms), market.price(zone, quarter, until_ms + 30 * DAY_MS)
        if price is None or known != price:
            return None
        prices[quarter] = price
    return prices


def _room_kwh(truth: Truth, quarter: int, ready_ms: int) -> float:
    free_ms = min(ready_ms, (quarter + 1) * QUARTER_MS) - max(truth.part.started_ms, quarter * QUARTER_MS)
    return truth.part.full_kw * free_ms / HOUR_MS


def _filled(total: float, free: list[tuple[float, float]]) -> float:
    """What energy costs that fills these quarter-hours one after another. Each: its price, and its room (kWh)."""
    cost = 0.0
    for price, room in free:
        taken = min(total, room)
        cost += taken * price
        total -= taken
    return cost
