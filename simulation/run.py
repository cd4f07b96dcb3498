"""The run: cars interleaved on a virtual clock, the core at their centre, the judge behind it.

Every event is one call of `sessions.lifecycle.apply`, as in a worker. Wall clock: timers of silent cars fire when
`sessions.timers.wake` says so, and commands reach the cars. Event clock: timers fire before a car's next message alone.
At chosen steps the process dies before anything was written: the state is read from its bytes and the step done again.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heapreplace
from itertools import takewhile
from random import Random
from time import perf_counter
from typing import Final

import msgspec
from msgspec import Struct, structs

from models.codec import decode_charge, decode_plug, encode
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import (
    CommandIssued,
    Decision,
    Event,
    PolicyDeleted,
    PolicyWritten,
    Rules,
    SessionChanged,
    SessionErased,
    TargetWritten,
    TelemetryReceived,
    TimerDue,
)
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from sessions.timers import wake
from simulation.lane import Lane
from simulator.feeds.feed import Feed
from simulator.judge.courses import Courses
from simulator.judge.findings import Finding, Update
from simulator.judge.nights import NightCount, Nights
from simulator.judge.truth import Comparison
from simulator.world.acts import Act, DeletePolicy, PlugOut, Wish, WritePolicy
from simulator.world.car import Car, Told
from simulator.world.life import Life
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, HOUR_MS, NEVER_MS, SECOND_MS, millis, moment, start_of
from simulator.world.people import Person, person
from simulator.world.wishes import target_of

# Findings of one run at most; a broken core would fill the memory.
FINDINGS_LIMIT: Final = 1_000
# After the last act: the plug is known to be out, and what settles late does.
_AFTER_MS: Final = 3 * HOUR_MS
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Vehicle)


class Options(Struct, frozen=True, kw_only=True):
    """What to run. `first_day`: of the `days`, nothing before it is lived (0: all is). `numbers`: only these of the
    vehicles. `crash_every`: steps between two deaths, on the mean (0: none).

    `acts`: instead of those of their lives, the acts of each car by its number.
    """

    seed: int
    vehicles: int = 20
    days: int = 7
    first_day: int = 0
    is_wall: bool = True
    unruly: float = 1.0
    is_calm_market: bool = False
    crash_every: int = 97
    numbers: tuple[int, ...] | None = None
    acts: dict[int, list[Act]] | None = None


class Summary(Struct, kw_only=True):
    """What a run came to. `visits`, `savings`, `verdicts`: how many were held against the truth.

    `parts`: all there were in truth. `skipped`: those that could not be compared, by why. `unjudged`: those of which
    nothing was said. `core_s`: of `elapsed_s`, what the session logic took.
    """

    events: int = 0
    messages: int = 0
    updates: int = 0
    commands: int = 0
    crashes: int = 0
    visits: int = 0
    parts: int = 0
    unjudged: int = 0
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    savings: int = 0
    nights: NightCount = msgspec.field(default_factory=NightCount)
    verdicts: int = 0
    refused: int = 0
    elapsed_s: float = 0.0
    core_s: float = 0.0
    findings: list[Finding] = msgspec.field(default_factory=list)

    @property
    def laws(self) -> Counter[str]:
        """How often each law was broken."""
        return Counter(finding.law for finding in self.findings)


class Run:
    """One run of one seed. `feed_of` makes the feed of each car; `on_step` hears of every event applied."""

    def __init__(
        self,
        options: Options,
        feed_of: Callable[[Person], Feed],
        on_step: Callable[[int, Lane, Event, Decision], None] | None = None,
    ) -> None:
        self._options = options
        self._on_step = on_step
        self.summary = Summary()
        self._start_ms = start_of(options.seed) + options.first_day * DAY_MS
        self._end_ms = start_of(options.seed) + options.days * DAY_MS
        self._market = Market(options.seed, self._start_ms, is_calm=options.is_calm_market)
        self._nights = Nights(self._market)
        self.summary.nights = self._nights.count
        self._published_ms = self._start_ms - 2 * DAY_MS
        self._book = PriceBook()
        self._rules = Rules(is_wall=options.is_wall)
        self._deaths = Random(f"{options.seed}/deaths")  # noqa: S311 - drawn alike in every run
        self._steps_left = self._next_death()
        numbers = options.numbers or tuple(range(1, options.vehicles + 1))
        self.lanes = [self._lane(number, feed_of) for number in numbers]

    def days(self) -> Iterator[float]:
        """Run; after each simulated day (24 h), the share that is done."""
        began_s = perf_counter()
        heap = [(lane.next_ms, place) for place, lane in enumerate(self.lanes)]
        heapify(heap)
        for day_ms in range(self._start_ms + DAY_MS, self._end_ms + 1, DAY_MS):
            self._run_until(heap, day_ms)
            for lane in self.lanes:
                self._judge(lane, day_ms)
            self.summary.elapsed_s = perf_counter() - began_s
            yield (day_ms - self._start_ms) / (self._end_ms - self._start_ms)
        self._finish(heap)
        self.summary.elapsed_s = perf_counter() - began_s

    def _finish(self, heap: list[tuple[int, int]]) -> None:
        """Nobody does anything any more; whatever is on its way comes, and all there was is judged."""
        summary = self.summary
        over_ms = self._end_ms + max(int(lane.feed.bounds.settle_s) for lane in self.lanes) * SECOND_MS + _AFTER_MS
        self._run_until(heap, over_ms)
        for lane in self.lanes:
            self._judge(lane, over_ms, is_last=True)
            judged = lane.comparison
            summary.visits += judged.compared
            summary.savings += judged.valued
            summary.verdicts += lane.verdicts
            summary.unjudged += judged.unjudged
            summary.skipped.update(judged.skipped)
        summary.parts = summary.visits + summary.unjudged + sum(summary.skipped.values())

    def _lane(self, number: int, feed_of: Callable[[Person], Feed]) -> Lane:
        options = self._options
        who = person(options.seed, number, unruly=options.unruly)
        acts = Life(who, self._start_ms).acts() if options.acts is None else options.acts[number]
        feed = feed_of(who)
        if feed.plugged_every_s is not None:
            who = structs.replace(who, plugged_every_s=feed.plugged_every_s)
        car = Car(who, _until(acts, self._end_ms), self._start_ms)
        comparison = Comparison(
            car.oracle, who.vehicle_id, feed.bounds, self._market, self._report, feed.heard, feed.metered, feed.spoken
        )
        courses = None
        if feed.tells_levels:
            is_commanded = options.is_wall
            courses = Courses(
                car,
                self._market,
                self._report,
                is_whole=feed.is_clean,
                is_commanded=is_commanded,
                tells_again=feed.tells_again,
            )
        return Lane(car, feed, comparison, self._report, courses)

    def _run_until(self, heap: list[tuple[int, int]], until_ms: int) -> None:
        lanes = self.lanes
        while heap[0][0] < until_ms:
            now_ms, place = heap[0]
            if now_ms >= self._published_ms:
                self._publish(now_ms)
                heap[:] = [(lane.next_ms, place) for place, lane in enumerate(lanes)]
                heapify(heap)
                continue
            lane = lanes[place]
            self._move(lane, now_ms)
            heapreplace(heap, (lane.next_ms, place))

    def _publish(self, now_ms: int) -> None:
        """Prices are on their topic an hour early at most; they count from when they become known."""
        self._published_ms = now_ms + HOUR_MS
        records = self._market.publish(self._published_ms)
        for record in records:
            self._book.add(record, record.at)
        if records and self._options.is_wall:
            for lane in self.lanes:
                self._set_wake(lane)

    def _move(self, lane: Lane, now_ms: int) -> None:
        arrived = lane.arrivals(now_ms)
        for told in arrived:
            event = self._event(lane, told, now_ms)
            if event is not None:
                self._apply(lane, event, now_ms)
        if not arrived and lane.wake_ms <= now_ms:
            known = lane.vehicle
            self._apply(lane, TimerDue(moment(now_ms), is_wall=True), now_ms)
            if lane.vehicle is known and not lane.is_broken:
                self._find(lane, "a timer that is due fires", now_ms, "woken in vain")
                lane.wake_ms = NEVER_MS
                return
        if lane.is_news:
            # Once all that came at this moment is taken, as the world has moved to it as well.
            lane.is_news = False
            lane.after_step(now_ms)
        if self._options.is_wall:
            self._set_wake(lane)

    def _event(self, lane: Lane, told: Told, now_ms: int) -> Event | None:
        # Asked first, and plainly: nearly all are samples.
        if isinstance(told, ChargeSample | PlugEvent):
            self.summary.messages += 1
            return TelemetryReceived(_decoded(told) if lane.feed.is_coarse else told, moment(now_ms))
        match told:
            case WritePolicy():
                return PolicyWritten(told.policy, moment(now_ms))
            case DeletePolicy():
                return PolicyDeleted(told.policy_id, moment(now_ms))
            case Wish():
                return _wish(lane, told, now_ms)

    def _set_wake(self, lane: Lane) -> None:
        if lane.vehicle.visit is None:
            # What waits rolls on with the next message.
            lane.wake_ms = NEVER_MS
            return
        began_s = perf_counter()
        due = wake(lane.vehicle, self._rules, self._book)
        self.summary.core_s += perf_counter() - began_s
        lane.wake_ms = NEVER_MS if due is None else millis(due.due_at) + math.ceil(due.delay_s * 1_000) + 1

    def _apply(self, lane: Lane, event: Event, now_ms: int) -> None:
        summary, vehicle = self.summary, lane.vehicle
        if lane.is_broken:
            return
        summary.events += 1
        began_s = perf_counter()
        try:
            decision = apply(vehicle, event, self._rules, self._book)
        except Exception as error:  # noqa: BLE001 - whatever the core raises is a finding, and this car rests
            lane.is_broken = True
            self._find(lane, "the core takes everything", now_ms, f"{type(error).__name__}: {error}")
            return
        summary.core_s += perf_counter() - began_s
        self._steps_left -= 1
        if self._steps_left == 0:
            decision = self._crash(lane, event, decision, now_ms)
        if self._on_step is not None:
            self._on_step(now_ms, lane, event, decision)
        lane.vehicle = decision.vehicle
        if decision.refused is not None:
            summary.refused += 1
            if lane.feed.is_clean:
                self._find(lane, "good messages are taken", now_ms, str(decision.refused))
        if decision.outputs:
            self._take(lane, decision, now_ms)
        if decision.outputs or isinstance(event, PolicyWritten | PolicyDeleted):
            lane.is_news = True

    def _take(self, lane: Lane, decision: Decision, now_ms: int) -> None:
        for output in decision.outputs:
            if isinstance(output, SessionChanged):
                self.summary.updates += 1
                lane.take(_update(output))
                if output.head.plugged_out_at is not None:
                    lane.comparison.settled(output.session, now_ms)
            elif isinstance(output, SessionErased):
                lane.erase(output.session_id, now_ms)
        if not self._options.is_wall:
            return
        # Once all updates of the step are known: they become visible together.
        for output in decision.outputs:
            # One whose time has passed is not written.
            if isinstance(output, CommandIssued) and millis(output.command.valid_until) >= now_ms:
                self.summary.commands += 1
                lane.command(output.command, now_ms)
                lane.car.take(output.command, now_ms)

    def _next_death(self) -> int:
        """In how many steps the process dies next: any number, as many as asked for on the mean."""
        every = self._options.crash_every
        return self._deaths.randrange(1, 2 * every) if every else 0

    def _crash(self, lane: Lane, event: Event, decision: Decision, now_ms: int) -> Decision:
        """Nothing was written: what was remembered is read again, and the step comes to the same.

        Then the run goes on with what came of that.
        """
        self._steps_left = self._next_death()
        self.summary.crashes += 1
        again = apply(_DECODER.decode(_ENCODER.encode(lane.vehicle)), event, self._rules, self._book)
        if again != decision:
            self._find(lane, "a step done again comes to the same", now_ms, type(event).__name__)
        return again

    def _judge(self, lane: Lane, now_ms: int, *, is_last: bool = False) -> None:
        parts = lane.car.oracle.finished(now_ms)
        for part in parts:
            self._nights.add(part)
        lane.happened(parts)
        if not lane.is_broken:
            active_since = None if is_last else lane.ledger.active_since
            until_ms = NEVER_MS if is_last else now_ms - HOUR_MS
            lane.comparison.judge(until_ms, None if active_since is None else millis(active_since))

    def _find(self, lane: Lane, law: str, now_ms: int, detail: str) -> None:
        self._report(Finding(law=law, vehicle_id=lane.car.person.vehicle_id, at=moment(now_ms), detail=detail))

    def _report(self, finding: Finding) -> None:
        if len(self.summary.findings) < FINDINGS_LIMIT:
            self.summary.findings.append(finding)


def _until(acts: Iterable[Act], end_ms: int) -> Iterator[Act]:
    """The acts up to the end, at which every plug that is in goes out: all that there was is over then."""
    yield from takewhile(lambda act: act.at_ms < end_ms, acts)
    yield PlugOut(end_ms)


def _update(output: SessionChanged) -> Update:
    return Update(
        head=output.head,
        intervals=output.series,
        version=output.version,
        created_at=output.created_at,
        charging_event_id=output.charging_event_id,
        represents=output.represents_charging_event,
    )


def _decoded(message: PlugEvent | ChargeSample) -> PlugEvent | ChargeSample:
    """The message as a worker reads it: what is out of its range is null."""
    if isinstance(message, PlugEvent):
        return decode_plug(encode(message))[0]
    return decode_charge(encode(message))[0]


def _wish(lane: Lane, wish: Wish, now_ms: int) -> TargetWritten | None:
    """What the app sends for the session that it shows; nothing where there is none."""
    session_id = lane.ledger.current.get(wish.policy_id)
    if session_id is None:
        return None
    return TargetWritten(target_of(wish, lane.car.person.vehicle_id, session_id, now_ms), moment(now_ms))


def run(options: Options, feed_of: Callable[[Person], Feed]) -> Summary:
    """Run to the end."""
    running = Run(options, feed_of)
    for _ in running.days():
        pass
    return running.summary
