"""The API's trials: killed at any moment while updates flow, and lists walked while a writer is at work."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.codec import encode
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import NOTHING, REPLACES_HEADER, VehiclePolicy, policy_tag
from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.clock import utc_now
from runtime.partitions import partition_of
from tests.support.api_process import READY_S, ROOT, Api, Transactions, client_of, dump, running_api
from tests.support.chaos.faults import Outcome
from tests.support.command import flex
from tests.support.records import Outgoing
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until
from tests.support.walking import walk_under_writes

VEHICLES = 7
# Per vehicle; they come and go at two places, so that some of them are rivals.
POLICIES = 3
# Records per transaction, and seconds between two: a load that the number of kills bounds, not how fast the machine is.
BATCH_RECORDS = 20
PAUSE_S = 0.03
# Until an API has read all that was written during a long trial.
CAUGHT_UP_S = 180


class Writer(threading.Thread):
    """What is written for some vehicles, until told to stop, in transactions of which every fifth is aborted: sessions
    that are updated, settled, superseded and erased; policies that come, change and go, by writers of which some know
    what stands and some do not, so that some of their records are refused. Each vehicle's records are on its partition.
    """

    def __init__(self, topics: Topics) -> None:
        super().__init__()
        self._topics = topics
        self._name = topics.name(SESSION_UPDATED)
        self._policies = topics.name(VEHICLE_POLICIES)
        # The version of each policy that was written last, taken or not.
        self._tags: dict[str, str] = {}
        self._dice = random.Random(3)
        self._stopping = threading.Event()
        # Per vehicle: the number of its current session, and the version that was last committed.
        self._current = {vehicle: (vehicle, 0) for vehicle in range(VEHICLES)}
        self.written = 0
        self.records = 0

    def run(self) -> None:
        worker = Transactions(self._topics.bootstrap, self._topics.prefix)
        while not self._stopping.is_set():
            is_kept = self._dice.random() < 0.8
            after = dict(self._current)
            batch = [one for _ in range(BATCH_RECORDS) for one in self._next(after)]
            worker.write(batch, commit=is_kept)
            if is_kept:
                self._current = after
            self.written += 1
            self.records += len(batch)
            self._stopping.wait(PAUSE_S)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _next(self, current: dict[int, tuple[int, int]]) -> Iterator[Outgoing]:
        vehicle = self._dice.randrange(VEHICLES)
        if self._dice.random() < 0.2:
            yield self._policy(vehicle)
        number, version = current[vehicle]
        home = partition_of(f"v{vehicle}", self._topics.partitions)
        is_settled = version > 1 and self._dice.random() < 0.3
        update = Update(
            id=session_id(number),
            version=version + 1,
            state=SessionState.SETTLED if is_settled else SessionState.ACTIVE_REGULAR,
            # Now and then nobody manages it, and it shares its charging event with the one before.
            policy=f"p{vehicle}" if number % 5 else None,
            vehicle=f"v{vehicle}",
            user=f"u{vehicle % 3}",
            event=f"event-{vehicle}-{number // (2 * VEHICLES)}",
            energy_kwh=version,
            in_h=number / 100,
            out_h=number / 100 + 1,
        )
        yield update.outgoing(self._name, home)
        current[vehicle] = (number + VEHICLES, 0) if is_settled else (number, version + 1)
        if is_settled and self._dice.random() < 0.2:
            erased = session_id(max(vehicle, number - 3 * VEHICLES))
            yield Outgoing(topic=self._name, key=erased, value=None, partition=home)

    def _policy(self, vehicle: int) -> Outgoing:
        """A new version of a policy, or its end."""
        number = self._dice.randrange(POLICIES)
        policy = VehiclePolicy(
            id=PolicyId(f"p{vehicle}" if number == 0 else f"p{vehicle}-{number}"),
            user_id=UserId(f"u{vehicle % 3}"),
            vehicle_id=VehicleId(f"v{vehicle}"),
            location_id=LocationId(self._dice.choice(["home", "work"])),
            is_enabled=self._dice.random() < 0.7,
            at=utc_now(),
            battery_reserve=float(self._dice.randrange(100)),
        )
        headers = {"policy-fingerprint": f"asked-{number}"} if number == 1 else {}
        said = self._dice.choice([None, self._tags.get(policy.id), NOTHING])
        if said is not None:
            headers[REPLACES_HEADER] = said
        is_deletion = self._dice.random() < 0.3
        self._tags[policy.id] = NOTHING if is_deletion else policy_tag(policy)
        return Outgoing(
            topic=self._policies,
            key=policy.id,
            value=None if is_deletion else encode(policy),
            headers=headers,
            partition=partition_of(policy.vehicle_id, self._topics.partitions),
        )


@contextmanager
def writing(topics: Topics) -> Iterator[Writer]:
    writer = Writer(topics)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def caught_up(env: dict[str, str], folder: Path) -> tuple[list[str], list[str]]:
    """Every session and every policy, by id, in the lists of an API that was started, read to the end, and stopped."""
    with flex("api", env=env, folder=folder) as running, client_of(env) as client:
        api = Api(running, client)
        wait_until(api.is_ready, CAUGHT_UP_S, "the API is ready")
        wait_until(lambda: api.metric("flex_api_lag_records") == 0, READY_S, "no lag")
        policies = api.get(ROOT, params={"pageSize": 100}, scope="flex:policies:read").json()["data"]
        return api.ids({"pageSize": 100}), [policy["id"] for policy in policies]


def kill_api(topics: Topics, env: dict[str, str], folder: Path, count: int, seed: int) -> Outcome:
    """Kill -9 of the API at random moments, by turns while it catches up and while it serves; then its store is
    compared with one built from scratch.
    """
    dice, began_s = random.Random(seed), time.monotonic()
    with writing(topics) as writer:
        for kill in range(count):
            with flex("api", env=env, folder=folder) as running, client_of(env) as client:
                if kill % 2:
                    wait_until(Api(running, client).is_ready, CAUGHT_UP_S, "the API is ready")
                else:
                    running.wait_for("listening")
                until_s = time.monotonic() + dice.uniform(0, 1)
                wait_until(lambda until_s=until_s: time.monotonic() >= until_s, READY_S, "the moment", 0.005)  # type: ignore[misc]
                if running.end(signal.SIGKILL) != -signal.SIGKILL:
                    raise AssertionError(f"the API had ended by itself: {running.tail()}")
    found = caught_up(env, folder)
    scratch = folder / "scratch"
    rebuilt = caught_up(env | {"FLEX_STATE_DIR": str(scratch)}, folder)
    findings = []
    for kind, listed, others in zip(("session", "policy"), found, rebuilt, strict=True):
        if not listed:
            findings.append(f"no {kind} is listed")
        if listed != others:
            findings.append(
                f"by {kind}: {len(listed)} are listed, {len(others)} of a store built from scratch, or others"
            )
    rows, rebuilt_rows = dump(Path(env["FLEX_STATE_DIR"])), dump(scratch)
    differing = [key for key in rows | rebuilt_rows if rows.get(key) != rebuilt_rows.get(key)]
    if differing:
        findings.append(f"{len(differing)} rows differ from a store built from scratch, {differing[:3]} among them")
    return _outcome("kill -9 of the API", count, writer.records, len(rows), began_s, findings)


def walk_api(topics: Topics, env: dict[str, str], folder: Path, sessions: int, seed: int) -> Outcome:
    """Eight readers walk lists of so many sessions, in both directions, while a writer adds, erases and supersedes."""
    began_s = time.monotonic()
    env = env | {"FLEX_RATE_LIMIT_PER_S": "100000", "FLEX_RATE_LIMIT_BURST": "100000"}
    with running_api(env, folder) as api:
        walks = walk_under_writes(topics, env, api, sessions, seed)
    requests = sum(walk.requests for walk in walks)
    return _outcome("lists walked under writes", 0, sessions, requests, began_s, [])


def _outcome(name: str, faults: int, records: int, updates: int, began_s: float, findings: list[str]) -> Outcome:
    return Outcome(
        name=name,
        faults=faults,
        records=records,
        updates=updates,
        seconds=time.monotonic() - began_s,
        findings=findings,
        endings=[],
    )
