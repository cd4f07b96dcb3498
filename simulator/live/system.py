"""The run beside its brokers: signals, clocks, the writer of inputs and the reader of outputs."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from ingest.errors import WriteInterrupted
from ingest.writer import InputWriter, Target
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from simulator.live.position import Keeper, Position
from simulator.live.reading import KafkaOutputs
from simulator.live.run import LiveOptions, LiveRun, LiveSummary, Surroundings
from simulator.live.sinks import KafkaSink
from simulator.world.moments import DAY_MS, HOUR_MS, SECOND_MS, millis, start_of

# Lives are told from the day before on, since nobody drives on their first day. The worker gives up a car after 72 h of
# silence, and must not while the past is made up for.
_FIRST_DAY_H: Final = 24.0
PAST_LIMIT_H: Final = 36.0


class WhatToRun(Struct, frozen=True, kw_only=True):
    """What the operator chose; `is_wall`: the clock on which the worker runs.

    `is_strict`: a run of its own, for which the system must keep up. `is_fresh`: begin anew.
    """

    seed: int
    vehicles: int
    feed: str
    unruly: float
    is_wall: bool
    days: int
    past_h: float
    present_s: float | None
    is_strict: bool
    is_fresh: bool = False

    @property
    def options(self) -> LiveOptions:
        present_ms = None if self.present_s is None else int(self.present_s * SECOND_MS)
        return LiveOptions(is_wall=self.is_wall, days=self.days, present_ms=present_ms, is_strict=self.is_strict)


def beginning(chosen: WhatToRun, now_ms: int) -> Position:
    """When a new run begins, and under which names. Raises ValueError where its days are not over yet."""
    past_ms = int((chosen.past_h + _FIRST_DAY_H) * HOUR_MS)
    start_ms = (now_ms - past_ms) // SECOND_MS * SECOND_MS if chosen.is_wall else start_of(chosen.seed)
    if not chosen.is_wall and start_ms + chosen.days * DAY_MS > now_ms:
        raise ValueError(f"{chosen.days} days of seed {chosen.seed} are not over yet")
    return Position(
        seed=chosen.seed,
        vehicles=chosen.vehicles,
        feed=chosen.feed,
        unruly=chosen.unruly,
        # A system may have seen this seed before: its vehicles were others.
        tag=f"s{chosen.seed}-{now_ms:x}.",
        start_ms=start_ms,
        reached_ms=start_ms,
    )


def where_to_begin(chosen: WhatToRun, keeper: Keeper, now_ms: int) -> Position:
    """Where the last run stopped, if it was of the same fleet and not too long ago; otherwise in a new past."""
    fresh, kept = beginning(chosen, now_ms), None if chosen.is_fresh else keeper.load()
    if kept is None or not kept.is_same_fleet(fresh) or not kept.can_go_on(now_ms):
        keeper.begin(fresh)
        return fresh
    offsets = dict(kept.offsets)
    try:
        for each in keeper.taken():
            offsets[each.partition] = max(offsets.get(each.partition, 0), each.offset + 1)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        get_log().warning("the journal of commands cannot be read; beginning anew", reason=str(error))
        keeper.begin(fresh)
        return fresh
    return structs.replace(kept, offsets=offsets)


def run_fleet(
    chosen: WhatToRun,
    *,
    bootstrap_servers: str,
    topic_prefix: str,
    state_dir: Path,
    tell: Callable[[float], None],
) -> LiveSummary:
    """Run until done, or until SIGINT or SIGTERM; `tell` hears the share that is done.

    On the wall clock a run that is not strict is kept in the state folder, and goes on after a restart.
    Raises WriteError where there is no broker, no topic, or, if it is strict, no worker that moves; ValueError as
    `beginning`.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    keeper = None if chosen.is_strict or not chosen.is_wall else Keeper(state_dir)
    now_ms = _now_ms()
    begun = beginning(chosen, now_ms) if keeper is None else where_to_begin(chosen, keeper, now_ms)
    is_restart = begun.reached_ms > begun.start_ms
    get_log().info("fleet runs", seed=begun.seed, vehicles=begun.vehicles, tag=begun.tag, is_restart=is_restart)
    around = Surroundings(now_ms=_now_ms, monotonic_s=monotonic_s, stop_within=stop.wait)
    target = Target(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, waits=True)
    since = begun.offsets if is_restart else None
    running = None
    try:
        with (
            KafkaOutputs(bootstrap_servers, topic_prefix, interrupted=stop.is_set, since=since) as outputs,
            InputWriter(target, interrupted=stop.is_set) as writer,
        ):
            running = LiveRun(begun, chosen.options, KafkaSink(writer), outputs, around, keeper)
            for share in running.shares():
                tell(share)
    except WriteInterrupted:
        pass  # told to stop while the broker was away; the position is that of the last round it took
    return LiveSummary() if running is None else running.summary


def _now_ms() -> int:
    return millis(utc_now())
