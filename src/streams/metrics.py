"""`/metrics` of a worker, for Prometheus: on this machine's own address only, without ids of vehicles or users."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from streams.errors import WorkerError
from streams.figures import BUCKETS_S, Figures

ADDRESS: Final = "127.0.0.1"
_REFUSED: Final = "refused "


class WorkerCollector:
    """Reads the figures when it is asked."""

    def __init__(self, figures: Figures, gauges: Callable[[], dict[str, dict[tuple[str, ...], float]]]) -> None:
        """`gauges`: by name of `GAUGES`, values by labels."""
        self._figures = figures
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        """Every metric."""
        yield from self._counters()
        yield from self._times()
        gauges = self._gauges()
        for name, (text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(f"flex_worker_{name}", text, labels=labels)
            for values, value in gauges.get(name, {}).items():
                gauge.add_metric(values, value)
            yield gauge

    def _counters(self) -> Iterator[Any]:
        figures = self._figures
        for name, text, counts in (
            ("records", "Input records processed", figures.records),
            ("transactions", "Transactions committed", figures.batches),
            ("transactions_undone", "Transactions that were undone and taken again", figures.aborts),
            ("timers_fired", "Timers of vehicles that fired", figures.timers),
        ):
            counter = CounterMetricFamily(f"flex_worker_{name}", text, labels=["partition"])
            for partition, count in sorted(counts.copy().items()):
                counter.add_metric([str(partition)], count)
            yield counter
        written = CounterMetricFamily("flex_worker_written", "Records written, by topic", labels=["topic"])
        for topic, count in sorted(figures.outputs.copy().items()):
            written.add_metric([topic], count)
        yield written
        letters = CounterMetricFamily("flex_worker_dead_letters", "Input records refused, by reason", labels=["reason"])
        facts = CounterMetricFamily("flex_worker_facts", "What else was counted, by fact", labels=["fact"])
        for fact, count in sorted(figures.counted().items()):
            if fact.startswith(_REFUSED):
                letters.add_metric([fact.removeprefix(_REFUSED)], count)
            else:
                facts.add_metric([fact], count)
        yield letters
        yield facts

    def _times(self) -> Iterator[Any]:
        for name, text, times in (
            ("decide", "Seconds in which the session logic decided a batch", self._figures.decided),
            ("commit", "Seconds in which a transaction was written and committed", self._figures.committed),
        ):
            counts, total_s = times.read()
            below, buckets = 0, []
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                below += count
                buckets.append((bound, below))
            family = HistogramMetricFamily(f"flex_worker_{name}_seconds", text)
            family.add_metric([], buckets, total_s)
            yield family


GAUGES: Final = {
    "lag_records": ("Input records that are not processed yet", ["topic", "partition"]),
    "open_visits": ("Open visits", ["partition"]),
    "timers": ("Vehicles with a timer", ["partition"]),
    "timer_lateness_seconds": ("How late the timers fired that fire now; 0: none is due", ["partition"]),
    "recovery_seconds": ("How long the last recovery took", ["partition"]),
    "recovery_records": ("Records that the last recovery read from the changelog", ["partition"]),
}


def serve_metrics(port: int, collector: WorkerCollector) -> None:
    """Serve them from a thread, until the process ends. Raises WorkerError where the port is taken."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        start_http_server(port, ADDRESS, registry)
    except OSError as error:
        raise WorkerError(f"/metrics cannot be served on {ADDRESS}:{port}: {error.strerror}") from error
