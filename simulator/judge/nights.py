"""Managed nights as they really went: was the car ready, and what did it cost against the best that could be done?

The best knows every price beforehand: the same energy, in the cheapest quarter-hours between the plug-in and `readyBy`,
each as full as the charger allows. Nights that need nothing or begin below the reserve, and those in which people did
what no plan could reckon with, are no test of one: they are left out, and counted by why. What lacks a price in the
end, or was drawn after `readyBy`, has no cost to compare.
"""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Final

from msgspec import Struct, field

from models.policy import VehiclePolicy
from models.zones import get_zone
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, millis, moment
from simulator.world.oracle import TruePart

# From the plug to full power, commands on their way, a start that is refused once: what no plan can use.
_LOST_MS: Final = 30 * MINUTE_MS
_SHORT_PERCENT: Final = 0.5


class NightCount(Struct, kw_only=True):
    """`possible` nights, of which `met` were ready in time; `cost` of the `priced` ones, and the `best` there was.

    `left_out`: the other nights that a policy managed up to its deadline, by why.
    """

    possible: int = 0
    met: int = 0
    priced: int = 0
    cost: float = 0.0
    best: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)

    def plus(self, other: "NightCount") -> "NightCount":
        """Both together."""
        return NightCount(
            possible=self.possible + other.possible,
            met=self.met + other.met,
            priced=self.priced + other.priced,
            cost=self.cost + other.cost,
            best=self.best + other.best,
            left_out=self.left_out + other.left_out,
        )


class Nights:
    """The nights of a run, counted."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.count = NightCount()

    def add(self, part: TruePart) -> None:
        """Take a part that is over."""
        policy = part.policy
        due = None if policy is None else _deadline(policy, part.started_ms)
        if policy is None or due is None:
            return
        ready_ms, goal = due[0], min(due[1], part.limit_percent)
        cause = _left_out(part, policy, ready_ms, goal)
        if cause is not None:
            self.count.left_out[cause] += 1
            return
        self.count.possible += 1
        self.count.met += part.level_at(ready_ms) >= goal - _SHORT_PERCENT
        self._add_cost(part, policy, ready_ms)

    def _add_cost(self, part: TruePart, policy: VehiclePolicy, ready_ms: int) -> None:
        if policy.zone is None:
            return
        first, last = part.started_ms // QUARTER_MS, -(-ready_ms // QUARTER_MS)
        far_ms = ready_ms + 30 * DAY_MS
        prices = {quarter: self._market.price(policy.zone, quarter, far_ms) for quarter in range(first, last)}
        energies = list(part.by_quarter())
        if any(price is None for price in prices.values()) or any(quarter not in prices for quarter, _ in energies):
            return
        self.count.priced += 1
        left = sum(energy for _, energy in energies)
        self.count.cost += sum(energy * (prices[quarter] or 0.0) for quarter, energy in energies)
        for quarter in sorted(prices, key=lambda quarter: prices[quarter] or 0.0):
            free_ms = min(ready_ms, (quarter + 1) * QUARTER_MS) - max(part.started_ms, quarter * QUARTER_MS)
            taken = min(left, part.full_kw * free_ms / HOUR_MS)
            self.count.best += taken * (prices[quarter] or 0.0)
            left -= taken


def _left_out(part: TruePart, policy: VehiclePolicy, ready_ms: int, goal: float) -> str | None:  # noqa: PLR0911
    """Why the part is no test of a plan; null: it is one."""
    if part.is_cut or part.is_doubtful or part.started_ms != part.plugged_in_ms:
        return "policy or owner changed"
    if part.ended_ms is None or part.ended_ms < ready_ms:
        return "plug pulled"
    if part.meddled is not None:
        return part.meddled
    if part.is_flat:
        return "warmed"
    if part.level_from >= goal:
        return "needed nothing"
    if part.level_from < policy.battery_reserve:
        return "below the reserve"
    curve = part.curve
    if curve is None or part.started_ms + curve.seconds_to(part.level_from, goal) * 1_000 + _LOST_MS > ready_ms:
        return "too little time"
    return None


def _deadline(policy: VehiclePolicy, after_ms: int) -> tuple[int, float] | None:
    """When the car is wanted next (ms), and with how much (%); None: never."""
    clock, week = get_zone(policy.timezone_name), policy.schedule.by_weekday()
    today = moment(after_ms).astimezone(clock).date()
    for day in (today + timedelta(days=ahead) for ahead in range(8)):
        wish = week[day.weekday()]
        if wish is None:
            continue
        hour, minute = wish.deadline.split(":")
        due_ms = millis(datetime.combine(day, time(int(hour), int(minute)), clock).astimezone(UTC))
        if due_ms > after_ms:
            return due_ms, wish.minimum_charge_target
    return None
