"""The whole worker on a real broker: throughput against other designs, latency, recovery, what rest and size cost.

Everything runs on this machine, the broker and the load included, one thing at a time, each on fresh topics. Ratios are
of medians. `BENCH_RUNS` says how many runs (3), `BENCH_SCALE` shrinks the loads for a quick look (1.0).
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from msgspec.json import decode

from benchmarks.latency import latency, send_paced
from benchmarks.peers import kafka_streams
from benchmarks.system import (
    PARTITIONS,
    READY,
    Process,
    Record,
    Site,
    broker,
    committed,
    done,
    ends,
    names,
    now,
    plugged_in,
    prices,
    produce,
    rate,
    sample,
    site,
    start_worker,
    worker,
)
from local.kafka import Kafka
from models.topics import SESSION_UPDATED, VEHICLE_CHARGE, VEHICLE_PLUG

RUNS: Final = int(os.environ.get("BENCH_RUNS", "3"))
SCALE: Final = float(os.environ.get("BENCH_SCALE", "1"))
THIN_VEHICLES: Final = 5_000
THIN_SAMPLES: Final = max(60_000, round(240_000 * SCALE))
STOCK_SAMPLES: Final = max(20_000, round(40_000 * SCALE))
FULL_VEHICLES: Final = max(1_000, round(2_000 * SCALE))
STOCK_FULL_VEHICLES: Final = max(200, round(400 * SCALE))
# Samples of each vehicle, a minute apart: a session costs more in its first quarter-hour than in the hours after it.
FULL_ROUNDS: Final = 20
MANY_VEHICLES: Final = round(100_000 * SCALE)
FEW_VEHICLES: Final = round(1_000 * SCALE)
# Cost is compared at one rate, that a worker keeps up with whatever the number of vehicles.
COST_PER_S: Final = 1_500
COST_S: Final = 15.0
IDLE_S: Final = 10.0
GAP_S: Final = 60.0
# The rate with a bar; at 11 kW a sample every 5 s changes the session each time.
BAR_PER_S: Final = 3_000
OTHER_PER_S: Final = (1_000, 8_000)
LATENCY_PACE_S: Final = 5.0
# A broker compiles what small transactions take while it runs: for the first minute they cost it twice as much.
BROKER_WARM_UP_S: Final = 60.0

Measures = dict[str, dict[str, Any]]
Start = Callable[[Site], Process]


def measure() -> Measures:
    """Every measure of the engine."""
    found: Measures = {}
    with broker() as kafka:
        found |= _thin(kafka)
        found |= _full(kafka)
        _warm_up(kafka)
        found |= _latency(kafka, BAR_PER_S, "")
        found |= _latency(kafka, BAR_PER_S, "_one_partition", partitions=1)
        for per_s in OTHER_PER_S:
            found |= _latency(kafka, per_s, f"_at_{per_s}")
        found |= _size_and_recovery(kafka)
    return found


def _warm_up(kafka: Kafka) -> None:
    """Let the broker become what one is that has run for a while."""
    with site(kafka) as at:
        latency(at, BAR_PER_S, vehicles=round(BAR_PER_S * LATENCY_PACE_S), seconds=BROKER_WARM_UP_S * min(1.0, SCALE))


def _latency(kafka: Kafka, per_s: int, suffix: str, partitions: int = PARTITIONS) -> Measures:
    """Medians of the runs' quantiles. `partitions`: of the vehicle topics, all of them the one worker's."""
    runs = []
    for _ in range(RUNS):
        with site(kafka, partitions) as at:
            runs.append(latency(at, per_s, vehicles=round(per_s * LATENCY_PACE_S), seconds=max(5.0, 20 * SCALE)))
    return {
        f"update_latency_p50_ms{suffix}": _in(median(run["p50"] for run in runs), "ms"),
        f"update_latency_p99_ms{suffix}": _in(median(run["p99"] for run in runs), "ms"),
        f"update_latency_updates_per_sample{suffix}": _in(median(run["updates_share"] for run in runs), "ratio"),
    }


def _thin(kafka: Kafka) -> Measures:
    ours = _median(kafka, _peer("engine_thin"), lambda at: _thin_load(at, THIN_SAMPLES), check_fold)
    bare = _median(kafka, _peer("bare_loop"), lambda at: _thin_load(at, THIN_SAMPLES), check_fold)
    stock = _median(kafka, _peer("stock_faust", "--logic", "thin"), lambda at: _thin_load(at, STOCK_SAMPLES))
    tuned = _median(kafka, _peer("stock_faust", "--logic", "thin-raw"), lambda at: _thin_load(at, STOCK_SAMPLES))
    return {
        "thin_fold_events_per_s": _in(ours, "1/s"),
        "thin_fold_bare_loop_events_per_s": _in(bare, "1/s"),
        "thin_fold_stock_faust_events_per_s": _in(stock, "1/s"),
        "thin_fold_vs_bare_loop": _in(ours / bare, "ratio"),
        "thin_fold_vs_stock_faust": _in(ours / stock, "ratio"),
        "thin_fold_stock_faust_raw_bytes_events_per_s": _in(tuned, "1/s"),
        "thin_fold_vs_stock_faust_raw_bytes": _in(ours / tuned, "ratio"),
        **_thin_streams(kafka, ours),
    }


def _thin_streams(kafka: Kafka, ours: float) -> Measures:
    why = kafka_streams.missing()
    if why is not None:
        print(f"no measure against Kafka Streams: {why}", file=sys.stderr, flush=True)
        return {}
    streams = _median(kafka, kafka_streams.start, lambda at: _thin_load(at, THIN_SAMPLES), check_fold)
    return {
        "thin_fold_kafka_streams_eos_events_per_s": _in(streams, "1/s"),
        "thin_fold_vs_kafka_streams_eos": _in(ours / streams, "ratio"),
    }


def check_fold(at: Site, total: int) -> None:
    """What the thin fold must have published of so many samples, whoever ran it: of each vehicle 1, 2, 3 ... once and
    in order, and nothing else. Raises RuntimeError.
    """
    seen: dict[str, int] = {}
    for value in committed(at, SESSION_UPDATED):
        update = decode(value)
        vehicle = update["vehicleId"]
        seen[vehicle] = seen.get(vehicle, 0) + 1
        if update["samples"] != seen[vehicle]:
            raise RuntimeError(f"{vehicle}: update {seen[vehicle]} tells {update['samples']} samples")
    if sum(seen.values()) != total:
        raise RuntimeError(f"{sum(seen.values())} updates of {total} samples")


def _full(kafka: Kafka) -> Measures:
    ours = _median(kafka, start_worker, lambda at: _full_load(at, FULL_VEHICLES, FULL_ROUNDS))
    stock = _median(
        kafka, _peer("stock_faust", "--logic", "full"), lambda at: _full_load(at, STOCK_FULL_VEHICLES, FULL_ROUNDS)
    )
    return {
        "full_logic_events_per_s": _in(ours, "1/s"),
        "full_logic_stock_faust_events_per_s": _in(stock, "1/s"),
        "full_logic_vs_stock_faust": _in(ours / stock, "ratio"),
    }


def _size_and_recovery(kafka: Kafka) -> Measures:
    """Cost per event by the number of vehicles; then, with the many, idle cost and recovery."""
    few, uncached, many, idle = [], [], [], []
    recovery: Measures = {}
    for run in range(RUNS):
        with site(kafka) as at:
            few.append(_cost_us(at, FEW_VEHICLES))
        with site(kafka) as at:
            # With the default cache: most of the vehicles are read from the store and decoded each time they are heard.
            uncached.append(_cost_us(at, MANY_VEHICLES))
        with site(kafka) as at:
            many.append(_cost_us(at, MANY_VEHICLES, state_cache_vehicles=2 * MANY_VEHICLES))
            with worker(at) as process:
                idle.append(_idle_pct(process))
                process.end(signal.SIGKILL)
            if run == RUNS - 1:
                recovery = _recoveries(at)
    return {
        "cost_per_event_1k_vehicles_us": _in(median(few), "us"),
        "cost_per_event_100k_vehicles_us": _in(median(many), "us"),
        "cost_ratio_100k_vs_1k_vehicles": _in(median(many) / median(few), "ratio"),
        "cost_ratio_100k_vs_1k_vehicles_default_cache": _in(median(uncached) / median(few), "ratio"),
        "idle_cpu_100k_vehicles_pct": _in(median(idle), "%"),
        **recovery,
    }


def _idle_pct(process: Process) -> float:
    """CPU of a worker that is told nothing, in percent of a core."""
    # What starting set going is over once nothing is asked anew any more.
    _settle(process)
    before_s = process.cpu_s()
    time.sleep(IDLE_S)
    return (process.cpu_s() - before_s) / IDLE_S * 100


def _recoveries(at: Site) -> Measures:
    # Who comes back takes its own place in the group. One whose folder is lost is another to the group, and waits until
    # the killed one's session has ended, as would those that come back if they were measured after it.
    local = [_recovery_s(at, {}) for _ in range(RUNS)]
    rebuilt = [_recovery_s(at, {"state_dir": at.folder / f"other-{number}"}) for number in range(RUNS)]
    return {
        "recovery_100k_local_s": _in(median(local), "s"),
        "recovery_100k_rebuilt_s": _in(median(rebuilt), "s"),
    }


def _cost_us(at: Site, vehicles: int, **settings: Any) -> float:
    """CPU of the worker per sample, at one rate for any number of vehicles, in microseconds, after their plug-ins."""
    start = now() - timedelta(minutes=5)
    fleet = names(vehicles)
    produce(at, prices(start))
    produce(at, plugged_in(fleet, start))
    with worker(at, **settings) as process:
        rate_until_done(at, VEHICLE_PLUG)
        _settle(process)
        before_s = process.cpu_s()
        sent = send_paced(at, fleet, COST_PER_S, COST_S)
        rate_until_done(at, VEHICLE_CHARGE)
        return (process.cpu_s() - before_s) / sent * 1_000_000


def rate_until_done(at: Site, topic: str) -> None:
    """Wait until a topic is processed."""
    total, until_s = ends(at, topic), time.monotonic() + 300
    while done(at, topic) < total:
        if time.monotonic() > until_s:
            raise RuntimeError(f"{topic} is not processed")
        time.sleep(0.05)


def _settle(process: Process) -> None:
    """Wait until the worker rests, or nearly."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        before_s = process.cpu_s()
        time.sleep(1.0)
        if process.cpu_s() - before_s < 0.1:
            return


