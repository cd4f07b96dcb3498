"""The API's bars: a read beside a bare route, pages of small and large stores, a rebuild, how soon an update shows.

Everything over HTTP is asked of the real process, on a real Kafka. Ratios are of one run, their two sides by turns.
"""

import asyncio
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.api_list import cost_ratios
from benchmarks.api_live import POLICIES, Load, committed_to_http_ms, p99, sse_ms
from benchmarks.api_sessions import Written, settled
from benchmarks.api_setup import Api, Connection, System, cpu_s, request_of, running_kafka, token, wait_for
from local.ports import free_port

REBUILT_SESSIONS: Final = 100_000
_LIVE_RUNS: Final = 3
_REBUILDS: Final = 3
_CONNECTIONS: Final = 8
# Requests of one turn: so many however busy the machine is, since it is their processor time that is compared.
_TURN_REQUESTS: Final = 2_000
_TURNS: Final = 7
_START_S: Final = 30.0

T = TypeVar("T")


def measure() -> dict[str, dict[str, Any]]:
    """In five minutes on two cores of their own; with others beside it, longer. Medians of at least three runs each."""
    warm, cold = cost_ratios()
    with tempfile.TemporaryDirectory() as name, running_kafka(Path(name) / "kafka") as bootstrap:
        folder = Path(name)
        rebuilt_per_s = _rebuild(System(bootstrap, folder, "rebuild"))
        system = System(bootstrap, folder, "live")
        system.write_policies(POLICIES)
        Load(system).first()
        with system.running_api() as api:
            of_bare, per_s = asyncio.run(_of_bare(api, folder))
        http_ms = [_live(bootstrap, folder, f"http-{run}", committed_to_http_ms) for run in range(_LIVE_RUNS)]
        streams_ms = [_live(bootstrap, folder, f"streams-{run}", sse_ms) for run in range(_LIVE_RUNS)]
    return {
        "get_current_vs_bare_starlette": {"value": of_bare, "unit": "x"},
        "get_current_per_s": {"value": per_s, "unit": "1/s"},
        "list_cost_ratio_1m_vs_10k": {"value": warm, "unit": "x"},
        "list_cold_cost_ratio_1m_vs_10k": {"value": cold, "unit": "x"},
        "view_rebuild_sessions_per_s": {"value": rebuilt_per_s, "unit": "1/s"},
        "committed_to_http_p50_ms": {"value": _median_of(statistics.median, http_ms), "unit": "ms"},
        "committed_to_http_p99_ms": {"value": _median_of(p99, http_ms), "unit": "ms"},
        "sse_1000_clients_p50_ms": {"value": _median_of(statistics.median, streams_ms), "unit": "ms"},
        "sse_1000_clients_p99_ms": {"value": _median_of(p99, streams_ms), "unit": "ms"},
    }


def _live(bootstrap: str, folder: Path, name: str, measured: Callable[[Api, Load], Coroutine[Any, Any, T]]) -> T:
    """One run under load, on topics of its own, since versions begin at 2 again."""
    system = System(bootstrap, folder, name)
    system.write_policies(POLICIES)
    Load(system).first()
    with system.running_api() as api:
        return asyncio.run(measured(api, Load(system)))


def _median_of(figure: Callable[[list[float]], float], runs: list[list[float]]) -> float:
    """The median over the runs of what `figure` makes of each."""
    return statistics.median(figure(run) for run in runs)


def _rebuild(system: System) -> float:
    """Settled sessions of 3 KB per second, from listening to the complete view, all in one process."""
    system.produce(Written(settled(number), 1) for number in range(REBUILT_SESSIONS))
    rates = []
    for _ in range(_REBUILDS):
        with system.running_api() as api:
            begun, complete = (_time_of(api, event) for event in ("listening", "the view is complete"))
            print(f"  rebuilt {REBUILT_SESSIONS:,} in {complete - begun:.1f} s, processor time {cpu_s(api.pid):.1f} s")
        rates.append(REBUILT_SESSIONS / (complete - begun))
        shutil.rmtree(system.folder / "state")
    return statistics.median(rates)


def _time_of(api: Api, event: str) -> float:
    line = api.said(event)
    if line is None:
        raise RuntimeError(f"the API did not say {event!r}")
    return datetime.fromisoformat(line["time"]).timestamp()


async def _of_bare(api: Api, folder: Path) -> tuple[float, float]:
    """Requests for the current session per second of processor time, as a multiple of a bare route's; and per second.

    Processor time, of all threads of the process: a process that is asked all the time is bound by it, and what else
    runs on the machine does not count.
    """
    request = request_of("/flex/vehicle-policies/policy-0/session", token())
    connection = await Connection.opened(api.port)
    body = await connection.get(request)
    connection.close()
    print(f"  the current session has {len(body)} bytes")
    with _bare_server(folder, body) as (port, pid):
        rates: dict[tuple[int, int], list[tuple[float, float]]] = {(api.port, api.pid): [], (port, pid): []}
        for _ in range(_TURNS):
            for (at, process), found in rates.items():
                begun_s, begun_cpu_s = time.monotonic(), cpu_s(process)
                await _ask(at, request, body)
                spent_s, spent_cpu_s = time.monotonic() - begun_s, cpu_s(process) - begun_cpu_s
                found.append((_TURN_REQUESTS / spent_s, _TURN_REQUESTS / spent_cpu_s))
    medians = [[statistics.median(one[part] for one in found) for part in (0, 1)] for found in rates.values()]
    (ours, ours_cpu), (bare, bare_cpu) = medians
    print(f"  {ours:,.0f} requests/s; bare: {bare:,.0f}. Per second of processor time {ours_cpu:,.0f}; {bare_cpu:,.0f}")
    return ours_cpu / bare_cpu, ours


async def _ask(port: int, request: bytes, body: bytes) -> None:
    """_TURN_REQUESTS requests over some connections."""

    async def ask() -> None:
        connection = await Connection.opened(port)
        for _ in range(_TURN_REQUESTS // _CONNECTIONS):
            if await connection.get(request) != body:
                raise RuntimeError("another body")
        connection.close()

    await asyncio.gather(*(ask() for _ in range(_CONNECTIONS)))


@contextmanager
def _bare_server(folder: Path, body: bytes) -> Iterator[tuple[int, int]]:
    """The same server with one Starlette route that returns these bytes."""
    port = free_port()
    (folder / "body").write_bytes(body)
    command = [sys.executable, "-m", "benchmarks.bare_server", str(port), str(folder / "body")]
    process = subprocess.Popen(command)  # noqa: S603 - our own command
    try:
        wait_for(lambda: _listens(port), _START_S)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
