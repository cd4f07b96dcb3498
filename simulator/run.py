"""Runs the fleet: prices and policies first, then events as simulated time reaches them, until it is told to stop.

Each round hands commands to the vehicles, writes what is due, waits until the broker has it, and only then keeps the
position.
"""

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from ingest.errors import WriteInterrupted
from ingest.writer import InputWriter, Target
from models.topics import CHARGE_COMMANDS, topic_name
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from simulator.commands import CommandSource, KafkaCommands
from simulator.fleet import Fleet, policies
from simulator.orders import Orders
from simulator.pace import Pace
from simulator.position import Position, load_position, save_position, start_from
from simulator.prices import TOLD_BEFORE_START, announcements
from simulator.sinks import KafkaSink, Sink

# How often a round begins. At 720 simulated seconds a second each one writes three simulated minutes.
ROUND_S: Final = 0.25
# Steps of vehicles in one round at most, so that a large fleet that cannot keep up still keeps its position and hears a
# stop.
ROUND_LIMIT_STEPS: Final = 10_000
# Nearer to the wall clock than this a fleet is live: whoever plans its charging can still reach it in time.
LIVE_WITHIN: Final = timedelta(minutes=5)
# Keeping the position of a large fleet takes a while: at most one part in so many of the time.
_KEEPING_SHARE: Final = 20


class Options(Struct, frozen=True, kw_only=True):
    """What the operator chose. `speed` in simulated seconds per second."""

    vehicles: int
    seed: int
    speed: float
    start_ago_h: float
    is_fresh: bool = False


class Surroundings(Struct, frozen=True, kw_only=True):
    """Clocks, and the wait between rounds: `stop_within(seconds)` waits that long and says whether to stop."""

    now: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    stop_within: Callable[[float], bool]


def run_simulator(options: Options, *, bootstrap_servers: str, topic_prefix: str, state_dir: Path) -> None:
    """Run until SIGINT or SIGTERM. Raises WriteError where there is no broker or no topic at the start."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    target = Target(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, waits=True)
    around = Surroundings(now=utc_now, monotonic_s=monotonic_s, stop_within=stop.wait)
    topic = topic_name(topic_prefix, CHARGE_COMMANDS)
    try:
        with (
            InputWriter(target, interrupted=stop.is_set) as writer,
            KafkaCommands(bootstrap_servers, topic, interrupted=stop.is_set) as commands,
        ):
            run_fleet(options, KafkaSink(writer), commands, state_dir, around)
    except WriteInterrupted:
        pass  # told to stop while the broker was away; the position is that of the last round it took
    get_log().info("stopped")


def run_fleet(options: Options, sink: Sink, commands: CommandSource, state_dir: Path, around: Surroundings) -> None:
    """Write rounds until told to stop."""
    kept = None if options.is_fresh else load_position(state_dir)
    begin = start_from(kept, options.seed, around.now(), timedelta(hours=options.start_ago_h))
    get_log().info("fleet runs", vehicles=options.vehicles, seed=options.seed, origin=begin.origin, start=begin.reached)
    commands.begin(begin.command_offsets)
    run = _Run(options, begin, sink, commands, around)
    run.tell_beginning()
    keeper = _Keeper(state_dir, around.monotonic_s)
    while True:
        is_cut_short = run.round()
        keeper.keep(run.position)
        if around.stop_within(0 if is_cut_short else ROUND_S):
            keeper.keep(run.position, is_last=True)
            run.orders.tell()
            return


class _Run:
    """A fleet on its way from a position."""

    def __init__(
        self, options: Options, begin: Position, sink: Sink, commands: CommandSource, around: Surroundings
    ) -> None:
        self._options = options
        self._begin = begin
        self._sink = sink
        self._commands = commands
        self._now = around.now
        self._pace = Pace(begin.reached, options.speed, now=around.now, monotonic_s=around.monotonic_s)
        self._fleet = Fleet(options.seed, options.vehicles, int(begin.reached.timestamp()), begin.states)
        self._priced_to = begin.reached - TOLD_BEFORE_START if begin.is_new else begin.reached
        self.orders = Orders(commands, self._fleet, around.monotonic_s)

    def tell_beginning(self) -> None:
        """The prices that are public at the start, then the policies, so that the first plug-in can be planned."""
        self._tell_prices(self._begin.reached)
        # A policy is written once: an operator may have changed or deleted it since.
        new = range(self._begin.vehicles + 1, self._options.vehicles + 1)
        for record in policies(self._options.seed, new, self._begin.reached):
            self._sink.write(record)

    def round(self) -> bool:
        """Everything that is due. Tells whether there was more of it than one round takes."""
        horizon = self._pace.reached()
        horizon_s, live_from_s = int(horizon.timestamp()), self._live_from_s()
        self.orders.hand_over(live_from_s)
        self._tell_prices(horizon)
        for record in self._fleet.events(horizon_s, live_from_s, ROUND_LIMIT_STEPS):
            self._sink.write(record)
        self._sink.flush()
        return self._fleet.reached_s < horizon_s

    def position(self) -> Position:
        """Where to go on from here."""
        return Position(
            seed=self._options.seed,
            vehicles=max(self._begin.vehicles, self._options.vehicles),
            origin=self._begin.origin,
            reached=datetime.fromtimestamp(self._fleet.reached_s, UTC),
            states=self._fleet.states(),
            command_offsets=self._commands.offsets,
        )

    def _live_from_s(self) -> int:
        """In real time from the start, nobody could be nearer than that: then all of it is live."""
        return 0 if self._options.speed == 1 else int((self._now() - LIVE_WITHIN).timestamp())

    def _tell_prices(self, up_to: datetime) -> None:
        for record in announcements(self._options.seed, self._priced_to, up_to):
            self._sink.write(record)
        self._priced_to = up_to


class _Keeper:
    """Keeps the position, of a large fleet not after every round."""

    def __init__(self, state_dir: Path, monotonic_s: Callable[[], float]) -> None:
        self._state_dir = state_dir
        self._monotonic_s = monotonic_s
        self._next_s = monotonic_s()

    def keep(self, position: Callable[[], Position], *, is_last: bool = False) -> None:
        began_s = self._monotonic_s()
        if began_s < self._next_s and not is_last:
            return
        save_position(self._state_dir, position())
        ended_s = self._monotonic_s()
        self._next_s = ended_s + (ended_s - began_s) * _KEEPING_SHARE
