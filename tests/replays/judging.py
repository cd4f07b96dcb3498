"""What came back of a lane, and how it differs from what was published. Knows only public sessions and the table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import floor as whole
from typing import Final

from models.codec import Refusal
from models.session import Aggregated, Session, SessionState
from sessions.events import Event, Output, Rules, SessionChanged, new_vehicle
from sessions.lifecycle import apply
from sessions.state import Vehicle
from tests.replays.driver import Drive, Lane, lanes, policy_id, user_id
from tests.replays.rows import floor
from tests.replays.tables import Reading, Table, read_table

# Less is no charge, where nobody manages it.
OBSERVED_WH: Final = 50
# Half a Wh, the last digit that is published, and what doubles are off by.
_TOLERANCE_KWH: Final = 0.0005 + 1e-9


@dataclass(frozen=True, slots=True)
class Published:
    """A table as it was read, and its rows by vehicle."""

    reading: Reading
    lanes: Sequence[Lane]

    @property
    def table(self) -> Table:
        """How it was read."""
        return self.reading.table


def published_in(table: Table) -> Published:
    """Read a table; the test is skipped by name where it is absent."""
    reading = read_table(table)
    return Published(reading, lanes(reading.valid))


@dataclass(frozen=True, slots=True)
class Replay:
    """A lane, driven: what was published and refused, and the vehicle as it stands at the end."""

    outputs: tuple[Output, ...]
    refusals: tuple[Refusal, ...]
    vehicle: Vehicle

    @property
    def settled(self) -> list[Session]:
        """The final sessions, in the order in which they settled."""
        changes = [output.session for output in self.outputs if isinstance(output, SessionChanged)]
        return [session for session in changes if session.state is SessionState.SETTLED]


def replay(lane: Lane, events: Iterable[Event], rules: Rules) -> Replay:
    """Fold all that a lane's vehicle tells, one event at a time."""
    vehicle = new_vehicle(lane.vehicle_id)
    outputs: list[Output] = []
    refusals: list[Refusal] = []
    for event in events:
        decision = apply(vehicle, event, rules)
        vehicle = decision.vehicle
        outputs += decision.outputs
        if decision.refused is not None:
            refusals.append(decision.refused.reason)
    return Replay(tuple(outputs), tuple(refusals), vehicle)


def wanted(driven: Iterable[Drive], *, is_managed: bool) -> list[Drive]:
    """The rows that must come back: all that are managed; else those in which a charge can be seen."""
    return [drive for drive in driven if is_managed or drive.energy_wh >= OBSERVED_WH]


def differences(
    table: Table, lane: Lane, driven: Sequence[Drive], played: Replay, *, is_managed: bool
) -> Iterator[str]:
    """How a lane's sessions differ from its rows, in words. None: each row is one session, and nothing else is."""
    rows, settled = wanted(driven, is_managed=is_managed), played.settled
    yield from (f"{lane.vehicle_id}: refused, {reason}" for reason in played.refusals)
    if len(rows) != len(settled):
        yield f"{lane.vehicle_id}: {len(settled)} sessions of {len(rows)} rows"
    for one, other in pairwise(settled):
        if one.plugged_out_at is None or other.plugged_in_at is None or one.plugged_out_at > other.plugged_in_at:
            yield f"{lane.vehicle_id}: {one.id} and {other.id} overlap"
    for drive, session in zip(rows, settled, strict=False):
        for difference in (*_of_row(table, drive, session), *_of_owner(lane, drive, session, is_managed=is_managed)):
            yield f"{lane.vehicle_id}, row {drive.row.key}: {difference}"


def bounds_published(table: Table, drive: Drive, session: Session) -> bool:
    """Tell whether a session's plug-in and plug-out are those of its row, as its table writes them."""
    span = drive.row.span
    moments = (session.plugged_in_at, session.plugged_out_at)
    texts = [None if at is None else table.stamps.write(at, span.resolution) for at in moments]
    return texts == [span.start_text, span.end_text]


def _of_row(table: Table, drive: Drive, session: Session) -> Iterator[str]:
    if not bounds_published(table, drive, session):
        yield f"{session.plugged_in_at} to {session.plugged_out_at}, not {drive.row.span}"
    elif not _lasts_as_published(drive, session):
        yield f"{session.plugged_in_at} to {session.plugged_out_at}, not {drive.row.elapsed_s} s"
    totals = session.statistics.aggregated
    if totals is None:
        yield "no totals"
        return
    energy_kwh = drive.energy_wh / 1000 if drive.row.energy_kwh is None else drive.row.energy_kwh
    if abs(totals.kwh_sum - energy_kwh) > _TOLERANCE_KWH:
        yield f"{totals.kwh_sum} kWh, not {energy_kwh}"
    series_wh = sum(round(point.kwh * 1000) for point in session.statistics.timeseries)
    if series_wh != round(totals.kwh_sum * 1000):
        yield f"{series_wh} Wh in its series, {totals.kwh_sum} kWh in all"
    if any(point.kwh for point in session.statistics.timeseries if point.start_at >= drive.charged_until):
        yield f"energy after {drive.charged_until}, when the charge was over"
    yield from _of_levels(drive, totals)


def _lasts_as_published(drive: Drive, session: Session) -> bool:
    elapsed_s, resolution = drive.row.elapsed_s, drive.row.span.resolution
    if elapsed_s is None or session.plugged_in_at is None or session.plugged_out_at is None:
        return elapsed_s is None
    lasted = floor(session.plugged_out_at, resolution) - floor(session.plugged_in_at, resolution)
    return abs(lasted - timedelta(seconds=elapsed_s)) <= resolution


def _of_levels(drive: Drive, totals: Aggregated) -> Iterator[str]:
    row = drive.row
    for name, told, shown in (("from", row.level_from, totals.battery_from), ("to", row.level_to, totals.battery_to)):
        if told is not None and shown != whole(told):
            yield f"battery {name} {shown} %, not {told}"


def _of_owner(lane: Lane, drive: Drive, session: Session, *, is_managed: bool) -> Iterator[str]:
    place = drive.row.place
    due = (policy_id(lane.vehicle_id, place) if is_managed else None, user_id(lane.vehicle_id), place)
    shown = (session.policy_id, session.user_id, session.location_id)
    if shown != due:
        yield f"of {shown}, not of {due}"
