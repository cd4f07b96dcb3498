"""The simulated fleet drives a running system, and the system's outputs are judged.

On the event clock: days of history, one after another, each judged when the system has done it. On the wall clock: some
hours of past, as fast as they are taken, then the present, in which the cars obey the commands that they are sent.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, structs

from ingest.errors import WriteError
from models.ids import PolicyId, VehicleId
from runtime.logs import get_log
from simulator.judge.findings import Finding
from simulator.live.fleet import LiveFleet
from simulator.live.judging import LiveJudge
from simulator.live.naming import Naming
from simulator.live.position import Keeper, Position, Taken
from simulator.live.reading import Outputs
from simulator.live.sinks import Sink
from simulator.world.moments import DAY_MS, HOUR_MS, MINUTE_MS

FINDINGS_LIMIT: Final = 1_000
# How often the present is told, how often its position is kept, and how often it is judged.
ROUND_S: Final = 0.25
_KEPT_EVERY_MS: Final = 5_000
_JUDGED_EVERY_MS: Final = 15_000
# The past is told in slices of so much: a stop is heard between two.
_SLICE_MS: Final = 15 * MINUTE_MS
# Whoever plugs in later than this before the present charges at once, box or not: there is something to command then.
_UNBOXED_MS: Final = 6 * HOUR_MS
# Once the system has done all its inputs: so long without a record, and nothing more comes of them.
_QUIET_S: Final = 1.5
# The system may rest so long before it has done its inputs; then whoever came to judge gives up.
_PATIENCE_S: Final = 90.0
# What is judged after a restart: visits that began so long before it, or later.
_REJUDGED_MS: Final = 3 * DAY_MS


class LiveOptions(Struct, frozen=True, kw_only=True):
    """How to run: on the event clock `days` of history; on the wall clock until now, and `present_ms` more.

    `present_ms` null: without an end. `is_strict`: the system must keep up, or the run ends with an error.
    """

    is_wall: bool = False
    days: int = 3
    present_ms: int | None = None
    is_strict: bool = True


class LiveSummary(Struct, kw_only=True):
    """What a run came to. `taken`: commands that a car was going to follow.

    `visits`, `savings`: how many were held against the truth.
    """

    records: int = 0
    updates: int = 0
    commands: int = 0
    taken: int = 0
    visits: int = 0
    savings: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)


class Surroundings(Struct, frozen=True, kw_only=True):
    """Clocks, and the wait between rounds: `stop_within(seconds)` waits that long and says whether to stop."""

    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    stop_within: Callable[[float], bool]


class LiveRun:
    """One run against one system, from where `begun` says. `keeper`: it is kept there, for a restart to go on."""

    def __init__(
        self,
        begun: Position,
        options: LiveOptions,
        sink: Sink,
        outputs: Outputs,
        around: Surroundings,
        keeper: Keeper | None = None,
    ) -> None:
        self._begun = begun
        self._options = options
        self._sink = sink
        self._outputs = outputs
        self._around = around
        self._keeper = keeper
        self._naming = Naming(begun.tag)
        self._is_restart = begun.reached_ms > begun.start_ms
        taken = keeper.taken() if keeper is not None and self._is_restart else []
        self.summary = LiveSummary()
        self._fleet = LiveFleet(
            begun, taken, self._report, is_wall=options.is_wall, is_told_to_stop=lambda: around.stop_within(0)
        )
        from_ms = begun.reached_ms - _REJUDGED_MS if self._is_restart else begun.start_ms
        self._judge = LiveJudge(self._naming, self._fleet.by_vehicle(), self._report, from_ms)

    def shares(self) -> Iterator[float]:
        """Run; now and then, the share that is done. Ends early when it is told to stop."""
        return self._live() if self._options.is_wall else self._history()

    def _history(self) -> Iterator[float]:
        options = self._options
        for day in range(1, options.days + 1):
            self._write_until(self._begun.start_ms + day * DAY_MS)
            if not self._catch_up(is_last=day == options.days):
                return
            yield day / options.days

    def _live(self) -> Iterator[float]:
        options, around, fleet = self._options, self._around, self._fleet
        if self._is_restart:
            # It has been told: the world is only brought to where it was.
            for _ in fleet.words_until(self._begun.reached_ms):
                pass
        began_ms = around.now_ms()
        end_ms = None if options.present_ms is None else began_ms + options.present_ms
        if fleet.now_ms < began_ms - _UNBOXED_MS:
            fleet.pasts.append((fleet.now_ms, began_ms - _UNBOXED_MS))
        self._keep()
        if not (self._tell_past(began_ms) and self._adopt() and (not options.is_strict or self._catch_up())):
            return
        kept_ms = judged_ms = fleet.now_ms
        while end_ms is None or fleet.now_ms < end_ms:
            if around.stop_within(ROUND_S):
                break
            self._write_until(around.now_ms())
            self._read(0)
            if fleet.now_ms >= kept_ms + _KEPT_EVERY_MS:
                self._keep()
                kept_ms = fleet.now_ms
            if fleet.now_ms >= judged_ms + _JUDGED_EVERY_MS:
                if not self._judge_present():
                    return
                judged_ms = fleet.now_ms
                self._log()
            yield 0.0 if end_ms is None else min(1.0, (fleet.now_ms - began_ms) / (end_ms - began_ms))
        else:
            self._judge_present(is_last=True)
        self._keep()
        # Said before the clients take their leave, for which there may be no time.
        self._log()

    def _tell_past(self, until_ms: int) -> bool:
        """Tell what was before the present; False: told to stop."""
        fleet, around = self._fleet, self._around
        kept_s = around.monotonic_s()
        while fleet.now_ms < until_ms:
            if around.stop_within(0):
                return False
            self._write_until(min(until_ms, fleet.now_ms + _SLICE_MS))
            if around.monotonic_s() >= kept_s + 1:
                self._keep()
                kept_s = around.monotonic_s()
        self._keep()
        return True

    def _adopt(self) -> bool:
        """After a restart: take what the system had published before as it stands; False: told to stop."""
        self._judge.is_adopting = self._is_restart
        while self._judge.is_adopting:
            if self._around.stop_within(0):
                return False
            self._judge.is_adopting = bool(self._read(0.2)) or not self._outputs.is_at_end()
        return True

    def _judge_present(self, *, is_last: bool = False) -> bool:
        """Judge where the system has done all that was told; False: told to stop while it was waited for."""
        if self._options.is_strict:
            return self._catch_up(is_last=is_last)
        if self._outputs.lag() == 0 and self._outputs.is_at_end():
            self._pass_sentence(is_last=is_last)
        return True

    def _write_until(self, until_ms: int) -> None:
        for words in self._fleet.words_until(until_ms):
            self.summary.records += 1
            self._sink.write(self._naming.record(words))
        self._sink.flush()

    def _catch_up(self, *, is_last: bool = False) -> bool:
        """Wait until the system has done what was written, and judge; False: told to stop.

        Raises WriteError where it rests instead.
        """
        around, outputs = self._around, self._outputs
        moved_s, least = around.monotonic_s(), 0
        quiet_s: float | None = None
        while True:
            if around.stop_within(0):
                return False
            count = self._read(0.2)
            now_s = around.monotonic_s()
            if count:
                moved_s, quiet_s = now_s, None
                continue
            lag = outputs.lag()
            if lag or not outputs.is_at_end():
                quiet_s = None
                if lag < least or not least:
                    moved_s, least = now_s, lag
                if now_s - moved_s > _PATIENCE_S:
                    raise WriteError(f"the worker has {lag} input records left and does not move: is it running?")
                continue
            quiet_s = now_s if quiet_s is None else quiet_s
            if now_s - quiet_s >= (_QUIET_S if is_last or not self._options.is_wall else 0):
                break
        self._pass_sentence(is_last=is_last)
        return True

    def _pass_sentence(self, *, is_last: bool) -> None:
        self._judge.judge(self._fleet.now_ms, is_last=is_last)
        self.summary.visits, self.summary.savings = self._judge.visits, self._judge.savings

    def _read(self, wait_s: float) -> int:
        """Take what the system has committed; tells how many records that was."""
        fleet = self._fleet
        found = self._outputs.read(wait_s)
        taken: list[Taken] = []
        for record in found:
            command = self._judge.take(record, fleet.now_ms)
            if command is not None:
                taken.append(Taken(fleet.now_ms, record.partition, record.offset, command))
        if taken and self._keeper is not None:
            self._keeper.note(taken)
        summary, judge = self.summary, self._judge
        summary.taken += sum(fleet.take(each.command) for each in taken)
        summary.updates, summary.commands = judge.updates, judge.commands
        return len(found)

    def _keep(self) -> None:
        if self._keeper is None:
            return
        policy_id, vehicle_id = self._shown()
        self._keeper.save(
            structs.replace(
                self._begun,
                reached_ms=self._fleet.now_ms,
                pasts=tuple(self._fleet.pasts),
                offsets=self._outputs.command_offsets(),
                policy_id=policy_id,
                vehicle_id=vehicle_id,
            )
        )

    def _shown(self) -> tuple[PolicyId | None, VehicleId | None]:
        """A policy that manages a visit now, or one that waits for its vehicle, as they are named on the broker."""
        waiting: tuple[PolicyId | None, VehicleId | None] = None, None
        tag = self._begun.tag
        for each in self._fleet.cars:
            vehicle_id = VehicleId(tag + each.car.person.vehicle_id)
            part = each.car.oracle.part
            if part is not None and part.policy is not None:
                return PolicyId(tag + part.policy.id), vehicle_id
            if waiting[0] is None and (enabled := each.enabled()):
                waiting = PolicyId(tag + enabled[0]), vehicle_id
        return waiting

    def _log(self) -> None:
        said = self.summary
        get_log().info(
            "judged so far",
            records=said.records,
            updates=said.updates,
            commands=said.commands,
            followed=said.taken,
            visits=said.visits,
            findings=len(said.findings),
        )

    def _report(self, finding: Finding) -> None:
        if len(self.summary.findings) < FINDINGS_LIMIT:
            self.summary.findings.append(finding)
            get_log().warning(
                "found", law=finding.law, vehicle=finding.vehicle_id, at=str(finding.at), detail=finding.detail
            )
