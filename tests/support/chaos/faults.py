"""What can be done to workers and brokers under load. Each function runs one trial with so many faults from a seed, and
returns what it did and found; the tests run them short, `make chaos` long.
"""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.support.chaos.cluster import Cluster
from tests.support.chaos.fuzz import cannot_be_taken, hostile, originals
from tests.support.chaos.load import Load, Spec, Step, make_load
from tests.support.chaos.log import Logged
from tests.support.chaos.surroundings import ShiftedClock, SmallDisk
from tests.support.chaos.trial import Trial, trial
from tests.support.chaos.workers import Worker
from tests.support.records import Outgoing

STEPS_PER_S: Final = 8.0
# A frozen worker must be given up by the group (its session) and by the broker (its transaction) before it wakes.
FREEZE_S: Final = 16.0
# Of a load on the wall clock: seconds from step to step, and until an unplug counts.
LIVE_STEP_S: Final = 0.5
LIVE_DEBOUNCE_S: Final = 0.2
# A visit takes seconds in it: so do the worker's waits.
LIVE: Final[dict[str, str | float]] = {
    "clock": "wall",
    "unplug_debounce_s": LIVE_DEBOUNCE_S,
    "timer_quiet_s": LIVE_DEBOUNCE_S,
}
READY_LIMIT_S: Final = 90.0
FUZZ_WINDOW: Final = 500


class Outcome(Struct, kw_only=True):
    """What was done in a trial, and what was found. `endings`: how workers ended by themselves, which is no fault."""

    name: str
    faults: int
    records: int
    updates: int
    seconds: float
    findings: list[str]
    endings: list[str]


class Setting(Struct, frozen=True, kw_only=True):
    """Where a trial takes place. `undisturbed`: the updates of a run over the same load to which nothing happened."""

    bootstrap: str
    load: Load
    undisturbed: Sequence[Logged] | None
    folder: Path
    replication: int = 1


def kill_workers(setting: Setting, count: int, seed: int, **settings: str | float) -> Outcome:
    """The only worker is killed (kill -9): while it starts, at its first update, in the middle of catching up."""
    return _run("kill -9 of the worker", setting, count, seed, _killing(count), settings=settings)


def kill_workers_live(setting: Setting, count: int, seed: int) -> Outcome:
    """The same on the wall clock, with a load of `live_load`: time itself settles visits."""
    name = "kill -9 of the worker, wall clock"
    return _run(name, setting, count, seed, _killing(count), steps_per_s=1 / LIVE_STEP_S, settings=LIVE)


def _killing(count: int) -> Callable[[Trial, random.Random], None]:
    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker()
        worker.start()
        for _ in range(count):
            run.allow(1 / count)
            _some_moment(run, worker, rng)
            worker.kill()
            worker.start()

    return break_it


def kill_after_commit(setting: Setting, count: int, seed: int) -> Outcome:
    """So many deaths at one place: the transaction is committed, and the store knows nothing of it yet."""

    def break_it(run: Trial, rng: random.Random) -> None:
        state = setting.folder / "state"
        run.allow(1)
        died = 0
        while died < count:
            # After so many batches of one life.
            plan = {"FLEX_CRASH_AT": f"committed:{rng.randint(1, 3)}"}
            worker = run.worker(env=plan, state_dir=state)
            worker.start()
            run.wait(lambda worker=worker: bool(worker.endings), READY_LIMIT_S, "the worker to die")  # type: ignore[misc]
            died += len(worker.endings)
            worker.kill()
        run.worker(state_dir=state).start()

    settings: dict[str, str | float] = {"batch_limit_records": 20}
    outcome = _run("kill -9 between commit and store", setting, count, seed, break_it, settings=settings)
    outcome.findings += [f"not by our plan: {ending}" for ending in outcome.endings if "status -9" not in ending]
    outcome.endings = []
    return outcome


def rebalance(setting: Setting, count: int, seed: int, **settings: str | float) -> Outcome:
    """Among three workers: one leaves and joins again, or is killed and comes back."""

    def break_it(run: Trial, rng: random.Random) -> None:
        workers = [run.worker() for _ in range(3)]
        workers[0].start()
        workers[1].start()
        workers[0].wait_ready(READY_LIMIT_S)
        for number in range(count):
            run.allow(1 / count)
            down = next((worker for worker in workers if not worker.is_alive), None)
            victim = rng.choice([worker for worker in workers if worker.is_alive])
            run.wait_seen(rng.randint(1, 20))
            # In turn: one joins the two, one leaves, one joins again, one is killed.
            if down is not None:
                down.start()
                down.wait_ready(READY_LIMIT_S)
            elif number % 4 == 1:
                victim.leave()
            else:
                victim.kill()

    return _run("rebalance among 3 workers", setting, count, seed, break_it, settings=settings)


