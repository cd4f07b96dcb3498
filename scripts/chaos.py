"""Faults on purpose, many of each: what `make chaos` runs. Prints what was done and what was found, and exits with 1 if
anything was.

Every trial has topics of its own, and a load that is written while things break. Its output is judged by a checker
that shares no code with the worker, and compared byte for byte with that of a run in which nothing broke. The same seed
gives the same load and the same faults; the moments at which they strike are as random as the machine is.
"""

import argparse
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import KafkaException

from local.ports import free_port
from local.topics import ensure_topics
from tests.support.captures import recorded_data
from tests.support.chaos.api import kill_api, walk_api
from tests.support.chaos.cluster import Cluster, cluster
from tests.support.chaos.faults import (
    Outcome,
    Setting,
    fill_disk,
    freeze,
    fuzz,
    kill_after_commit,
    kill_brokers,
    kill_workers,
    kill_workers_live,
    live_load,
    lose_broker,
    protect_disk,
    rebalance,
    set_clock_back,
)
from tests.support.chaos.fleet import kill_under_fleet
from tests.support.chaos.load import Load, Spec, make_load
from tests.support.chaos.surroundings import shifted_clock, small_disk
from tests.support.chaos.trial import undisturbed_updates
from tests.support.system import Topics, delete_topics

PARTITIONS: Final = 4
VEHICLES: Final = 150
# Faults per trial: one load is written while so many strike.
KILLS: Final = 20
REBALANCES: Final = 10
FREEZES: Final = 5
BROKER_KILLS: Final = 10
LIVE_KILLS: Final = 10
COMMIT_KILLS: Final = 20
FLEET_KILLS: Final = 10
# Hostile messages where there is no recorded telemetry to make them from: what is made of the load tells its own hours,
# and more of it in a step than the merge's window has records comes between the topics of its vehicles.
MADE_UP_MESSAGES: Final = 20_000
# Steps of the load per fault, so that every fault has some of it to strike.
STEPS_PER_FAULT: Final = 8


class Plan(NamedTuple):
    """How many of each in all. Nothing of the numbers is a promise about time: `minutes` is."""

    kills: int
    commit_kills: int
    fleet_kills: int
    api_kills: int
    walked_sessions: int
    broker_kills: int
    rebalances: int
    freezes: int
    messages: int
    seed: int
    outage: float
    minutes: float
    only: str


class Row(NamedTuple):
    """One line of the table."""

    name: str
    faults: int
    records: int
    seconds: float
    ended_by_itself: int
    findings: list[str]


