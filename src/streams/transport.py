"""Faust's Kafka transport with what the merge needs: whether a partition is read to its end, and back-pressure.

A partition is at its end when the consumer's position has reached the highwater of the newest fetch and everything that
was fetched has reached the agent. The position moves in another thread, before the records that it has passed are here:
so it is looked at only when they have come. Partitions whose merge buffer is full are not fetched further.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import TP

if TYPE_CHECKING:
    from collections.abc import Callable

# How long the broker may hold a fetch open: bounds how long a drained partition waits for the next fetch.
FETCH_WAIT_MS = 100
# While some partitions are held back, or not read to their end, look again so often whether they have room, or are.
HELD_BACK_POLL_S = 0.02


class ConsumerThread(AIOKafkaConsumerThread):
    """The thread that talks to the broker; fetches return sooner than Faust's fixed 1500 ms."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  # read when the fetcher is made; no setting for it
        return consumer

    def is_position_at_highwater(self, tp: TP) -> bool:
        """Tell whether everything that the newest fetch knew of has been fetched."""
        consumer = self._consumer
        subscription = None if consumer is None else consumer._subscription.subscription  # noqa: SLF001
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return False
        state = assignment.state_value(tp)
        if state is None or not state.has_valid_position or state.highwater is None:
            return False
        return bool(state.position >= state.highwater)


class Consumer(AIOKafkaConsumer):
    """Keeps count of what was fetched and what has arrived, per partition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Faust's own consumer."""
        super().__init__(*args, **kwargs)
        self._fetched_offset: dict[TP, int] = {}
        self._arrived_offset: dict[TP, int] = {}
        # Those whose position was at the highwater when records came last.
        self._drained: set[TP] = set()
        self.is_full: Callable[[TP], bool] = lambda _: False

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def note_arrival(self, tp: TP, offset: int) -> None:
        """The agent has this record."""
        self._arrived_offset[tp] = offset

    def is_at_end(self, tp: TP) -> bool:
        """Tell whether, as far as is known, nothing of this partition is unread."""
        return tp in self._drained and self._arrived_offset.get(tp, -1) >= self._fetched_offset.get(tp, -1)

    def forget_positions(self) -> None:
        """Partitions have moved: what was counted says nothing any more."""
        self._fetched_offset.clear()
        self._arrived_offset.clear()
        self._drained.clear()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's signature
        wanted = active_partitions
        if active_partitions:
            wanted = {tp for tp in active_partitions if not self.is_full(tp)}
            if not wanted:
                # An empty set would mean every partition to the fetcher.
                await asyncio.sleep(HELD_BACK_POLL_S)
                return {}
            if len(wanted) < len(active_partitions) or not self._drained.issuperset(wanted):
                timeout = min(timeout, HELD_BACK_POLL_S)
        records = await super()._getmany(wanted, timeout)
        for tp, batch in records.items():
            if batch:
                self._fetched_offset[tp] = batch[-1].offset
        # Nothing is being fetched now, so no position runs ahead of what has come.
        for tp in wanted or ():
            if self._thread.is_position_at_highwater(tp):
                self._drained.add(tp)
            else:
                self._drained.discard(tp)
        return records


class Transport(AIOKafkaTransport):
    """What Faust loads for the `flex://` scheme."""

    Consumer = Consumer
