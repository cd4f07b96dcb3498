"""What a partition's worker begins with: its store, brought to the end of the changelog, and what follows from it."""

from pathlib import Path
from threading import Event
from typing import Final

from msgspec import DecodeError, Struct

from models.topics import CHANGELOG, topic_name
from runtime.clock import monotonic_s
from runtime.logs import get_log
from streams.inputs import MERGED_TOPICS
from streams.log_offsets import At
from streams.processor import PartitionProcessor
from streams.progress import Progress, TopicProgress, decode_progress, start_of
from streams.recovery import Bounds, Recovery, bounds_of
from streams.restoring import Restoring
from streams.states import PROGRESS_KEY
from streams.store import Store, StoreDamagedError, remove_store
from streams.surroundings import Surroundings
from streams.timers import Timers
from streams.transactions import StoppedError
from streams.vehicles import Vehicles

log: Final = get_log()

# For how long an input that seems to end before what was processed of it is asked again, and how often.
END_LIMIT_S: Final = 20.0
END_STEP_S: Final = 0.25


class Loaded(Struct, frozen=True):
    """`done`, `ends`: by topic without the prefix. `records`: how many were read from the changelog.

    `rebuilt`: why the store was; None: it was as it should be.
    """

    folder: Path
    store: Store
    processor: PartitionProcessor
    vehicles: int
    done: Progress
    ends: dict[str, int]
    records: int
    rebuilt: str | None


class Loading:
    """Of one partition number."""

    def __init__(self, number: int, around: Surroundings, stopping: Event, restoring: Restoring) -> None:
        """`restoring`: is told how far it has come."""
        self._restoring = restoring
        self._number = number
        self._around = around
        self._stopping = stopping
        self._folder = around.folder / f"partition-{number}"

    def load(self, own: int) -> Loaded:
        """`own`: offset of the record by which we claimed the partition. Raises WorkerError, StoppedError."""
        settings = self._around.settings
        changelog = (topic_name(settings.topic_prefix, CHANGELOG), self._number)
        for _ in range(2):
            servers, generation = settings.kafka_bootstrap_servers, self._around.generation
            recovery = Recovery(servers, changelog, generation, own, self._restoring)
            store = recovery.open(self._folder, self._stopping.is_set)
            try:
                return self._loaded(store, recovery)
            except (StoreDamagedError, DecodeError) as error:
                store.close()
                # Not the error itself: it refers to whoever read, and so to the store, which stays locked as long.
                damage = StoreDamagedError(str(error))
                log.warning("store is damaged: it is rebuilt", partition=self._number, reason=str(error))
                remove_store(self._folder)
            except BaseException:
                store.close()
                raise
        raise damage

    def _loaded(self, store: Store, recovery: Recovery) -> Loaded:
        settings = self._around.settings
        vehicles = Vehicles(store, max(1, settings.state_cache_vehicles // settings.topic_partitions))
        processor = self._around.processor(
            self._number,
            settings.topic_partitions,
            logic=self._around.logic,
            vehicles=vehicles,
            timers=Timers(settings.timer_quiet_s, is_wall=settings.clock == "wall"),
            generation=self._around.generation,
        )
        self._restoring.begin("sets its timers")
        count = processor.recover(monotonic_s(), self._restoring.move)
        self._restoring.begin("asks where its inputs end")
        done = decode_progress(store.get(PROGRESS_KEY))
        names = {topic: topic_name(settings.topic_prefix, topic) for topic in MERGED_TOPICS}
        bounds = self._bounds({name: done[topic].next_offset for topic, name in names.items() if topic in done}, names)
        starts = {topic: self._start(topic, name, done.get(topic), bounds) for topic, name in names.items()}
        ends = {topic: bounds[name, self._number].end for topic, name in names.items()}
        return Loaded(self._folder, store, processor, count, done | starts, ends, recovery.records, recovery.rebuilt)

    def _start(self, topic: str, name: str, done: TopicProgress | None, bounds: dict[At, Bounds]) -> TopicProgress:
        log_has = bounds[name, self._number]
        start = start_of(name, self._around.topic_ids[topic], done, log_has.first, log_has.end)
        if done is not None and start.next_offset > done.next_offset:
            log.warning(
                "records were deleted before they were read, or compacted",
                topic=name,
                partition=self._number,
                offsets=start.next_offset - done.next_offset,
            )
        return start

    def _bounds(self, done: dict[str, int], names: dict[str, str]) -> dict[At, Bounds]:
        """Where the inputs begin and end. A broker that has just come back may tell too low ends for a while."""
        asked, until_s = [(name, self._number) for name in names.values()], monotonic_s() + END_LIMIT_S
        while True:
            bounds = bounds_of(self._around.offsets, asked, self._stopping.is_set)
            if (
                all(bounds[name, self._number].end >= offset for name, offset in done.items())
                or monotonic_s() > until_s
            ):
                return bounds
            if self._stopping.wait(END_STEP_S):
                raise StoppedError("stopped while it looked where topics end")
