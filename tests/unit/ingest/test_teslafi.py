"""TeslaFi minute logs to events, by hand-made rows."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CaptureError
from ingest.files import Line
from ingest.records import InputRecord, Naming, Skipped
from ingest.teslafi import polls, records, vehicle_of
from models.ids import VehicleId, is_id
from models.telemetry import ChargeSample, PlugEvent

COLUMNS = "Date,charging_state,battery_level,charge_energy_added,charger_power,charge_limit_soc"


def told(
    *rows: str | bytes, zone: str = "UTC", header: str | bytes = COLUMNS, skipped: Skipped | None = None
) -> list[InputRecord]:
    lines = [row.encode() if isinstance(row, str) else row for row in (header, *rows)]
    numbered = [Line(raw, f"log.csv:{number}") for number, raw in enumerate(lines, 1)]
    found = polls(numbered, VehicleId("car"), ZoneInfo(zone), Skipped() if skipped is None else skipped)
    return list(records(found, Naming()))


def samples(*rows: str, zone: str = "UTC") -> list[ChargeSample]:
    return [record.message for record in told(*rows, zone=zone) if isinstance(record.message, ChargeSample)]


def plugs(*rows: str) -> list[tuple[str, bool | None]]:
    events = [record.message for record in told(*rows) if isinstance(record.message, PlugEvent)]
    return [(event.at.strftime("%H:%M"), event.is_plugged_in) for event in events]


def test_a_row_becomes_a_sample_of_what_it_tells() -> None:
    """Every column has its field; the state decides charging and plug."""
    sample = samples("2020-01-01 10:00:00,Charging,57,1.5,11,80")[0]
    assert (sample.battery_level, sample.energy_added, sample.charge_rate, sample.charge_limit) == (57, 1.5, 11, 80)
    assert (sample.power_delivery_state, sample.is_plugged_in, sample.is_charging) == (
        "PLUGGED_IN:CHARGING",
        True,
        True,
    )


@pytest.mark.parametrize("nothing", ["", "None"])
def test_an_empty_cell_is_no_news(nothing: str) -> None:
    """A row without charge fields tells nothing, and ends no visit."""
    silent = ",".join((f"2020-01-01 10:01:00,{nothing}", *([nothing] * 4)))
    assert plugs("2020-01-01 10:00:00,Complete,57,1,0,80", silent, "2020-01-01 10:02:00,Complete,57,1,0,80") == [
        ("10:00", True)
    ]
    assert samples(silent) == []
    assert samples(f"2020-01-01 10:01:00,{nothing},57,,,")[0].is_plugged_in is None


def test_plug_events_stand_where_the_state_changes() -> None:
    """A visit begins at the first plugged state and ends at the first Disconnected."""
    states = ("Disconnected", "Starting", "Charging", "", "Complete", "Odd", "NoPower", "Stopped", "Disconnected")
    rows = [f"2020-01-01 10:{minute:02d}:00,{state},50,,," for minute, state in enumerate(states)]
    assert plugs(*rows) == [("10:01", True), ("10:08", False)]
    assert [sample.is_charging for sample in samples(*rows)] == [
        False, None, True, None, False, None, False, False, False,
    ]  # fmt: skip


def test_local_stamps_become_utc() -> None:
    """The zone that the operator names decides; without one it is UTC."""
    assert samples("2020-07-01 10:00:00,,57,,,", zone="Europe/Berlin")[0].at.hour == 8
    assert samples("2020-07-01 10:00:00,,57,,,")[0].at.hour == 10


def test_a_repeated_hour_is_told_by_the_clock_stepping_back() -> None:
    """Across the end of summer time, stamps that step back are the second occurrence, and time never goes back."""
    stamps = ("02:10:00", "02:50:00", "02:50:00", "02:05:00", "02:50:00", "03:01:00")
    rows = [f"2019-10-27 {stamp},,50,,," for stamp in stamps]
    found = [sample.at.strftime("%H:%M") for sample in samples(*rows, zone="Europe/Berlin")]
    assert found == ["00:10", "00:50", "00:50", "01:05", "01:50", "02:01"]


def test_broken_rows_are_counted_and_the_rest_is_read() -> None:
    """A row of another shape or without a time is skipped, counted and located."""
    skipped = Skipped()
    found = told("a,b", "yesterday,,50,,,", "", "2020-01-01 10:00:00,,50,,,", skipped=skipped)
    assert len(found) == 1
    assert str(skipped) == "2: broken row 1 (first log.csv:2), unreadable Date 1 (first log.csv:3)"


@pytest.mark.parametrize("header", ["", "a,b,c", "Date,battery_level"])
def test_another_file_is_refused(header: str) -> None:
    """A file without TeslaFi's columns is an error, not an empty replay."""
    with pytest.raises(CaptureError) as error:
        told("1,2,3", header=header)
    assert "no TeslaFi export" in str(error.value)


@pytest.mark.parametrize(
    ("name", "vehicle"),
    [("TeslaFi62016.csv.gz", "TeslaFi62016"), ("my car (2).csv", "my-car--2-"), (f"{'x' * 90}.csv", "x" * 64)],
)
def test_a_vehicle_is_named_after_its_file(name: str, vehicle: str) -> None:
    """A log that names no vehicle is known by its file's name, as an id."""
    assert vehicle_of(name) == vehicle
    assert is_id(vehicle)


@given(
    st.lists(st.binary(max_size=80) | st.binary(max_size=20).map(lambda raw: b"2020-01-01 10:00:00," + raw + b",,,,"))
)
def test_no_bytes_crash_the_adapter(rows: list[bytes]) -> None:
    """Any bytes in a row are a poll or a counted row, never a crash."""
    assert isinstance(told(*rows, zone="Europe/Berlin"), list)


@given(st.lists(st.datetimes().map(str)))
def test_no_time_crashes_the_adapter(stamps: list[str]) -> None:
    """Any stamp, at the edges of the calendar too, is a time or a counted row."""
    assert isinstance(told(*(f"{stamp},,50,,," for stamp in stamps), zone="Asia/Tokyo"), list)
