"""The simulated fleet whose truth is known, on a worker that is killed again and again: its judge must find nothing."""

import random
import re
import time
from pathlib import Path
from typing import Final

from models.topics import SESSION_UPDATED
from tests.support.chaos.faults import Outcome
from tests.support.chaos.log import Watch
from tests.support.chaos.workers import Worker
from tests.support.command import Running, flex
from tests.support.system import Topics
from tests.support.waiting import wait_until

VEHICLES: Final = 20
# Days of a fleet for each kill: the worker must be caught while it has something to do.
DAYS_PER_KILL: Final = 1
DAYS_LIMIT: Final = 30
READY_LIMIT_S: Final = 90.0
# From the last kill on; some thousand records are left then.
DONE_LIMIT_S: Final = 300.0
# At most so many updates after it is ready the next kill strikes.
UPDATES_PER_LIFE: Final = 300


def kill_under_fleet(topics: Topics, env: dict[str, str], folder: Path, count: int, seed: int) -> Outcome:
    """Kill -9 of the only worker while the fleet tells days of history and judges what comes of each."""
    dice, began_s = random.Random(seed), time.monotonic()
    days = min(DAYS_LIMIT, 2 + count * DAYS_PER_KILL)
    arguments = ("--judge", "--vehicles", str(VEHICLES), "--seed", str(seed), "--days", str(days))
    worker = Worker(0, env, folder)
    watch = Watch(topics.bootstrap, [topics.name(SESSION_UPDATED)])
    killed = 0
    try:
        worker.start()
        with flex("simulate", *arguments, env=env, folder=folder) as fleet:
            while killed < count and _strikes(worker, watch, fleet, dice.randint(1, UPDATES_PER_LIFE)):
                worker.kill()
                killed += 1
                worker.start()
            wait_until(lambda: _has_ended(worker, fleet), DONE_LIMIT_S, "the fleet to be judged")
            findings = _findings(fleet)
            records = _number(fleet, "records written")
    finally:
        worker.kill()
        watch.close()
    return Outcome(
        name="kill -9 of the worker under the judged fleet",
        faults=killed,
        records=records,
        updates=watch.count,
        seconds=time.monotonic() - began_s,
        findings=findings + [f"a defect: {defect}" for defect in worker.defects],
        endings=worker.endings,
    )


def _strikes(worker: Worker, watch: Watch, fleet: Running, after: int) -> bool:
    """Wait until so many updates were published since the worker was ready; false where the fleet has ended."""
    worker.wait_ready(READY_LIMIT_S)
    goal = watch.count + after
    wait_until(lambda: watch.count >= goal or _has_ended(worker, fleet), READY_LIMIT_S, f"{after} updates")
    return fleet.process.poll() is None


def _has_ended(worker: Worker, fleet: Running) -> bool:
    worker.keep()
    return fleet.process.poll() is not None


def _findings(fleet: Running) -> list[str]:
    if fleet.process.poll() == 0:
        visits = _number(fleet, "true visits compared")
        return [] if visits else ["no visit was compared with the truth"]
    return fleet.stdout.splitlines() or [fleet.tail()]


def _number(fleet: Running, what: str) -> int:
    found = re.search(rf"([\d,]+) {what}", fleet.stdout)
    return 0 if found is None else int(found[1].replace(",", ""))
