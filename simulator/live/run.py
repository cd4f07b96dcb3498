"""The fleet whose truth is known drives a running system, and its outputs are judged.

On the event clock: days of history, one after another, each judged when the system has done it. On the wall clock: some
hours of past, as fast as they are taken, then the present, in which the cars obey the commands that they are sent.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heapreplace
from typing import Final

import msgspec
from msgspec import Struct, structs

from ingest.errors import WriteError
from runtime.logs import get_log
from simulator.feeds.catalogue import feed_maker
from simulator.judge.findings import Finding
from simulator.judge.judged import JudgedCar
from simulator.judge.truth import Bounds, Comparison
from simulator.live.judging import LiveJudge
from simulator.live.naming import Naming, Words
from simulator.live.reading import Outputs
from simulator.sinks import Sink
from simulator.world.acts import Act, DeletePolicy, Wish, WritePolicy
from simulator.world.car import Car, Told
from simulator.world.life import Life
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, moment
from simulator.world.people import person
from simulator.world.wishes import target_of

FINDINGS_LIMIT: Final = 1_000
# How often the present is told, and how often it is judged.
ROUND_S: Final = 0.25
_JUDGED_EVERY_MS: Final = 15_000
# Once the system has done all its inputs: so long without a record, and nothing more comes of them.
_QUIET_S: Final = 1.5
# The system may rest so long before it has done its inputs; then it is given up.
_PATIENCE_S: Final = 90.0
# On the wall clock a timer waits for the delay that its vehicle had last, 30 min at most; and what comes while the past
# is made up for, from several topics, may be taken in another order than it was written.
_WALL_SETTLE_S: Final = 2_400.0
_WALL_LATE_S: Final = 600.0


class LiveOptions(Struct, frozen=True, kw_only=True):
    """What to run: on the event clock `days` of history; on the wall clock until now, and `present_ms` more.

    `present_ms` null: without an end.
    `tag`: before each name that the run writes.
    """

    seed: int
    start_ms: int
    tag: str
    vehicles: int = 20
    feed: str = "clean"
    unruly: float = 1.0
    is_wall: bool = False
    days: int = 3
    present_ms: int | None = None


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
    """One run against one system."""

    def __init__(self, options: LiveOptions, sink: Sink, outputs: Outputs, around: Surroundings) -> None:
        self._options = options
        self._sink = sink
        self._outputs = outputs
        self._around = around
        self._naming = Naming(options.tag)
        self._market = Market(options.seed, options.start_ms)
        self._now_ms = options.start_ms
        self.summary = LiveSummary()
        cars = [self._car(number) for number in range(1, options.vehicles + 1)]
        self._cars = {car.car.person.vehicle_id: car for car in cars}
        self._lanes = cars
        self._heap = [(car.told_ms, place) for place, car in enumerate(cars)]
        heapify(self._heap)
        self._judge = LiveJudge(self._naming, self._cars, self._report)

    def shares(self) -> Iterator[float]:
        """Run; now and then, the share that is done. Ends early when it is told to stop."""
        return self._live() if self._options.is_wall else self._history()

    def _history(self) -> Iterator[float]:
        options = self._options
        for day in range(1, options.days + 1):
            self._write_until(options.start_ms + day * DAY_MS)
            if not self._catch_up(is_last=day == options.days):
                return
            yield day / options.days

    def _live(self) -> Iterator[float]:
        options, around = self._options, self._around
        began_ms = around.now_ms()
        end_ms = None if options.present_ms is None else began_ms + options.present_ms
        # Nobody commands the past. Half of the cars wait for a START all the same, so that not all are full in the end.
        waiting = [car.car for car in self._lanes if car.car.person.number % 2 == 0]
        for car in waiting:
            car.waits_for_start = True
        self._write_until(began_ms)
        for car in waiting:
            car.waits_for_start = False
        if not self._catch_up():
            return
        judged_ms = self._now_ms
        while end_ms is None or self._now_ms < end_ms:
            if around.stop_within(ROUND_S):
                return
            self._write_until(around.now_ms())
            self._read(0)
            if self._now_ms >= judged_ms + _JUDGED_EVERY_MS:
                if not self._catch_up():
                    return
                judged_ms = self._now_ms
                self._log()
            yield 0.0 if end_ms is None else min(1.0, (self._now_ms - began_ms) / (end_ms - began_ms))
        self._catch_up(is_last=True)

    def _car(self, number: int) -> JudgedCar:
        options = self._options
        who = person(options.seed, number, unruly=options.unruly)
        feed = feed_maker(options.feed)(who)
        car = Car(who, _kept(Life(who, options.start_ms).acts()), options.start_ms)
        bounds = _on_the_wall(feed.bounds) if options.is_wall else feed.bounds
        comparison = Comparison(car.oracle, who.vehicle_id, bounds, self._market, self._report)
        return JudgedCar(car, feed, comparison, self._report)

    def _write_until(self, until_ms: int) -> None:
        """Everything that reaches the log before that moment: prices first, which count from their own time on."""
        for price in self._market.publish(until_ms):
            self._write(price)
        heap, lanes = self._heap, self._lanes
        while heap[0][0] < until_ms:
            now_ms, place = heap[0]
            lane = lanes[place]
            for told in lane.arrivals(now_ms):
                self._tell(lane, told, now_ms)
            heapreplace(heap, (lane.told_ms, place))
        self._now_ms = max(self._now_ms, until_ms)
        self._sink.flush()

    def _tell(self, lane: JudgedCar, told: Told, now_ms: int) -> None:
        match told:
            case WritePolicy():
                self._write(told.policy)
            case Wish():
                session_id = lane.ledger.current.get(told.policy_id)
                if session_id is not None:
                    self._write(target_of(told, lane.car.person.vehicle_id, session_id, now_ms))
            case DeletePolicy():
                raise AssertionError("deletions were taken out of these lives")
            case _:
                self._write(told)

    def _write(self, words: Words) -> None:
        self.summary.records += 1
        self._sink.write(self._naming.record(words))

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
        self._judge.judge(self._now_ms, is_last=is_last)
        self.summary.visits, self.summary.savings = self._judge.visits, self._judge.savings
        return True

    def _read(self, wait_s: float) -> int:
        """Take what the system has committed; tells how many records that was."""
        found = self._outputs.read(wait_s)
        for record in found:
            command = self._judge.take(record, self._now_ms)
            if command is not None:
                lane = self._cars[command.vehicle_id]
                self.summary.taken += lane.car.take(command, self._now_ms)
        if found:
            self._heap[:] = [(car.told_ms, place) for place, car in enumerate(self._lanes)]
            heapify(self._heap)
        summary, judge = self.summary, self._judge
        summary.updates, summary.commands = judge.updates, judge.commands
        return len(found)

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


def _kept(acts: Iterator[Act]) -> Iterator[Act]:
    """A policy's deletion has the time at which the broker takes it, which is no time of the past: it is disabled."""
    standing: dict[str, WritePolicy] = {}
    for act in acts:
        match act:
            case WritePolicy():
                standing[act.policy.id] = act
                yield act
            case DeletePolicy() if act.policy_id in standing:
                policy = structs.replace(standing[act.policy_id].policy, is_enabled=False, at=moment(act.at_ms))
                yield WritePolicy(act.at_ms, policy)
            case DeletePolicy():
                pass
            case _:
                yield act


def _on_the_wall(bounds: Bounds) -> Bounds:
    return structs.replace(
        bounds,
        settle_s=max(bounds.settle_s, _WALL_SETTLE_S),
        late_s=max(bounds.late_s, _WALL_LATE_S),
        may_split=True,
    )
