"""What the API's benchmarks stand on: a real Kafka, topics, an API process, and plain clients of HTTP."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from confluent_kafka import Producer

from benchmarks.api_sessions import Written
from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute
from local.ports import free_port
from local.stopping import StopRequest
from local.topics import ensure_topics
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES, topic_name
from runtime.clock import utc_now
from runtime.partitions import partition_of
from runtime.settings import load_settings

PARTITIONS: Final = 4
SECRET: Final = "only-for-benchmarks-" + "x" * 32
_START_S: Final = 120.0
# The kind of a process's clock in its number (clock_getcpuclockid(3)): all that its threads ran for.
_SCHED_CLOCK: Final = 2


@contextmanager
def running_kafka(folder: Path) -> Iterator[str]:
    """A broker on a free port; yields its address."""
    stop = StopRequest()
    folder.mkdir()
    libs = fetch_jars(absolute(load_settings({}).cache_dir), stop)
    kafka = Kafka(java=find_java(), libs=libs, data_dir=folder, log_dir=folder / "logs", port=free_port())
    try:
        kafka.start(stop)
        yield kafka.bootstrap
    finally:
        kafka.stop(10)


class System:
    """Topics under one prefix, and the environment of an API on them."""

    def __init__(self, bootstrap: str, folder: Path, name: str) -> None:
        self.bootstrap = bootstrap
        self.folder = folder / name
        self.folder.mkdir()
        self.prefix = f"{name}."
        self.port = free_port()
        self.env = {
            "FLEX_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "FLEX_TOPIC_PREFIX": self.prefix,
            "FLEX_TOPIC_PARTITIONS": str(PARTITIONS),
            "FLEX_STATE_DIR": str(self.folder / "state"),
            "FLEX_API_PORT": str(self.port),
            "FLEX_AUTH_HS256_SECRET": SECRET,
            "FLEX_RATE_LIMIT_PER_S": "1000000",
            "FLEX_RATE_LIMIT_BURST": "1000000",
            "FLEX_LOG_LEVEL": "info",
        }
        ensure_topics(load_settings(self.env))
        self.updates = topic_name(self.prefix, SESSION_UPDATED)
        self.policies = topic_name(self.prefix, VEHICLE_POLICIES)

    def produce(self, sessions: Iterable[Written]) -> None:
        """Write them without transactions, as fast as it goes."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 20, "compression.type": "lz4"})
        for one in sessions:
            while True:
                try:
                    producer.produce(
                        self.updates,
                        key=one.key,
                        value=one.value,
                        headers=one.headers,
                        partition=partition_of(one.vehicle, PARTITIONS),
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(60):
            raise RuntimeError("the broker did not take everything")

    def write_policies(self, count: int) -> None:
        """One enabled policy for each vehicle below `count`."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 20})
        for vehicle in range(count):
            value = {
                "id": f"policy-{vehicle}",
                "userId": f"user-{vehicle}",
                "vehicleId": f"vehicle-{vehicle}",
                "locationId": f"place-{vehicle}",
                "isEnabled": True,
                "at": "2025-01-01T00:00:00Z",
            }
            partition = partition_of(f"vehicle-{vehicle}", PARTITIONS)
            producer.produce(self.policies, key=f"policy-{vehicle}", value=json.dumps(value), partition=partition)
            producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("the broker did not take everything")

    @contextmanager
    def running_api(self) -> Iterator["Api"]:
        """The API of this system, ready."""
        log = self.folder / "api.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLEX_")} | self.env
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", "api"], env=env, stderr=file, stdout=subprocess.DEVNULL
            )
        api = Api(self.port, process.pid, log)
        try:
            wait_for(lambda: api.said("the view is complete") or process.poll() is not None, _START_S)
            if process.poll() is not None:
                raise RuntimeError(f"the API ended: {log.read_text()[-2_000:]}")
            yield api
        finally:
            process.terminate()
            process.wait(30)


class Api:
    """A running API."""

    def __init__(self, port: int, pid: int, log: Path) -> None:
        self.port = port
        self.pid = pid
        self._log = log

    def said(self, event: str) -> dict[str, Any] | None:
        """The first line of its log with this event."""
        for line in self._log.read_text(encoding="utf-8").splitlines():
            if f'"{event}"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return None

    def memory_mib(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1_024 for line in lines if line.startswith("VmRSS:"))


class Transactions:
    """Writes updates as the worker does, several in one transaction."""

    def __init__(self, system: System) -> None:
        self._topic = system.updates
        self._producer = Producer(
            {"bootstrap.servers": system.bootstrap, "transactional.id": system.prefix, "linger.ms": 0}
        )
        self._producer.init_transactions(30)

    def write(self, updates: Iterable[Written]) -> float:
        """Returns the second, by the monotonic clock, at which the transaction was committed."""
        self._producer.begin_transaction()
        for one in updates:
            partition = partition_of(one.vehicle, PARTITIONS)
            self._producer.produce(self._topic, key=one.key, value=one.value, headers=one.headers, partition=partition)
        self._producer.commit_transaction(30)
        return time.monotonic()


def token(user: str | None = None) -> str:
    """A bearer token that may read everything, or all of one user's, for the time of the benchmarks."""
    claims = {"iss": "flex-sessions", "aud": "flex-sessions", "scope": "flex:sessions:read"}
    claims |= {} if user is None else {"userId": user}
    return jwt.encode(claims | {"exp": utc_now() + timedelta(hours=2)}, SECRET, algorithm="HS256")


def request_of(path: str, bearer: str) -> bytes:
    """A GET on a connection that is kept."""
    return f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {bearer}\r\n\r\n".encode()


class Connection:
    """A kept connection: whole answers with a Content-Length, read with as little work as possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def opened(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=8 * 1024 * 1024))

    async def get(self, request: bytes) -> bytes:
        """The body of a 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer: {head[:200]!r}")
        start = head.lower().index(b"content-length: ") + len(b"content-length: ")
        return await self._reader.readexactly(int(head[start : head.index(b"\r", start)]))

    def close(self) -> None:
        self._writer.close()


def cpu_s(pid: int) -> float:
    """Seconds of processor time that all threads of a process have used, as Linux counts them in nanoseconds."""
    return time.clock_gettime((~pid << 3) | _SCHED_CLOCK)


def wait_for(is_so: Callable[[], object], timeout_s: float) -> None:
    """Look every 20 ms."""
    until_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > until_s:
            raise RuntimeError(f"not so within {timeout_s} s")
        time.sleep(0.02)
