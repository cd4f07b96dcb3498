"""The energy of a visit's part, as far as its readings have been walked.

Each stretch of time has one source: the difference of two counter readings of one run; where none covers it, the rate,
held to the next one; else the rise of the level. A better source that comes later replaces the worse for its stretch:
so beside the energies stands what may still be replaced, and from where the next source goes on.
"""

from collections.abc import Callable
from itertools import zip_longest

from msgspec import Struct, structs

from sessions.counters import Run
from sessions.grid import QUARTER_US, Span, SpanUs
from sessions.levels import Rise


class Frame(Struct, frozen=True):
    """What bounds a part while it is walked.

    Readings before `baseline_us` say nothing of it; those before `open_us` only tell where its counter stands. States
    up to `states_after_us` have been taken. `limit_wh`: more than its battery takes. `planned`: see `totals.Context`.
    `first_level`: when and with which level it begins.
    """

    started_us: int
    baseline_us: int
    open_us: int
    states_after_us: int
    unplugged_us: int | None
    limit_wh: float
    wh_per_percent: float
    planned: Callable[[], tuple[Span, ...]] = tuple
    first_level: tuple[int, float] | None = None


# From when to when, and whether the vehicle was known to charge (null: nobody said).
Bare = tuple[int, int, bool | None]


class Charging(Struct, frozen=True, array_like=True):
    """Whether the vehicle charges (null: nobody said), since when, and when it did before."""

    is_on: bool | None = None
    since_us: int = 0
    spans: tuple[SpanUs, ...] = ()


class Energy(Struct, frozen=True, array_like=True):
    """How far a walk has come. Quarter-hours count since 1970.

    `tail_wh`: the energies from the quarter-hour `tail_from` on; those before it cannot change any more. `sum_wh`: of
    the whole part. `worse`: what rates and levels gave since the counter was read, by quarter-hour. `bare`: stretches
    that neither counter nor rate covers. `rest`: of the rates' energy what is not a whole Wh yet, in W·µs. `given_wh`:
    what the part before had of the counter's next difference.
    """

    tail_from: int
    passed_us: int
    tail_wh: tuple[int, ...] = ()
    sum_wh: int = 0
    run: Run | None = None
    charging: Charging = Charging()
    rate: tuple[int, int] | None = None
    rest: int = 0
    worse: tuple[tuple[int, int], ...] = ()
    bare: tuple[Bare, ...] = ()
    rise: Rise | None = None
    given_wh: int = 0
    is_known: bool = False
    implausible_steps: int = 0
    restarts: int = 0


def continued(energy: Energy, started_us: int) -> Energy:
    """Where the next part of a visit begins: all that was learnt until now belongs to the part before."""
    rise = energy.rise
    return structs.replace(
        energy,
        tail_from=started_us // QUARTER_US,
        tail_wh=(),
        sum_wh=0,
        charging=structs.replace(energy.charging, spans=()),
        worse=(),
        bare=(),
        rise=None if rise is None else structs.replace(rise, base_wh=rise.base_wh - energy.sum_wh),
        given_wh=energy.given_wh + sum(given_wh for _, given_wh in energy.worse),
        is_known=False,
    )


def charging_spans(energy: Energy) -> tuple[SpanUs, ...]:
    """When the vehicle was known to charge, as far as time has passed."""
    charging = energy.charging
    if charging.is_on and charging.since_us < energy.passed_us:
        return (*charging.spans, (charging.since_us, energy.passed_us))
    return charging.spans


def joined(energy_wh: tuple[int, ...], place: int, tail_wh: list[int]) -> tuple[int, ...]:
    """Energies with others from a place on; what has none at the end ends before."""
    missing = place - len(energy_wh)
    if not tail_wh:
        joined = energy_wh[:place]
        while joined and not joined[-1]:
            joined = joined[:-1]
        return joined
    if missing > 0:
        return (*energy_wh, *(0,) * missing, *tail_wh)
    return (*energy_wh[:place], *tail_wh)


def first_difference(one: tuple[int, ...], other: tuple[int, ...]) -> int | None:
    """The first place at which two series differ; beyond its end each carries nothing. Null: they say the same."""
    if one == other:
        return None
    pairs = enumerate(zip_longest(one, other, fillvalue=0))
    return next((place for place, (old, new) in pairs if old != new), None)
