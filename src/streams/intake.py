"""Between Faust's stream and the session logic: records are merged into event-time order and processed in batches.

This is the whole seam to the engine: `arrive` takes one event of the stream, `pump` processes what is in order and
acknowledges it, `tick` lets timers fire, `prices_changed` says whose timers may be others. It branches on no fact of
the domain.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any

from faust.types import TP

from models.ids import Zone
from models.topics import SESSION_TARGETS, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.clock import monotonic_s, utc_now
from runtime.settings import Settings
from sessions.events import TimerDue
from streams.logic import SessionLogic
from streams.merge import Merge
from streams.processor import Arrived, PartitionProcessor, Publish
from streams.records import InputRecord, ReadEvent, read
from streams.tables import Tables
from streams.timers import Timers

# Of records with equal times the policy counts first, then the target, then the plug.
MERGED_TOPICS = (VEHICLE_POLICIES, SESSION_TARGETS, VEHICLE_PLUG, VEHICLE_CHARGE)
# Records decided, published and kept together: bounds memory and what is read again after a crash.
BATCH_LIMIT_RECORDS = 1_000
# Known to be in the log and yet not fetched for so long: the connection is broken in a way that nobody reported.
STALL_LIMIT_S = 60.0


class StalledError(RuntimeError):
    """Nothing moves: better to start anew than to stand still unseen."""


class _Partition:
    """One partition number: what waits for its turn, and who applies it."""

    def __init__(self, processor: PartitionProcessor, merge_wait_s: float) -> None:
        self.merge: Merge[tuple[Any, Arrived]] = Merge(MERGED_TOPICS, merge_wait_s)
        self.processor = processor


class Intake:
    """Every partition that this worker has."""

    def __init__(
        self,
        settings: Settings,
        logic: SessionLogic,
        tables: Tables,
        publish: Publish,
        is_at_end: Callable[[TP], bool],
    ) -> None:
        """`is_at_end`: whether, as far as is known, nothing of a partition is unread."""
        self._settings = settings
        self._is_wall = settings.clock == "wall"
        self._logic = logic
        self._tables = tables
        self._publish = publish
        self._is_at_end = is_at_end
        self._partitions: dict[int, _Partition] = {}
        # Held while a batch is published and kept: partitions must not move away under it.
        self._busy = asyncio.Lock()
        self._moved_s = monotonic_s()
        self.tally: Counter[str] = Counter()

    async def forget(self) -> None:
        """Partitions move once the batch in hand is done: the rest comes again to whoever has them then."""
        async with self._busy:
            self._partitions.clear()

    def recover_timers(self) -> None:
        """Set the timers of the vehicles in the tables, as if each had just been heard."""
        heard_s = monotonic_s()
        for partition, vehicle in self._tables.vehicles():
            self._partition(partition).processor.remember(vehicle, heard_s)

    def is_full(self, tp: TP) -> bool:
        """Tell whether a topic's records of a partition wait in such numbers that no more should be fetched."""
        topic, known = self._unprefixed(tp.topic), self._partitions.get(tp.partition)
        if known is None or topic not in MERGED_TOPICS:
            return False
        return known.merge.depth(topic) >= self._settings.merge_buffer_records

    def arrive(self, event: Any) -> None:
        """Take one event of the stream."""
        record = self.record(event.message)
        reading = read(record)
        at = reading.at if isinstance(reading, ReadEvent) else None
        partition = self._partition(record.partition)
        owner = reading.vehicle_id if isinstance(reading, ReadEvent) else None
        partition.merge.push(record.topic, at, (event, Arrived(record, reading)), monotonic_s(), owner)

    def record(self, message: Any) -> InputRecord:
        """A message of the stream as the log has it."""
        return InputRecord(
            topic=self._unprefixed(message.topic),
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            logged_at=datetime.fromtimestamp(message.timestamp, UTC),
            headers=tuple(_header_pairs(message.headers)),
        )

    def prices_changed(self, zones: Collection[Zone]) -> None:
        """Prices of these zones have become known: whose timers depend on them is asked anew, batch by batch."""
        for partition in self._partitions.values():
            partition.processor.prices_changed(zones)

    async def pump(self) -> bool:
        """Process and acknowledge what is in order. Tells whether there was anything.

        Raises StalledError where records wait for others that do not come.
        """
        async with self._busy:
            did_any = await self._pump()
        waits = any(not partition.merge.is_empty() for partition in self._partitions.values())
        if did_any or not waits:
            self._moved_s = monotonic_s()
        elif monotonic_s() - self._moved_s > STALL_LIMIT_S:
            raise StalledError(f"records wait for others of their partition for more than {STALL_LIMIT_S} s")
        return did_any

    async def tick(self) -> bool:
        """Fire the timers that are due in every partition whose inputs are read to their end.

        Tells whether there may be more: a batch of them was full.
        """
        async with self._busy:
            return await self._tick()

    async def _pump(self) -> bool:
        did_any = False
        for number, partition in list(self._partitions.items()):
            did_any |= partition.processor.ask_anew(BATCH_LIMIT_RECORDS)
            batch = partition.merge.take(partial(self._is_read_to_end, number), BATCH_LIMIT_RECORDS, monotonic_s())
            if not batch:
                continue
            did_any = True
            await partition.processor.process([arrived for _, arrived in batch], monotonic_s(), self._wall_now())
            for event, _ in batch:
                event.ack()
        return did_any

    async def _tick(self) -> bool:
        may_have_more = False
        for number, partition in list(self._partitions.items()):
            wall_now, processor = self._wall_now(), partition.processor
            now = wall_now or processor.newest_at
            if now is None or not self._is_idle(number, partition):
                continue
            due = processor.timers.due(now, monotonic_s(), BATCH_LIMIT_RECORDS)
            may_have_more |= len(due) == BATCH_LIMIT_RECORDS
            if due:
                event = TimerDue(now, is_wall=self._is_wall)
                await processor.fire([(vehicle_id, event) for vehicle_id in due], monotonic_s(), wall_now)
        return may_have_more

    def _wall_now(self) -> datetime | None:
        """The wall's time; None with the event clock, which has nothing to do with it."""
        return utc_now() if self._is_wall else None

    def _is_idle(self, number: int, partition: _Partition) -> bool:
        return partition.merge.is_empty() and all(self._is_read_to_end(number, topic) for topic in MERGED_TOPICS)

    def _partition(self, number: int) -> _Partition:
        known = self._partitions.get(number)
        if known is None:
            processor = PartitionProcessor(
                number,
                self._settings.topic_partitions,
                logic=self._logic,
                tables=self._tables,
                publish=self._publish,
                timers=Timers(self._settings.timer_quiet_s, is_wall=self._is_wall),
                tally=self.tally,
            )
            known = self._partitions[number] = _Partition(processor, self._settings.merge_wait_ms / 1_000)
        return known

    def _is_read_to_end(self, partition: int, topic: str) -> bool:
        return self._is_at_end(TP(self._settings.topic_prefix + topic, partition))

    def _unprefixed(self, topic: str) -> str:
        return topic.removeprefix(self._settings.topic_prefix)


def _header_pairs(headers: Any) -> Any:
    if headers is None:
        return ()
    return headers.items() if hasattr(headers, "items") else headers
