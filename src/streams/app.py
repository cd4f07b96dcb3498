"""The Faust app: its topics, tables and agents, wired to the intake. Two apps in one process stay apart."""

import asyncio
import os
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, Final

import faust
from faust.transport.drivers import TRANSPORTS
from faust.types import TP

from models.topics import DEAD_LETTER_LIMIT_BYTES, ENERGY_PRICES, VEHICLE_CHARGE, WORKER_GROUP, topic_name
from runtime.clock import monotonic_s
from runtime.logs import get_log
from runtime.settings import Settings
from streams.errors import WorkerError
from streams.intake import MERGED_TOPICS, Intake
from streams.logic import SessionLogic
from streams.outbox import OutputRecord
from streams.prices import PriceFeed, refusal_letter
from streams.processor import Publish
from streams.settings import rules_from
from streams.tables import Tables

TRANSPORTS.aliases["flex"] = "streams.transport:Transport"

log: Final = get_log()

# A worker that was killed blocks its partitions for so long: the broker's shortest default.
SESSION_TIMEOUT_S: Final = 6.0
HEARTBEAT_S: Final = 1.5
# How long to rest when there is nothing to do: bounds how late a newly known end of a topic is seen.
IDLE_WAIT_S: Final = 0.02
TIMER_TICK_S: Final = 0.25
TALLY_INTERVAL_S: Final = 60.0
# Exit status after a defect of ours: the supervisor starts the worker again, and nothing is lost.
DEFECT_EXIT_STATUS: Final = 70
# Exit status after an operating fault, which one line has told.
FAULT_EXIT_STATUS: Final = 1


def create_app(settings: Settings, prices: PriceFeed) -> Any:
    """A Faust app that is ready to be run by a Faust worker. Raises OSError where its folder cannot be made.

    `prices`: read to their end, so that no batch is decided without them.
    """
    folder = Path(settings.state_dir).expanduser() / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        topic_name(settings.topic_prefix, WORKER_GROUP),
        broker=";".join(f"flex://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")),
        store="rocksdb://",
        datadir=str(folder),
        topic_partitions=settings.topic_partitions,
        topic_replication_factor=settings.topic_replication,
        topic_disable_leader=True,
        # A standby would claim partitions that another worker has.
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_commit_interval=settings.commit_interval_s,
        producer_acks=-1,
        producer_max_request_size=DEAD_LETTER_LIMIT_BYTES,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    tables = Tables(app, topic_name(settings.topic_prefix, VEHICLE_CHARGE), settings.topic_partitions)
    publish = _publisher(app, settings)
    intake = Intake(
        settings,
        SessionLogic(rules_from(settings), prices.book),
        tables,
        publish,
        lambda tp: bool(app.consumer.is_at_end(tp)),
    )
    _wire_intake(app, settings, intake)
    _wire_refused_prices(app, settings, intake, publish)

    async def recovered() -> None:
        intake.recover_timers()
        log.info("worker ready", clock=settings.clock)

    tables.on_recovered(recovered)

    @app.task
    async def work() -> None:
        await _or_exit(_work(app, intake, prices))

    return app


def _publisher(app: Any, settings: Settings) -> Publish:
    async def publish(records: Sequence[OutputRecord]) -> None:
        deliveries = [
            await app.producer.send(
                topic_name(settings.topic_prefix, record.topic),
                record.key,
                record.value,
                record.partition,
                None,
                record.headers,
            )
            for record in records
        ]
        await asyncio.gather(*deliveries)

    return publish


def _raw_topic(app: Any, settings: Settings, *names: str) -> Any:
    return app.topic(
        *(topic_name(settings.topic_prefix, name) for name in names),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


def _wire_intake(app: Any, settings: Settings, intake: Intake) -> None:
    @app.agent(_raw_topic(app, settings, *MERGED_TOPICS), name="intake")
    async def take(stream: Any) -> None:
        app.consumer.is_full = intake.is_full
        async for event in stream.noack().events():
            intake.arrive(event)
            app.consumer.note_arrival(event.message.tp, event.message.offset)

    @app.on_partitions_revoked.connect(weak=False)
    async def forget(_app: Any, revoked: set[TP], **_: Any) -> None:
        await intake.forget()
        app.consumer.forget_positions()
        log.info("partitions revoked", partitions=len(revoked))


def _wire_refused_prices(app: Any, settings: Settings, intake: Intake, publish: Publish) -> None:
    """Of all workers the one that has the topic's partition in the group judges each price record, once."""

    @app.agent(_raw_topic(app, settings, ENERGY_PRICES), name="refused-prices")
    async def judge(stream: Any) -> None:
        async for event in stream.noack().events():
            letter = refusal_letter(intake.record(event.message))
            if letter is not None:
                intake.tally[f"refused on {ENERGY_PRICES}"] += 1
                await _or_exit(publish([letter]))
            event.ack()


async def _work(app: Any, intake: Intake, prices: PriceFeed) -> None:
    ticked_s = tallied_s = monotonic_s()
    has_more_due = False
    while not app.should_stop:
        zones = prices.take_new()
        if zones:
            intake.prices_changed(zones)
        did_any = await intake.pump()
        now_s = monotonic_s()
        if has_more_due or now_s - ticked_s >= TIMER_TICK_S:
            ticked_s = now_s
            has_more_due = await intake.tick()
        if now_s - tallied_s >= TALLY_INTERVAL_S and intake.tally:
            tallied_s = now_s
            log.info("counted", **intake.tally)
        if not did_any:
            await asyncio.sleep(IDLE_WAIT_S)


async def _or_exit(work: Awaitable[None]) -> None:
    """Our own defect is not bad input: leave at once, so that nothing more is acknowledged."""
    try:
        await work
    except WorkerError as error:
        log.error("worker stopped", reason=str(error))  # noqa: TRY400  # an operating fault: the line says it all
        os._exit(FAULT_EXIT_STATUS)
    except Exception:
        log.exception("worker stopped by a defect")
        os._exit(DEFECT_EXIT_STATUS)
