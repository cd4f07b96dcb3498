"""The adapters on recorded telemetry: facts that were recorded independently of this project."""

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.records import InputRecord, Naming, Skipped
from ingest.replay import TESLA_FLEET, TESLAFI, Capture, read_capture
from models.ids import VehicleId
from models.telemetry import ChargeSample, PlugEvent
from tests.support.captures import capture


def _read(format_name: str, *paths: Path, zone: str = "UTC", vehicle: str | None = None) -> list[InputRecord]:
    skipped = Skipped()
    naming = Naming(vehicle_id=None if vehicle is None else VehicleId(vehicle))
    found = list(read_capture(Capture(format=format_name, files=paths, naming=naming, zone=ZoneInfo(zone)), skipped))
    assert str(skipped) == "0"
    return found


def _plugs(found: Sequence[InputRecord]) -> list[tuple[str, bool | None]]:
    events = [record.message for record in found if isinstance(record.message, PlugEvent)]
    return [(event.at.strftime("%Y-%m-%dT%H:%M:%S"), event.is_plugged_in) for event in events]


def _samples(found: Sequence[InputRecord]) -> list[ChargeSample]:
    return [record.message for record in found if isinstance(record.message, ChargeSample)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "ChargingDetailedWithoutChargingState",
            [("2025-01-19T09:03:04", True), ("2025-01-19T09:51:28", False)],
        ),
        ("DCCharging1", [("2024-12-30T09:57:35", True), ("2024-12-30T10:13:15", False)]),
        ("DCCharging2", [("2024-12-30T11:11:31", True)]),
        ("ACCharging1", [("2025-01-02T18:05:07", True)]),
        ("ACCharging_typed", [("2025-01-30T12:51:35", True)]),
        ("ACChargingJustPreheating", [("2025-01-03T12:52:14", True)]),
        ("PluggedIn-NotCharging-Precondition", [("2025-01-06T23:43:06", True)]),
        ("DrivingByGear", []),
        ("Raven1", [("2026-06-19T14:20:28", True)]),  # its first message says DetailedChargeStateStopped
    ],
)
def test_each_capture_has_its_plug_events(name: str, expected: list[tuple[str, bool]]) -> None:
    """Plug-ins and plug-outs stand where the recorded fields prove them, and nowhere else."""
    assert _plugs(_read(TESLA_FLEET, capture(f"tesla_fleet_telemetry/{name}.txt"))) == expected


@pytest.mark.parametrize(
    ("name", "energy", "level_from", "level_to"),
    [("ChargingDetailedWithoutChargingState", 7.66, 53.4, 63.9), ("DCCharging1", 36.26, 2.06, 52.36)],
)
def test_energy_and_levels_are_those_of_the_capture(
    name: str, energy: float, level_from: float, level_to: float
) -> None:
    """The battery-side counter runs from 0 to the known energy, and the levels are the vehicle's."""
    found = _samples(_read(TESLA_FLEET, capture(f"tesla_fleet_telemetry/{name}.txt")))
    counters = [sample.energy_added for sample in found if sample.energy_added is not None]
    levels = [sample.battery_level for sample in found if sample.battery_level is not None]
    assert [counters[0], counters[-1]] == pytest.approx([0.0, energy], abs=0.005)
    assert [levels[0], levels[-1]] == pytest.approx([level_from, level_to], abs=0.05)


def test_files_may_come_in_any_order() -> None:
    """Captures of one vehicle are replayed in the order of their times, whatever the order of the files."""
    names = ("ACCharging1", "DCCharging1", "DCCharging2", "DrivingByGear")
    paths = [capture(f"tesla_fleet_telemetry/{name}.txt") for name in names]
    found = _read(TESLA_FLEET, *paths)
    assert found == _read(TESLA_FLEET, *reversed(paths))
    assert [record.at for record in found] == sorted(record.at for record in found if record.at is not None)


def test_the_day_of_two_visits() -> None:
    """The first visit ends at the first Disconnected poll; the second lasts, through 190 unreadable rows."""
    found = _read(TESLAFI, capture("teslafi_minute_log/01_complete_TeslaFi62016.csv.gz"))
    assert _plugs(found) == [
        ("2016-06-26T07:58:31", True),
        ("2016-06-26T10:48:28", False),
        ("2016-06-26T16:04:32", True),
    ]
    visit = [sample for sample in _samples(found) if sample.at.hour >= 16 and sample.is_plugged_in]
    complete = next(sample for sample in visit if sample.power_delivery_state == "PLUGGED_IN:COMPLETE")
    assert (visit[0].battery_level, visit[0].energy_added) == (57, 0.0)
    assert (complete.at.strftime("%H:%M:%S"), complete.battery_level, complete.energy_added) == ("17:14:32", 70, 10.11)


def test_the_plug_state_lasts_from_one_file_to_the_next() -> None:
    """A visit left open by one log ends in a later one of the same vehicle."""
    paths = [capture(f"teslafi_minute_log/01_complete_TeslaFi{month}2016.csv.gz") for month in (6, 7)]
    assert _plugs(_read(TESLAFI, *paths, vehicle="car"))[-1] == ("2016-07-01T00:00:35", False)


def test_the_autumn_clock_change_keeps_time_going_forward() -> None:
    """The hour that occurs twice is told apart: UTC never goes back, and the visit is one."""
    found = _read(TESLAFI, capture("teslafi_minute_log/05_dst_TeslaFi102019.csv.gz"), zone="Europe/Berlin")
    times = [sample.at for sample in _samples(found)]
    assert times == sorted(times)
    assert (times[-1] - times[0]).total_seconds() == pytest.approx(2.22 * 3_600, abs=60)
    assert [is_plugged_in for _, is_plugged_in in _plugs(found)] == [True]
