"""The API as a user has it: the console command, asked over HTTP."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from api.view.rocksdb import RocksStore
from tests.support.api_tokens import authorization, bearer
from tests.support.command import Running, flex
from tests.support.records import Outgoing
from tests.support.waiting import wait_until

ROOT = "/flex/vehicle-policies"
READY_S = 30


class Api:
    """A running API and a client of it."""

    def __init__(self, running: Running, client: httpx.Client) -> None:
        self.running = running
        self.client = client

    def get(self, path: str, *, params: Mapping[str, str | int] | None = None, **claims: Any) -> httpx.Response:
        """A read with a right token, but for the claims named."""
        return self.client.get(path, params=params, headers=authorization(**claims))

    def ids(self, filters: Mapping[str, str | int] | None = None, **claims: Any) -> list[str]:
        """The ids of a whole list, page by page, newest first."""
        found: list[str] = []
        params = dict(filters or {})
        while True:
            answer = self.get(f"{ROOT}/sessions", params=params, **claims)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [row["id"] for row in page["data"]]
            if page["pagination"]["after"] is None:
                return found
            params["after"] = page["pagination"]["after"]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.client.get("/metrics").text.splitlines():
            wanted = [f'{label}="{value}"' for label, value in labels.items()]
            if line.startswith((name + "{", name + " ")) and all(text in line for text in wanted):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def is_ready(self) -> bool:
        if self.running.process.poll() is not None:
            raise AssertionError(f"the API ended with {self.running.process.returncode}: {self.running.tail()}")
        if '"event": "listening"' not in self.running.stderr:
            # Whoever answers at this port until then is the API of another test.
            return False
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


def client_of(env: Mapping[str, str]) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{env['FLEX_API_PORT']}", timeout=10)


@contextmanager
def running_api(env: Mapping[str, str], folder: Path) -> Iterator[Api]:
    """A started API that is ready; stopped afterwards, and the test fails if it does not stop."""
    with flex("api", env=env, folder=folder) as running, client_of(env) as client:
        api = Api(running, client)
        wait_until(api.is_ready, READY_S, "the API is ready")
        yield api


def unread(api: Api, path: str) -> socket.socket:
    """A client that asks for this with a right token and then takes nothing."""
    stuck = socket.socket()
    # Before it connects: it is the window that the client offers.
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stuck.connect(("127.0.0.1", api.client.base_url.port or 0))
    head = f"GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer {bearer()}\r\n\r\n"
    stuck.sendall(head.encode())
    return stuck


class Transactions:
    """Writes as the worker does: several records, all of them or none."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": name, "partitioner": "murmur2_random", "linger.ms": 0}
        )
        self._producer.init_transactions(30)

    def write(self, records: list[Outgoing], *, commit: bool = True) -> None:
        self._producer.begin_transaction()
        self._send(records)
        # An abort drops what was not sent yet; the test wants the aborted records on the broker.
        self._producer.flush(30)
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.abort_transaction(30)

    @contextmanager
    def under_way(self, records: list[Outgoing]) -> Iterator[Callable[[], None]]:
        """A transaction that was begun with these records: nothing after them is read until what is given is called."""
        self._producer.begin_transaction()
        self._send(records)
        self._producer.flush(30)
        is_open = True

        def end() -> None:
            nonlocal is_open
            is_open = False
            self._producer.abort_transaction(30)

        try:
            yield end
        finally:
            if is_open:
                end()

    def _send(self, records: list[Outgoing]) -> None:
        for record in records:
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=[(name, value.encode()) for name, value in record.headers.items()],
                partition=-1 if record.partition is None else record.partition,
            )


def dump(state_dir: Path) -> dict[bytes, bytes]:
    """Every row of the view of a stopped API but the time at which it was last complete."""
    api = state_dir / "api"
    store = RocksStore(api / (api / "CURRENT").read_text().strip())
    try:
        rows = dict(store.scan(b"\x00", b"\xff", backwards=False))
    finally:
        store.close()
    rows.pop(b"mcomplete-at-us")
    return rows