def freeze(setting: Setting, count: int, seed: int, freeze_s: float = FREEZE_S, **settings: str | float) -> Outcome:
    """SIGSTOP of one of two workers beyond both time-outs, then SIGCONT: the other has its partitions by then."""

    def break_it(run: Trial, rng: random.Random) -> None:
        workers = [run.worker(), run.worker()]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready(READY_LIMIT_S)
        for _ in range(count):
            run.allow(1 / 3 / count)
            victim = rng.choice(workers)
            run.wait_seen(rng.randint(1, 20))
            victim.freeze()
            run.allow(1 / 3 / count)
            run.let_pass(freeze_s)
            victim.thaw()
            run.allow(1 / 3 / count)
            # Either it was fenced and ends, or it has found its place in the group anew: both move on.
            run.wait_seen(1)
        # What wakes and is fenced must have ended, or must work, before the load is over.
        run.wait(lambda: all(worker.is_ready for worker in workers), READY_LIMIT_S, "both workers at work again")

    return _run("freeze beyond the time-outs", setting, count, seed, break_it, settings=settings)


def kill_brokers(setting: Setting, cluster: Cluster, count: int, seed: int, **settings: str | float) -> Outcome:
    """Kill -9 of one of three brokers, which comes back and is in sync before the next one goes."""

    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker()
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        for _ in range(count):
            run.allow(0.5 / count)
            run.wait_seen(rng.randint(1, 20))
            number = rng.randint(1, 3)
            cluster.kill(number)
            run.allow(0.5 / count)
            run.wait_seen(rng.randint(1, 20))
            cluster.start(number)
            run.wait(cluster.is_in_sync, READY_LIMIT_S, "all replicas in sync")

    return _run("kill -9 of a broker", setting, count, seed, break_it, settings=settings)


def lose_broker(setting: Setting, cluster: Cluster, gone_s: float, seed: int, **settings: str | float) -> Outcome:
    """The only broker is away for so long."""

    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker()
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        run.allow(0.5)
        run.wait_seen(rng.randint(1, 20))
        cluster.kill(1)
        run.let_pass(gone_s)
        cluster.start(1)
        run.allow(0.5)
        run.wait_seen(1, 120)

    return _run(f"broker gone for {gone_s:g} s", setting, 1, seed, break_it, settings=settings)


def fill_disk(setting: Setting, disk: SmallDisk, seed: int) -> Outcome:
    """The worker's disk is full for a while: it ends with a word about it, and goes on once there is room."""

    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker(state_dir=disk.folder / "state")
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        run.allow(1 / 3)
        run.wait_seen(rng.randint(1, 20))
        disk.fill()
        run.allow(1 / 3)
        run.wait(lambda: len(worker.endings) > 1, READY_LIMIT_S, "the worker to end on a full disk, twice")
        disk.free()
        run.allow(1 / 3)

    outcome = _run("disk full on the state folder", setting, 1, seed, break_it)
    return _with_clear_words(outcome, "space")


def protect_disk(setting: Setting, disk: SmallDisk, seed: int) -> Outcome:
    """The worker's folder is read-only when it starts: it ends with a word about it, and goes on once it can write."""

    def break_it(run: Trial, _rng: random.Random) -> None:
        worker = run.worker(state_dir=disk.folder / "state")
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        run.allow(1 / 2)
        run.wait_seen(1)
        worker.kill()
        disk.protect()
        worker.start()
        run.wait(lambda: len(worker.endings) > 1, READY_LIMIT_S, "the worker to end on a read-only disk, twice")
        disk.unprotect()
        run.allow(1 / 2)

    return _with_clear_words(_run("read-only state folder", setting, 1, seed, break_it), "ead-only")


def set_clock_back(setting: Setting, clock: ShiftedClock, seed: int) -> Outcome:
    """On the wall clock, the worker's time of day falls back by an hour under load and later comes right again."""

    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker(env=clock.env)
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        run.allow(1 / 3)
        run.wait_seen(rng.randint(1, 20))
        clock.set(-3_600)
        run.allow(1 / 3)
        # What vehicles tell moves on; what only time would bring waits.
        run.wait_seen(20)
        clock.set(0)
        run.allow(1 / 3)

    return _run("clock set back by an hour", setting, 1, seed, break_it, steps_per_s=1 / LIVE_STEP_S, settings=LIVE)


def live_load(seed: int, vehicles: int, steps: int, partitions: int) -> Load:
    """A load whose times begin now, in steps of LIVE_STEP_S."""
    step = timedelta(seconds=LIVE_STEP_S)
    spec = Spec(seed=seed, vehicles=vehicles, steps=steps, partitions=partitions, base=datetime.now(UTC), step=step)
    return make_load(spec)


