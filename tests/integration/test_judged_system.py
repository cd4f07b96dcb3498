"""The fleet whose truth is known, with a real worker and a real broker: right passes, and wrong is found."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from ingest.writer import InputWriter, Target
from local.kafka import Kafka
from local.topics import ensure_topics
from models.session import Aggregated, Session, SessionState
from models.topics import SESSION_TARGETS, SESSION_UPDATED
from models.webhook import SessionUpdated
from runtime.clock import monotonic_s, utc_now
from simulator.live.reading import KafkaOutputs, OutputRecord
from simulator.live.run import LiveRun, LiveSummary, Surroundings
from simulator.live.sinks import KafkaSink
from simulator.live.system import WhatToRun, beginning
from simulator.world.moments import millis
from tests.support.command import flex
from tests.support.records import Outgoing, read_all
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until
from tests.support.worker import System, running_system, stamp

pytestmark = pytest.mark.integration

VEHICLES, DAYS = 5, 2
_UPDATE = msgspec.json.Decoder(SessionUpdated)
Spoil = Callable[[OutputRecord], OutputRecord | None]


@pytest.fixture(scope="module")
def replaying(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A worker on the event clock, on topics of its own."""
    topics = Topics(bootstrap=broker.bootstrap, prefix="judged.", partitions=2)
    ensure_topics(topics.settings())
    try:
        with running_system(topics, tmp_path_factory.mktemp("worker"), clock="event") as running:
            yield running
    finally:
        delete_topics(broker.bootstrap, topics.prefix)


class Spoilt(KafkaOutputs):
    """The system's outputs with a fault between topic and judge; None from `spoil`: the record is lost."""

    def __init__(self, topics: Topics, spoil: Spoil) -> None:
        super().__init__(topics.bootstrap, topics.prefix, interrupted=lambda: False)
        self._spoil = spoil

    def read(self, wait_s: float) -> list[OutputRecord]:
        return [spoilt for record in super().read(wait_s) if (spoilt := self._spoil(record)) is not None]


def judged(topics: Topics, seed: int, spoil: Spoil) -> LiveSummary:
    """A run whose judge reads what the fault leaves of the outputs."""
    chosen = WhatToRun(
        seed=seed,
        vehicles=VEHICLES,
        feed="clean",
        unruly=1.0,
        is_wall=False,
        days=DAYS,
        past_h=0,
        present_s=None,
        is_strict=True,
    )
    now_ms = millis(utc_now())
    around = Surroundings(now_ms=lambda: now_ms, monotonic_s=monotonic_s, stop_within=lambda _: False)
    with (
        Spoilt(topics, spoil) as outputs,
        InputWriter(Target(bootstrap_servers=topics.bootstrap, topic_prefix=topics.prefix)) as writer,
    ):
        running = LiveRun(beginning(chosen, now_ms), chosen.options, KafkaSink(writer), outputs, around)
        for _ in running.shares():
            pass
    return running.summary


def updated(record: OutputRecord) -> Session | None:
    """The session of an update; None: it is something else."""
    is_update = record.topic == SESSION_UPDATED and record.value is not None
    return _UPDATE.decode(record.value or b"").session if is_update else None


def once(seed: int, matches: Callable[[Session], bool], spoil: Spoil) -> Spoil:
    """Spoil the first update of this run's cars that matches, and no other."""
    left = [True]

    def spoil_one(record: OutputRecord) -> OutputRecord | None:
        session = updated(record)
        if session is None or not left[0] or not session.vehicle_id.startswith(f"s{seed}-") or not matches(session):
            return record
        left[0] = False
        return spoil(record)

    return spoil_one


