"""The statistics of recorded telemetry, against facts that were recorded independently of this project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.records import Naming, Skipped
from ingest.replay import TESLA_FLEET, TESLAFI, Capture, read_capture
from models.ids import VehicleId
from models.telemetry import ChargeSample, PlugEvent
from sessions.evidence import Observation, observe
from sessions.readings import Readings
from sessions.samples import begin, take
from sessions.totals import Context, Totals
from tests.support.captures import capture


def _told(format_name: str, path: Path) -> Iterator[Observation]:
    naming = Naming(vehicle_id=VehicleId("car"))
    for record in read_capture(Capture(format=format_name, files=(path,), naming=naming), Skipped()):
        assert isinstance(record.message, ChargeSample | PlugEvent)
        yield observe(record.message)


def _last_visit(format_name: str, path: Path) -> Totals:
    """The last visit of a capture; what comes shortly after its unplug still belongs to it."""
    readings, totals, context = Readings(), None, None
    for seen in _told(format_name, path):
        if seen.is_plugged_in and (context is None or context.unplugged_at is not None):
            context = Context(started_at=seen.at, plugged_in_at=seen.at)
            totals = begin(readings, context)
        readings, totals, _ = take(readings, totals, seen, context)
        if seen.is_plugged_in is False and context is not None and context.unplugged_at is None:
            context = Context(started_at=context.started_at, plugged_in_at=context.plugged_in_at, unplugged_at=seen.at)
    assert totals is not None
    return totals


# The counter is the battery-side one, DCChargingEnergyIn (docs/reference/captures.md).
@pytest.mark.parametrize(
    ("name", "energy_wh", "levels"),
    [
        ("ChargingDetailedWithoutChargingState", 7_660, (53.4, 63.9)),
        ("DCCharging1", 36_260, (2.1, 52.4)),
    ],
)
def test_a_whole_charge(name: str, energy_wh: int, levels: tuple[float, float]) -> None:
    """A recorded charge has the energy of its counter within 1 %, and its levels within a point."""
    totals = _last_visit(TESLA_FLEET, capture(f"tesla_fleet_telemetry/{name}.txt"))
    assert totals.energy_sum_wh == pytest.approx(energy_wh, rel=0.01)
    assert (totals.level_from, totals.level_to) == pytest.approx(levels, abs=1)
    assert sum(totals.energy_wh) == totals.energy_sum_wh


def test_a_day_of_minute_polls() -> None:
    """The charge of a day of polls has the car's own energy within 1 %, though its counter falls for hours after it."""
    totals = _last_visit(TESLAFI, capture("teslafi_minute_log/01_complete_TeslaFi62016.csv.gz"))
    assert totals.energy_sum_wh == pytest.approx(10_110, rel=0.01)
    assert (totals.level_from, totals.level_to) == (57, 70)
    assert totals.peak_w == pytest.approx(8_900, rel=0.02)


def test_a_counter_that_is_told_late() -> None:
    """Where the counter is told 50 min after the plug-in, rate and level tell what it would have shown.

    The rate is silent for 49 min, of which it covers 15; the level, which tells the rest, knows no better than a
    battery of 60 kWh. The counter alone would tell 0.02 kWh.
    """
    totals = _last_visit(TESLA_FLEET, capture("tesla_fleet_telemetry/ACCharging_typed.txt"))
    assert totals.energy_sum_wh == pytest.approx(1_340, rel=0.1)
    assert min(totals.energy_wh) > 0