def main() -> int:
    """Run everything that there is time for."""
    plan = _plan()
    folder = Path(tempfile.mkdtemp(prefix="flex-chaos-"))
    until_s = time.monotonic() + plan.minutes * 60
    rows: list[Row] = []
    left_out: list[str] = []
    try:
        for name, trial in _trials(plan, folder):
            if plan.only not in name:
                continue
            if time.monotonic() >= until_s:
                left_out.append(name)
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows.append(_tried(name, trial))
            _print_row(rows[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _summary(rows, left_out)


def _plan() -> Plan:
    parser = argparse.ArgumentParser(description="Faults on purpose; exit status 1 if anything was found.")
    for name, default, what in (
        ("kills", 200, "kill -9 of the worker"),
        ("commit-kills", 60, "kill -9 of the worker right after a commit"),
        ("fleet-kills", 40, "kill -9 of the worker while the fleet that knows the truth judges it"),
        ("api-kills", 100, "kill -9 of the API"),
        ("walked-sessions", 100_000, "sessions of the lists that are walked under writes"),
        ("broker-kills", 50, "kill -9 of one of three brokers"),
        ("rebalances", 20, "workers that join, leave or are killed, among three"),
        ("freezes", 20, "freezes of one of two workers"),
        ("messages", 100_000, "hostile messages"),
        ("seed", 1, "which load, and which faults"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} (default %(default)s)")
    parser.add_argument("--outage", type=float, default=120.0, help="seconds without a broker (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=90.0, help="no new trial after so long (default %(default)s)")
    parser.add_argument("--only", default="", help="only trials whose name has this in it")
    return Plan(**vars(parser.parse_args()))


def _trials(plan: Plan, folder: Path) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """Name and trial of each, in order; brokers live as long as the trials on them."""
    with cluster(folder / "one", nodes=1) as single:
        yield from _on_one_broker(plan, single, folder)
        for number, count in enumerate(_shares(plan.fleet_kills, FLEET_KILLS)):
            # Each seed's history begins on another day; on topics of its own any will do.
            yield (
                f"kill -9 of the worker under the judged fleet, {count} times",
                lambda c=count, s=plan.seed * 10 + number: _apart(kill_under_fleet, single, folder, c, s, "event"),  # type: ignore[misc]
            )
        yield from _of_the_api(plan, single, folder)
    with cluster(folder / "three", nodes=3) as three:
        for number, count in enumerate(_shares(plan.broker_kills, BROKER_KILLS)):
            seed = plan.seed * 1_000 + 300 + number
            name = f"kill -9 of a broker, {count} times"
            yield name, lambda c=count, s=seed: kill_brokers(_setting(three, folder, c, s, 3), three, c, s)  # type: ignore[misc]


def _on_one_broker(plan: Plan, single: Cluster, folder: Path) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    kinds: tuple[tuple[str, int, int, Callable[[Setting, int, int], Outcome]], ...] = (
        ("kill -9 of the worker", plan.kills, KILLS, kill_workers),
        ("rebalance among 3 workers", plan.rebalances, REBALANCES, rebalance),
        ("freeze beyond both time-outs", plan.freezes, FREEZES, freeze),
        ("kill -9 between commit and store", plan.commit_kills, COMMIT_KILLS, kill_after_commit),
    )
    for kind, (name, total, most, break_it) in enumerate(kinds):
        for number, count in enumerate(_shares(total, most)):
            seed = plan.seed * 1_000 + 100 * kind + number
            yield f"{name}, {count} times", lambda b=break_it, c=count, s=seed: b(_setting(single, folder, c, s), c, s)  # type: ignore[misc]
    seed = plan.seed * 1_000 + 400
    data = recorded_data()
    messages = plan.messages if data is not None else min(plan.messages, MADE_UP_MESSAGES)
    yield (
        f"{messages} hostile messages",
        lambda: fuzz(_setting(single, folder, 20, seed, is_compared=False), messages, seed, data),
    )
    yield "kill -9 of the worker, wall clock", lambda: _live_kills(single, folder, seed)
    yield "disk full", lambda: _on_small_disk(single, folder, seed, is_full=True)
    yield "read-only folder", lambda: _on_small_disk(single, folder, seed, is_full=False)
    yield "clock set back", lambda: _with_clock(single, folder, seed)
    yield (
        f"no broker for {plan.outage:g} s",
        lambda: lose_broker(_setting(single, folder, 20, seed), single, plan.outage, seed),
    )


def _of_the_api(plan: Plan, single: Cluster, folder: Path) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    for kind, total, trial in (
        ("kill -9 of the API, {} times", plan.api_kills, kill_api),
        ("lists of {} sessions, walked under writes", plan.walked_sessions, walk_api),
    ):
        if total:
            yield kind.format(total), lambda t=trial, n=total: _apart(t, single, folder, n, plan.seed)  # type: ignore[misc]


def _apart(
    trial: Callable[[Topics, dict[str, str], Path, int, int], Outcome],
    where: Cluster,
    folder: Path,
    count: int,
    seed: int,
    clock: str = "wall",
) -> Outcome:
    """A trial with its own topics, told by the environment of its processes."""
    place = Path(tempfile.mkdtemp(dir=folder))
    topics = Topics(bootstrap=where.bootstrap, prefix=f"a{uuid.uuid4().hex[:10]}.", partitions=PARTITIONS)
    ensure_topics(topics.settings())
    try:
        return trial(
            topics, topics.env(state_dir=place / "state", api_port=free_port(), clock=clock), place, count, seed
        )
    finally:
        delete_topics(topics.bootstrap, topics.prefix)


def _shares(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`."""
    return [min(most, total - done) for done in range(0, total, most)]


def _setting(
    where: Cluster, folder: Path, faults: int, seed: int, replication: int = 1, *, is_compared: bool = True
) -> Setting:
    load = make_load(_spec(faults, seed))
    place = Path(tempfile.mkdtemp(dir=folder))
    undisturbed = undisturbed_updates(where.bootstrap, load, place / "undisturbed") if is_compared else None
    return Setting(
        bootstrap=where.bootstrap, load=load, undisturbed=undisturbed, folder=place / "trial", replication=replication
    )


def _spec(faults: int, seed: int) -> Spec:
    # Visits take an hour or two: below some forty steps there are hardly any.
    return Spec(seed=seed, vehicles=VEHICLES, steps=max(40, faults * STEPS_PER_FAULT), partitions=PARTITIONS)


def _on_small_disk(where: Cluster, folder: Path, seed: int, *, is_full: bool) -> Outcome:
    setting = _setting(where, folder, 8, seed)
    with small_disk(setting.folder.parent / "disk", mebibytes=64) as disk:
        if disk is None:
            return _not_done("full or read-only disk: this user may not mount a small file system")
        return (fill_disk if is_full else protect_disk)(setting, disk, seed)


def _live_kills(where: Cluster, folder: Path, seed: int) -> Outcome:
    place = Path(tempfile.mkdtemp(dir=folder))
    load = live_load(seed, vehicles=VEHICLES, steps=80, partitions=PARTITIONS)
    setting = Setting(bootstrap=where.bootstrap, load=load, undisturbed=None, folder=place)
    return kill_workers_live(setting, LIVE_KILLS, seed)


def _with_clock(where: Cluster, folder: Path, seed: int) -> Outcome:
    place = Path(tempfile.mkdtemp(dir=folder))
    clock = shifted_clock(place / "clock")
    if clock is None:
        return _not_done("clock set back: needs a C compiler (cc) and Linux")
    load: Load = live_load(seed, vehicles=VEHICLES, steps=60, partitions=PARTITIONS)
    setting = Setting(bootstrap=where.bootstrap, load=load, undisturbed=None, folder=place / "trial")
    return set_clock_back(setting, clock, seed)


def _not_done(why: str) -> Outcome:
    return Outcome(name=why, faults=0, records=0, updates=0, seconds=0, findings=[f"not done: {why}"], endings=[])


def _tried(name: str, trial: Callable[[], Outcome]) -> Row:
    """A trial that breaks off is a finding, and the others go on."""
    started_s = time.monotonic()
    try:
        outcome = trial()
    except (AssertionError, KafkaException, OSError) as error:
        return Row(name, 0, 0, time.monotonic() - started_s, 0, [f"broke off: {error}"])
    return Row(
        name,
        outcome.faults,
        outcome.records,
        time.monotonic() - started_s,
        len(outcome.endings),
        outcome.findings,
    )


def _print_row(row: Row) -> None:
    done = f"{row.name:<42} {row.faults:>7} faults {row.records:>8} records {row.seconds:>6.0f} s"
    print(f"{done}  ended by itself {row.ended_by_itself:>3}  findings {len(row.findings)}", flush=True)
    for finding in row.findings:
        print(f"    {finding[:1_000]}", flush=True)


def _summary(rows: list[Row], left_out: list[str]) -> int:
    found = sum(len(row.findings) for row in rows)
    print()
    print(f"{'what':<42} {'faults':>7} {'records':>8} {'findings':>9}")
    for row in rows:
        print(f"{row.name:<42} {row.faults:>7} {row.records:>8} {len(row.findings):>9}")
    for name in left_out:
        print(f"{name:<42} not done: no time was left (--minutes)")
    print(f"{sum(row.faults for row in rows)} faults, {sum(row.records for row in rows)} records, {found} findings")
    return 1 if found or left_out else 0


if __name__ == "__main__":
    sys.exit(main())
