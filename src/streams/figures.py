"""What the worker counts and measures of itself, by partition. Written by the partitions' threads, read by others."""

from collections import Counter
from threading import Lock

from streams.processor import Decided


class Figures:
    """Totals since the process began; times in seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.tally: Counter[str] = Counter()
        self.records: Counter[int] = Counter()
        self.batches: Counter[int] = Counter()
        self.outputs: Counter[str] = Counter()
        self.decide_s: Counter[int] = Counter()
        self.commit_s: Counter[int] = Counter()
        self.aborts: Counter[int] = Counter()
        self.timers: Counter[int] = Counter()
        self.timer_late_s: dict[int, float] = {}
        self.recovery_s: dict[int, float] = {}
        self.recovery_records: dict[int, int] = {}

    def batch(self, partition: int, batch: Decided, records: int, decide_s: float, commit_s: float) -> None:
        """A batch is done: so many input records, and how long it took to decide and to commit it."""
        with self._lock:
            self.tally.update(batch.tally)
            self.records[partition] += records
            self.batches[partition] += 1
            self.decide_s[partition] += decide_s  # type: ignore[assignment]  # a counter of seconds
            self.commit_s[partition] += commit_s  # type: ignore[assignment]
            for output in batch.outputs:
                self.outputs[output.topic] += 1

    def counted(self) -> dict[str, int]:
        """What was counted, by fact."""
        with self._lock:
            return dict(self.tally)

    def aborted(self, partition: int) -> None:
        """A transaction was undone."""
        with self._lock:
            self.aborts[partition] += 1

    def timers_fired(self, partition: int, count: int, late_s: float) -> None:
        """Timers fired; the first of them was so late."""
        with self._lock:
            self.timers[partition] += count
            self.timer_late_s[partition] = late_s

    def recovered(self, partition: int, took_s: float, records: int) -> None:
        """A partition was recovered, with so many records from its changelog."""
        with self._lock:
            self.recovery_s[partition] = took_s
            self.recovery_records[partition] = records