def _recovery_s(at: Site, settings: dict[str, Any]) -> float:
    """From the start of the process to the moment when it takes records; then it is killed."""
    began_s = time.monotonic()
    process = start_worker(at, **settings)
    try:
        process.wait_for(READY)
        return time.monotonic() - began_s
    finally:
        process.end(signal.SIGKILL)


def _median(
    kafka: Kafka,
    start: Start,
    load: Callable[[Site], int],
    check: Callable[[Site, int], None] = lambda _at, _count: None,
) -> float:
    """Events/s with which a worker goes through a load that lies ready. `check`: judges its output."""
    rates = []
    for _ in range(RUNS):
        with site(kafka) as at:
            total = load(at)
            process = start(at)
            try:
                process.wait_for(READY)
                rates.append(rate(at, total))
            finally:
                process.end(signal.SIGKILL)
            check(at, total)
    return median(rates)


def _peer(module: str, *arguments: str) -> Start:
    def start(at: Site) -> Process:
        argv = [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments]
        # Where `benchmarks` lies is where this runs.
        return Process(argv, at.env() | {"PYTHONPATH": os.pathsep.join(sys.path)}, at.folder / f"{module}.log")

    return start


def _thin_load(at: Site, count: int) -> int:
    fleet = names(THIN_VEHICLES)
    start = now() - timedelta(hours=1)
    each = count // THIN_VEHICLES + 1
    records = (record for number, record in enumerate(_samples(fleet, each, start)) if number < count)
    produce(at, records)
    return ends(at)


def _full_load(at: Site, vehicles: int, rounds: int) -> int:
    start = now() - timedelta(seconds=GAP_S * (rounds + 5))
    fleet = names(vehicles)
    produce(at, prices(start))
    produce(at, plugged_in(fleet, start))
    produce(at, _samples(fleet, rounds, start))
    return ends(at)


def _samples(fleet: list[str], rounds: int, start: datetime) -> Iterator[Record]:
    for number in range(1, rounds + 1):
        at = start + timedelta(seconds=GAP_S * number)
        for vehicle in fleet:
            yield VEHICLE_CHARGE, vehicle, sample(vehicle, at, number, GAP_S), None


def _in(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit}
