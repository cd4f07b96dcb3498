"""The worker of one partition number: a thread that owns its store, its producer, its merge and its session logic.

Each batch goes the same way (docs/delivery.md says what happens where it dies between two steps):

1. decide: records are put in order and the session logic is applied, one partition number at a time; nothing outside of
   the batch has changed;
2. commit: state records, updates, commands, dead letters and the progress, in one Kafka transaction;
3. store: the same state records and the position in the changelog, in one write;
4. keep: what is in memory follows, and the offsets may be committed to the group, where only operators look at them.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol

from models.ids import Zone
from models.topics import CHANGELOG, ENERGY_PRICES
from runtime.clock import monotonic_s, utc_now
from runtime.logs import get_log
from sessions.events import TimerDue
from streams.batch_size import INPUT_BYTES, BatchSize
from streams.decision import Decision, refused_prices
from streams.errors import AbortedError, WorkerError
from streams.inputs import MERGED_TOPICS, Fetched, Inputs
from streams.loading import Loaded, Loading
from streams.merge import Merge
from streams.outbox import OutputRecord
from streams.prices import PriceJudge
from streams.processor import Arrived, Decided
from streams.progress import Progress, TopicProgress, encode_progress
from streams.records import read
from streams.recovery import now_ms
from streams.restoring import Restoring
from streams.states import OWNER_KEY, PROGRESS_KEY
from streams.store import StoreDamagedError, remove_store
from streams.surroundings import Surroundings
from streams.transactions import StoppedError, Transactions
from streams.turns import Turns

log: Final = get_log()

# How often timers are looked at, and prices judged.
TICK_S: Final = 0.25
# How long the worker rests at most while records wait for others of their partition that are known to come.
HELD_BACK_S: Final = 0.05
# Vehicles asked anew at a time between two batches: some milliseconds.
ASK_LIMIT: Final = 100
# Timers that fire in one batch: a tenth of a second, for which records that come meanwhile wait.
TIMERS_LIMIT: Final = 1_000


class Listener(Protocol):
    """Who hears of a worker; called from the worker's thread."""

    def recovered(self, worker: "PartitionWorker") -> None: ...
    def undone(self, worker: "PartitionWorker") -> None: ...
    def failed(self, error: BaseException) -> None: ...


