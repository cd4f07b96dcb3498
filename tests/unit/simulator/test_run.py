"""Pace, position and rounds of the simulator, in virtual time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import WriteInterrupted
from ingest.records import InputRecord
from models.command import Action, ChargeCommand
from models.prices import PriceRecord
from models.telemetry import ChargeSample
from models.topics import ENERGY_PRICES, VEHICLE_POLICIES
from simulator.charging import Charging
from simulator.households import household
from simulator.pace import Pace
from simulator.position import FILE_NAME, Position, load_position, save_position, start_from
from simulator.prices import ZONES
from simulator.run import Options, Surroundings, run_fleet
from simulator.vehicle import Order, State
from tests.support.fleets import command

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

    def around(self) -> Surroundings:
        return Surroundings(now=self.now, monotonic_s=self.monotonic_s, stop_within=self.stop_within)


class ListCommands:
    """Commands that arrive when the clock says so: (seconds, command), on one partition."""

    def __init__(self, clock: Clock, *arriving: tuple[float, ChargeCommand]) -> None:
        self._clock = clock
        self._arriving = arriving
        self._next = 0

    def begin(self, offsets: Mapping[int, int]) -> None:
        self._next = offsets.get(0, 0)

    def read(self) -> list[ChargeCommand | None]:
        arrived = [one for at_s, one in self._arriving if at_s <= self._clock.elapsed_s]
        fresh, self._next = arrived[self._next :], len(arrived)
        return list(fresh)

    @property
    def offsets(self) -> dict[int, int]:
        return {0: self._next}


def _run(
    folder: Path, clock: Clock, options: Options = OPTIONS, arriving: tuple[tuple[float, ChargeCommand], ...] = ()
) -> ListSink:
    sink = ListSink()
    run_fleet(options, sink, ListCommands(clock, *arriving), folder, clock.around())
    return sink


def _state() -> State:
    return State(
        told_s=3,
        since_s=2,
        level_percent=1 / 3,
        charging=Charging(((4, 5), (6, 7)), 80.0),
        sample_s=8,
        plugged_percent=0.5,
        order=Order(9, Action.STOP),
    )


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


def test_prices_and_policies_come_first_and_once(tmp_path: Path) -> None:
    """A first run writes the public prices and every policy before any event; a later one only what is new."""
    first = _run(tmp_path, Clock(5)).written
    prices = sum(record.topic == ENERGY_PRICES for record in first)
    assert [record.topic for record in first[: prices + 20]] == [ENERGY_PRICES] * prices + [VEHICLE_POLICIES] * 20
    assert prices == 3 * len(ZONES)
    assert not {VEHICLE_POLICIES, ENERGY_PRICES} & {record.topic for record in first[prices + 20 :]}
    more = _run(tmp_path, Clock(5), Options(vehicles=22, seed=1, speed=720, start_ago_h=24)).written
    assert [record.key for record in more if record.topic in {VEHICLE_POLICIES, ENERGY_PRICES}] == [
        "sim-policy-0021",
        "sim-policy-0022",
    ]


def test_prices_are_told_when_they_become_public_however_often_it_restarts(tmp_path: Path) -> None:
    """Through restarts each zone's days follow each other, none twice, none before its time, each before the
    telemetry of the time from which it holds.
    """
    written = []
    for _ in range(11):
        written += _run(tmp_path, Clock(45)).written
    newest = NOW - timedelta(days=9)
    seen: dict[str, datetime] = {}
    for record in written:
        if isinstance(record.message, PriceRecord):
            assert seen.get(record.message.zone, record.message.start_at - timedelta(days=1)) == (
                record.message.start_at - timedelta(days=1)
            )
            seen[record.message.zone] = record.message.start_at
            assert record.message.at <= NOW
        elif isinstance(record.message, ChargeSample):
            newest = max(newest, record.message.at)
            assert all(newest < start_at + timedelta(days=1) for start_at in seen.values())
    assert len(seen) == len(ZONES)
    assert newest > NOW - timedelta(hours=3)


def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    """Two runs give the events of one that was not stopped, no more and no less."""
    whole = _run(tmp_path / "whole", Clock(40)).written
    first = _run(tmp_path / "parts", Clock(20)).written
    reached = _position(tmp_path / "parts").reached
    second = _run(tmp_path / "parts", Clock(30)).written
    assert all(record.at is not None and record.at > reached for record in second)
    both = [*first, *second]
    assert both[: len(whole)] == whole or whole[: len(both)] == both


def test_a_live_fleet_obeys_and_a_restart_remembers(tmp_path: Path) -> None:
    """A STOP to every vehicle leaves those at home stopped, in this run and after a restart; no command is obeyed
    twice, and none that came while the fleet was in the past.
    """
    live = Options(vehicles=20, seed=1, speed=720, start_ago_h=0)
    now_s = int(NOW.timestamp())
    stops = tuple((1.0, command(household(1, number), Action.STOP, now_s)) for number in range(1, 21))
    _run(tmp_path, Clock(20), live, stops)
    states = _position(tmp_path).states
    ordered = {number for number, state in states.items() if state.order is not None}
    assert len(ordered) > 5
    clock = Clock(400)
    clock.elapsed_s = 6.0
    after = _run(tmp_path, clock, live, stops).written
    told = [record.message for record in after if isinstance(record.message, ChargeSample)]
    for number in ordered:
        assert _position(tmp_path).states[number].order is None
        own = [one for one in told if one.vehicle_id == f"sim-vehicle-{number:04d}"]
        assert {one.is_charging for one in own if one.at > NOW + timedelta(seconds=61)} <= {False, None}
        assert own
    past = Options(vehicles=20, seed=1, speed=720, start_ago_h=24, is_fresh=True)
    _run(tmp_path, Clock(20), past, stops)
    assert not any(state.order for state in _position(tmp_path).states.values())


def test_the_position_is_kept_only_behind_what_is_safe(tmp_path: Path) -> None:
    """What was written but not taken when the simulator was interrupted is told again by the next run."""

    class Failing(ListSink):
        def flush(self) -> None:
            if self.safe > 100:
                raise WriteInterrupted
            super().flush()

    sink, clock = Failing(), Clock(1_000)
    with pytest.raises(WriteInterrupted):
        run_fleet(OPTIONS, sink, ListCommands(clock), tmp_path, clock.around())
    reached = _position(tmp_path).reached
    assert all(record.at is not None and record.at < reached + timedelta(hours=1) for record in sink.written)
    assert all(record.at is not None and record.at <= reached for record in sink.written[: sink.safe])
    again = _run(tmp_path, Clock(2)).written
    assert sink.written[sink.safe :] == again[: len(sink.written) - sink.safe]


@pytest.mark.parametrize(
    ("kept_ago", "seed", "start_ago"),
    [
        (None, 1, timedelta(hours=24)),
        (timedelta(minutes=30), 1, timedelta(minutes=30)),
        (timedelta(days=2), 1, timedelta(days=2)),
        (timedelta(days=4), 1, timedelta(hours=24)),
        (timedelta(minutes=-5), 1, timedelta(hours=24)),
        (timedelta(minutes=30), 2, timedelta(hours=24)),
    ],
)
def test_where_a_run_begins(kept_ago: timedelta | None, seed: int, start_ago: timedelta) -> None:
    """A run goes on from the kept position, and begins anew where there is none, one of days ago, of the future, or of
    another fleet; policies are known unless it is another.
    """
    kept = None
    if kept_ago is not None:
        kept = Position(
            seed=1, vehicles=7, origin=NOW, reached=NOW - kept_ago, states={1: _state()}, command_offsets={0: 3}
        )
    found = start_from(kept, seed, NOW, timedelta(hours=24))
    assert found.reached == NOW - start_ago
    assert found.vehicles == (7 if kept is not None and seed == 1 else 0)
    assert found.is_new is (found is not kept) is (not found.command_offsets)


@pytest.mark.parametrize("content", [b"", b"{", b'{"seed":1}', b"\xff\xfe", b"[]"])
def test_a_damaged_position_is_a_new_beginning(tmp_path: Path, content: bytes) -> None:
    """A position that cannot be read stops nothing."""
    (tmp_path / FILE_NAME).write_bytes(content)
    assert load_position(tmp_path) is None
    assert _run(tmp_path, Clock(2)).written


def test_a_position_is_replaced_whole(tmp_path: Path) -> None:
    """Saving leaves one file, which reads as what was saved."""
    position = Position(
        seed=1,
        vehicles=2,
        origin=NOW,
        reached=NOW + timedelta(seconds=1),
        states={1: _state()},
        command_offsets={0: 3, 1: 0},
    )
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
