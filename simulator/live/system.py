"""The run beside its brokers: signals, clocks, the writer of inputs and the reader of outputs."""

import signal
import threading
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ingest.errors import WriteInterrupted
from ingest.writer import InputWriter, Target
from runtime.clock import monotonic_s, utc_now
from simulator.live.reading import KafkaOutputs
from simulator.live.run import LiveOptions, LiveRun, LiveSummary, Surroundings
from simulator.sinks import KafkaSink
from simulator.world.moments import DAY_MS, HOUR_MS, SECOND_MS, millis, start_of

# Lives are told from the day before on, since nobody drives on their first day. The worker gives up a car after 72 h of
# silence, and must not while the past is made up for.
_FIRST_DAY_H: Final = 24.0
PAST_LIMIT_H: Final = 36.0


class WhatToRun(Struct, frozen=True, kw_only=True):
    """What the operator chose; `is_wall`: the clock on which the worker runs."""

    seed: int
    vehicles: int
    feed: str
    unruly: float
    is_wall: bool
    days: int
    past_h: float
    present_s: float | None


def options_for(chosen: WhatToRun, now_ms: int) -> LiveOptions:
    """When the run begins, and under which names. Raises ValueError where its days are not over yet."""
    past_ms = int((chosen.past_h + _FIRST_DAY_H) * HOUR_MS)
    start_ms = (now_ms - past_ms) // SECOND_MS * SECOND_MS if chosen.is_wall else start_of(chosen.seed)
    if not chosen.is_wall and start_ms + chosen.days * DAY_MS > now_ms:
        raise ValueError(f"{chosen.days} days of seed {chosen.seed} are not over yet")
    return LiveOptions(
        seed=chosen.seed,
        start_ms=start_ms,
        # A system may have seen this seed before: its vehicles were others.
        tag=f"s{chosen.seed}-{now_ms // SECOND_MS:x}.",
        vehicles=chosen.vehicles,
        feed=chosen.feed,
        unruly=chosen.unruly,
        is_wall=chosen.is_wall,
        days=chosen.days,
        present_ms=None if chosen.present_s is None else int(chosen.present_s * SECOND_MS),
    )


def judge_system(
    chosen: WhatToRun, *, bootstrap_servers: str, topic_prefix: str, tell: Callable[[float], None]
) -> LiveSummary:
    """Run until done, or until SIGINT or SIGTERM; `tell` hears the share that is done.

    Raises WriteError where there is no broker, no topic, or no worker that moves; ValueError as `options_for`.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    options = options_for(chosen, _now_ms())
    around = Surroundings(now_ms=_now_ms, monotonic_s=monotonic_s, stop_within=stop.wait)
    target = Target(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, waits=True)
    running = None
    try:
        with (
            KafkaOutputs(bootstrap_servers, topic_prefix, interrupted=stop.is_set) as outputs,
            InputWriter(target, interrupted=stop.is_set) as writer,
        ):
            running = LiveRun(options, KafkaSink(writer), outputs, around)
            for share in running.shares():
                tell(share)
    except WriteInterrupted:
        pass  # told to stop while the broker was away: what was judged until then stands
    return LiveSummary() if running is None else running.summary


def _now_ms() -> int:
    return millis(utc_now())
