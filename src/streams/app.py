"""The Faust app: its inputs and its agent, wired to the engine. Two apps in one process stay apart."""

import asyncio
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError
from faust.tables import TableManager
from faust.transport.drivers import TRANSPORTS
from faust.types import TP

from models.topics import WORKER_GROUP, topic_name
from runtime.clock import monotonic_s
from runtime.logs import get_log
from runtime.settings import Settings
from streams.crash import CrashPlan
from streams.engine import Engine, leave
from streams.errors import WorkerError
from streams.figures import Figures
from streams.garbage import Garbage
from streams.home import Home
from streams.inputs import MERGED_TOPICS
from streams.kafka_topics import FoundTopics
from streams.log_offsets import LogOffsets
from streams.logic import SessionLogic
from streams.metrics import WorkerCollector, serve_metrics
from streams.prices import PriceFeed
from streams.processor import PartitionProcessor
from streams.settings import rules_from
from streams.surroundings import Surroundings
from streams.transport import PARTITION_FETCH_BYTES, BatchSchema
from streams.watchdog import Watchdog

TRANSPORTS.aliases["flex"] = "streams.transport:Transport"

log: Final = get_log()

HEARTBEAT_S: Final = 1.5
# How often new prices, lost batches and garbage are looked for.
ROUND_S: Final = 0.25
TALLY_INTERVAL_S: Final = 60.0


class NoTables(TableManager):
    """Faust waits a second for tables to be declared. There are none, and a worker that comes back is waited for."""

    async def on_start(self) -> None:
        """What it does after that second."""
        await self._update_channels()
        await self.recovery.start()


def create_app(
    settings: Settings,
    prices: PriceFeed,
    found: FoundTopics,
    home: Home,
    processor: type[PartitionProcessor] = PartitionProcessor,
) -> Any:
    """A Faust app that is ready to be run by a Faust worker.

    `prices`: read to their end, so that no batch is decided without them. `home`: held by this process. `processor`:
    what decides.
    """
    app = faust.App(
        topic_name(settings.topic_prefix, WORKER_GROUP),
        broker=";".join(f"flex://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")),
        datadir=str(home.folder / "faust"),
        topic_partitions=settings.topic_partitions,
        topic_replication_factor=settings.topic_replication,
        topic_disable_leader=True,
        # A standby would claim partitions that another worker has.
        table_standby_replicas=0,
        TableManager=NoTables,
        # A worker that comes back takes its own place, without waiting for its old session to end.
        consumer_group_instance_id=home.instance_id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=PARTITION_FETCH_BYTES,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_commit_interval=settings.commit_interval_s,
        stream_wait_empty=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    leave_on_crash(app)
    around = Surroundings(
        settings=settings,
        logic=SessionLogic(rules_from(settings), prices.book, prices.counts),
        offsets=LogOffsets(settings.kafka_bootstrap_servers),
        folder=home.folder,
        owner=home.instance_id,
        generation=found.generation,
        topic_ids=found.ids,
        crash=CrashPlan(settings.crash_at),
        figures=Figures(),
        processor=processor,
    )
    engine = Engine(around)
    watchdog = Watchdog(around.offsets, engine, settings.stall_limit_s, leave)
    if settings.worker_metrics_port:
        collector = WorkerCollector(around.figures, lambda: engine.gauges(watchdog.lag))
        serve_metrics(settings.worker_metrics_port, collector)
    _wire(app, settings, engine, watchdog)

    @app.task
    async def work() -> None:
        try:
            await _work(app, engine, around, prices)
        except Exception as error:  # noqa: BLE001  # Faust would only tell it, and go on without
            leave(error)

    return app


def leave_on_crash(app: Any) -> None:
    """What ends Faust ends the process, with a word. Faust itself would wait without a limit for all its parts."""

    def crashed(reason: BaseException) -> None:
        leave(WorkerError(f"the Kafka client gave up: {reason!r}") if isinstance(reason, KafkaError) else reason)

    app._crash = crashed  # noqa: SLF001  # where every crash of one of its services arrives


def _wire(app: Any, settings: Settings, engine: Engine, watchdog: Watchdog) -> None:
    topics = (topic_name(settings.topic_prefix, name) for name in MERGED_TOPICS)

    @app.agent(app.topic(*topics, schema=BatchSchema()), name="intake")
    async def take(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await engine.arrive(event.value)
            except Exception as error:  # noqa: BLE001  # as above
                leave(error)

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(_app: Any, assigned: set[TP], **_: Any) -> None:
        try:
            await engine.assigned(assigned)
        except Exception as error:  # noqa: BLE001  # as above
            leave(error)

    @app.on_before_shutdown.connect(weak=False)
    async def stop(_app: Any, **_: Any) -> None:
        watchdog.stop()
        await engine.stop()

    # The consumer is made when it is first asked for; it is there before the app starts.
    engine.bind(app.consumer)
    app.consumer.reader = engine
    app.consumer.busy_wait_ms = settings.fetch_wait_ms
    watchdog.start()


async def _work(app: Any, engine: Engine, around: Surroundings, prices: PriceFeed) -> None:
    tallied_s = monotonic_s()
    garbage = Garbage()
    while not app.should_stop:
        zones = await asyncio.to_thread(_new_prices, around, prices)
        if zones:
            for worker in engine.workers.values():
                worker.prices_changed(zones)
        await engine.repair()
        garbage.look(around.figures.records_done())
        if monotonic_s() - tallied_s >= TALLY_INTERVAL_S:
            tallied_s = monotonic_s()
            log.info("counted", **around.figures.counted())
        await asyncio.sleep(ROUND_S)


def _new_prices(around: Surroundings, prices: PriceFeed) -> set[Any]:
    """Take new prices, while no batch is being decided."""
    with around.logic.lock:
        return prices.take_new()
