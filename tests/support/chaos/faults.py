"""What can be done to workers and brokers under load. Each function runs one trial with so many faults from a seed, and
returns what it did and found; the tests run them short, `make chaos` long.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.support.chaos.cluster import Cluster
from tests.support.chaos.load import Load
from tests.support.chaos.log import Logged
from tests.support.chaos.trial import Trial, trial
from tests.support.chaos.workers import Worker

STEPS_PER_S: Final = 8.0
# A frozen worker must be given up by the group (its session) and by the broker (its transaction) before it wakes.
FREEZE_S: Final = 16.0
READY_LIMIT_S: Final = 90.0


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


def kill_workers(setting: Setting, count: int, seed: int, **settings: object) -> Outcome:
    """Kill -9 of the only worker: while it starts, at its first update, in the middle of catching up."""

    def break_it(run: Trial, rng: random.Random) -> None:
        worker = run.worker()
        worker.start()
        for _ in range(count):
            run.allow(1 / count)
            _some_moment(run, worker, rng)
            worker.kill()
            worker.start()

    return _run("kill -9 of the worker", setting, count, seed, break_it, **settings)


def rebalance(setting: Setting, count: int, seed: int, **settings: object) -> Outcome:
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

    return _run("rebalance among 3 workers", setting, count, seed, break_it, **settings)


def freeze(setting: Setting, count: int, seed: int, freeze_s: float = FREEZE_S, **settings: object) -> Outcome:
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

    return _run("freeze beyond the time-outs", setting, count, seed, break_it, **settings)


def kill_brokers(setting: Setting, cluster: Cluster, count: int, seed: int, **settings: object) -> Outcome:
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

    return _run("kill -9 of a broker", setting, count, seed, break_it, **settings)


def lose_broker(setting: Setting, cluster: Cluster, gone_s: float, seed: int, **settings: object) -> Outcome:
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

    return _run(f"broker gone for {gone_s:g} s", setting, 1, seed, break_it, **settings)


def _run(
    name: str,
    setting: Setting,
    count: int,
    seed: int,
    break_it: Callable[[Trial, random.Random], None],
    **settings: object,
) -> Outcome:
    started_s = time.monotonic()
    with trial(setting.bootstrap, setting.load, setting.folder, replication=setting.replication, **settings) as run:
        run.feed_live(STEPS_PER_S)
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
