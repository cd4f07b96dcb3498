"""How stamps become instants and rows become vehicles: what the replays rest on."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from tests.replays.driver import drives, lanes
from tests.replays.rows import Flaw, Flawed, Row, Span, Stamps, flaw_of, without_overlaps

_MINUTE: Final = timedelta(minutes=1)
_STAMPS: Final = Stamps(ZoneInfo("Europe/Oslo"), "%Y-%m-%d %H:%M:%S", _MINUTE)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-01-01T{text}").replace(tzinfo=UTC)


def _row(key: str, start: str, end: str, *, kwh: float = 1.0, level: tuple[float, float] | None = None) -> Row:
    span = Span(_at(start), _at(end), start, end, _MINUTE)
    level_from, level_to = level or (None, None)
    return Row(key=key, span=span, entity="e", place="home", energy_kwh=kwh, level_from=level_from, level_to=level_to)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # Norway, 25 March 2018: 02:00 was 03:00. 28 October 2018: 03:00 was 02:00 again.
        ("2018-03-25 01:30:00", "2018-03-25 03:30:00", ("2018-03-25T00:30", "2018-03-25T01:30")),
        ("2018-03-25 02:30:00", "2018-03-25 03:30:00", Flaw.MISSING_HOUR),
        ("2018-10-28 01:30:00", "2018-10-28 03:30:00", ("2018-10-27T23:30", "2018-10-28T02:30")),
        ("2018-10-28 02:38:00", "2018-10-28 08:19:00", Flaw.REPEATED_HOUR),
        ("2018-10-28 02:10:00", "2018-10-28 02:50:00", Flaw.REPEATED_HOUR),
        # Only out of the first such hour and into the second.
        ("2018-10-28 02:46:00", "2018-10-28 02:08:00", ("2018-10-28T00:46", "2018-10-28T01:08")),
        ("2018-10-27 02:46:00", "2018-10-27 02:08:00", Flaw.REVERSED),
        ("2018-10-27 02:46:00", "", Flaw.OPEN),
    ],
)
def test_stamps_are_taken_only_where_one_reading_is_possible(
    start: str, end: str, expected: tuple[str, str] | Flaw
) -> None:
    """A wall time that never was, or that may be either of two, is flagged and not guessed."""
    span = _STAMPS.span(start, end)
    if isinstance(span, Flaw):
        assert span == expected
    else:
        assert (span.start, span.end) == tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in expected)
        assert [_STAMPS.write(at, span.resolution) for at in (span.start, span.end)] == [start, end]


def test_a_row_that_nothing_can_deliver_is_flagged() -> None:
    """Negative energy, and more than 400 kW, are flaws; what begins and ends in one minute may have taken all of it."""
    assert flaw_of(_row("a", "08:00", "08:00", kwh=6.0)) is None
    assert flaw_of(_row("a", "08:00", "08:00", kwh=7.0)) is Flaw.POWER
    assert flaw_of(_row("a", "08:00", "09:00", kwh=-0.1)) is Flaw.NEGATIVE


def test_of_two_rows_at_once_on_one_connector_neither_stands() -> None:
    """Rows that overlap are both flagged, those that say the same but for the first; those that touch stand."""
    rows = [
        _row("same", "08:00", "09:00"),
        _row("again", "08:00", "09:00"),
        _row("touching", "09:00", "10:00"),
        _row("long", "11:00", "13:00"),
        _row("within", "11:30", "12:00"),
        _row("after", "13:00", "14:00"),
    ]
    kept, flawed = without_overlaps(rows)
    assert [row.key for row in kept] == ["same", "touching", "after"]
    assert set(flawed) == {
        Flawed("again", Flaw.REPEATED),
        Flawed("long", Flaw.OVERLAPS),
        Flawed("within", Flaw.OVERLAPS),
    }


def test_no_vehicle_is_in_two_places_or_comes_back_fuller() -> None:
    """A row at the time of another, or with more charge than the vehicle left with, is another vehicle's."""
    rows = [
        _row("a", "08:00", "10:00", level=(20, 80)),
        _row("b", "09:00", "11:00", level=(50, 60)),
        _row("c", "12:00", "13:00", level=(70, 90)),
        _row("d", "14:00", "15:00", level=(95, 99)),
    ]
    assert [[row.key for row in lane.rows] for lane in lanes(rows)] == [["a", "c"], ["b"], ["d"]]


def test_what_shares_a_published_minute_lies_apart_within_it() -> None:
    """Plug-outs and plug-ins of one minute are driven in order and evenly over it; a literal drive has them at once."""
    (lane,) = lanes([_row("a", "08:00", "09:00"), _row("b", "09:00", "09:00"), _row("c", "09:00", "10:00")])
    seconds = [(drive.plug_in.second, drive.plug_out.second) for drive in drives(lane)]
    assert seconds == [(0, 0), (15, 30), (45, 0)]
    assert {(drive.plug_in.second, drive.plug_out.second) for drive in drives(lane, is_literal=True)} == {(0, 0)}
