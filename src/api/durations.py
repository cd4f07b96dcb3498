"""Times to answer as a histogram, counted by one thread: a look among the bounds and two additions per request.

The histogram of prometheus-client takes two locks for each, to be safe where many threads count.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# Seconds. From a read out of memory to the longest wait for a first session.
_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS: Final = ("method", "route", "status")


class Duration:
    """The requests of one kind."""

    def __init__(self) -> None:
        # Between the bound before and this one; the last: beyond all of them.
        self.counts = [0] * (len(_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        self.counts[bisect_left(_BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s


class Durations(Collector):
    """Requests by what they have in common; there are few such kinds."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._kinds: dict[tuple[str, ...], Duration] = {}

    def of(self, labels: tuple[str, str, str]) -> Duration:
        """Where to count requests of this method, route and status."""
        return self._kinds.setdefault(labels, Duration())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=_LABELS)
        for labels, kind in self._kinds.items():
            family.add_metric(labels, _buckets(kind.counts), kind.sum_s)
        yield family


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, _BOUNDS_S), "+Inf"]
    return list(zip(bounds, map(float, accumulate(counts)), strict=True))
