"""The shortest history that still shows a finding: fewer days, then fewer acts of that one car.

Whatever is left out, the car lives the rest anew, and its truth is counted anew: so a shrunk history is as true as the
whole. The same law must break; its details may differ.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile
from time import monotonic

from msgspec import Struct, structs

from simulation.run import Options, run
from simulator.feeds.feed import Feed
from simulator.judge.findings import Finding
from simulator.world.acts import Act
from simulator.world.life import Life
from simulator.world.moments import DAY_MS, millis, start_of
from simulator.world.people import Person, person


class Shrunk(Struct, frozen=True):
    """What is left: the acts, the options that run them, and the finding as it shows there."""

    options: Options
    acts: Sequence[Act]
    finding: Finding


def shrink(options: Options, feed_of: Callable[[Person], Feed], finding: Finding, limit_s: float) -> Shrunk | None:
    """Leave out what the finding does not need, for at most `limit_s` seconds. None: its car alone shows nothing."""
    ends_s = monotonic() + limit_s
    number = int(finding.vehicle_id.rsplit("-", 1)[1])
    # A session may be judged some days after what happened.
    days = min(options.days, (millis(finding.at) - start_of(options.seed)) // DAY_MS + 3)
    who = person(options.seed, number, unruly=options.unruly)
    end_ms = start_of(options.seed) + days * DAY_MS
    acts = list(takewhile(lambda act: act.at_ms < end_ms, Life(who, start_of(options.seed)).acts()))
    alone = structs.replace(options, numbers=(number,), days=days)

    def shows(kept: Sequence[Act], **changes: int) -> Shrunk | None:
        trial = structs.replace(alone, acts={number: list(kept)}, **changes)
        found = next((each for each in run(trial, feed_of).findings if each.law == finding.law), None)
        return None if found is None else Shrunk(trial, kept, found)

    best = shows(acts)
    size = len(acts) // 2
    while best is not None and size > 0:
        place, is_smaller = 0, False
        while place < len(best.acts) and monotonic() < ends_s:
            smaller = shows([*best.acts[:place], *best.acts[place + size :]])
            if smaller is None:
                place += size
            else:
                best, is_smaller = smaller, True
        if not is_smaller or monotonic() >= ends_s:
            size //= 2
    return best and _shorter(best, shows)


def _shorter(best: Shrunk, shows: Callable[..., Shrunk | None]) -> Shrunk:
    """Without the idle days behind what is left, and before it: what was done before is done as the run begins."""
    days = next((days for days in range(1, best.options.days) if shows(best.acts, days=days)), best.options.days)
    firsts = range(days - 1, 0, -1)
    first_day = next((each for each in firsts if shows(best.acts, days=days, first_day=each)), 0)
    return shows(best.acts, days=days, first_day=first_day) or best
