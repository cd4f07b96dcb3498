"""The session logic as the worker holds it: the pure functions with their rules and the prices known so far."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock

from models.ids import Zone
from sessions.events import Decision, Event, Rules
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from sessions.timers import Wake, wake


@dataclass
class SessionLogic:
    """What decides. `prices` grows while the worker runs: a price counts from the moment at which it became known.

    `lock`: held by the thread that takes and decides a batch, by one that asks vehicles anew, and by the one that adds
    prices. One decides at a time, which costs nothing where one thread computes at a time anyway, and lets each batch
    be decided before the next begins.
    """

    rules: Rules
    prices: PriceBook
    # How many records of each zone are in the book.
    price_counts: Counter[Zone] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def apply(self, vehicle: Vehicle, event: Event) -> Decision:
        """What an event changes."""
        return apply(vehicle, event, self.rules, self.prices)

    def wake(self, vehicle: Vehicle) -> Wake | None:
        """When the vehicle's next timer is due though it stays silent."""
        return wake(vehicle, self.rules, self.prices)
