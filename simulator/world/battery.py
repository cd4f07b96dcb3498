"""How a battery fills: full rate up to a knee, then less and less. In closed form, so any moment costs the same.

Above the knee the rate falls in a straight line with the level; the level then follows an exponential.
"""

import math
from typing import Final

from msgspec import Struct

FULL_PERCENT: Final = 100.0


class ChargeCurve(Struct, frozen=True, kw_only=True):
    """`rate_kw` into the battery below `knee_percent`, falling to `end_share` of it at 100 %."""

    rate_kw: float
    capacity_kwh: float
    knee_percent: float
    end_share: float

    def level_after(self, start_percent: float, elapsed_s: float, limit_percent: float) -> float:
        """The level in % after charging from `start_percent` for `elapsed_s` seconds, at most the limit."""
        if elapsed_s <= 0 or start_percent >= limit_percent:
            return start_percent
        per_second = self.rate_kw / self.capacity_kwh * FULL_PERCENT / 3_600
        flat_s = max(0.0, (self.knee_percent - start_percent) / per_second)
        if elapsed_s <= flat_s:
            return min(limit_percent, start_percent + per_second * elapsed_s)
        entry = max(start_percent, self.knee_percent)
        decay = self._decay()
        # dL/dt = per_second * (1 - decay * (L - knee)), from L = entry on.
        falling = (1 - decay * (entry - self.knee_percent)) * math.exp(-decay * per_second * (elapsed_s - flat_s))
        # Never below where it was: for a moment that is next to nothing, rounding could say so.
        return min(limit_percent, max(start_percent, self.knee_percent + (1 - falling) / decay))

    def seconds_to(self, start_percent: float, limit_percent: float) -> float:
        """How long it takes from one level to another; 0 where it is there already."""
        per_second = self.rate_kw / self.capacity_kwh * FULL_PERCENT / 3_600
        flat_s = max(0.0, min(limit_percent, self.knee_percent) - start_percent) / per_second
        entry = max(start_percent, self.knee_percent)
        if limit_percent <= entry:
            return flat_s
        return flat_s + math.log(self.rate_at(entry) / self.rate_at(limit_percent)) / (self._decay() * per_second)

    def rate_at(self, level_percent: float) -> float:
        """The rate in kW at this level."""
        return self.rate_kw * (1 - self._decay() * max(0.0, level_percent - self.knee_percent))

    def _decay(self) -> float:
        """By how much of the full rate it falls with each % above the knee."""
        return (1 - self.end_share) / (FULL_PERCENT - self.knee_percent)


def home_charger(rate_kw: float, capacity_kwh: float) -> ChargeCurve:
    """An AC wall box: flat nearly to the top."""
    return ChargeCurve(rate_kw=rate_kw, capacity_kwh=capacity_kwh, knee_percent=92.0, end_share=0.3)


def fast_charger(rate_kw: float, capacity_kwh: float) -> ChargeCurve:
    """A DC charger: falling from a third of the battery on."""
    return ChargeCurve(rate_kw=rate_kw, capacity_kwh=capacity_kwh, knee_percent=35.0, end_share=0.15)
