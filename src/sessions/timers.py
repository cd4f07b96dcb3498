"""When a silent vehicle has to be woken: the time at which the next of its timers is due.

Live, a timer of the plug waits beyond its due time for as long as the vehicle's newest message took to arrive, 30 min
at most: the next message may be as late. The other timers run on the vehicle's own time, which goes on from its newest
message as wall time passes: a replay of old telemetry into a live system must not find years of silence.
"""

from datetime import datetime

from msgspec import Struct

from sessions.events import Rules
from sessions.prices import PriceBook
from sessions.state import Vehicle
from sessions.visits import next_timer_at


class Wake(Struct, frozen=True):
    """`due_at`: by the vehicle's own time. `delay_s`: how much later that is by the wall."""

    due_at: datetime
    delay_s: float


def wake(vehicle: Vehicle, rules: Rules, prices: PriceBook) -> Wake | None:
    """When the vehicle's next timer fires though it stays silent; None: it has none."""
    due_at = next_timer_at(vehicle, rules)
    return None if due_at is None else Wake(due_at, vehicle.delay_s)
