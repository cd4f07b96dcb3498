"""The intervals of a session: quarter-hours of the UTC grid, the first clipped to its start, the last to its end.

A series grows at its end while a session lives; `kept` tells how much of it stands as it was told before, so that
nobody has to write days of quarter-hours anew for every sample.
"""

from datetime import datetime

from msgspec import Struct

from models.session import TimeseriesPoint
from models.units import kwh_from_wh
from sessions.grid import MOMENT, QUARTER, quarter_index, quarter_start


class Series(Struct, frozen=True):
    """Energies (Wh) and levels (%) by interval, as of `until`; an interval beyond their end carries nothing.

    The first `kept` intervals are those of the session's update before, if that one held them whole.
    """

    started_at: datetime
    until: datetime
    energy_wh: tuple[int, ...]
    levels: tuple[int | None, ...]
    kept: int = 0

    def __len__(self) -> int:
        if self.until > self.started_at:
            return quarter_index(self.started_at, self.until - MOMENT) + 1
        # A part of no length still shows the energy that was seen after its end, in an interval of no length.
        return 1 if any(self.energy_wh) else 0


def points(series: Series, first: int = 0, end: int | None = None) -> tuple[TimeseriesPoint, ...]:
    """The intervals from `first` up to, not including, `end` (None: all that follow)."""
    origin = quarter_start(series.started_at)
    energy_wh, levels = series.energy_wh, series.levels
    return tuple(
        TimeseriesPoint(
            start_at=max(origin + index * QUARTER, series.started_at),
            end_at=min(origin + (index + 1) * QUARTER, series.until),
            kwh=kwh_from_wh(energy_wh[index]) if index < len(energy_wh) else 0.0,
            battery_level=levels[index] if index < len(levels) else None,
        )
        for index in range(first, len(series) if end is None else end)
    )