def altered(record: OutputRecord) -> OutputRecord:
    """The same update with a kWh more in it, in every place that tells of it."""
    body = _UPDATE.decode(record.value or b"")
    session = body.session
    said = session.statistics
    totals, (first, *rest) = said.aggregated, said.timeseries
    assert totals is not None
    more = Aggregated(
        kwh_sum=round(totals.kwh_sum + 1, 3), battery_from=totals.battery_from, battery_to=totals.battery_to
    )
    points = (structs.replace(first, kwh=round(first.kwh + 1, 3)), *rest)
    spoilt = structs.replace(session, statistics=structs.replace(said, aggregated=more, timeseries=points))
    return structs.replace(record, value=msgspec.json.encode(structs.replace(body, session=spoilt)))


def is_active(session: Session) -> bool:
    return session.state.value.startswith("ACTIVE")


def has_charged(session: Session) -> bool:
    totals = session.statistics.aggregated
    return session.state is SessionState.SETTLED and totals is not None and totals.kwh_sum > 5


def test_a_replayed_fleet_shows_its_truth(replaying: System, tmp_path: Path) -> None:
    """On the event clock every true visit comes out of a running worker once, and no law breaks: exit status 0."""
    arguments = ("--vehicles", str(VEHICLES), "--seed", "0", "--days", str(DAYS + 1))
    with flex("simulate", "--judge", *arguments, env=replaying.topics.env(clock="event"), folder=tmp_path) as run:
        assert run.process.wait(150) == 0, run.tail()
        assert "nothing found" in run.stdout
        visits = int(run.stdout.split(" true visits compared")[0].rsplit(" ", 1)[1])
        assert visits >= VEHICLES


# Seed after seed begins later: on the event clock a system's time does not go back.
@pytest.mark.parametrize(
    ("seed", "matches", "spoil", "law"),
    [
        pytest.param(1, is_active, lambda _: None, "versions count 1, 2, 3", id="an update lost"),
        pytest.param(2, has_charged, lambda _: None, "every true visit comes out", id="a settled session lost"),
        pytest.param(3, has_charged, altered, "a session has its visit's energy", id="a kWh too much"),
    ],
)
def test_a_fault_between_worker_and_judge_is_found(
    replaying: System, seed: int, matches: Callable[[Session], bool], spoil: Spoil, law: str
) -> None:
    """One update that is lost or altered on its way breaks the law that it should."""
    laws = {finding.law for finding in judged(replaying.topics, seed, once(seed, matches, spoil)).findings}
    assert law in laws


def unfinished(system: System) -> Session | None:
    """A managed session of this run that is active, of a car with room for more."""
    newest: dict[str, Session] = {}
    for record in read_all(system.topics.bootstrap, system.topics.name(SESSION_UPDATED)):
        if record.value is not None and record.headers["vehicle-id"].startswith("s1-"):
            session = _UPDATE.decode(record.value).session
            newest[session.id] = session
    for session in newest.values():
        totals = session.statistics.aggregated
        if is_active(session) and totals is not None and totals.battery_to is not None and totals.battery_to < 75:
            return session
    return None


def test_the_present_is_a_closed_loop_until_it_is_told_to_stop(system: System, tmp_path: Path) -> None:
    """On the wall clock cars follow commands from the topic, nothing is found, and SIGINT ends it with status 0."""
    arguments = ("--vehicles", "48", "--seed", "1", "--start-ago", "12")
    with flex("simulate", "--judge", *arguments, env=system.topics.env(), folder=tmp_path) as run:
        wait_until(lambda: "judged so far" in run.stderr, 200, "the present")
        session = wait_until(lambda: unfinished(system), 30, "a car with room for more")
        assert session is not None
        said = {
            "vehicleId": session.vehicle_id,
            "sessionId": session.id,
            "at": stamp(utc_now()),
            "target": {"type": "IMMEDIATE_START", "minimumChargeTarget": 100},
        }
        system.send(Outgoing(topic=SESSION_TARGETS, key=session.vehicle_id, value=said))
        wait_until(lambda: re.search(r'"followed": [1-9]', run.stderr), 150, "a command that is followed")
        assert run.end(signal.SIGINT) == 0, run.tail()
        assert "nothing found" in run.stdout
