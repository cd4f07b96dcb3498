"""Faust's Kafka transport, by batches: one Faust message for each batch that was fetched of a partition.

Faust's app, agents, assignment and rebalancing work on these messages as on any other; its path for single records is
not used. Where reading goes on, what is committed to the group, and what may be fetched is the engine's to say.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Protocol

from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from faust import Schema
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import TP, ConsumerMessage

from streams.inputs import Fetched, record_reader

# How long the broker may hold a fetch that finds too little, and how much is enough: at low load the first byte is, so
# that a record is fetched when it comes; at high load what comes within `fetch_wait_ms`, for each fetch costs the same.
IDLE_FETCH_WAIT_MS = 500
IDLE_FETCH_BYTES = 1
BUSY_FETCH_BYTES = 65_536
# Fetches per second, smoothed, above which the load is high.
BUSY_FETCHES_PER_S = 60.0
# While the broker gathers, fewer fetches are made: the load stays high above this share of as many as its wait allows.
STILL_BUSY_SHARE = 0.6
# How long the fetcher's thread waits for records before it looks again at what is wanted.
FETCH_STEP_S = 0.25
# The same while some partitions are held back because their records have not been taken yet.
HELD_BACK_STEP_S = 0.01
# Bytes of a partition that one fetch brings: more than the largest record that an input topic can hold.
PARTITION_FETCH_BYTES = 2 * 1_024 * 1_024


class UnreadRecords(PartitionRecords):
    """What was fetched of a partition, freed at once where it is dropped unread.

    aiokafka's own refers to itself from the beginning, so only a search for garbage would find it, and under load there
    is none (streams.garbage): each that a rebalance or a seek drops would stay, with the whole fetch that it stands on.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._records_iterator = None

    def __next__(self) -> Any:
        if self._records_iterator is None:
            self._records_iterator = self._unpack_records()
        return super().__next__()


# aiokafka's fetcher takes no other class.
aiokafka_fetcher.PartitionRecords = UnreadRecords


class Reader(Protocol):
    """Who reads: the engine. `is_wanted` and `note_end` are called by the fetcher's thread."""

    def is_wanted(self, tp: TP) -> bool: ...
    def note_end(self, tp: TP, offset: int) -> None: ...
    def topic_of(self, tp: TP) -> str: ...
    def offsets_done(self) -> dict[TP, int]: ...
    async def quiesce(self) -> None: ...
    async def seek_again(self) -> None: ...


