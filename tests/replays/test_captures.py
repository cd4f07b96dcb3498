"""Recorded telemetry through adapter and core, on the event clock: against facts that others recorded.

The labels of the Tesla captures are by another implementation, which names lines of the file; its energies are readings
of DCChargingEnergyIn, the counter that we use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.files import read_lines
from ingest.records import InputRecord, Naming, Skipped
from ingest.replay import TESLA_FLEET, TESLAFI, Capture, read_capture
from ingest.tesla_fleet import observations
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.session import Session, SessionState
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import Event, PolicyWritten, Rules, SessionChanged, TelemetryReceived, TimerDue, new_vehicle
from sessions.lifecycle import apply
from tests.support.captures import capture

CAR, DRIVER, HOME = VehicleId("car"), UserId("driver"), LocationId("home")
SILENCE = timedelta(hours=72)


@dataclass(frozen=True)
class Label:
    """What is known of a capture: the lines at which it charges, and what counter and level rise to.

    `within_s`: a label waits for the pack's current, which may be told so long after the first power.
    """

    name: str
    on_line: int
    off_line: int | None = None
    energy_kwh: float | None = None
    energy_share: float = 0.01
    percent: float | None = None
    within_s: float = 15


LABELS = (
    # The counter stands at 1.42 when it is heard first, 28 s after the plug-in.
    Label("ACCharging1", 7, energy_kwh=1.66 - 1.42, percent=72.6, within_s=60),
    # The counter is heard only at the end, and nothing for 48 min before: rate and level have to tell the energy.
    Label("ACCharging_typed", 7, 59, energy_kwh=1.34, energy_share=0.15, percent=20.2),
    Label("ChargingDetailedWithoutChargingState", 21, 67, energy_kwh=7.66, percent=63.9, within_s=50),
    Label("ACChargingJustPreheating", 25, within_s=61),
    Label("DCCharging1", 14, 190, energy_kwh=36.26, percent=52.4, within_s=26),
    Label("DCCharging2", 6, energy_kwh=10.4, percent=14.4),
)


def tesla(name: str, *, location: LocationId | None = HOME) -> list[InputRecord]:
    """The records of a Tesla capture."""
    naming = Naming(vehicle_id=CAR, user_id=DRIVER, location_id=location)
    return list(read_capture(Capture(format=TESLA_FLEET, files=(tesla_file(name),), naming=naming), Skipped()))


def tesla_file(name: str) -> Path:
    return capture(f"tesla_fleet_telemetry/{name}.txt")


def teslafi(name: str, zone: str = "UTC") -> list[InputRecord]:
    """The records of a TeslaFi log."""
    path = capture(f"teslafi_minute_log/{name}.csv.gz")
    naming = Naming(vehicle_id=CAR, user_id=DRIVER, location_id=HOME)
    return list(read_capture(Capture(format=TESLAFI, files=(path,), naming=naming, zone=ZoneInfo(zone)), Skipped()))


def told(records: Sequence[InputRecord]) -> list[Event]:
    """The records as events, each in the log at its own time."""
    events: list[Event] = []
    for record in records:
        assert isinstance(record.message, PlugEvent | ChargeSample)
        events.append(TelemetryReceived(record.message, record.message.at))
    return events


def updates(events: Sequence[Event], *, is_managed: bool = True) -> list[SessionChanged]:
    """Every session update; with a policy for `home`, from long before."""
    vehicle, found = new_vehicle(CAR), []
    at = datetime(2015, 6, 1, tzinfo=UTC)
    policy = VehiclePolicy(
        id=PolicyId("p"),
        user_id=DRIVER,
        vehicle_id=CAR,
        location_id=HOME,
        is_enabled=True,
        at=at,
        battery_capacity=None,
    )
    for event in [*([PolicyWritten(policy, at)] if is_managed else []), *events]:
        decision = apply(vehicle, event, Rules())
        assert decision.refused is None
        vehicle = decision.vehicle
        found += [output for output in decision.outputs if isinstance(output, SessionChanged)]
    return found


def after_silence(records: Sequence[InputRecord]) -> list[Event]:
    """The records, then nothing for as long as it takes to end a visit."""
    events = told(records)
    newest = max(record.at for record in records if record.at is not None)
    return [*events, TimerDue(newest + SILENCE)]


def settled(found: Sequence[SessionChanged]) -> list[Session]:
    return [one.session for one in found if one.session.state is SessionState.SETTLED]


def moment_of(name: str, line: int) -> datetime:
    """When the message on a line (counted from 0) was told."""
    (seen,) = observations([list(read_lines(tesla_file(name)))[line]], Skipped())
    return seen.at


def last_reading(records: Sequence[InputRecord]) -> datetime:
    """When the counter was told last."""
    samples = [record.message for record in records if isinstance(record.message, ChargeSample)]
    return max(sample.at for sample in samples if sample.energy_added is not None)


def assert_near(one: datetime, other: datetime, seconds: float) -> None:
    assert abs(one - other) <= timedelta(seconds=seconds), f"{one} is not {other}"


def kwh_sum(session: Session) -> float:
    assert session.statistics.aggregated is not None
    return session.statistics.aggregated.kwh_sum


def assert_adds_up(session: Session) -> None:
    """The intervals are contiguous from plug-in to plug-out and hold the session's energy; so do its blocks."""
    series = session.statistics.timeseries
    assert series[0].start_at == session.plugged_in_at
    assert all(one.end_at == other.start_at for one, other in pairwise(series))
    assert sum(point.kwh for point in series) == pytest.approx(kwh_sum(session), abs=1e-6)
    assert sum(block.kwh_sum for block in session.blocks) <= kwh_sum(session) + 1e-6


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_labelled_charge(label: Label) -> None:
    """Charging begins and ends where the label says, energy is within 1 % of the counter, the level within a point."""
    records = tesla(label.name)
    found = updates(after_silence(records))
    (session,) = settled(found)
    block = session.blocks[0]
    assert_near(block.start_at, moment_of(label.name, label.on_line), label.within_s)
    if label.off_line is not None:
        assert_near(session.blocks[-1].end_at, moment_of(label.name, label.off_line), 15)
    assert_adds_up(session)
    then = [one.session for one in found if one.created_at <= last_reading(records)][-1]
    if label.energy_kwh is not None:
        assert kwh_sum(then) == pytest.approx(label.energy_kwh, rel=label.energy_share)
    if label.percent is not None:
        assert then.statistics.aggregated is not None
        assert then.statistics.aggregated.battery_to == pytest.approx(label.percent, abs=1)


