"""Rows into telemetry: the vehicles that had them, and what each would have told.

The driver invents what lies between plug-in and plug-out: when samples come, and at what power the vehicle charges.
What it proves is bookkeeping, never physics.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Final

from models.ids import ChargerId, LocationId, PolicyId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import Event, PolicyWritten, TelemetryReceived
from tests.replays.rows import Row

# A vehicle is forgotten after 72 h of silence; a real one that stands plugged in wakes up more often than this.
SILENCE_LIMIT: Final = timedelta(hours=48)
# Share of the charging time at which a sample comes, beside its beginning and its end. More only take longer.
_SAMPLED_AT: Final = 0.4
# How long after the plug-in the current flows, and the first sample comes: a Tesla of 2025 took 16 s.
_FIRST_AFTER: Final = timedelta(seconds=20)
# What a row without energy is taken to have charged with.
_INVENTED_KW: Final = 3.3
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Lane:
    """One vehicle's rows, in order of time and apart from each other."""

    vehicle_id: VehicleId
    rows: list[Row] = field(default_factory=list)
    level_percent: float | None = None

    def takes(self, row: Row) -> bool:
        """Whether this row may be the same vehicle's: not while plugged in already, nor fuller than it was left.

        One that comes back fuller would have charged where nobody saw it.
        """
        if self.rows and row.start < self.rows[-1].end:
            return False
        return None in {self.level_percent, row.level_from} or _number(row.level_from) <= _number(self.level_percent)

    def add(self, row: Row) -> None:
        """Take a row that comes after all others."""
        self.rows.append(row)
        for level_percent in (row.level_from, row.level_to):
            self.level_percent = self.level_percent if level_percent is None else level_percent


def lanes(rows: Iterable[Row]) -> list[Lane]:
    """Give each row to a vehicle, to as few as can have had the rows of each entity; no row is left out."""
    made: dict[str, list[Lane]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.start, row.end)):
        known = made[row.entity]
        lane = next((lane for lane in known if lane.takes(row)), None)
        if lane is None:
            lane = Lane(VehicleId(f"{row.entity}.{len(known)}"))
            known.append(lane)
        lane.add(row)
    return [lane for known in made.values() for lane in known]


@dataclass(frozen=True, slots=True)
class Drive:
    """A row as it is driven: the very instants of plug-in and plug-out, and the whole Wh in between."""

    row: Row
    plug_in: datetime
    plug_out: datetime
    charged_from: datetime
    charged_until: datetime
    energy_wh: int


def drives(lane: Lane, *, is_literal: bool = False) -> list[Drive]:
    """The rows of a lane, with what their published times leave open.

    Stamps are cut to the minute, say, so a row may begin in the very minute in which the one before ended, or end in
    the one in which it began. What shares a minute lies evenly within it, in its order. `is_literal`: all of it at
    once, at the beginning of that minute.
    """
    stamps = [(moment, row.span.resolution) for row in lane.rows for moment in (row.start, row.end)]
    moments = [moment for moment, _ in stamps] if is_literal else list(_apart(stamps))
    assert all(one <= other for one, other in pairwise(moments))
    return [
        _drive(row, plug_in, plug_out)
        for row, plug_in, plug_out in zip(lane.rows, moments[::2], moments[1::2], strict=True)
    ]


def _apart(stamps: Sequence[tuple[datetime, timedelta]]) -> Iterator[datetime]:
    for moment, shared in groupby(stamps, key=lambda stamp: stamp[0]):
        resolutions = [resolution for _, resolution in shared]
        for number in range(len(resolutions)):
            yield moment + min(resolutions) * number / len(resolutions)


def _drive(row: Row, plug_in: datetime, plug_out: datetime) -> Drive:
    if row.energy_kwh is None:
        energy_wh = round(_INVENTED_KW * 1000 * ((plug_out - plug_in) / _HOUR))
    else:
        energy_wh = round(row.energy_kwh * 1000)
    charged_until = min(row.charged_until or plug_out, plug_out)
    if charged_until <= plug_in:
        charged_until = plug_out
    charged_from = plug_in + min(_FIRST_AFTER, (charged_until - plug_in) / 10)
    return Drive(row, plug_in, plug_out, charged_from, charged_until, energy_wh)


