"""What a GET of a page of 50 costs in stores of 10^4, 10^5 and 10^6 settled sessions, by filter.

The cost is processor time of the application, from the request to the last byte handed to the server; sockets, which
cost the same for all sizes, would only hide what grows.
"""

import asyncio
import random
import statistics
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter, thread_time_ns
from typing import Final

from starlette.types import ASGIApp, Message, Scope

from api.app import create_app
from api.metrics import Metrics
from api.view.keys import microseconds
from api.view.projector import apply_update
from api.view.records import read_update
from api.view.rocksdb import RocksStore
from api.view.rows import SessionHead
from api.view.store import Draft
from api.view.view import View
from benchmarks.api_sessions import SESSIONS_PER_VEHICLE, START, VEHICLES_PER_PLACE, Written, settled
from benchmarks.api_setup import SECRET, token, wait_for
from runtime.logs import configure_logs
from runtime.settings import load_settings
from tests.support.memory_store import MemoryStore

SIZES: Final = (10_000, 100_000, 1_000_000)
PAGE: Final = 50
_BATCH: Final = 1_000
# Two hours of charging, 1.5 KB: a million nights would take most of the time of all benchmarks to write.
_QUARTERS: Final = 8
_READS: Final = 300
_ROUNDS: Final = 3
# Until what was written is merged: else that work is a part of what is measured.
_AT_REST_S: Final = 120.0


def cost_ratios() -> tuple[float, float]:
    """The worst filter's cost of a page at 10^6 as a multiple of that at 10^4: warm, and cold; of medians.

    Warm: the page's blocks are in the view's cache, as all of a small store always are. Cold: they are not, and come
    out of the page cache of the operating system, one for each session where the sessions are of different vehicles.
    """
    # The access log's lines are not for whoever reads these figures.
    configure_logs("error", "bench")
    with tempfile.TemporaryDirectory() as folder:
        stores = {size: _filled(Path(folder) / str(size), size) for size in SIZES}
        try:
            costs: dict[tuple[str, str, int], list[int]] = {}
            for _ in range(_ROUNDS):
                for size, store in stores.items():
                    for kind, cold_ns, warm_ns in asyncio.run(_read(store, size)):
                        costs.setdefault(("cold", kind, size), []).append(cold_ns)
                        costs.setdefault(("warm", kind, size), []).append(warm_ns)
        finally:
            for store in stores.values():
                store.close()
    medians = {key: statistics.median(values) for key, values in costs.items()}
    worst = {"warm": 0.0, "cold": 0.0}
    for (how, kind, size), ns in sorted(medians.items()):
        print(f"  {how} page by {kind:<18} of {size:>9,}: {ns / 1_000:8.1f} us")
        if size == SIZES[-1]:
            worst[how] = max(worst[how], ns / medians[how, kind, SIZES[0]])
    return worst["warm"], worst["cold"]


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
    wait_for(lambda: store.is_at_rest, _AT_REST_S)
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


async def _read(store: RocksStore, size: int) -> list[tuple[str, int, int]]:
    """Pages that begin anywhere in the list, and what each cost, at first and once more, in ns."""
    view = View()
    view.publish(store)
    environ = {"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_RATE_LIMIT_PER_S": "1000000", "FLEX_RATE_LIMIT_BURST": "1000000"}
    app = create_app(view, load_settings(environ), Metrics())
    everyone = token()
    dice = random.Random(size)  # noqa: S311 - the same places in each round
    costs = []
    for _ in range(_READS):
        vehicle = dice.randrange(size // SESSIONS_PER_VEHICLE)
        begin = START + timedelta(days=dice.randrange(SESSIONS_PER_VEHICLE))
        since = f"from={begin:%Y-%m-%dT%H:%M:%SZ}&to={begin + timedelta(days=60):%Y-%m-%dT%H:%M:%SZ}"
        queries = {
            "nothing": "",
            "policy": f"policyId=policy-{vehicle}",
            "vehicle": f"vehicleId=vehicle-{vehicle}",
            "location": f"locationId=place-{vehicle // VEHICLES_PER_PLACE}",
            "time": since,
            "vehicle and time": f"vehicleId=vehicle-{vehicle}&{since}",
            "policy and location": f"policyId=policy-{vehicle}&locationId=place-{vehicle // VEHICLES_PER_PLACE}",
        }
        for kind, query in queries.items():
            costs.append((kind, await _get_ns(app, query, everyone), await _get_ns(app, query, everyone)))
        costs.append(("user", *[await _get_ns(app, "", token(f"user-{vehicle}")) for _ in range(2)]))
    return costs


async def _get_ns(app: ASGIApp, query: str, bearer: str) -> int:
    """Time of this thread for one GET of the list. Raises where it is not a page."""
    path = "/flex/vehicle-policies/sessions"
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"{query}&pageSize={PAGE}".lstrip("&").encode(),
        "root_path": "",
        "headers": [(b"host", b"api"), (b"authorization", f"Bearer {bearer}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    begun_ns = thread_time_ns()
    await app(scope, receive, send)
    took_ns = thread_time_ns() - begun_ns
    if sent[0]["status"] != 200 or b'"data":[{' not in sent[1]["body"]:
        raise RuntimeError(f"no page: {sent}")
    return took_ns
