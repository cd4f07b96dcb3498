"""The cheapest charging by brute force: every way to charge or not in each small unit of time, one after the other.

Slow and obvious, and independent of the planner: it knows no quarter-hours and no search, only units of equal length,
their prices, and how long a run of charging must last. It is exact where every bound of a best plan lies on a unit.
"""

from collections.abc import Sequence
from math import inf

from msgspec import Struct


class Task(Struct, frozen=True, kw_only=True):
    """Charge in `needed` of the units that `prices` stand for.

    A run of charging lasts `minimum` units or more (2 at least), but the last in time may be shorter. One from the
    first unit on continues charging that has lasted for `lasted` units already; `is_from_start`: it must not pause now.
    """

    prices: Sequence[float]
    needed: int
    minimum: int
    lasted: int = 0
    is_from_start: bool = False


def least_cost(task: Task) -> float:
    """The sum of prices of the units charged in, at best; infinite where there is no way.

    After each unit, the least cost is known for every number of units charged so far, in these situations: no charging
    now (`idle`), charging for r units now (`runs[r - 1]`), or for `minimum` or more (the last of `runs`).
    """
    assert task.minimum >= 2
    nowhere = [inf] * (task.needed + 1)
    idle = [0.0, *nowhere[1:]]
    runs = [nowhere for _ in range(task.minimum)]
    if task.lasted:
        runs[min(task.lasted, task.minimum) - 1] = idle
    best = inf
    for number, price in enumerate(task.prices):
        # What comes before one more unit charged: a pause, or a run that was shorter by one, or long already.
        before = [idle, *runs[:-2], list(map(min, runs[-2], runs[-1]))]
        idle = nowhere if number == 0 and task.is_from_start else list(map(min, idle, runs[-1]))
        runs = [[inf, *(cost + price for cost in costs[:-1])] for costs in before]
        best = min(best, *(costs[-1] for costs in runs))
    return best
