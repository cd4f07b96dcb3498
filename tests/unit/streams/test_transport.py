"""What was fetched: nothing of it is lost or kept for no reason between aiokafka's fetcher and us."""

import asyncio
import gc
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from models.topics import VEHICLE_CHARGE
from streams.inputs import Fetched
from streams.transport import IDLE_FETCH_WAIT_MS, ConsumerThread

FULL, WANTED = TP(VEHICLE_CHARGE, 0), TP(VEHICLE_CHARGE, 1)
COUNT = 5


@pytest.fixture
def without_search() -> Iterator[None]:
    """As in a worker under load."""
    gc.disable()
    yield
    gc.enable()


def fetched(tp: TP, start: int) -> Any:
    """What aiokafka makes of a fetch of some records."""
    # Version of the format, compression, transactional or not, producer's id, epoch and sequence, size.
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 65_536)
    for number in range(start + COUNT):
        builder.append(number, 1_000, b"car", b"%d" % number, [])
    records = MemoryRecords(bytes(builder.build()))
    return aiokafka_fetcher.PartitionRecords(tp, records, None, start, None, None, False, "read_committed")


@pytest.mark.usefixtures("without_search")
def test_what_is_dropped_unread_is_freed_at_once() -> None:
    """A fetch that nobody reads, or that is read to its end, is freed without a search for garbage."""
    unread, read = fetched(FULL, 0), fetched(FULL, 0)
    assert len(list(read)) == COUNT
    seen = weakref.ref(unread), weakref.ref(read)
    del unread, read
    assert [each() for each in seen] == [None, None]


def test_what_a_fetch_brought_of_a_partition_held_back_is_taken() -> None:
    """A fetch that was under way when its partition was held back is not made twice: it is given, and none is made."""
    asyncio.run(_held_back())


async def _held_back() -> None:
    wanted = {FULL, WANTED}
    thread, consumer, fetcher = _thread(wanted)
    assignment = consumer._subscription.subscription.assignment
    for tp in (FULL, WANTED):
        assignment.state_value(tp).reset_to(0)

    def arrives(tp: TP, start: int) -> None:
        fetcher._records[tp] = aiokafka_fetcher.FetchResult(
            tp, assignment=assignment, partition_records=fetched(tp, start), backoff=0.0
        )

    async def drained() -> tuple[dict[TP, list[int]], bool]:
        found, holds_back = await thread._drain(consumer, fetcher)
        return {tp: [record.offset for record in each.records] for tp, each in _checked(found).items()}, holds_back

    first = list(range(COUNT))
    arrives(FULL, 0)
    assert await drained() == ({FULL: first}, False)
    wanted.remove(FULL)
    assert await drained() == ({}, True)
    assert assignment.state_value(FULL).paused
    arrives(FULL, COUNT)
    arrives(WANTED, 0)
    later = [COUNT + number for number in first]
    assert await drained() == ({FULL: later, WANTED: first}, True)
    assert assignment.state_value(FULL).paused
    assert await drained() == ({}, True)
    wanted.add(FULL)
    assert await drained() == ({}, False)
    assert not assignment.state_value(FULL).paused


def _checked(found: dict[TP, Fetched]) -> dict[TP, Fetched]:
    for each in found.values():
        assert [record.offset for record in each.records] == list(range(each.start, each.end))
    return found


def _thread(wanted: set[TP]) -> tuple[Any, Any, Any]:
    """The fetcher's thread with aiokafka's fetcher, without the task that asks a broker."""
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user({FULL, WANTED})
    fetcher = aiokafka_fetcher.Fetcher.__new__(aiokafka_fetcher.Fetcher)
    fetcher._records, fetcher._subscriptions, fetcher._wait_consume_future = OrderedDict(), subscriptions, None
    reader = SimpleNamespace(is_wanted=wanted.__contains__, note_end=lambda *_: None, topic_of=lambda tp: tp.topic)
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.consumer = SimpleNamespace(reader=reader)
    return thread, SimpleNamespace(_subscription=subscriptions), fetcher


def gathering(wait_ms: int, per_s: float) -> list[bool]:
    """Whether the broker is told to gather, fetch by fetch in ten seconds of records of 400 bytes."""
    now_s, found = 100.0, []
    thread: Any = SimpleNamespace(
        _busy_rate=0.0,
        _fetched_s=now_s,
        _is_busy=False,
        thread_loop=SimpleNamespace(time=lambda: now_s),
        consumer=SimpleNamespace(busy_wait_ms=wait_ms),
    )
    fetcher = SimpleNamespace(_fetch_max_wait_ms=IDLE_FETCH_WAIT_MS, _fetch_min_bytes=1)
    while now_s < 110.0:
        until_enough_s = max(1.0, fetcher._fetch_min_bytes / 400) / per_s
        took_s = min(fetcher._fetch_max_wait_ms / 1_000, until_enough_s)
        now_s += took_s + 0.003
        ConsumerThread._adapt(thread, fetcher, is_fetch=took_s * per_s >= 1, holds_back=False)
        found.append(fetcher._fetch_min_bytes > 1)
    return found


@pytest.mark.parametrize("wait_ms", [5, 10, 20, 50])
def test_under_load_the_broker_gathers_and_goes_on_gathering(wait_ms: int) -> None:
    """That it gathers makes fetches fewer: they are no sign that the load is low."""
    told = gathering(wait_ms, per_s=3_000)
    assert all(told[-len(told) // 2 :])


@pytest.mark.parametrize("wait_ms", [5, 10, 20, 50])
def test_at_rest_a_record_is_fetched_when_it_comes(wait_ms: int) -> None:
    """A few records a second are not gathered."""
    assert not any(gathering(wait_ms, per_s=8))
