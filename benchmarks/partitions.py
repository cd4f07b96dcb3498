"""What many partition numbers cost one worker: each has a thread, a producer, a store and a merge of its own.

With 2,000 plugged-in vehicles: threads and memory at rest, CPU at rest, and from the start of the process after kill -9
to the moment when it takes records.
"""

import os
import signal
import time
from datetime import timedelta
from typing import Any, Final

from benchmarks.system import (
    READY,
    Process,
    await_true,
    broker,
    done,
    ends,
    names,
    now,
    plugged_in,
    prices,
    produce,
    site,
    start_worker,
)
from models.topics import VEHICLE_PLUG

COUNTS: Final = (4, 32, 64)
VEHICLES: Final = max(200, round(2_000 * float(os.environ.get("BENCH_SCALE", "1"))))
IDLE_S: Final = 10.0
REST_LIMIT_S: Final = 60.0


def measure() -> dict[str, dict[str, Any]]:
    """For each number of partitions: `partitions_<n>_threads`, `_rss_mib`, `_idle_cpu_pct`, `_recovery_s`."""
    found: dict[str, dict[str, Any]] = {}
    with broker() as kafka:
        for count in COUNTS:
            figures = _figures(kafka, count)
            found |= {f"partitions_{count}_{name}": {"value": value, "unit": unit} for name, value, unit in figures}
    return found


def _figures(kafka: Any, count: int) -> list[tuple[str, float, str]]:
    with site(kafka, count) as at:
        start = now() - timedelta(minutes=5)
        produce(at, prices(start))
        produce(at, plugged_in(names(VEHICLES), start, count))
        process = start_worker(at)
        try:
            process.wait_for(READY)
            total = ends(at, VEHICLE_PLUG)
            await_true(lambda: done(at, VEHICLE_PLUG) >= total, "all plug-ins", 300)
            process.end(signal.SIGKILL)
            began_s = time.monotonic()
            process = start_worker(at)
            process.wait_for(READY)
            recovery_s = time.monotonic() - began_s
            idle = _idle_pct(process)
            return [
                ("threads", process.threads(), "1"),
                ("rss_mib", process.rss_mib(), "MiB"),
                ("idle_cpu_pct", idle, "%"),
                ("recovery_s", recovery_s, "s"),
            ]
        finally:
            process.end(signal.SIGKILL)


def _idle_pct(process: Process) -> float:
    """CPU of a worker that has nothing to do, in percent of a core, once what its start set going is over."""
    until_s = time.monotonic() + REST_LIMIT_S
    idle = 100.0
    while time.monotonic() < until_s:
        before_s, since_s = process.cpu_s(), time.monotonic()
        time.sleep(IDLE_S)
        last, idle = idle, (process.cpu_s() - before_s) / (time.monotonic() - since_s) * 100
        if idle > 0.8 * last:
            break
    return idle
