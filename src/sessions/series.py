"""The intervals of a session: quarter-hours of the UTC grid, the first clipped to its start, the last to its end.

A series grows at its end while a session lives; `kept` tells how much of it stands as it was told before, so that
nobody has to write days of quarter-hours anew for every sample.
"""

from datetime import datetime

from msgspec import Struct

from models.session import TimeseriesPoint
from models.units import WH_PER_KWH
from sessions.grid import QUARTER, quarter_start


class Series(Struct, frozen=True):
    """Energies (Wh) and levels (%) by interval, as of `until`; an interval beyond their end carries nothing.

    `origin`: the beginning of the quarter-hour that holds `started_at`. The first `kept` of its `count` intervals are
    those of the session's update before, if that one held them whole.
    """

    started_at: datetime
    until: datetime
    energy_wh: tuple[int, ...]
    levels: tuple[int | None, ...]
    kept: int
    origin: datetime
    count: int


def series_until(
    started_at: datetime, until: datetime, energy_wh: tuple[int, ...], levels: tuple[int | None, ...], kept: int = 0
) -> Series:
    """The intervals of a part as of `until`."""
    origin = quarter_start(started_at)
    # A moment on the grid belongs to the quarter-hour that it ends. A part of no length still shows the energy that was
    # seen after its end, in an interval of no length.
    count = -((origin - until) // QUARTER) if until > started_at else int(any(energy_wh))
    return Series(started_at, until, energy_wh, levels, kept, origin, count)


def points(series: Series, first: int = 0, end: int | None = None) -> tuple[TimeseriesPoint, ...]:
    """The intervals from `first` up to, not including, `end` (None: all that follow)."""
    return tuple([point(series, index) for index in range(first, series.count if end is None else end)])


def point(series: Series, index: int) -> TimeseriesPoint:
    """One of the intervals."""
    start_at = series.origin + index * QUARTER
    end_at, until = start_at + QUARTER, series.until
    energy_wh, levels = series.energy_wh, series.levels
    return TimeseriesPoint(
        start_at=series.started_at if index == 0 else start_at,
        end_at=min(until, end_at),
        kwh=energy_wh[index] / WH_PER_KWH if index < len(energy_wh) else 0.0,
        battery_level=levels[index] if index < len(levels) else None,
    )
