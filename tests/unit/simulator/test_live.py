"""A live run in virtual time: what it tells, what it keeps, and how it goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from ingest.errors import WriteInterrupted
from ingest.records import InputRecord
from models.codec import encode
from models.command import Action, ChargeCommand, Reason
from models.ids import CommandId, PolicyId, SessionId, UserId, VehicleId
from models.prices import PriceRecord
from models.telemetry import ChargeSample
from models.topics import CHARGE_COMMANDS, ENERGY_PRICES, VEHICLE_POLICIES
from simulator.live.position import FILE_NAME, JOURNAL_NAME, Keeper, Position, Taken
from simulator.live.reading import OutputRecord
from simulator.live.run import ROUND_S, LiveOptions, LiveRun, LiveSummary, Surroundings
from simulator.live.system import WhatToRun, beginning, where_to_begin
from simulator.world.moments import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, millis, moment

NOW_MS = 20_600 * DAY_MS + 15 * HOUR_MS
CHOSEN = WhatToRun(
    seed=1, vehicles=20, feed="clean", unruly=1.0, is_wall=True, days=1, past_h=36, present_s=None, is_strict=False
)


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
    """Virtual time from `at_ms` on: waiting makes it pass, and after so many rounds it is time to stop."""

    def __init__(self, rounds: int, at_ms: int = NOW_MS) -> None:
        self.now_ms = at_ms
        self.rounds = rounds
        self.looks = 0

    def monotonic_s(self) -> float:
        """Work takes time as well: some 0.1 s between two looks at this clock."""
        self.looks += 1
        return self.now_ms / SECOND_MS + 0.1 * self.looks

    def stop_within(self, seconds: float) -> bool:
        self.now_ms += int(seconds * SECOND_MS)
        self.rounds -= seconds > 0
        return self.rounds < 0

    def around(self) -> Surroundings:
        return Surroundings(now_ms=lambda: self.now_ms, monotonic_s=self.monotonic_s, stop_within=self.stop_within)


class Silent:
    """The outputs of a system that publishes no session, and these commands when the clock says so: (ms, command)."""

    def __init__(self, clock: Clock, since: int, arriving: Sequence[tuple[int, ChargeCommand]]) -> None:
        self._clock = clock
        self._next = since
        self._arriving = arriving

    def read(self, wait_s: float) -> list[OutputRecord]:
        del wait_s
        found = []
        while self._next < len(self._arriving) and self._arriving[self._next][0] <= self._clock.now_ms:
            command = self._arriving[self._next][1]
            found.append(OutputRecord(CHARGE_COMMANDS, 0, self._next, command.vehicle_id, encode(command), ()))
            self._next += 1
        return found

    def lag(self) -> int:
        return 1

    def is_at_end(self) -> bool:
        return True

    def command_offsets(self) -> dict[int, int]:
        return {0: self._next}


def run(
    folder: Path,
    clock: Clock,
    chosen: WhatToRun = CHOSEN,
    arriving: Sequence[tuple[int, ChargeCommand]] = (),
    sink: ListSink | None = None,
) -> tuple[list[InputRecord], LiveSummary]:
    """What one process tells until it is told to stop, as the command runs it."""
    sink, keeper = sink or ListSink(), Keeper(folder)
    begun = where_to_begin(chosen, keeper, clock.now_ms)
    outputs = Silent(clock, begun.offsets.get(0, 0), arriving)
    running = LiveRun(begun, LiveOptions(is_wall=True, is_strict=False), sink, outputs, clock.around(), keeper)
    for _ in running.shares():
        pass
    return sink.written, running.summary


def position(folder: Path) -> Position:
    found = Keeper(folder).load()
    assert found is not None
    return found


def stops(at_ms: int, numbers: range = range(1, 21)) -> list[tuple[int, ChargeCommand]]:
    """A STOP to each of these cars, which its cloud hears of at that moment."""
    tag = beginning(CHOSEN, NOW_MS).tag
    return [
        (
            at_ms,
            ChargeCommand(
                command_id=CommandId(f"stop-{number}"),
                vehicle_id=VehicleId(f"{tag}true-{number}"),
                user_id=UserId(f"{tag}user-{number}.0"),
                policy_id=PolicyId(f"{tag}policy-{number}.1"),
                session_id=SessionId("session"),
                action=Action.STOP,
                reason=Reason.WAITING,
                at=moment(at_ms),
                valid_until=moment(at_ms + 2 * MINUTE_MS),
            ),
        )
        for number in numbers
    ]


def test_prices_are_told_when_they_become_public_and_nothing_is_of_the_future(tmp_path: Path) -> None:
    """Each price record comes before the telemetry of the time from which it counts; no record is later than the clock,
    and every vehicle has its policy.
    """
    clock = Clock(40)
    written, _ = run(tmp_path, clock)
    newest_ms = 0
    for record in written:
        assert record.at is not None
        assert millis(record.at) <= clock.now_ms
        if isinstance(record.message, PriceRecord):
            assert millis(record.at) >= newest_ms - 15 * MINUTE_MS
        elif isinstance(record.message, ChargeSample):
            newest_ms = max(newest_ms, millis(record.at))
    assert {ENERGY_PRICES, VEHICLE_POLICIES} < {record.topic for record in written}
    owners = {getattr(record.message, "vehicle_id", None) for record in written if record.topic == VEHICLE_POLICIES}
    assert len(owners) == CHOSEN.vehicles


def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    """Two runs, of which the first was commanded, tell what one tells that was not stopped, word for word."""
    arriving = stops(NOW_MS + 5 * SECOND_MS)
    rounds = 40 * 60
    whole, summary = run(tmp_path / "whole", Clock(rounds), arriving=arriving)
    first, _ = run(tmp_path / "parts", Clock(rounds // 4), arriving=arriving)
    reached_ms = position(tmp_path / "parts").reached_ms
    later = Clock(rounds - rounds // 4 - 1, reached_ms)
    second, _ = run(tmp_path / "parts", later, arriving=arriving)
    assert summary.taken > 2
    assert [*first, *second] == whole[: len(first) + len(second)]
    assert len(second) > 20
    assert len(whole) == len(first) + len(second)


def test_what_was_commanded_is_not_forgotten(tmp_path: Path) -> None:
    """A car that was stopped and would charge without it stays stopped after a restart; uncommanded, it charges on."""
    arriving = stops(NOW_MS + 5 * SECOND_MS)
    told: list[set[str]] = []
    for folder, commands in (("stopped", arriving), ("free", [])):
        run(tmp_path / folder, Clock(400), arriving=commands)
        written, _ = run(tmp_path / folder, Clock(2_400, position(tmp_path / folder).reached_ms), arriving=commands)
        samples = [record.message for record in written if isinstance(record.message, ChargeSample)]
        told.append({one.vehicle_id for one in samples if one.is_charging})
    stopped, free = told
    assert free - stopped


def test_a_killed_run_tells_again_only_what_was_not_kept(tmp_path: Path) -> None:
    """What was written and not taken when the process ended is told again; a command that stands in the journal took
    effect, also where the position is older.
    """

    class Failing(ListSink):
        def flush(self) -> None:
            if self.safe > 8_000:
                raise WriteInterrupted
            super().flush()

    sink = Failing()
    with pytest.raises(WriteInterrupted):
        run(tmp_path, Clock(10_000), sink=sink)
    reached = moment(position(tmp_path).reached_ms)
    safe = sink.written[: sink.safe]
    again, _ = run(tmp_path, Clock(1))
    assert position(tmp_path).start_ms < millis(reached) < NOW_MS - HOUR_MS
    assert all(record.at is not None and record.at >= reached for record in again)
    lost = sink.written[sink.safe :]
    assert lost
    assert [record for record in lost if record not in again] == []
    assert [record for record in safe if record.at is not None and record.at >= reached and record not in again] == []

    taken = [Taken(position(tmp_path).reached_ms, 0, 7, command) for _, command in stops(NOW_MS)]
    Keeper(tmp_path).note(taken)
    begun = where_to_begin(CHOSEN, Keeper(tmp_path), NOW_MS + MINUTE_MS)
    assert begun.offsets == {0: 8}
    assert Keeper(tmp_path).taken() == taken


def test_a_line_that_was_cut_off_is_no_command(tmp_path: Path) -> None:
    """The end of a journal whose last line is not whole is cut off, and what is noted next stands alone."""
    keeper = Keeper(tmp_path)
    one, other = (Taken(5, 0, number, command) for number, (_, command) in enumerate(stops(5, range(1, 3))))
    keeper.note([one, other])
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:-3])
    assert keeper.taken() == [one]
    keeper.note([other])
    assert keeper.taken() == [one, other]


@pytest.mark.parametrize(
    ("kept_ago_ms", "changes", "goes_on"),
    [
        (None, {}, False),
        (30 * MINUTE_MS, {}, True),
        (2 * DAY_MS, {}, True),
        (4 * DAY_MS, {}, False),
        (-5 * MINUTE_MS, {}, False),
        (30 * MINUTE_MS, {"seed": 2}, False),
        (30 * MINUTE_MS, {"vehicles": 13}, False),
        (30 * MINUTE_MS, {"is_fresh": True}, False),
    ],
)
def test_where_a_run_begins(
    tmp_path: Path, kept_ago_ms: int | None, changes: dict[str, int | bool], goes_on: bool
) -> None:
    """A run goes on from the kept position, and begins anew, under new names, where there is none, one of days ago, of
    the future, or of another fleet, or where it is told to.
    """
    keeper = Keeper(tmp_path)
    before = structs.replace(beginning(CHOSEN, NOW_MS - 5 * DAY_MS), offsets={0: 3})
    if kept_ago_ms is not None:
        keeper.save(structs.replace(before, reached_ms=NOW_MS - kept_ago_ms))
        keeper.note([Taken(1, 0, 1, stops(1)[0][1])])
    found = where_to_begin(structs.replace(CHOSEN, **changes), keeper, NOW_MS)
    assert (found.tag == before.tag) is goes_on
    assert (found.reached_ms > found.start_ms) is goes_on
    assert (len(keeper.taken()) == 1) is goes_on
    if not goes_on:
        assert found.start_ms == NOW_MS - 60 * HOUR_MS
        assert found.offsets == {}
        assert keeper.load() == found


@pytest.mark.parametrize("content", [b"", b"{", b'{"seed":1}', b"\xff\xfe", b"[]"])
def test_a_damaged_position_is_a_new_beginning(tmp_path: Path, content: bytes) -> None:
    """A position that cannot be read stops nothing."""
    (tmp_path / FILE_NAME).write_bytes(content)
    assert Keeper(tmp_path).load() is None
    assert run(tmp_path, Clock(2))[0]


def test_a_damaged_journal_is_a_new_beginning(tmp_path: Path) -> None:
    """Without the commands that its cars took a world cannot be lived again: another one begins."""
    run(tmp_path, Clock(3))
    before = position(tmp_path)
    (tmp_path / JOURNAL_NAME).write_bytes(b"{\n")
    assert where_to_begin(CHOSEN, Keeper(tmp_path), NOW_MS + MINUTE_MS).tag != before.tag
    assert Keeper(tmp_path).taken() == []


def test_a_position_is_replaced_whole(tmp_path: Path) -> None:
    """Saving leaves one file, which reads as what was saved."""
    kept = structs.replace(beginning(CHOSEN, NOW_MS), pasts=((1, 2),), offsets={0: 3, 1: 0}, policy_id=PolicyId("p"))
    for folder in (tmp_path, tmp_path / "new"):
        Keeper(folder).save(kept)
        Keeper(folder).save(kept)
        assert Keeper(folder).load() == kept
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_the_position_names_a_policy_that_stands(tmp_path: Path) -> None:
    """Whoever shows the fleet is told a policy that was written and not disabled since, and its vehicle."""
    written, _ = run(tmp_path, Clock(3))
    kept = position(tmp_path)
    newest = {record.key: record.message for record in written if record.topic == VEHICLE_POLICIES}
    policy = newest[str(kept.policy_id)]
    assert getattr(policy, "is_enabled", False)
    assert getattr(policy, "vehicle_id", None) == kept.vehicle_id


def test_the_present_follows_the_clock(tmp_path: Path) -> None:
    """Each round tells what is due by then, and keeps no more than a few seconds to be told again."""
    clock = Clock(200)
    run(tmp_path, clock)
    assert NOW_MS + int(200 * ROUND_S * SECOND_MS) - position(tmp_path).reached_ms <= SECOND_MS
