"""The workers of all partition numbers that this process has, and their dealings with Faust.

Faust says which partitions are ours and brings what was fetched; each batch goes to the worker of its partition number.
A worker that stays ours across a rebalance keeps its store, its producer and what it has in memory.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final

from faust.types import TP

from runtime.clock import monotonic_s
from runtime.logs import get_log
from streams.errors import WorkerError
from streams.inputs import MERGED_TOPICS, Fetched
from streams.partition import PartitionWorker
from streams.surroundings import Surroundings

log: Final = get_log()

# How long a rebalance waits for the batches in hand. One that takes longer is fenced by the partition's next owner.
QUIESCE_LIMIT_S: Final = 10.0
# How long a worker may take to let go of its store and its producer.
STOP_LIMIT_S: Final = 4.0
# So many transactions of a partition may fail in a row: each takes at most what a transaction may last.
UNDONE_LIMIT: Final = 10
# How often the positions of fetcher and workers are compared.
REPAIR_S: Final = 1.0
# Exit status after a defect of ours: the supervisor starts the worker again, and nothing is lost.
DEFECT_EXIT_STATUS: Final = 70
# Exit status after an operating fault, which one line has told.
FAULT_EXIT_STATUS: Final = 1


class Engine:
    """All methods but those named below are called by Faust's own thread."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._prefix = around.settings.topic_prefix
        self.workers: dict[int, PartitionWorker] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consumer: Any = None
        self._is_quiet = False
        self._quiet_s: float | None = None
        self._ready_told = False
        self._left: dict[TP, int] = {}
        # By partition number, how often in a row it has begun anew for nothing.
        self._undone = Counter[int]()
        # Where the fetcher is ahead of a worker: of which offset, and since when in monotonic seconds.
        self._ahead_since: dict[tuple[int, str], tuple[int, float]] = {}

    # --- rebalancing ------------------------------------------------------------------------------------------------

    def bind(self, consumer: Any) -> None:
        """Take the consumer that fetches for us; before the app starts."""
        self._consumer = consumer

    async def quiesce(self) -> None:
        """Partitions may move: finish the batches in hand, and take nothing more."""
        self._is_quiet = True
        self._quiet_s = monotonic_s()
        self._ready_told = False
        paused = [worker.pause() for worker in self.workers.values()]
        for worker in self.workers.values():
            worker.inputs.refuse()
        until_s = monotonic_s() + QUIESCE_LIMIT_S
        for event in paused:
            if not await asyncio.to_thread(event.wait, max(0.0, until_s - monotonic_s())):
                log.warning("a batch takes longer than a rebalance waits", limit_s=QUIESCE_LIMIT_S)

    async def assigned(self, tps: set[TP]) -> None:
        """These partitions are ours now, and no others. Raises WorkerError."""
        # Before any worker begins: a recovery may be over sooner than the app's own tasks have begun.
        self._loop = asyncio.get_running_loop()
        numbers = self._numbers(tps)
        lost = {number: self.workers.pop(number) for number in self.workers.keys() - numbers}
        await self._stop(list(lost.values()))
        # One that was undone while partitions moved has no worker here any more.
        for number in lost.keys() | (self._undone.keys() - numbers):
            self._around.figures.lost(number)
            del self._undone[number]
        for number in sorted(numbers - self.workers.keys()):
            self._start(number)
        self._is_quiet = False
        self._quiet_s = None
        log.info("partitions assigned", partitions=sorted(numbers))
        for worker in self.workers.values():
            if worker.is_recovered:
                worker.resume()
        await self.seek_again()
        self._tell_ready()

    async def seek_again(self) -> None:
        """Fetch from where each worker goes on."""
        offsets = {
            self._tp(topic, worker.number): offset
            for worker in self.workers.values()
            for topic, offset in worker.inputs.expected().items()
        }
        if offsets:
            await self._consumer.seek_to(offsets)

    async def stop(self) -> None:
        """Finish the batches in hand, and end every worker."""
        await self._stop(list(self.workers.values()))
        # For the last commit to the group, which Faust makes when it stops the consumer.
        self._left = self.offsets_done()
        self.workers = {}

    # --- records ----------------------------------------------------------------------------------------------------

    async def arrive(self, fetched: Fetched) -> None:
        """Take what was fetched."""
        worker = self.workers.get(fetched.partition)
        if worker is None:
            return
        missing = worker.inputs.put(fetched)
        if missing is not None:
            log.warning("fetching again", topic=fetched.topic, partition=fetched.partition, offset=missing)
            await self._consumer.seek_to({self._tp(fetched.topic, fetched.partition): missing})

    async def repair(self) -> None:
        """Fetch again what was fetched and never came, with no later batch to show it."""
        for worker in list(self.workers.values()):
            for topic, offset in worker.inputs.expected().items():
                at = (worker.number, topic)
                if worker.inputs.is_end(topic, offset) or not worker.inputs.is_wanted(topic):
                    self._ahead_since.pop(at, None)
                    continue
                tp, now_s = self._tp(topic, worker.number), monotonic_s()
                position = self._consumer.position_now(tp)
                known, since_s = self._ahead_since.get(at, (-1, now_s))
                if position is None or position <= offset:
                    self._ahead_since.pop(at, None)
                elif known != offset:
                    self._ahead_since[at] = (offset, now_s)
                elif now_s - since_s > REPAIR_S:
                    del self._ahead_since[at]
                    log.warning("fetching again", topic=topic, partition=worker.number, offset=offset)
                    await self._consumer.seek_to({tp: offset})

    def is_wanted(self, tp: TP) -> bool:
        """Whether more of a partition should be fetched. Called by the fetcher's thread."""
        worker = self.workers.get(tp.partition)
        return worker is not None and worker.inputs.is_wanted(self.topic_of(tp))

    def note_end(self, tp: TP, offset: int) -> None:
        """The log goes on to before this offset. Called by the fetcher's thread."""
        worker = self.workers.get(tp.partition)
        if worker is not None:
            worker.inputs.note_end(self.topic_of(tp), offset)

    def topic_of(self, tp: TP) -> str:
        """The topic's name without the prefix."""
        return tp.topic.removeprefix(self._prefix)

    def offsets_done(self) -> dict[TP, int]:
        """By partition, the offset before which everything is done: what operators see as the group's.

        None while partitions are given out anew: a commit would be refused then, and whoever is refused joins the group
        once more, which gives them out anew, and so on for ever.
        """
        if self._is_quiet:
            return {}
        return self._left | {
            self._tp(topic, worker.number): offset
            for worker in self.workers.values()
            if worker.is_recovered
            for topic, offset in worker.reached.items()
        }

    # --- called by other threads -----------------------------------------------------------------------------------

    def positions(self) -> dict[tuple[str, int], int]:
        """As `offsets_done`, of the workers that take records at present, or should."""
        return {
            (self._prefix + topic, worker.number): offset
            for worker in list(self.workers.values())
            if worker.is_recovered and not self._is_quiet
            for topic, offset in worker.reached.items()
        }

    def recoveries(self) -> dict[int, tuple[str, int]]:
        """By partition number that is not recovered yet, what that is at, and a number that changes while it moves."""
        return {
            worker.number: (worker.restoring.step, worker.restoring.moves)
            for worker in list(self.workers.values())
            if not worker.is_recovered
        }

    def quiet_since_s(self) -> float | None:
        """Since when, in monotonic seconds, partitions are being given out anew; None: they are not."""
        return self._quiet_s

    def gauges(self, lag: dict[tuple[str, int], int]) -> dict[str, dict[tuple[str, ...], float]]:
        """What stands at this moment, by the names of `metrics.GAUGES`. `lag`: by topic as on the broker."""
        found: dict[str, dict[tuple[str, ...], float]] = {
            "lag_records": {(topic, str(number)): count for (topic, number), count in lag.items()},
            "open_visits": {},
            "timers": {},
        }
        for name, standing in self._around.figures.of_partitions().items():
            found[name] = {(str(number),): value for number, value in standing.items()}
        for worker in list(self.workers.values()):
            if worker.is_recovered:
                found["open_visits"][str(worker.number),], found["timers"][str(worker.number),] = worker.sizes()
        return found

    # --- called by the workers' threads -----------------------------------------------------------------------------

    def recovered(self, worker: PartitionWorker) -> None:
        """A worker has its state."""
        self._have_done(worker, self._begin(worker))

    def undone(self, worker: PartitionWorker) -> None:
        """A worker has ended over a transaction that failed: its partition begins anew, as after a restart."""
        self._have_done(worker, self._begin_anew(worker))

    def failed(self, error: BaseException) -> None:
        """A worker cannot go on: leave at once, so that whoever starts us again finds what is committed."""
        leave(error)

    def _have_done(self, worker: PartitionWorker, step: Coroutine[Any, Any, None]) -> None:
        """Have Faust's thread take a step. One that fails ends the process: the partition would stand still."""

        def judge(future: Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None and not worker.is_stopping:
                leave(error)

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(step, self._loop).add_done_callback(judge)

    async def _begin(self, worker: PartitionWorker) -> None:
        if self._is_quiet or self.workers.get(worker.number) is not worker:
            return
        offsets = worker.resume()
        await self._consumer.seek_to({self._tp(topic, worker.number): offset for topic, offset in offsets.items()})
        self._tell_ready()

    async def _begin_anew(self, worker: PartitionWorker) -> None:
        if worker.is_stopping or self.workers.get(worker.number) is not worker:
            return
        del self.workers[worker.number]
        self._undone[worker.number] = 1 if worker.has_committed else self._undone[worker.number] + 1
        if self._undone[worker.number] >= UNDONE_LIMIT:
            leave(WorkerError(f"partition {worker.number}: {UNDONE_LIMIT} transactions in a row have failed"))
        # While partitions are given out anew it may move: who has it then is told by `assigned`.
        if not self._is_quiet:
            self._start(worker.number)

    def _start(self, number: int) -> None:
        worker = self.workers[number] = PartitionWorker(number, self._around, self)
        worker.start()

    def _tell_ready(self) -> None:
        if not self._ready_told and not self._is_quiet and all(each.is_recovered for each in self.workers.values()):
            self._ready_told = True
            log.info("worker ready", clock=self._around.settings.clock, partitions=sorted(self.workers))

    async def _stop(self, workers: list[PartitionWorker]) -> None:
        for worker in workers:
            worker.inputs.refuse()
            worker.stop()
        for worker in workers:
            if not await asyncio.to_thread(worker.join, STOP_LIMIT_S):
                log.warning("partition does not end", partition=worker.number, limit_s=STOP_LIMIT_S)

    def _numbers(self, tps: set[TP]) -> set[int]:
        """The partition numbers of which every input is ours."""
        by_topic = {topic: {tp.partition for tp in tps if self.topic_of(tp) == topic} for topic in MERGED_TOPICS}
        numbers = by_topic[MERGED_TOPICS[0]]
        if any(found != numbers for found in by_topic.values()):
            raise WorkerError(f"the inputs of one partition number were given to different workers: {by_topic}")
        return numbers

    def _tp(self, topic: str, number: int) -> TP:
        return TP(self._prefix + topic, number)


def leave(error: BaseException) -> None:
    """End the process now. Our own defect is not bad input: nothing more may be acknowledged."""
    if isinstance(error, WorkerError):
        log.error("worker stopped", reason=str(error))
        os._exit(FAULT_EXIT_STATUS)
    log.error("worker stopped by a defect", exc_info=error)
    os._exit(DEFECT_EXIT_STATUS)