def _with_clear_words(outcome: Outcome, word: str) -> Outcome:
    """Each ending of the trial must say what was wrong."""
    unclear = [f"an ending without a clear word: {ending}" for ending in outcome.endings if word not in ending]
    outcome.findings += unclear
    return outcome


def transactional_input(setting: Setting) -> Outcome:
    """Input written in Kafka transactions, committed ones, and between them some that lie and are aborted."""
    name, started_s = "input in transactions", time.monotonic()
    with trial(setting.bootstrap, setting.load, setting.folder, replication=setting.replication) as run:
        first, *steps = setting.load.steps
        run.feed.write(first)
        worker = run.worker()
        worker.start()
        worker.wait_ready(READY_LIMIT_S)
        for number, step in enumerate(steps):
            if number % 4 == 0:
                lies = Step(records=[_lie(each) for each in step.records], refused={})
                run.feed.write_in_a_transaction(lies, kept=False)
            run.feed.write_in_a_transaction(step, kept=True)
        run.finish()
        return Outcome(
            name=name,
            faults=len(steps) // 4,
            records=len(run.feed.places),
            updates=run.seen(),
            seconds=time.monotonic() - started_s,
            findings=run.findings(setting.undisturbed),
            endings=run.endings(),
        )


def _lie(record: Outgoing) -> Outgoing:
    """The same record with a counter that says otherwise: it would be seen if it were taken."""
    value = record.value
    if not isinstance(value, dict) or "energyAdded" not in value:
        return record
    told = value | {"energyAdded": value["energyAdded"] + 0.5, "eventId": f"lie-{value['eventId']}"[:64]}
    return Outgoing(topic=record.topic, key=record.key, value=told, partition=record.partition)


def fuzz(setting: Setting, count: int, seed: int, data: Path | None) -> Outcome:
    """So many hostile messages, made from real ones, before the load and amid it: no crash, and each accounted for."""
    name, started_s = "hostile messages", time.monotonic()
    # All of it lies in the log before the worker starts, and some of it tells a time months ahead. What the load's own
    # vehicles do must not depend on how far the next record is looked for.
    narrow: dict[str, str | float] = {"merge_window_records": FUZZ_WINDOW}
    with trial(
        setting.bootstrap, setting.load, setting.folder, replication=setting.replication, settings=narrow
    ) as run:
        steps = setting.load.steps
        share = count // len(steps) + 1
        messages = hostile(seed, count, originals(data))
        for step in steps:
            for record in islice(messages, share):
                run.feed.put(record)
            run.feed.write(step)
        must = run.feed.refused | {
            place: ""
            for place, logged in run.feed.places.items()
            if place not in run.feed.refused and cannot_be_taken(logged.topic, logged.key, logged.value)
        }
        run.feed.refused = must
        worker = run.worker()
        worker.start()
        run.finish()
        findings = run.findings(None, may_refuse=lambda logged: not _is_of_the_load(logged, setting.load))
        findings += [f"the worker ended: {ending}" for ending in worker.endings]
        return Outcome(
            name=name,
            faults=count,
            records=len(run.feed.places),
            updates=run.seen(),
            seconds=time.monotonic() - started_s,
            findings=findings,
            endings=run.endings(),
        )


def _is_of_the_load(record: Logged, load: Load) -> bool:
    """Whether it is a record of the load proper, by its key."""
    return f"-{load.spec.seed}-" in (record.key or b"").decode(errors="replace")


def _run(
    name: str,
    setting: Setting,
    count: int,
    seed: int,
    break_it: Callable[[Trial, random.Random], None],
    *,
    steps_per_s: float = STEPS_PER_S,
    settings: dict[str, str | float] | None = None,
) -> Outcome:
    started_s = time.monotonic()
    with trial(
        setting.bootstrap, setting.load, setting.folder, replication=setting.replication, settings=settings
    ) as run:
        run.feed_live(steps_per_s)
        break_it(run, random.Random(seed))
        run.finish()
        findings = run.findings(setting.undisturbed)
        return Outcome(
            name=name,
            faults=count,
            records=len(run.feed.places),
            updates=run.seen(),
            seconds=time.monotonic() - started_s,
            findings=findings,
            endings=run.endings(),
        )


def _some_moment(run: Trial, worker: Worker, rng: random.Random) -> None:
    """Wait for a moment worth dying in."""
    kind = rng.random()
    if kind < 0.2:
        # Somewhere in its start: before it joins, while it recovers, at its first records.
        run.let_pass(rng.uniform(0.2, 4.0))
        return
    worker.wait_ready(READY_LIMIT_S)
    # Right when a commit was seen: between commit, store and acknowledgement; or some updates later.
    run.wait_seen(1 if kind < 0.7 else rng.randint(2, 60))
    run.let_pass(rng.uniform(0, 0.02) if kind > 0.4 else 0)
