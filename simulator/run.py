"""Runs the fleet: policies first, then events as simulated time reaches them, until it is told to stop.

Each round writes what is due, waits until the broker has it, and only then keeps the position.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from ingest.errors import WriteInterrupted
from ingest.records import InputRecord
from ingest.writer import InputWriter, Target
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from simulator.fleet import fleet_events, policies
from simulator.pace import Pace
from simulator.position import Position, load_position, save_position, start_from
from simulator.sinks import KafkaSink, Sink

# How often a round begins. At 720 simulated seconds a second each one writes three simulated minutes.
ROUND_S: Final = 0.25
# Records of one round at most, so that a large fleet that cannot keep up still keeps its position and hears a stop.
ROUND_LIMIT_RECORDS: Final = 10_000


class Options(Struct, frozen=True, kw_only=True):
    """What the operator chose. `speed` in simulated seconds per second."""

    vehicles: int
    seed: int
    speed: float
    start_ago_h: float
    is_fresh: bool = False


def run_simulator(options: Options, *, bootstrap_servers: str, topic_prefix: str, state_dir: Path) -> None:
    """Run until SIGINT or SIGTERM. Raises WriteError where there is no broker or no topic at the start."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    target = Target(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, waits=True)
    try:
        with InputWriter(target, interrupted=stop.is_set) as writer:
            run_fleet(options, KafkaSink(writer), state_dir, now=utc_now, stop_within=stop.wait)
    except WriteInterrupted:
        pass  # told to stop while the broker was away; the position is that of the last round it took
    get_log().info("stopped")


def run_fleet(
    options: Options,
    sink: Sink,
    state_dir: Path,
    *,
    now: Callable[[], datetime],
    stop_within: Callable[[float], bool],
    monotonic: Callable[[], float] = monotonic_s,
) -> None:
    """Write rounds until `stop_within(seconds)`, which waits that long, says to stop."""
    kept = None if options.is_fresh else load_position(state_dir)
    origin, start = start_from(kept, now(), timedelta(hours=options.start_ago_h))
    get_log().info("fleet runs", vehicles=options.vehicles, seed=options.seed, origin=origin, start=start)
    # A policy is written once: an operator may have changed or deleted it since.
    told = kept.vehicles if kept is not None else 0
    for record in policies(options.seed, range(told + 1, options.vehicles + 1), origin if kept is None else start):
        sink.write(record)
    position = Position(seed=options.seed, vehicles=max(told, options.vehicles), origin=origin, reached=start)
    pace = Pace(start, options.speed, now=now, monotonic_s=monotonic)
    events = _Due(fleet_events(options.seed, options.vehicles, int(start.timestamp())))
    while True:
        reached = events.write_until(pace.reached(), sink)
        sink.flush()
        position = Position(seed=position.seed, vehicles=position.vehicles, origin=origin, reached=reached)
        save_position(state_dir, position)
        if stop_within(ROUND_S):
            return


class _Due:
    """The stream of events, taken as far as they are due."""

    def __init__(self, events: Iterator[InputRecord]) -> None:
        self._events = events
        self._next = next(events)

    def write_until(self, horizon: datetime, sink: Sink) -> datetime:
        """Write what is due; the moment before which everything has been written."""
        for _ in range(ROUND_LIMIT_RECORDS):
            at = self._next.at
            if at is None or at > horizon:
                return horizon
            sink.write(self._next)
            self._next = next(self._events)
        return self._next.at or horizon
