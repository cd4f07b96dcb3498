"""The worker of a partition between its threads: what is fetched in pieces, lost, and begun anew is decided once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event, Lock, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.json import encode

from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG
from streams.inputs import MERGED_TOPICS, Fetched
from streams.partition import PartitionWorker
from streams.processor import Arrived
from streams.progress import TopicProgress
from streams.records import InputRecord
from tests.support.waiting import wait_until
from tests.support.worker import message

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
TOPICS = (VEHICLE_PLUG, VEHICLE_CHARGE)
RECORDS = 150
LIMIT_S = 20.0
SETTINGS = SimpleNamespace(clock="event", merge_window_records=40, batch_limit_records=20, merge_wait_ms=0)

Place = tuple[str, int]


def logs(random: Random) -> dict[str, list[InputRecord]]:
    """Two topics of one partition, each not quite in the order of its times, with gaps between offsets."""
    found: dict[str, list[InputRecord]] = {}
    for topic in TOPICS:
        offset, records = 0, []
        for number in range(RECORDS):
            at = T0 + timedelta(seconds=number + random.uniform(-20, 20))
            vehicle = f"v{random.randrange(4)}"
            value = encode(message(vehicle, at))
            records.append(InputRecord(topic, 0, offset, vehicle.encode(), value, at + timedelta(seconds=30), ()))
            offset += random.choice((1, 1, 2))
        found[topic] = records
    return found


class Running:
    """A worker whose commits take their time, and what it has decided and committed, in order."""

    def __init__(self, random: Random, ends: dict[str, int]) -> None:
        self.done: list[Place] = []
        self.commits = 0
        self.lock = Lock()
        self.random = random
        around: Any = SimpleNamespace(
            settings=SETTINGS,
            logic=SimpleNamespace(lock=self.lock),
            figures=SimpleNamespace(batch=lambda *_: None, none_late=lambda _: None),
            topic_ids=dict.fromkeys(MERGED_TOPICS, "id"),
            generation=b"",
            crash=SimpleNamespace(reach=lambda _: None),
        )
        self.failures: list[BaseException] = []
        listener: Any = SimpleNamespace(failed=self.failures.append)
        self.worker: Any = PartitionWorker(0, around, listener)
        vars(self.worker)["_work"] = lambda: self._work(ends)
        self.worker.start()
        wait_until(lambda: self.worker.is_recovered or self.failures, LIMIT_S, "the worker's thread", 0.001)

    def _work(self, ends: dict[str, int]) -> None:
        worker = self.worker
        worker._transactions = SimpleNamespace(commit=self._commit)
        worker._store = SimpleNamespace(write=lambda *_: None)
        worker._processor = SimpleNamespace(
            is_asking=False,
            newest_at=None,
            policy_vehicle=lambda _: None,
            timers=SimpleNamespace(next_fires_at=lambda: None),
            decide=lambda items, _: SimpleNamespace(items=items, outputs=[]),
            states=lambda _: [],
            keep=lambda batch, _: self.done.extend(map(_place, batch.items)),
        )
        worker.done = {topic: TopicProgress("id", 0, []) for topic in MERGED_TOPICS}
        worker.inputs.begin_with(ends)
        worker._turns = worker._new_turns()
        worker._judge = None
        worker.is_recovered = True
        while not worker.is_stopping:
            worker._step()

    def _commit(self, *_: object) -> int:
        # Nobody waits for these moments: that they differ is what brings the threads into every order.
        self.commits += 1
        time.sleep(self.random.choice((0, 0, 0.001, 0.003)))
        return 1


def _place(item: Arrived) -> Place:
    return item.record.topic, item.record.offset


@contextmanager
def others_turns(lock: Lock, random: Random) -> Iterator[None]:
    """Other partitions decide, too."""
    is_over = Event()

    def decide() -> None:
        while not is_over.is_set():
            with lock:
                time.sleep(random.choice((0, 0.001, 0.004)))
            time.sleep(random.choice((0, 0.001)))

    thread = Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def decided(seed: int, *, is_disturbed: bool) -> list[Place]:
    """What a worker decides of a log that is fetched in pieces, in order."""
    log = logs(Random(seed))
    ends = {topic: records[-1].offset + 1 for topic, records in log.items()}
    random = Random(seed + 1)
    running = Running(Random(seed + 2), ends)
    worker = running.worker
    fetched = dict(worker.resume())
    until_s = time.monotonic() + LIMIT_S
    with others_turns(running.lock, Random(seed + 3)):
        while len(running.done) < 2 * RECORDS and time.monotonic() < until_s and not running.failures:
            _fetch(worker, log, ends, fetched, random, is_disturbed=is_disturbed)
            if is_disturbed and random.random() < 0.03:
                if random.random() < 0.5:
                    is_paused = worker.pause()
                    worker.inputs.refuse()
                    is_paused.wait(random.choice((0, 0, 1)))
                # Also while it does not pause: a recovery may end while partitions are given out.
                fetched = dict(worker.resume())
        worker.inputs.refuse()
        worker.stop()
        assert worker.join(5.0)
    assert running.failures == []
    return running.done


def _fetch(
    worker: Any,
    log: dict[str, list[InputRecord]],
    ends: dict[str, int],
    fetched: dict[str, int],
    random: Random,
    *,
    is_disturbed: bool,
) -> None:
    topic = random.choice(TOPICS)
    start = fetched[topic]
    if start >= ends[topic] or not worker.inputs.is_wanted(topic):
        time.sleep(0.0005)
        # What was lost is asked for again.
        fetched.update({name: at for name, at in worker.inputs.expected().items() if at < fetched[name]})
        return
    end = min(ends[topic], start + random.randrange(1, 30))
    records = [record for record in log[topic] if start <= record.offset < end]
    missing = worker.inputs.put(Fetched(topic, 0, start, end, records, ends))
    fetched[topic] = end if missing is None else missing
    if is_disturbed and random.random() < 0.02:
        fetched[topic] = min(ends[topic], end + 3)


@pytest.mark.parametrize("seed", range(8))
def test_each_record_is_decided_once_and_in_its_order(seed: int) -> None:
    """Whatever is lost on its way, and however often a worker pauses and begins anew, it decides as if undisturbed."""
    undisturbed = decided(seed, is_disturbed=False)
    assert len(set(undisturbed)) == 2 * RECORDS
    assert decided(seed, is_disturbed=True) == undisturbed


def test_who_is_told_to_end_while_it_pauses_commits_nothing_more() -> None:
    """Its partition may be another's by then."""
    log = logs(Random(1))
    ends = {topic: records[-1].offset + 1 for topic, records in log.items()}
    running = Running(Random(2), ends)
    worker = running.worker
    worker.resume()
    with running.lock:
        for topic in TOPICS:
            worker.inputs.put(Fetched(topic, 0, 0, ends[topic], log[topic], ends))
        is_paused = worker.pause()
    assert is_paused.wait(5.0)
    commits = running.commits
    worker.stop()
    assert worker.join(5.0)
    assert running.commits == commits
    assert running.failures == []
