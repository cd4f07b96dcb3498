"""What a page of 50 costs in stores of 10^4, 10^5 and 10^6 settled sessions: the read of the view, without HTTP.

HTTP would only hide a growing cost behind its own, which is the same for all.
"""

import random
import statistics
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter, thread_time_ns
from typing import Final

from api.view.keys import microseconds
from api.view.paging import Selection, read_page
from api.view.projector import apply_update
from api.view.records import read_update
from api.view.rocksdb import RocksStore
from api.view.rows import SessionHead
from api.view.store import Draft
from benchmarks.api_sessions import SESSIONS_PER_VEHICLE, START, VEHICLES_PER_PLACE, Written, settled
from tests.support.memory_store import MemoryStore

SIZES: Final = (10_000, 100_000, 1_000_000)
PAGE: Final = 50
_BATCH: Final = 1_000
# Two hours of charging, 1.5 KB: a million nights would take most of the time of all benchmarks to write.
_QUARTERS: Final = 8
_READS: Final = 300
_ROUNDS: Final = 3


def cost_ratios() -> dict[str, float]:
    """Per kind of filter, and per size in thousands of sessions: the cost as a multiple of that at 10^4, of medians."""
    with tempfile.TemporaryDirectory() as folder:
        stores = {size: _filled(Path(folder) / str(size), size) for size in SIZES}
        try:
            costs: dict[tuple[str, int], list[int]] = {}
            for _ in range(_ROUNDS):
                for size, store in stores.items():
                    for kind, ns in _read(store, size):
                        costs.setdefault((kind, size), []).append(ns)
        finally:
            for store in stores.values():
                store.close()
    medians = {key: statistics.median(values) for key, values in costs.items()}
    for (kind, size), ns in sorted(medians.items()):
        print(f"  list by {kind:<18} of {size:>9,}: {ns / 1_000:8.1f} us")
    return {
        f"{kind} {size // 1_000}k": medians[kind, size] / medians[kind, SIZES[0]]
        for kind, size in medians
        if size != SIZES[0]
    }


def _filled(folder: Path, size: int) -> RocksStore:
    """A store as the projector writes it; all bodies are one text, but for the id and some digits of energy."""
    begun_s = perf_counter()
    store = RocksStore(folder, is_draft=True)
    pattern, body = read_update(*_wire(0))
    empty = MemoryStore()
    for numbers in _batched(size):
        draft = Draft(empty)
        for number in numbers:
            apply_update(draft, *_numbered(pattern, body, number))
        store.write(draft.changes)
    store.keep()
    print(f"  {size:,} sessions stored in {perf_counter() - begun_s:.0f} s")
    return store


def _wire(number: int) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    one = Written(settled(number, _QUARTERS), 1)
    return one.key.encode(), one.value, list(one.headers)


def _numbered(pattern: SessionHead, body: bytes, number: int) -> tuple[SessionHead, bytes]:
    """The pattern as the `number`th session of the fleet. Its energies are scrambled, or it would shrink to nothing."""
    vehicle, day = divmod(number, SESSIONS_PER_VEHICLE)
    # Spread as UUIDs are, and a hundred times cheaper to make.
    spread = f"{number * 2_654_435_761 % (1 << 32):08x}{pattern.id[8:]}"
    begin = START + timedelta(days=day, seconds=vehicle % 3_600)
    head = SessionHead(
        id=spread,
        version=1,
        user_id=f"user-{vehicle}",
        vehicle_id=f"vehicle-{vehicle}",
        policy_id=f"policy-{vehicle}",
        location_id=f"place-{vehicle // VEHICLES_PER_PLACE}",
        is_settled=True,
        plugged_in_us=microseconds(begin),
        plugged_out_us=microseconds(begin + _QUARTERS * timedelta(minutes=15)),
        charging_event_id=spread[::-1],
        represents=True,
    )
    digits = f"{number * 7_919 % 1_000:03d}".encode()
    text = body.replace(pattern.id.encode(), spread.encode(), 1).replace(b'"kwh":1.2', b'"kwh":1.' + digits)
    return head, text


def _batched(size: int) -> Iterator[range]:
    for start in range(0, size, _BATCH):
        yield range(start, min(size, start + _BATCH))


def _read(store: RocksStore, size: int) -> Iterator[tuple[str, int]]:
    """Pages that begin anywhere in the list, and the time of this thread that each took."""
    dice = random.Random(size)  # noqa: S311 - the same places in each round
    vehicles = size // SESSIONS_PER_VEHICLE
    for _ in range(_READS):
        vehicle = dice.randrange(vehicles)
        begin = microseconds(START + timedelta(days=dice.randrange(SESSIONS_PER_VEHICLE)))
        day_us = 86_400_000_000
        selections = {
            "nothing": Selection(to_us=begin + 5 * day_us),
            "policy": Selection(policy_id=f"policy-{vehicle}"),
            "vehicle": Selection(vehicle_id=f"vehicle-{vehicle}"),
            "location": Selection(location_id=f"place-{vehicle // VEHICLES_PER_PLACE}"),
            "user": Selection(user_id=f"user-{vehicle}"),
            "time": Selection(from_us=begin, to_us=begin + 60 * day_us),
            "vehicle and time": Selection(vehicle_id=f"vehicle-{vehicle}", from_us=begin, to_us=begin + 60 * day_us),
        }
        for kind, selection in selections.items():
            begun_ns = thread_time_ns()
            read_page(store, selection, None, PAGE)
            yield kind, thread_time_ns() - begun_ns