def policies(lane: Lane) -> list[Event]:
    """A policy for each place at which the lane's rows are, from shortly before the first of them."""
    at = lane.rows[0].start - timedelta(minutes=1)
    return [
        PolicyWritten(
            VehiclePolicy(
                id=policy_id(lane.vehicle_id, place),
                user_id=user_id(lane.vehicle_id),
                vehicle_id=lane.vehicle_id,
                location_id=LocationId(place),
                is_enabled=True,
                at=at,
            ),
            at,
        )
        for place in sorted({row.place for row in lane.rows})
    ]


def policy_id(vehicle_id: VehicleId, place: str) -> PolicyId:
    """The id of the vehicle's policy at a place."""
    return PolicyId(f"{vehicle_id}:{place}")


def user_id(vehicle_id: VehicleId) -> UserId:
    """Whose the vehicle is."""
    return UserId(f"user:{vehicle_id}")


def telemetry(lane: Lane, driven: Sequence[Drive], *, is_counter_for_life: bool) -> Iterator[list[TelemetryReceived]]:
    """What the vehicle tells, row by row, in the order in which it happens.

    Its energy counter counts for life, or begins anew at every plug-in.
    """
    counter_wh = 0
    for drive in driven:
        teller = _Teller(lane.vehicle_id, drive, counter_wh)
        yield [
            teller.plug(drive.plug_in, is_plugged_in=True),
            *(teller.sample(at, share) for at, share in _sampled(drive)),
            teller.plug(drive.plug_out, is_plugged_in=False),
        ]
        counter_wh += drive.energy_wh * is_counter_for_life


def _sampled(drive: Drive) -> Iterator[tuple[datetime, float]]:
    """When a sample comes, and how much of the energy has flowed by then; none after a longer silence than allowed."""
    charging = drive.charged_until - drive.charged_from
    for one, other in pairwise((0.0, _SAMPLED_AT, 1.0)):
        steps = charging * (other - one) // SILENCE_LIMIT + 1
        for step in range(steps):
            share = one + (other - one) * step / steps
            yield drive.charged_from + charging * share, share
    yield drive.charged_until, 1.0
    at = drive.charged_until + SILENCE_LIMIT
    while at < drive.plug_out:
        yield at, 1.0
        at += SILENCE_LIMIT


@dataclass(frozen=True, slots=True)
class _Teller:
    vehicle_id: VehicleId
    drive: Drive
    counter_wh: int

    def plug(self, at: datetime, *, is_plugged_in: bool) -> TelemetryReceived:
        row = self.drive.row
        message = PlugEvent(
            event_id=f"{'in' if is_plugged_in else 'out'}:{row.key}",
            vehicle_id=self.vehicle_id,
            user_id=user_id(self.vehicle_id),
            at=at,
            is_plugged_in=is_plugged_in,
            location_id=LocationId(row.place) if is_plugged_in else None,
            charger_id=ChargerId(row.entity) if is_plugged_in else None,
            battery_level=row.level_from if is_plugged_in else row.level_to,
        )
        return TelemetryReceived(message, at)

    def sample(self, at: datetime, share: float) -> TelemetryReceived:
        """The power falls as the battery fills: from half above its mean to half below it."""
        drive = self.drive
        flowed = share * (3 - share) / 2
        charging_h = (drive.charged_until - drive.charged_from) / _HOUR
        is_charging = share < 1 and drive.energy_wh > 0 and charging_h > 0
        mean_kw = drive.energy_wh / 1000 / charging_h if is_charging else 0.0
        message = ChargeSample(
            event_id=f"sample:{at.timestamp()}",
            vehicle_id=self.vehicle_id,
            user_id=user_id(self.vehicle_id),
            at=at,
            is_plugged_in=True,
            is_charging=is_charging,
            battery_level=_level(drive.row, flowed),
            charge_rate=mean_kw * (1.5 - share),
            energy_added=(self.counter_wh + round(drive.energy_wh * flowed)) / 1000,
        )
        return TelemetryReceived(message, at)


def _level(row: Row, flowed: float) -> float | None:
    """Only what is known, and at its time: a level in between only where both ends are."""
    if flowed in {0, 1}:
        return row.level_to if flowed else row.level_from
    if row.level_from is None or row.level_to is None:
        return None
    return row.level_from + (row.level_to - row.level_from) * flowed


def _number(number: float | None) -> float:
    assert number is not None
    return number