@pytest.mark.parametrize(
    ("name", "plug_in", "first", "last", "plug_out"),
    [
        ("ChargingDetailedWithoutChargingState", "2025-01-19T09:03:04Z", "09:03:20", "09:51:18", "09:51:28"),
        ("DCCharging1", "2024-12-30T09:57:34Z", "09:57:40", "10:13:15", "10:13:15"),
    ],
)
@pytest.mark.parametrize("is_managed", [True, False], ids=["managed", "unmanaged"])
def test_a_whole_visit(name: str, plug_in: str, first: str, last: str, plug_out: str, is_managed: bool) -> None:
    """From plug to plug it is one session, within 15 s of the facts; managed, all its charging lies in one block."""
    records = tesla(name, location=HOME if is_managed else None)
    (session,) = settled(updates(after_silence(records), is_managed=is_managed))
    begin = datetime.fromisoformat(plug_in)
    charged_from, charged_until, end = (
        datetime.combine(begin.date(), time.fromisoformat(text), UTC) for text in (first, last, plug_out)
    )
    assert session.plugged_in_at is not None
    assert session.plugged_out_at is not None
    assert_near(session.plugged_in_at, begin, 15)
    assert_near(session.plugged_out_at, end, 15)
    assert_adds_up(session)
    if is_managed:
        (block,) = session.blocks
        assert block.kwh_sum == kwh_sum(session)
        assert_near(block.start_at, charged_from, 15)
        assert_near(block.end_at, charged_until, 15)
    else:
        assert (session.policy_id, session.blocks, session.outcome.latest) == (None, (), None)


