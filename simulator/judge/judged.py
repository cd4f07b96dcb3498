"""One car, its feed, and what the judge holds against both."""

from collections.abc import Callable

from models.ids import PolicyId
from simulator.feeds.feed import Feed
from simulator.feeds.teller import Teller
from simulator.judge.findings import Finding
from simulator.judge.laws import Ledger
from simulator.judge.truth import Comparison
from simulator.world.car import Car


class JudgedCar(Teller):
    """`ledger`: all that was published of it. `comparison`: its truth beside its sessions."""

    __slots__ = ("comparison", "ledger")

    def __init__(self, car: Car, feed: Feed, comparison: Comparison, report: Callable[[Finding], None]) -> None:
        super().__init__(car, feed)
        self.ledger = Ledger(car.person.vehicle_id, report, is_ordered=feed.is_ordered)
        self.comparison = comparison

    def enabled(self) -> list[PolicyId]:
        """The policies that are enabled by now."""
        return [policy.id for policy in self.car.oracle.policies.values() if policy.is_enabled]
