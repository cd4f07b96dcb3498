"""Pace, position and rounds of the simulator, in virtual time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import WriteInterrupted
from ingest.records import InputRecord
from models.topics import VEHICLE_POLICIES
from simulator.pace import Pace
from simulator.position import FILE_NAME, Position, load_position, save_position, start_from
from simulator.run import Options, run_fleet

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPTIONS = Options(vehicles=20, seed=1, speed=720, start_ago_h=24)


class ListSink:
    """Keeps what it is given; what was flushed is safe."""

    def __init__(self) -> None:
        self.written: list[InputRecord] = []
        self.safe = 0

    def write(self, record: InputRecord) -> None:
        self.written.append(record)

    def flush(self) -> None:
        self.safe = len(self.written)


class Clock:
    """Virtual time: waiting makes it pass."""

    def __init__(self, rounds: int) -> None:
        self.elapsed_s = 0.0
        self.rounds = rounds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def stop_within(self, seconds: float) -> bool:
        self.elapsed_s += seconds
        self.rounds -= 1
        return self.rounds <= 0


def _run(folder: Path, clock: Clock, options: Options = OPTIONS) -> ListSink:
    sink = ListSink()
    run_fleet(options, sink, folder, now=clock.now, stop_within=clock.stop_within, monotonic=clock.monotonic_s)
    return sink


def _position(folder: Path) -> Position:
    found = load_position(folder)
    assert found is not None
    return found


def test_time_runs_fast_until_the_present_and_then_with_it() -> None:
    """Simulated time hurries while it is behind and is never ahead of the wall clock."""
    clock = Clock(0)
    pace = Pace(NOW - timedelta(hours=1), 720, now=clock.now, monotonic_s=clock.monotonic_s)
    reached = []
    for elapsed_s in (0.0, 2.5, 6.0, 100.0):
        clock.elapsed_s = elapsed_s
        reached.append((pace.reached() - NOW).total_seconds())
    assert reached == [-3_600, -1_800, 6, 100]


def test_policies_come_first_and_once(tmp_path: Path) -> None:
    """A first run writes every policy before any event; a later run writes only those of added vehicles."""
    first = _run(tmp_path, Clock(5))
    assert [record.topic for record in first.written[:20]] == [VEHICLE_POLICIES] * 20
    assert VEHICLE_POLICIES not in {record.topic for record in first.written[20:]}
    more = _run(tmp_path, Clock(5), Options(vehicles=22, seed=1, speed=720, start_ago_h=24))
    assert [record.key for record in more.written if record.topic == VEHICLE_POLICIES] == [
        "sim-policy-0021",
        "sim-policy-0022",
    ]


def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    """Two runs give the events of one that was not stopped; the last five minutes are told twice."""
    whole = _run(tmp_path / "whole", Clock(40)).written
    first = _run(tmp_path / "parts", Clock(20)).written
    reached = _position(tmp_path / "parts").reached
    second = _run(tmp_path / "parts", Clock(25)).written
    assert second[0].at is not None
    assert reached - timedelta(minutes=5) <= second[0].at <= reached + timedelta(minutes=5)
    told = {(record.topic, record.at, record.key) for record in (*first, *second)}
    assert told >= {
        (record.topic, record.at, record.key) for record in whole if record.at is None or record.at < reached
    }


def test_the_position_is_kept_only_behind_what_is_safe(tmp_path: Path) -> None:
    """What was written but not taken when the simulator was interrupted is told again by the next run."""

    class Failing(ListSink):
        def flush(self) -> None:
            if self.safe > 100:
                raise WriteInterrupted
            super().flush()

    sink, clock = Failing(), Clock(1_000)
    with pytest.raises(WriteInterrupted):
        run_fleet(OPTIONS, sink, tmp_path, now=clock.now, stop_within=clock.stop_within, monotonic=clock.monotonic_s)
    reached = _position(tmp_path).reached
    assert all(record.at is not None and record.at < reached + timedelta(hours=1) for record in sink.written)
    assert all(record.at is not None and record.at <= reached for record in sink.written[: sink.safe])


@pytest.mark.parametrize(
    ("kept_ago", "start_ago"),
    [
        (None, timedelta(hours=24)),
        (timedelta(minutes=30), timedelta(minutes=35)),
        (timedelta(days=2), timedelta(days=2, minutes=5)),
        (timedelta(days=4), timedelta(hours=24)),
        (timedelta(minutes=-5), timedelta(hours=24)),
    ],
)
def test_where_a_run_begins(kept_ago: timedelta | None, start_ago: timedelta) -> None:
    """A run goes on from the kept position, and begins anew where there is none, one of days ago, or of the future."""
    kept = None
    if kept_ago is not None:
        kept = Position(seed=1, vehicles=1, origin=NOW - timedelta(days=9), reached=NOW - kept_ago)
    assert start_from(kept, NOW, timedelta(hours=24))[1] == NOW - start_ago


@pytest.mark.parametrize("content", [b"", b"{", b'{"seed":1}', b"\xff\xfe", b"[]"])
def test_a_damaged_position_is_a_new_beginning(tmp_path: Path, content: bytes) -> None:
    """A position that cannot be read stops nothing."""
    (tmp_path / FILE_NAME).write_bytes(content)
    assert load_position(tmp_path) is None
    assert _run(tmp_path, Clock(2)).written


def test_a_position_is_replaced_whole(tmp_path: Path) -> None:
    """Saving leaves one file, which reads as what was saved."""
    position = Position(seed=1, vehicles=2, origin=NOW, reached=NOW + timedelta(seconds=1))
    for folder in (tmp_path, tmp_path / "new"):
        save_position(folder, position)
        save_position(folder, position)
        assert load_position(folder) == position
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_fresh_forgets_the_position(tmp_path: Path) -> None:
    """With --fresh the fleet begins anew, policies included."""
    _run(tmp_path, Clock(5))
    again = _run(tmp_path, Clock(5), Options(vehicles=20, seed=1, speed=720, start_ago_h=1, is_fresh=True))
    assert sum(record.topic == VEHICLE_POLICIES for record in again.written) == 20