@pytest.mark.parametrize("name", ["ACCharging1", "ACCharging_typed", "DCCharging2", "ACChargingJustPreheating"])
def test_a_capture_that_ends_in_the_middle(name: str) -> None:
    """A visit of which no end was recorded stays open for 72 h, then ends at its last evidence, and says so."""
    records = tesla(name)
    events = told(records)
    newest = max(record.at for record in records if record.at is not None)
    assert settled(updates([*events, TimerDue(newest + SILENCE - timedelta(seconds=1))])) == []
    (session,) = settled(updates([*events, TimerDue(newest + SILENCE)]))
    assert session.plugged_out_at == newest
    assert session.error.latest is not None
    assert session.error.latest.code == "VISIT_TIMED_OUT"


def test_a_drive_is_no_session() -> None:
    """While it drives nothing is plugged in: the policy's session waits."""
    assert {one.session.state for one in updates(after_silence(tesla("DrivingByGear")))} == {SessionState.UPCOMING}


def test_a_parked_vehicle_charges_nothing() -> None:
    """Plugged in and stopped: a session without energy and without a block that began; unmanaged, none at all."""
    (session,) = settled(updates(after_silence(tesla("Raven1"))))
    assert (kwh_sum(session), session.blocks) == (0, ())
    assert updates(after_silence(tesla("Raven1", location=None)), is_managed=False) == []


def test_preconditioning_is_one_visit() -> None:
    """Power that comes and goes for the climate is one visit: what the counter rose by, and the rate before that."""
    records = tesla("PluggedIn-NotCharging-Precondition")
    (session,) = settled(updates(after_silence(records)))
    # 3 kW for the 17 s until the counter was heard first.
    assert kwh_sum(session) == pytest.approx(4.66 - 3.74 + 3 * 17 / 3_600, abs=0.005)
    assert_adds_up(session)


def test_a_day_of_minute_polls() -> None:
    """The visit from before ends at the first Disconnected poll; the charge is one session, still open at night."""
    records = teslafi("01_complete_TeslaFi62016")
    found = updates(told(records))
    (before,) = settled(found)
    assert before.plugged_out_at == datetime(2016, 6, 26, 10, 48, 28, tzinfo=UTC)
    assert kwh_sum(before) == 0
    session = found[-1].session
    assert session.state is SessionState.ACTIVE_REGULAR
    first, complete = (datetime(2016, 6, 26, hour, minute, 32, tzinfo=UTC) for hour, minute in ((16, 4), (17, 14)))
    (block,) = session.blocks
    assert session.plugged_in_at is not None
    assert_near(session.plugged_in_at, first, 61)
    assert_near(block.start_at, first, 61)
    assert_near(block.end_at, complete, 61)
    # The car's own counter, and voltage x current.
    assert kwh_sum(session) == pytest.approx(10.11, rel=0.01)
    assert kwh_sum(session) == pytest.approx(10.61, rel=0.06)
    assert block.kwh_sum == kwh_sum(session)
    assert session.statistics.aggregated is not None
    assert (session.statistics.aggregated.battery_from, session.statistics.aggregated.battery_to) == (57, 70)
    assert_adds_up(session)


def test_the_night_of_the_clock_change() -> None:
    """Through the hour that occurs twice the visit is one, and its intervals are contiguous."""
    records = teslafi("05_dst_TeslaFi102019", "Europe/Berlin")
    (session,) = settled(updates(after_silence(records)))
    assert session.plugged_in_at is not None
    assert session.plugged_out_at is not None
    # From the first poll that says Complete to the last: local 02:31 (the first) to 03:44.
    assert session.plugged_out_at - session.plugged_in_at == pytest.approx(
        timedelta(hours=2, minutes=13), abs=timedelta(minutes=1)
    )
    assert_adds_up(session)


@pytest.mark.parametrize("name", [label.name for label in LABELS])
def test_told_twice(name: str) -> None:
    """Every record told twice gives the same updates, byte for byte."""
    records = tesla(name)
    twice = [event for event in told(records) for _ in range(2)]
    assert updates(twice) == updates(told(records))
