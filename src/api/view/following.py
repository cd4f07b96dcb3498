"""Follow the topics into one store, and say when it is complete.

It is complete once every partition was read to the end that it had when asked, by position and never by "the last
record": transaction markers and compaction leave offsets that no record has. Only then do requests see the store.
"""

import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaException

from api.metrics import Metrics
from api.view.batches import Batch, LogLostError
from api.view.log import LogReader, SessionLog
from api.view.meta import LogBounds, TopicPartition, complete_changes, outside, read_positions
from api.view.store import Store, StoreDamagedError
from api.view.view import View
from runtime.clock import monotonic_s
from runtime.logs import get_log

log: Final = get_log()

# Seconds between two looks at the topics themselves: are they still the same, and where do they end now.
_HEARTBEAT_S: Final = 60.0
# Seconds between updates of the lag gauges.
_LAG_S: Final = 1.0


class Following:
    """One store and one reader, from the store's offsets on. `on_complete` is called before the store is shown."""

    def __init__(
        self,
        view: View,
        session_log: SessionLog,
        store: Store,
        bounds: LogBounds,
        metrics: Metrics,
        on_complete: Callable[[], None],
    ) -> None:
        self._view = view
        self._log = session_log
        self._store = store
        self._bounds = bounds
        self._metrics = metrics
        self._on_complete = on_complete
        self._is_shown = False
        self._positions = read_positions(store, bounds)
        self._policy_partitions = sum(topic == session_log.policies_topic for topic, _ in self._positions)
        # What of the last look's ends was not yet read; empty and noted: complete as of that look.
        self._behind = dict(bounds.end)
        self._is_noted = False
        # The ends of all partitions as they were at that second of the monotonic clock.
        self._goal: tuple[float, dict[TopicPartition, int]] | None = None

    def run(self, stop: threading.Event) -> None:
        """Until told to stop. Raises LogLostError, StoreDamagedError, KafkaException."""
        reader = self._log.read_from(self._positions)
        heartbeat_s = lag_s = monotonic_s()
        try:
            while not stop.is_set():
                self._step(reader)
                now_s = monotonic_s()
                if now_s - lag_s >= _LAG_S:
                    lag_s = now_s
                    self._measure_lag(reader)
                if now_s - heartbeat_s >= _HEARTBEAT_S:
                    heartbeat_s = now_s
                    self._look_again()
        finally:
            reader.close()

    def _step(self, reader: LogReader) -> None:
        # Before it is shown, word of damage is still about the store that was shown before.
        damage = self._view.damage() if self._is_shown else None
        if damage is not None:
            raise StoreDamagedError(damage)
        batch = Batch(
            self._store, self._log.policies_topic, self._policy_partitions, self._metrics, is_told=self._is_shown
        )
        batch.take(reader.batch())
        self._positions |= batch.positions
        with self._view.watches.writing():
            batch.write(self._completion())
            if self._is_shown:
                self._view.touched(batch.touched, batch.updates)
        if not self._is_shown and not self._behind:
            self._show(reader)
        self._view.verdicts.tell(batch.verdicts)

    def _completion(self) -> dict[bytes, bytes | None]:
        """What to write beside the batch: that the store is then complete as of the last look, if that is news."""
        self._behind = {at: end for at, end in self._behind.items() if self._positions[at] < end}
        if self._behind or self._is_noted:
            return {}
        self._is_noted = True
        return complete_changes(self._bounds.at)

    def _show(self, reader: LogReader) -> None:
        self._on_complete()
        self._view.publish(self._store)
        self._is_shown = True
        self._metrics.ready.set(1)
        self._measure_lag(reader)
        log.info("the view is complete", partitions=len(self._positions))

    def _look_again(self) -> None:
        try:
            bounds = self._log.bounds()
        except KafkaException as error:
            # What was read stays true; reading goes on by itself once the brokers are back.
            log.warning("the topics could not be looked at", error=str(error.args[0]))
            return
        if bounds.topic_ids != self._bounds.topic_ids:
            raise LogLostError("a topic was created anew")
        reason = outside(self._positions, bounds)
        if reason is not None:
            raise LogLostError(reason)
        if not self._behind:
            self._bounds, self._behind, self._is_noted = bounds, dict(bounds.end), False

    def _measure_lag(self, reader: LogReader) -> None:
        ends = reader.known_ends(self._positions)
        for (topic, partition), end in ends.items():
            lag = max(0, end - self._positions[topic, partition])
            self._metrics.lag.labels(topic, partition).set(lag)
        if self._goal is not None:
            asked_s, goal = self._goal
            if any(self._positions[at] < end for at, end in goal.items()):
                return
            self._view.complete_as_of_s = asked_s
        # A partition that was never fetched from has no known end: then this says nothing.
        self._goal = (monotonic_s(), ends) if len(ends) == len(self._positions) else None
