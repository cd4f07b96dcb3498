"""One trial: topics of its own, a load on them, workers that something happens to, and the judgement at the end."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.topics import ensure_topics
from models.topics import ENERGY_PRICES, INPUT_TOPICS, SESSION_UPDATED, WORKER_GROUP, dead_letter_topic
from tests.support.chaos.checker import (
    broken_laws,
    byte_differences,
    dead_letter_findings,
    differences,
    truth_findings,
    unread,
)
from tests.support.chaos.feeding import Feed, LiveFeed
from tests.support.chaos.load import Load
from tests.support.chaos.log import Logged, Watch, ends, group_positions, read_topics
from tests.support.chaos.workers import Worker
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until

# After the last fault everything must be done within this time.
DONE_LIMIT_S: Final = 180.0
# Until the engine has told the group what it has committed.
COMMIT_LIMIT_S: Final = 60.0


class Trial:
    """What happens between the first record and the judgement."""

    def __init__(self, topics: Topics, load: Load, folder: Path, settings: dict[str, object]) -> None:
        self.topics = topics
        self.load = load
        self.feed = Feed(topics)
        self.workers: list[Worker] = []
        self._folder = folder
        self._settings = settings
        self._live: LiveFeed | None = None
        self._watch = Watch(topics.bootstrap, [topics.name(SESSION_UPDATED)])
        self._looked_at = 0
        self._settled: set[str] = set()

    def worker(self, env: dict[str, str] | None = None, state_dir: Path | None = None) -> Worker:
        """One more worker, not started yet; `env`: variables beside the trial's."""
        number = len(self.workers)
        settings = {"state_dir": state_dir or self._folder / f"state-{number}"} | self._settings
        found = Worker(number, self.topics.env(**settings) | (env or {}), self._folder)
        self.workers.append(found)
        return found

    def write_all(self) -> None:
        """The whole load, at once."""
        for step in self.load.steps:
            self.feed.write(step)

    def feed_live(self, steps_per_s: float) -> None:
        """Prices and policies now, then the load step by step, as far as `allow` lets it."""
        self._live = LiveFeed(self.feed, self.load, steps_per_s)
        self._live.start()

    def allow(self, share: float) -> None:
        """Let this share of the load (0 to 1) be written by the live feed."""
        if self._live is None:
            raise AssertionError("nothing is fed")
        self._live.allow(share)

    def seen(self) -> int:
        """How many updates a reader has seen so far."""
        return self._watch.count

    def wait_seen(self, more: int, timeout_s: float = 90) -> None:
        """Until a reader has seen so many more updates."""
        goal = self.seen() + more
        self.wait(lambda: self.seen() >= goal, timeout_s, f"{more} more updates")

    def wait(self, fact: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Until a fact; workers that end by themselves meanwhile are started again."""

        def true() -> bool:
            for worker in self.workers:
                worker.keep()
            return fact()

        try:
            wait_until(true, timeout_s, what, step_s=0.02)
        except AssertionError as error:
            tails = "\n".join(worker.tail() for worker in self.workers)
            raise AssertionError(f"{error}\nendings: {self.endings()}\n{tails}") from error

    def let_pass(self, seconds: float) -> None:
        """The fault lasts so long, while workers that end by themselves are started again."""
        until_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= until_s, seconds + 30, f"{seconds:g} s to pass")

    def finish(self) -> None:
        """Nothing more will be broken: write the rest, and wait until every partition is done with it."""
        if self._live is not None:
            self._live.finish()
        self.wait(self._is_done, DONE_LIMIT_S, "every partition to be done with the load")

    def endings(self) -> list[str]:
        """How workers ended by themselves."""
        return [f"worker {worker.number}: {ending}" for worker in self.workers for ending in worker.endings]

    def updates(self) -> list[Logged]:
        """Every committed update, read anew."""
        return read_topics(self.topics.bootstrap, [self.topics.name(SESSION_UPDATED)])

    def dead_letters(self) -> list[Logged]:
        """Every dead letter of every input."""
        return read_topics(
            self.topics.bootstrap, [self.topics.name(dead_letter_topic(topic)) for topic in INPUT_TOPICS]
        )

    def findings(
        self, undisturbed: Sequence[Logged] | None, may_refuse: Callable[[Logged], bool] = lambda _: False
    ) -> list[str]:
        """The judgement of a finished trial. `undisturbed`: the updates of an undisturbed run over the same load.

        `may_refuse`: inputs that may be refused or not, beside those that must be.
        """
        updates, watched = self.updates(), self._watch.records
        findings = broken_laws(updates)
        findings += [f"a reader meanwhile: {finding}" for finding in broken_laws(watched)]
        known = {visit.vehicle_id for visit in self.load.visits}
        findings += truth_findings([each for each in updates if each.header("vehicle-id") in known], self.load.visits)
        findings += dead_letter_findings(self.feed.places, self.dead_letters(), self.feed.refused, may_refuse)
        findings += self._not_taken()
        if undisturbed is not None:
            findings += differences(updates, undisturbed)
            findings += byte_differences(updates, undisturbed)
        return findings + [f"a defect: {defect}" for worker in self.workers for defect in worker.defects]

    def close(self) -> None:
        """End everything that the trial started."""
        for worker in self.workers:
            worker.kill()
        self._watch.close()

    def _not_taken(self) -> list[str]:
        """Inputs that the worker's group has not committed, once it has had the time to."""
        # Prices are read by every worker, without the group.
        names = [self.topics.name(topic) for topic in INPUT_TOPICS if topic != ENERGY_PRICES]
        group = self.topics.name(WORKER_GROUP)

        def left() -> list[str]:
            known = ends(self.topics.bootstrap, names)
            return unread(group_positions(self.topics.bootstrap, group, known), known)

        try:
            self.wait(lambda: not left(), COMMIT_LIMIT_S, "all input to be committed")
        except AssertionError:
            return left()
        return []

    def _is_done(self) -> bool:
        records = self._watch.records
        for record in records[self._looked_at :]:
            if record.header("vehicle-id") in self.load.sentinels and record.value is not None:
                session = json.loads(record.value)["session"]
                if session["state"] == "SETTLED":
                    self._settled.add(session["vehicleId"])
        self._looked_at = len(records)
        return self._settled == set(self.load.sentinels)


@contextmanager
def trial(
    bootstrap: str,
    load: Load,
    folder: Path,
    *,
    replication: int = 1,
    settings: Mapping[str, str | float] | None = None,
) -> Iterator[Trial]:
    """A trial on topics of its own; the event clock unless `settings` say otherwise. Afterwards nothing is left."""
    topics = Topics(bootstrap=bootstrap, prefix=f"c{uuid.uuid4().hex[:10]}.", partitions=load.spec.partitions)
    # State of other topics is no state of these.
    folder = folder / topics.prefix
    folder.mkdir(parents=True)
    ensure_topics(topics.settings(topic_replication=replication))
    started = Trial(topics, load, folder, {"clock": "event", "topic_replication": replication} | dict(settings or {}))
    try:
        yield started
    finally:
        started.close()
        delete_topics(bootstrap, topics.prefix)


def undisturbed_updates(bootstrap: str, load: Load, folder: Path) -> list[Logged]:
    """The updates of a run over the load, written before it began, during which nothing happened. AssertionError where
    even that run is not what the vehicles did.
    """
    with trial(bootstrap, load, folder) as run:
        run.write_all()
        run.worker().start()
        run.finish()
        findings = run.findings(None) + run.endings()
        if findings:
            raise AssertionError("an undisturbed run is wrong: " + "; ".join(findings))
        return run.updates()