class ConsumerThread(AIOKafkaConsumerThread):
    """The thread that talks to the broker."""

    _busy_rate = 0.0
    _fetched_s = 0.0
    _is_busy = False

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read when the client starts; Faust has no settings for them.
        consumer._fetch_max_wait_ms = IDLE_FETCH_WAIT_MS  # noqa: SLF001
        consumer._fetch_min_bytes = IDLE_FETCH_BYTES  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        # Faust takes a round robin for an app without tables; its own keeps the topics of a partition number together.
        consumer._partition_assignment_strategy = (self.app.assignor,)  # noqa: SLF001
        return consumer

    async def seek_now(self, offsets: Mapping[TP, int]) -> None:
        """Go on from these offsets, in those partitions that are still assigned."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in offsets.items():
            if tp in assigned:
                consumer.seek(tp, offset)

    def position_now(self, tp: TP) -> int | None:
        """The offset that is fetched next; None: not known at present."""
        consumer = self._consumer
        subscription = None if consumer is None else consumer._subscription.subscription  # noqa: SLF001
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(tp)
        return int(state.position) if state.has_valid_position else None

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Fetched]:
        """Everything that is fetched by now, or comes within `timeout` seconds."""
        del active_partitions, max_records
        subscriptions = consumer._subscription  # noqa: SLF001
        if consumer._closed or not self.consumer.flow_active or subscriptions.reassignment_in_progress:  # noqa: SLF001
            await asyncio.sleep(HELD_BACK_STEP_S)
            return {}
        # Faust does not ask: an error that the group's coordinator found would never be seen.
        consumer._coordinator.check_errors()  # noqa: SLF001
        fetcher = consumer._fetcher  # noqa: SLF001
        with subscriptions.fetch_context():
            found, holds_back = await self._drain(consumer, fetcher)
            if not found:
                waiter = fetcher._create_fetch_waiter()  # noqa: SLF001
                done, _ = await asyncio.wait([waiter], timeout=HELD_BACK_STEP_S if holds_back else timeout)
                if not done:
                    waiter.cancel()
                else:
                    # An error of the group, if there was one.
                    waiter.result()
                found, holds_back = await self._drain(consumer, fetcher)
        self._adapt(fetcher, is_fetch=bool(found), holds_back=holds_back)
        return found

    async def _drain(self, consumer: Any, fetcher: Any) -> tuple[dict[TP, Fetched], bool]:
        """What is fetched by now, and whether a partition is held back. Nothing else runs in this thread meanwhile."""
        subscription = consumer._subscription.subscription  # noqa: SLF001
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or consumer._subscription.reassignment_in_progress:  # noqa: SLF001
            return {}, False
        reader: Reader = self.consumer.reader
        states = {tp: assignment.state_value(tp) for tp in assignment.tps}
        for tp, result in fetcher._records.items():  # noqa: SLF001
            # What a fetch that was under way brought of a partition held back: else aiokafka would drop it.
            if tp in states and states[tp].paused:
                states[tp].resume()
            if isinstance(result, FetchResult) and result.has_more():
                # Our records at once, instead of aiokafka's, of which ours would be made: that takes as long again.
                result._partition_records._consumer_record = record_reader(reader.topic_of(tp))  # noqa: SLF001
        starts = {tp: state.position for tp, state in states.items() if state.has_valid_position}
        # With no time to wait it does not give way to anybody: positions move here alone.
        records = await fetcher.fetched_records(None, timeout=0)
        found: dict[TP, Fetched] = {}
        ends: dict[int, dict[str, int]] = {}
        for tp, state in states.items():
            if state.lso is not None:
                ends.setdefault(tp.partition, {})[reader.topic_of(tp)] = state.lso
                reader.note_end(tp, state.lso)
        holds_back = False
        for tp, state in states.items():
            start = starts.get(tp)
            if start is not None and state.has_valid_position and state.position > start:
                topic, number = reader.topic_of(tp), tp.partition
                known = ends.get(number, {})
                found[tp] = Fetched(topic, number, start, state.position, records.get(tp, ()), known)
            holds_back |= self._hold_back(tp, state, reader)
        return found, holds_back

    @staticmethod
    def _hold_back(tp: TP, state: Any, reader: Reader) -> bool:
        """Fetch no more of what is not wanted. What a fetch under way brings of it is still taken: one at most."""
        is_wanted = reader.is_wanted(tp)
        if is_wanted == state.paused:
            if is_wanted:
                state.resume()
            else:
                state.pause()
        return not is_wanted

    def _adapt(self, fetcher: Any, *, is_fetch: bool, holds_back: bool) -> None:
        """Fetch at once while little comes, and by the batch while much does.

        While a partition is held back the broker must not hold a fetch of the others for long either: of one broker
        only one fetch is under way, and what is wanted again waits for its end.
        """
        now_s = self.thread_loop.time()
        gap_s, self._fetched_s = now_s - self._fetched_s, now_s
        # A moving mean over about a quarter of a second.
        weight = min(1.0, gap_s / 0.25)
        self._busy_rate += weight * ((1.0 / max(gap_s, 0.001) if is_fetch else 0.0) - self._busy_rate)
        least_rate = BUSY_FETCHES_PER_S
        if self._is_busy:
            least_rate = min(least_rate, STILL_BUSY_SHARE * 1_000 / self.consumer.busy_wait_ms)
        self._is_busy = self._busy_rate > least_rate
        is_busy = holds_back or self._is_busy
        fetcher._fetch_max_wait_ms = self.consumer.busy_wait_ms if is_busy else IDLE_FETCH_WAIT_MS  # noqa: SLF001
        fetcher._fetch_min_bytes = BUSY_FETCH_BYTES if is_busy else IDLE_FETCH_BYTES  # noqa: SLF001


class Consumer(AIOKafkaConsumer):
    """Yields batches. `reader` and `busy_wait_ms` are set before the app starts."""

    reader: Reader
    busy_wait_ms: int

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        """One message for each partition of which something was fetched."""
        del timeout
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        fetched = await self._thread.getmany(None, FETCH_STEP_S)
        generation = self.app.consumer_generation_id
        for tp, batch in fetched.items():
            if self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation:
                # What is dropped here is fetched again: the engine knows which offset comes next.
                return
            # Faust would drop what it has seen before; whether that is so, the engine knows better.
            self._read_offset[tp] = None
            yield tp, _message(tp, batch, generation)

    async def seek_to(self, offsets: Mapping[TP, int]) -> None:
        """Go on from these offsets."""
        await self._thread.call_thread(self._thread.seek_now, offsets)

    def position_now(self, tp: TP) -> int | None:
        """The offset that is fetched next; None: not known at present."""
        return self._thread.position_now(tp)

    async def perform_seek(self) -> None:
        """After a rebalance Faust would go on from what is committed; the store says it more exactly."""
        await self.reader.seek_again()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the batches in hand be finished before anybody else gets the partitions."""
        # The group's offsets are not committed now: only operators look at them, and the next owner tells them anyway.
        await self.reader.quiesce()
        await super().on_partitions_revoked(revoked)

    def ack(self, message: Any) -> bool:
        """Faust's acknowledgements decide nothing."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        del topics
        return list(self.reader.offsets_done())

    def _new_offset(self, tp: TP) -> int | None:
        return self.reader.offsets_done().get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets without a record are the engine's matter."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Liveness is watched elsewhere: this one compares clocks of two kinds."""


class BatchSchema(Schema):
    """Hands a batch to the agent as it is."""

    def compile(self, app: Any, **_: Any) -> Any:
        """The function by which Faust decodes a message."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            del propagate
            return create_event(None, message.value, message.headers, message)

        return decode


class Transport(AIOKafkaTransport):
    """What Faust loads for the `flex://` scheme."""

    Consumer = Consumer


def _message(tp: TP, batch: Fetched, generation: int) -> Any:
    return ConsumerMessage(
        tp.topic, tp.partition, batch.start, 0.0, 0, {}, None, batch, None, 0, 0, tp, generation_id=generation
    )