class PartitionWorker:
    """All methods but `_` ones are called by other threads."""

    def __init__(self, number: int, around: Surroundings, listener: Listener) -> None:
        settings = around.settings
        self.number = number
        self._around = around
        self._settings = settings
        self._listener = listener
        self._is_wall = settings.clock == "wall"
        # Twice the batch beyond the window, so that a batch is at hand while the next is fetched.
        self.inputs = Inputs(settings.merge_window_records + 2 * settings.batch_limit_records)
        self._stopping = threading.Event()
        # From the start, until `resume`.
        self._pause_wanted = True
        self._is_paused = threading.Event()
        self._begins_anew = False
        self.is_recovered = False
        # Whether it has got a batch through.
        self.has_committed = False
        self.restoring = Restoring()
        # What is done, by topic: replaced whole with every batch.
        self.done: Progress = {}
        # By topic, where it goes on: as `done`, and beyond what has no record (transaction markers) at once.
        self.reached: dict[str, int] = {}
        self._ticked_s = 0.0
        self._has_more = False
        self._size = BatchSize(settings.batch_limit_records)
        self._changed_zones = set[Zone]()
        self._merge = self._new_merge()
        # With what the process binds to every line of its log.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"partition-{number}", daemon=True)

    # --- for other threads ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin the recovery, and then wait for records."""
        self._thread.start()

    def pause(self) -> threading.Event:
        """Finish the batch in hand, and forget what waits. The event is set once that is so."""
        with self.inputs.condition:
            self._pause_wanted = True
            self.inputs.condition.notify()
        if not self.is_recovered:
            self._is_paused.set()
        return self._is_paused

    def resume(self) -> dict[str, int]:
        """Take records again, from the offsets of the answer on; only after recovery."""
        offsets = {topic: self.done[topic].next_offset for topic in MERGED_TOPICS}
        self.inputs.accept(offsets)
        with self.inputs.condition:
            self._pause_wanted = False
            self._begins_anew = True
            self._is_paused.clear()
            self.inputs.condition.notify()
        return offsets

    def prices_changed(self, zones: Iterable[Zone]) -> None:
        """Prices of these zones have become known: whose timers depend on them is asked anew, by and by."""
        with self.inputs.condition:
            self._changed_zones |= set(zones)
            self.inputs.condition.notify()

    def sizes(self) -> tuple[int, int]:
        """How many open visits there are, and how many vehicles have a timer; only after recovery."""
        return len(self._processor.visits), len(self._processor.timers)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Finish the batch in hand, and end; `join` waits for it."""
        self._stopping.set()
        with self.inputs.condition:
            self.inputs.condition.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait until it has ended. Tells whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except StoppedError as stopped:
            log.warning("partition left", partition=self.number, reason=str(stopped))
        except AbortedError as error:
            log.warning("partition begins anew", partition=self.number, reason=str(error))
            self._around.figures.aborted(self.number)
            self.is_recovered = False
            self._is_paused.set()
            if not self._stopping.wait(TICK_S):
                self._listener.undone(self)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the process must not go on without this thread
            self._listener.failed(error)

    def _work(self) -> None:
        settings = self._settings
        began_s = monotonic_s()
        self._transactions = Transactions(
            settings.kafka_bootstrap_servers,
            settings.topic_prefix,
            f"flex-sessions-{self.number}",
            self._around.crash,
            self._stopping.is_set,
        )
        try:
            # First of all: from now on no earlier owner can write.
            self.restoring.begin("shuts out its earlier owner")
            self._transactions.begin_session()
            self.restoring.begin("claims its changelog")
            loaded = Loading(self.number, self._around, self._stopping, self.restoring).load(self._claim())
            self._take(loaded)
            self._tell(loaded, monotonic_s() - began_s)
            try:
                self._go_on()
            except StoreDamagedError as error:
                # Removed, so that the next start rebuilds it: that sees no damage in what it does not read.
                self._store.close()
                remove_store(loaded.folder)
                raise WorkerError(f"partition {self.number}: its store is damaged and was removed: {error}") from error
            finally:
                self._store.close()
        finally:
            self._transactions.close()

    def _go_on(self) -> None:
        self._judge = None
        if self.number == 0:
            self._judge = PriceJudge(self._settings, self.done, self._around.topic_ids[ENERGY_PRICES])
        try:
            self.is_recovered = True
            self._listener.recovered(self)
            while not self._stopping.is_set():
                self._step()
        finally:
            if self._judge is not None:
                self._judge.close()

    def _take(self, loaded: Loaded) -> None:
        self._store, self._processor, self.done = loaded.store, loaded.processor, loaded.done
        self._turns = self._new_turns()
        self.inputs.begin_with(loaded.ends)
        self.reached = {topic: self.done[topic].next_offset for topic in MERGED_TOPICS}

    def _tell(self, loaded: Loaded, took_s: float) -> None:
        self._around.figures.recovered(self.number, took_s, loaded.records)
        log.info(
            "partition recovered",
            partition=self.number,
            vehicles=loaded.vehicles,
            changelog_records=loaded.records,
            rebuilt=loaded.rebuilt,
            took_s=round(took_s, 3),
        )

    def _claim(self) -> int:
        """Commit a record to the changelog, behind everything that an earlier owner wrote. Its offset."""
        return self._transactions.claim(self._state_record(OWNER_KEY, self._around.owner.encode()))

    def _new_merge(self) -> Merge[Arrived]:
        merge: Merge[Arrived] = Merge(MERGED_TOPICS, self._settings.merge_window_records)
        for topic in MERGED_TOPICS:
            if topic in self.done:
                merge.start(topic, self.done[topic].next_offset, self.done[topic].ahead)
        return merge

    def _new_turns(self) -> Turns:
        return Turns(self.inputs.limit, self._processor.policy_vehicle, self._settings.merge_wait_ms / 1_000)

    def _step(self) -> None:
        waiting, now_s = self._wait(), monotonic_s()
        decision = None
        if waiting or self._has_more or not self._merge.is_empty():
            with self._around.logic.lock:
                decision = self._decide_next(waiting, now_s)
        if decision is not None:
            self._size.note(decision.records, self._publish(decision))
        if not self._halts():
            self._pass_time()
        self.reached = {topic: offset for topic, (offset, _) in self._merge.progress().items()}
        self.inputs.note_merged({topic: self._merge.depth(topic) for topic in MERGED_TOPICS})

    def _decide_next(self, waiting: list[Fetched], now_s: float) -> Decision | None:
        """Decide what was taken at that monotonic second, and what came since, while others had their turn."""
        with self.inputs.condition:
            if self._halts():
                # What waits comes again, to whoever has the partition.
                return None
            waiting += self.inputs.take()
        for fetched in waiting:
            self._push(fetched, now_s)
        limit = self._size.records
        items = self._merge.take(self._is_at_end, limit, monotonic_s(), INPUT_BYTES)
        self._has_more = len(items) >= limit or self._merge.is_cut
        return self._decide(lambda: self._processor.decide(items, self._wall_now()), len(items)) if items else None

    def _halts(self) -> bool:
        """Whether it is to pause, to begin anew, or to end."""
        return self._pause_wanted or self._begins_anew or self._stopping.is_set()

    def _wait(self) -> list[Fetched]:
        """Rest until there is something to do; what was fetched since."""
        inputs = self.inputs
        with inputs.condition:
            while self._pause_wanted and not self._stopping.is_set():
                self._is_paused.set()
                inputs.condition.wait()
            if self._begins_anew:
                # What waited comes again, to whoever has the partition.
                self._begins_anew = False
                self._merge = self._new_merge()
                self._turns = self._new_turns()
                self._has_more = False
            if not (inputs.has_any() or self._has_more or self._processor.is_asking or self._stopping.is_set()):
                inputs.condition.wait(self._rest_s())
            if self._changed_zones:
                self._processor.prices_changed(self._changed_zones)
                self._changed_zones.clear()
            # What came for who begins anew is not for the merge that is.
            return [] if self._begins_anew else inputs.take()

    def _rest_s(self) -> float:
        now_s = monotonic_s()
        until_tick_s = max(0.001, self._ticked_s + TICK_S - now_s)
        if self._merge.is_empty():
            return until_tick_s
        left_s = self._merge.ready_s() - now_s
        return min(until_tick_s, left_s if left_s > 0 else HELD_BACK_S)

    def _push(self, fetched: Fetched, now_s: float) -> None:
        topic, merge, turns = fetched.topic, self._merge, self._turns
        expected, has_ahead = merge.end_offset(topic), merge.has_ahead(topic)
        for record in fetched.records:
            offset = record.offset
            if offset < expected or (has_ahead and merge.is_done(topic, offset)):
                continue
            reading = read(record, self._around.generation)
            at, owner = turns.turn(record, reading)
            ready_s = 0.0 if at is None else turns.ready_s(record.logged_at - at, now_s)
            size = len(record.value or b"")
            merge.push(topic, offset, at, Arrived(record, reading), owner=owner, ready_s=ready_s, size_bytes=size)
        merge.reach(topic, fetched.end)

    def _is_at_end(self, topic: str) -> bool:
        return self.inputs.is_read_to(topic, self._merge.end_offset(topic))

    def _pass_time(self) -> None:
        if self._processor.is_asking and not self._has_more:
            with self._around.logic.lock:
                self._processor.ask_anew(ASK_LIMIT)
        elif monotonic_s() - self._ticked_s >= TICK_S:
            self._tick()

    def _tick(self) -> None:
        """Let what time alone brings about happen."""
        self._ticked_s = monotonic_s()
        letters = [] if self._judge is None else self._judge.letters()
        if letters:
            self._process(lambda: refused_prices(letters, self._wall_now()))
        processor, now = self._processor, self._wall_now() or self._processor.newest_at
        next_at = processor.timers.next_fires_at()
        if now is None or next_at is None or next_at > now:
            self._around.figures.none_late(self.number)
            return
        if not self._is_idle():
            return
        limit = min(TIMERS_LIMIT, self._size.records)
        due = processor.timers.due(now, monotonic_s(), limit)
        if due:
            late = now - processor.timers.fires_at(due[0])
            self._around.figures.timers_fired(self.number, len(due), late.total_seconds())
            event = TimerDue(now, is_wall=self._is_wall)
            self._size.note(len(due), self._process(lambda: processor.decide_timers(due, event, self._wall_now())))
        if len(due) == limit:
            self._ticked_s = 0.0

    def _is_idle(self) -> bool:
        """Whether the partition's inputs are read to their ends, and nothing waits."""
        with self.inputs.condition:
            if self.inputs.has_any():
                return False
        merge = self._merge
        return merge.is_empty() and all(self.inputs.is_end(topic, merge.end_offset(topic)) for topic in MERGED_TOPICS)

    def _wall_now(self) -> datetime | None:
        """The wall's time; None with the event clock, which has nothing to do with it."""
        return utc_now() if self._is_wall else None

    def _process(self, decide: Callable[[], Decided]) -> int:
        """Take what no input caused through the four steps. How many bytes it wrote."""
        with self._around.logic.lock:
            decision = self._decide(decide, 0)
        return self._publish(decision)

    def _decide(self, decide: Callable[[], Decided], records: int) -> Decision:
        """The first step; the caller holds the lock of the session logic. `records`: how many inputs are in it."""
        began_s, done = monotonic_s(), self._progress()
        batch = decide()
        return Decision(batch, self._processor.states(batch), done, records, began_s, monotonic_s())

    def _publish(self, decision: Decision) -> int:
        """The other three. How many bytes it wrote."""
        batch, states, done, crash = decision.batch, decision.states, decision.done, self._around.crash
        progress = (PROGRESS_KEY, encode_progress(done))
        written = [*(self._state_record(*state) for state in states), *batch.outputs]
        position = self._transactions.commit(written, self._state_record(*progress))
        committed_s = monotonic_s()
        self.has_committed = True
        crash.reach("committed")
        self._store.write([*states, progress], position + 1, now_ms())
        crash.reach("stored")
        self._processor.keep(batch, decision.began_s)
        self.done = done
        decide_s, commit_s = decision.decided_s - decision.began_s, committed_s - decision.decided_s
        self._around.figures.batch(self.number, batch, decision.records, decide_s, commit_s)
        return sum(len(record.value) for record in written if record.value is not None)

    def _progress(self) -> Progress:
        ids = self._around.topic_ids
        done = {topic: TopicProgress(ids[topic], *at) for topic, at in self._merge.progress().items()}
        return done if self._judge is None else done | self._judge.progress()

    def _state_record(self, key: bytes, value: bytes | None) -> OutputRecord:
        return OutputRecord(CHANGELOG, self.number, key, value, [])
