"""Liveness: a worker that has something to do, and could do it, and does not move, ends, so that another may.

Asked of Kafka itself, not of our own parts, so that no part of ours can hide it: where the inputs go on beyond
what is done, and nothing is done for a while although the broker answers, something of ours stands still.

A recovery has nobody to wait for, not even Kafka: whoever starts us again finds out whether that is there.
"""

import threading
from collections.abc import Callable
from typing import Final, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import OffsetSpec

from runtime.clock import monotonic_s
from runtime.logs import get_log
from streams.errors import WorkerError
from streams.log_offsets import At, LogOffsets

log: Final = get_log()

# How often it looks, and how long the broker may take to answer.
ROUND_S: Final = 5.0
QUESTION_S: Final = 3.0


class Standstill:
    """Decides whether a worker stands still. Pure."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s`: how long a partition may stand still."""
        self._limit_s = limit_s
        # By topic and partition, what was done last, and how many seconds it has stood so while the broker answered.
        self._stands: dict[At, tuple[int, float]] = {}
        self._looked_s: float | None = None
        # By partition number, how far its recovery had come, and since when in monotonic seconds.
        self._recoveries: dict[int, tuple[int, float]] = {}
        # How many offsets are not done yet.
        self.lag: dict[At, int] = {}

    def look(self, done: dict[At, int], ends: dict[At, int] | None, quiet_s: float | None, now_s: float) -> None:
        """Compare what there is with what is done. Raises WorkerError where something stands still.

        `ends`: of the partitions of which the broker tells it; None where it does not answer. `quiet_s`: since when
        partitions are being given out anew; None: they are not. `now_s`: monotonic seconds.
        """
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if ends is None:
            # Nothing can move while the broker does not answer: waiting for it is no standstill.
            return
        told = {at: offset for at, offset in done.items() if at in ends}
        self.lag = {at: max(0, ends[at] - offset) for at, offset in told.items()}
        # A log that ends before what is done of it was made anew, or has lost its end: its records would not be taken.
        stands = {at: self._stand(at, offset, passed_s) for at, offset in told.items() if ends[at] != offset}
        self._stands = {at: stood for at, stood in self._stands.items() if at in done and at not in ends} | stands
        for (topic, number), (offset, stood_s) in stands.items():
            if stood_s > self._limit_s:
                raise WorkerError(
                    f"{topic}, partition {number} stands at offset {offset} of {ends[topic, number]}"
                    f" for more than {self._limit_s:g} s, though Kafka answers"
                )
        if quiet_s is not None and now_s - quiet_s > 2 * self._limit_s:
            raise WorkerError(f"partitions were taken away, and for {2 * self._limit_s:g} s none was given")

    def look_at_recoveries(self, recoveries: dict[int, tuple[str, int]], now_s: float) -> None:
        """Raises WorkerError where one stands still, whoever it waits for.

        `recoveries`: by partition number, what it is at, and a number that changes while it moves.
        """
        known = self._recoveries
        self._recoveries = {
            number: known[number] if known.get(number, (-1, 0.0))[0] == moves else (moves, now_s)
            for number, (_, moves) in recoveries.items()
        }
        for number, (_, since_s) in self._recoveries.items():
            if now_s - since_s > self._limit_s:
                raise WorkerError(
                    f"partition {number} cannot be recovered: it {recoveries[number][0]},"
                    f" and nothing has moved for more than {self._limit_s:g} s"
                )

    def _stand(self, at: At, offset: int, passed_s: float) -> tuple[int, float]:
        known = self._stands.get(at)
        return (offset, known[1] + passed_s if known is not None and known[0] == offset else 0.0)


class Watched(Protocol):
    """The engine, as the watchdog knows it. `positions`: what is done, by topic as on the broker and partition."""

    def positions(self) -> dict[At, int]: ...
    def recoveries(self) -> dict[int, tuple[str, int]]: ...
    def quiet_since_s(self) -> float | None: ...


class Watchdog:
    """A thread of its own, which asks Kafka and looks."""

    def __init__(
        self, offsets: LogOffsets, watched: Watched, limit_s: float, leave: Callable[[BaseException], None]
    ) -> None:
        """`leave`: ends the process."""
        self._offsets = offsets
        self._watched = watched
        self._standstill = Standstill(limit_s)
        self._round_s = min(ROUND_S, limit_s / 4)
        self._leave = leave
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._is_deaf = False

    @property
    def lag(self) -> dict[At, int]:
        """How many offsets were not done yet when it looked last."""
        return self._standstill.lag

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._round_s):
            try:
                self._standstill.look_at_recoveries(self._watched.recoveries(), monotonic_s())
                done = self._watched.positions()
                self._standstill.look(done, self._ends(list(done)), self._watched.quiet_since_s(), monotonic_s())
            except Exception as error:  # noqa: BLE001  # a watchdog that has died watches nothing
                self._leave(error)

    def _ends(self, asked: list[At]) -> dict[At, int] | None:
        """Where the logs end of which the broker says it; None: it does not answer."""
        try:
            ends = self._offsets.ask_for_some(asked, OffsetSpec.latest(), QUESTION_S)
        except KafkaException as error:
            if not self._is_deaf:
                self._is_deaf = True
                log.warning("Kafka does not answer: waiting for it", error=error.args[0].str())
            return None
        if self._is_deaf:
            self._is_deaf = False
            log.info("Kafka answers again")
        return ends
