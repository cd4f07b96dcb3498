"""One row of a published session table: instants where it holds together, a named flaw where it does not.

Nothing is repaired here: a row that contradicts itself is flagged, whichever of its fields is the wrong one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

# No vehicle charges faster, so a row that says so is wrong in its energy or in one of its times.
POWER_LIMIT_KW: Final = 400.0
# The longest part of a visit: a longer row cannot come back as one session.
LONGEST: Final = timedelta(days=90)
SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Flaw(StrEnum):
    """Why a row cannot be taken for what happened."""

    OPEN = "no end"
    SWAPPED = "day and month may be swapped"
    MISSING_HOUR = "a wall time that never was"
    REPEATED_HOUR = "a wall time that was twice"
    REVERSED = "end before start"
    TOO_LONG = "longer than 90 d"
    DURATION = "duration disagrees with the times"
    IDLE = "idle for longer than plugged in"
    DONE_AFTER_END = "charging ended after the plug-out"
    NEGATIVE = "negative energy"
    NO_ENERGY = "no energy"
    POWER = "above 400 kW"
    REPEATED = "the same as another row"
    OVERLAPS = "two at a time on one connector"


@dataclass(frozen=True, slots=True)
class Flawed:
    """A row that is left out, and why."""

    key: str
    flaw: Flaw


@dataclass(frozen=True, slots=True)
class Wish:
    """What a driver asked for, from `at` on."""

    at: datetime
    energy_kwh: float
    leaves_at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """From plug-in to plug-out: the instants, the stamps as they stand in the table, and one step of them."""

    start: datetime
    end: datetime
    start_text: str
    end_text: str
    resolution: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A session as published. `entity`: who or what had it (vehicle, user, connector), as finely as the table tells.

    `charged_until`: when the charge was over, where that is told; `elapsed_s`: the published duration, where it can be
    trusted. Energies and levels are null where the table has none.
    """

    key: str
    span: Span
    entity: str
    place: str
    energy_kwh: float | None
    level_from: float | None = None
    level_to: float | None = None
    charged_until: datetime | None = None
    elapsed_s: float | None = None
    wishes: tuple[Wish, ...] = ()

    @property
    def start(self) -> datetime:
        """Plug-in."""
        return self.span.start

    @property
    def end(self) -> datetime:
        """Plug-out."""
        return self.span.end


@dataclass(frozen=True, slots=True)
class Stamps:
    """How a table writes its times: wall time of a zone in a format, to a resolution."""

    zone: ZoneInfo
    pattern: str
    resolution: timedelta

    def read(self, text: str) -> datetime:
        """The wall time that a stamp shows; aware where the stamp itself tells its offset."""
        return datetime.strptime(text, self.pattern)  # noqa: DTZ007 - the zone is taken into account in `span`

    def write(self, moment: datetime, resolution: timedelta) -> str:
        """A moment as the table would have published it."""
        text = floor(moment, resolution).astimezone(self.zone).strftime(self.pattern)
        return f"{text[:-2]}:{text[-2:]}" if self.pattern.endswith("%z") else text

    def span(self, start_text: str, end_text: str) -> Span | Flaw:
        """The instants of two stamps, if there is one reading of them and one only.

        A wall time of autumn's repeated hour has two readings: the order of the two stamps may tell which.
        """
        if end_text in {"", "NA"}:
            return Flaw.OPEN
        walls = self.read(start_text), self.read(end_text)
        readings = list(product(*(list(self._moments(wall)) for wall in walls)))
        forward = [(start, end) for start, end in readings if start <= end]
        if not readings:
            return Flaw.MISSING_HOUR
        if not forward:
            return Flaw.REVERSED
        if len(forward) > 1:
            return Flaw.REPEATED_HOUR
        # Some writers of minutes tell seconds now and then; elsewhere these stand at 0.
        resolution = SECOND if any(wall.second for wall in walls) else self.resolution
        return Span(*forward[0], start_text, end_text, resolution)

    def _moments(self, wall: datetime) -> Iterator[datetime]:
        if wall.tzinfo is not None:
            yield wall.astimezone(UTC)
            return
        moments = {wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        # A wall time that never was does not come back as itself.
        yield from sorted(at for at in moments if at.astimezone(self.zone).replace(tzinfo=None, fold=0) == wall)


def floor(moment: datetime, resolution: timedelta) -> datetime:
    """The last step of the resolution at or before a moment."""
    return moment - (moment - _EPOCH) % resolution


def flaw_of(row: Row) -> Flaw | None:
    """What no session can have: an end before its start, an energy that nothing delivers."""
    elapsed_s = (row.end - row.start).total_seconds()
    # What began and ended within one step of the table took at most that step.
    took = max((row.charged_until or row.end) - row.start, row.span.resolution)
    energy_kwh = row.energy_kwh or 0.0
    flaws = {
        Flaw.REVERSED: row.end < row.start,
        Flaw.TOO_LONG: row.end - row.start > LONGEST,
        Flaw.DURATION: row.elapsed_s is not None
        and abs(elapsed_s - row.elapsed_s) > row.span.resolution.total_seconds(),
        Flaw.DONE_AFTER_END: row.charged_until is not None and row.charged_until > row.end,
        Flaw.NEGATIVE: energy_kwh < 0,
        Flaw.POWER: energy_kwh > POWER_LIMIT_KW * (took / _HOUR),
    }
    return next((flaw for flaw, holds in flaws.items() if holds), None)


def without_overlaps(rows: Iterable[Row]) -> tuple[list[Row], list[Flawed]]:
    """Rows of one connector: it holds one plug at a time, so of two at once neither can be trusted.

    Of rows that say the same, one stands.
    """
    kept: list[Row] = []
    flawed: list[Flawed] = []
    for cluster in _clusters(sorted(rows, key=lambda row: (row.start, row.end))):
        distinct = {(row.start, row.end, row.energy_kwh): row for row in reversed(cluster)}
        standing = {row.key for row in distinct.values()}
        flawed += [Flawed(row.key, Flaw.REPEATED) for row in cluster if row.key not in standing]
        if len(distinct) == 1:
            kept += distinct.values()
        else:
            flawed += [Flawed(row.key, Flaw.OVERLAPS) for row in distinct.values()]
    return kept, flawed


def _clusters(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows that hang together, each overlapping one before it."""
    cluster = rows[:1]
    until = max((row.end for row in cluster), default=_EPOCH)
    for row in rows[1:]:
        if row.start >= until:
            yield cluster
            cluster = []
        cluster.append(row)
        until = max(until, row.end)
    yield cluster
