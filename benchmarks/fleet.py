"""The load of the simulated fleet, whose truth is known: how fast it searches the session logic, and what it costs a
worker. Whatever its judge finds ends the measurement.
"""

import os
import re
import subprocess
import sys
import time
from statistics import median
from typing import Any, Final

from benchmarks.engine import RUNS
from benchmarks.system import Site, broker, site, worker
from simulation.run import Options, Run
from simulator.feeds.catalogue import feed_maker

SEED: Final = 1
# A search on one core: all rules, wall clock, commands obeyed, a death now and then.
SEARCHED_VEHICLES: Final = 20
SEARCHED_DAYS: Final = 10
# Told to a worker over Kafka: days of history as fast as it takes them.
TOLD_VEHICLES: Final = 100
TOLD_DAYS: Final = 3
TOLD_FEED: Final = "clean"
TOLD_LIMIT_S: Final = 300

Measures = dict[str, dict[str, Any]]


def measure() -> Measures:
    """In some two minutes."""
    searched = [_searched_per_s(seed) for seed in range(SEED, SEED + RUNS)]
    with broker() as kafka:
        told = []
        for seed in range(SEED, SEED + RUNS):
            with site(kafka) as at:
                told.append(_told(at, seed))
    return {
        "fleet_search_events_per_s": {"value": median(searched), "unit": "1/s"},
        "fleet_worker_cost_us": {"value": median(cost_us for cost_us, _ in told), "unit": "us"},
        "fleet_worker_records_per_s": {"value": median(per_s for _, per_s in told), "unit": "1/s"},
    }


def _searched_per_s(seed: int) -> float:
    """Events of the session logic per second of one core, the fleet's own work and the judge's included."""
    running = Run(Options(seed=seed, vehicles=SEARCHED_VEHICLES, days=SEARCHED_DAYS), feed_maker("clean"))
    began_s = time.process_time()
    for _ in running.days():
        pass
    took_s = time.process_time() - began_s
    if running.summary.findings:
        raise RuntimeError(f"seed {seed}: {running.summary.findings[0]}")
    return running.summary.events / took_s


def _told(at: Site, seed: int) -> tuple[float, float]:
    """CPU of the worker per record of the fleet, in microseconds; and records per second, as fast as both go."""
    asked = ("--judge", "--vehicles", TOLD_VEHICLES, "--days", TOLD_DAYS, "--seed", seed, "--feed", TOLD_FEED)
    with worker(at, clock="event") as process:
        before_s, began_s = process.cpu_s(), time.monotonic()
        fleet = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-P", "-m", "cli.main", "simulate", *map(str, asked)],
            env={"PATH": os.environ["PATH"]} | at.env(clock="event"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TOLD_LIMIT_S,
            check=False,
        )
        took_s, cpu_s = time.monotonic() - began_s, process.cpu_s() - before_s
    found = re.search(r"([\d,]+) records written", fleet.stdout)
    if fleet.returncode or found is None:
        raise RuntimeError(f"the fleet ended with {fleet.returncode}: {fleet.stdout[-1_000:]} {fleet.stderr[-1_000:]}")
    records = int(found[1].replace(",", ""))
    return cpu_s / records * 1_000_000, records / took_s
