"""What the worker counts and measures of itself, by partition. Written by the partitions' threads, read by others."""

from bisect import bisect_left
from collections import Counter
from threading import Lock
from typing import Final

from streams.processor import Decided

# Upper bounds of the times' histogram, in seconds; what is above the last one is counted as well.
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Times:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._total_s = 0.0

    def add(self, took_s: float) -> None:
        """Count one."""
        with self._lock:
            self._counts[bisect_left(BUCKETS_S, took_s)] += 1
            self._total_s += took_s

    def read(self) -> tuple[list[int], float]:
        """How many fell into each bucket, the last one without a bound, and their sum in seconds."""
        with self._lock:
            return list(self._counts), self._total_s


class Figures:
    """Totals since the process began; times in seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tally: Counter[str] = Counter()
        self.records: Counter[int] = Counter()
        self.batches: Counter[int] = Counter()
        self.outputs: Counter[str] = Counter()
        self.aborts: Counter[int] = Counter()
        self.timers: Counter[int] = Counter()
        self.timer_late_s: dict[int, float] = {}
        self.recovery_s: dict[int, float] = {}
        self.recovery_records: dict[int, float] = {}
        self.decided = Times()
        self.committed = Times()

    def batch(self, partition: int, batch: Decided, records: int, decide_s: float, commit_s: float) -> None:
        """A batch is done: so many input records, and how long it took to decide and to commit it."""
        self.decided.add(decide_s)
        self.committed.add(commit_s)
        with self._lock:
            self._tally.update(batch.tally)
            self.records[partition] += records
            self.batches[partition] += 1
            for output in batch.outputs:
                self.outputs[output.topic] += 1

    def counted(self) -> dict[str, int]:
        """What was counted, by fact."""
        with self._lock:
            return dict(self._tally)

    def records_done(self) -> int:
        """How many input records were processed."""
        with self._lock:
            return self.records.total()

    def aborted(self, partition: int) -> None:
        """A transaction was undone."""
        with self._lock:
            self.aborts[partition] += 1

    def timers_fired(self, partition: int, count: int, late_s: float) -> None:
        """Timers fired; the first of them was so late."""
        with self._lock:
            self.timers[partition] += count
            self.timer_late_s[partition] = late_s

    def none_late(self, partition: int) -> None:
        """No timer is due."""
        if self.timer_late_s.get(partition):
            with self._lock:
                self.timer_late_s[partition] = 0.0

    def of_partitions(self) -> dict[str, dict[int, float]]:
        """What stands of each partition, by the names of `metrics.GAUGES`."""
        with self._lock:
            return {
                "timer_lateness_seconds": dict(self.timer_late_s),
                "recovery_seconds": dict(self.recovery_s),
                "recovery_records": dict(self.recovery_records),
            }

    def lost(self, partition: int) -> None:
        """The partition is another's now: what stood of it does not any more."""
        with self._lock:
            for figures in (self.timer_late_s, self.recovery_s, self.recovery_records):
                figures.pop(partition, None)

    def recovered(self, partition: int, took_s: float, records: int) -> None:
        """A partition was recovered, with so many records from its changelog."""
        with self._lock:
            self.recovery_s[partition] = took_s
            self.recovery_records[partition] = records
