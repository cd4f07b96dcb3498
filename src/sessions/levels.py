"""What battery levels tell of energy, where neither a counter nor a rate does.

A level is coarse (often a whole percent), lags behind, and falls while the vehicle stands: so only what exceeds the
highest of its run is a rise, and a rise counts only for what better sources have not given since the level was told.
"""

from typing import Final

from msgspec import Struct

from sessions.grid import QUARTER_US

# A level that falls by more begins a new run: less is the display or the cold.
FALL_LIMIT_PERCENT: Final = 2.0
# A battery at rest may show so much more than when its charge ended; a car that is known not to charge gained nothing.
IDLE_RISE_PERCENT: Final = 2.0
# A counter that was read so shortly before may be read again at any moment: no level adds to it yet.
COUNTER_HOLDS_US: Final = QUARTER_US
# Of less bare time a level tells no more than an even share of its rise: it may owe that to what lies around.
GAP_US: Final = QUARTER_US


class Rise(Struct, frozen=True, array_like=True):
    """Where a level stands: the newest told, the energy since, and where its next rise begins.

    That is at `base_us`, with the highest level of its run, when the part had `base_wh`.
    """

    told_us: int
    percent: float
    base_us: int
    highest_percent: float
    base_wh: int
    since_wh: int = 0


def next_highest(highest_percent: float, percent: float) -> float:
    """The highest of the run that a level belongs to."""
    if percent < highest_percent - FALL_LIMIT_PERCENT:
        return percent
    return max(highest_percent, percent)


def risen_percent(highest_percent: float, percent: float) -> float:
    """By how much a level exceeds the highest of its run."""
    return max(percent - highest_percent, 0.0)


def lift_wh(rise_wh: int, given_wh: int, bare_us: int, passed_us: int) -> int:
    """What a rise over so much time adds to the energy that is known of it, for the time of which nothing is known.

    Of both times that is left out in which the vehicle is known to have stood, unless it stood all the time.
    """
    lift = max(rise_wh - given_wh, 0)
    return lift if bare_us >= GAP_US else min(lift, rise_wh * bare_us // passed_us)
