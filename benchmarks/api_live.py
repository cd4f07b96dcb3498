"""How soon an update that the worker committed is seen: by polling over HTTP, and by 1,000 clients of event streams."""

import asyncio
import re
import statistics
import threading
import time
from typing import Final

import msgspec

from benchmarks.api_sessions import Written, active
from benchmarks.api_setup import Api, Connection, System, Transactions, request_of, token

UPDATES_PER_S: Final = 1_000
# Transactions per second: as often as the worker commits under load.
_COMMITS_PER_S: Final = 50
POLICIES: Final = 1_000
_HTTP_S: Final = 14.0
_SSE_S: Final = 10.0
# Seconds at the start that are not counted: connections and caches warm up, and the broker compiles what is new to it.
_HTTP_WARM_UP_S: Final = 6.0
_WARM_UP_S: Final = 2.0
# Seconds between two looks at a session: without a rest looking alone would keep a core busy. It counts as delay.
_POLL_S: Final = 0.002
# Seconds after which an update that is not shown counts as lost.
_LOST_S: Final = 10.0
_EVENT_ID: Final = re.compile(rb"\nid: [0-9a-f-]{36}:([0-9]+)\n")
_ROOT: Final = "/flex/vehicle-policies"


class Load(threading.Thread):
    """Commits updates at a steady rate: every policy in turn, each time its next version."""

    def __init__(self, system: System) -> None:
        super().__init__(daemon=True)
        self._transactions = Transactions(system)
        self._sessions = [active(vehicle) for vehicle in range(POLICIES)]
        self._stopping = threading.Event()
        # By policy and version: when it was committed.
        self.committed_s: dict[tuple[int, int], float] = {}
        self.latest: tuple[int, int, float] | None = None
        self.ended_s = 0.0
        self.written = 0

    def first(self) -> None:
        """Version 1 of every policy's session."""
        for begin in range(0, POLICIES, 250):
            self._transactions.write(self._update(policy, 1) for policy in range(begin, begin + 250))

    def _update(self, policy: int, version: int) -> Written:
        """The version stands in the body too, as the energy of its block."""
        session = self._sessions[policy]
        block = msgspec.structs.replace(session.blocks[0], kwh_sum=float(version))
        return Written(msgspec.structs.replace(session, blocks=(block,)), version)

    def run(self) -> None:
        per_commit = UPDATES_PER_S // _COMMITS_PER_S
        begun_s, commits = time.monotonic(), 0
        while not self._stopping.is_set():
            numbers = range(self.written, self.written + per_commit)
            places = [(number % POLICIES, 2 + number // POLICIES) for number in numbers]
            at_s = self._transactions.write(self._update(*place) for place in places)
            for place in places:
                self.committed_s[place] = at_s
            self.latest = (*places[-1], at_s)
            self.written += per_commit
            commits += 1
            self._stopping.wait(max(0.0, begun_s + commits / _COMMITS_PER_S - time.monotonic()))

    def stop(self) -> None:
        self._stopping.set()
        self.join()
        self.ended_s = time.monotonic()


async def committed_to_http_ms(api: Api, load: Load) -> list[float]:
    """From the end of the commit to the end of the first answer that shows it, in ms; one probe after the other."""
    connection = await Connection.opened(api.port)
    bearer, delays_ms, seen = token(), [], -1.0
    load.start()
    begun_s = time.monotonic()
    try:
        while time.monotonic() < begun_s + _HTTP_S:
            policy, version, at_s = load.latest or (0, 0, -1.0)
            if at_s == seen:
                await asyncio.sleep(0.0005)
                continue
            seen = at_s
            request = request_of(f"{_ROOT}/policy-{policy}/session", bearer)
            shown = b'"kwhSum":%d.0,' % version
            while shown not in await connection.get(request):
                if time.monotonic() > at_s + _LOST_S:
                    raise RuntimeError("a committed update is not shown")
                await asyncio.sleep(_POLL_S)
            if time.monotonic() > begun_s + _HTTP_WARM_UP_S:
                delays_ms.append((time.monotonic() - at_s) * 1_000)
    finally:
        load.stop()
        connection.close()
    print(f"  {len(delays_ms)} probes, {load.written / (time.monotonic() - begun_s):,.0f} updates/s")
    return delays_ms


async def sse_ms(api: Api, load: Load) -> list[float]:
    """From the end of the commit to the arrival at the client, in ms, of every update. Raises if a stream ends."""
    arrivals: list[tuple[int, int, float]] = []
    readers = []
    for policy in range(POLICIES):
        readers.append(asyncio.create_task(_read_events(api.port, policy, arrivals)))
        if policy % 50 == 49:
            await asyncio.sleep(0.05)
    while len(arrivals) < POLICIES:  # noqa: ASYNC110 - the current session of each, from a thousand tasks
        await asyncio.sleep(0.05)
    before_mib = api.memory_mib()
    load.start()
    begun_s = time.monotonic()
    await asyncio.sleep(_SSE_S)
    load.stop()
    await asyncio.sleep(1)
    ended = [reader for reader in readers if reader.done()]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    received = len(arrivals) - POLICIES
    print(f"  {received} of {load.written} updates, {load.written / (load.ended_s - begun_s):,.0f}/s,", end=" ")
    print(f"memory {before_mib:.0f} to {api.memory_mib():.0f} MiB")
    if ended or received != load.written:
        raise RuntimeError(f"{len(ended)} streams ended, {load.written - received} updates are missing")
    counted = [one for one in arrivals if one[1] > 1 and one[2] > begun_s + _WARM_UP_S]
    return [(at_s - load.committed_s[policy, version]) * 1_000 for policy, version, at_s in counted]


async def _read_events(port: int, policy: int, arrivals: list[tuple[int, int, float]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
    try:
        writer.write(request_of(f"{_ROOT}/policy-{policy}/session/events", token()))
        tail = b""
        while piece := await reader.read(65_536):
            at_s = time.monotonic()
            tail += piece
            arrivals += [(policy, int(version), at_s) for version in _EVENT_ID.findall(tail)]
            # What may be the beginning of an id stays.
            tail = tail[max(tail.rfind(b"\n"), 0) :]
    finally:
        writer.close()


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[-1]
