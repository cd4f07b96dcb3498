"""Memory of the worker at full speed: what it holds after a warm-up is what it holds after a day more of input.

Vehicles are plugged in for four hours of every six and tell something each minute, every ten minutes while away; their
offsets within the six hours differ, so each hour is like any other. `BENCH_SCALE` changes their number.
"""

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from msgspec.json import encode

from benchmarks.system import (
    PRICED_H,
    Process,
    Record,
    Site,
    broker,
    done,
    ends,
    names,
    now,
    plugged_in,
    prices,
    produce,
    sample,
    site,
    stamp,
    worker,
)
from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG

SCALE: Final = float(os.environ.get("BENCH_SCALE", "1"))
VEHICLES: Final = max(50, round(600 * SCALE))
CYCLE_MIN: Final = 6 * 60
PLUGGED_MIN: Final = 4 * 60
AWAY_GAP_MIN: Final = 10
# Queues, RocksDB's buffers and the allocator's spare blocks are full by then. What is remembered of charging events
# grows until the seventh day, by some 600 bytes a day and vehicle: 0.3 MiB of all of them here.
WARM_HOURS: Final = 36
HOURS: Final = WARM_HOURS + 24
# What stands at the end of the warm-up, and a day later: medians over so long.
SPAN_HOURS: Final = 3
LOOK_S: Final = 0.5
LIMIT_S: Final = 1_800.0


def measure() -> dict[str, dict[str, Any]]:
    """`rss_growth_pct_24h`: how much more it holds a day after the warm-up than right after it."""
    with broker() as kafka, site(kafka) as at:
        start = now() - timedelta(hours=HOURS + 1)
        fleet = names(VEHICLES)
        for hour in range(0, HOURS, PRICED_H):
            produce(at, prices(start + timedelta(hours=hour)))
        # Their plug-ins come with the rest: only the policies are taken from here.
        produce(at, (each for each in plugged_in(fleet, start) if each[0] != VEHICLE_PLUG))
        produce(at, _told(fleet, start))
        with worker(at) as process:
            held = _held_by_hour(at, process)
    early = median(held[hour] for hour in range(WARM_HOURS, WARM_HOURS + SPAN_HOURS) if hour in held)
    late = median(held[hour] for hour in range(HOURS - SPAN_HOURS, HOURS) if hour in held)
    return {
        "rss_growth_pct_24h": {"value": (late / early - 1) * 100, "unit": "%"},
        "rss_warm_mib": {"value": early, "unit": "MiB"},
        "rss_24h_mib": {"value": late, "unit": "MiB"},
    }


def _held_by_hour(at: Site, process: Process) -> dict[int, float]:
    """By hour of the input, the median of what it held, in MiB."""
    total, found, until_s = ends(at, VEHICLE_CHARGE), dict[int, list[float]](), time.monotonic() + LIMIT_S
    while (so_far := done(at, VEHICLE_CHARGE)) < total:
        if time.monotonic() > until_s:
            raise RuntimeError(f"the input is not taken within {LIMIT_S:g} s")
        found.setdefault(so_far * HOURS // total, []).append(process.rss_mib())
        time.sleep(LOOK_S)
    return {hour: median(values) for hour, values in found.items()}


def _told(fleet: list[str], start: datetime) -> Iterator[Record]:
    for minute in range(HOURS * 60):
        at = start + timedelta(minutes=minute)
        for number, vehicle in enumerate(fleet):
            into = (minute + number * CYCLE_MIN // len(fleet)) % CYCLE_MIN
            if into in {0, PLUGGED_MIN}:
                yield VEHICLE_PLUG, vehicle, _plug(vehicle, at, is_in=into == 0), None
            elif into < PLUGGED_MIN:
                yield VEHICLE_CHARGE, vehicle, sample(vehicle, at, into, gap_s=60.0), None
            elif into % AWAY_GAP_MIN == 0:
                yield VEHICLE_CHARGE, vehicle, _away(vehicle, at), None


def _plug(vehicle: str, at: datetime, *, is_in: bool) -> bytes:
    where = {"locationId": "home", "batteryLevel": 40} if is_in else {}
    return encode(_head(vehicle, at) | {"isPluggedIn": is_in} | where)


def _away(vehicle: str, at: datetime) -> bytes:
    return encode(_head(vehicle, at) | {"isPluggedIn": False, "batteryLevel": 60})


def _head(vehicle: str, at: datetime) -> dict[str, object]:
    return {"eventId": f"{vehicle}-{at.timestamp():.0f}", "vehicleId": vehicle, "userId": "u-1", "at": stamp(at)}
