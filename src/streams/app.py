"""The Faust app: its topics, tables and one agent, wired to the intake. Two apps in one process stay apart."""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import faust
from faust.transport.drivers import TRANSPORTS
from faust.types import TP

from models.topics import DEAD_LETTER_LIMIT_BYTES, VEHICLE_CHARGE, WORKER_GROUP, topic_name
from runtime.clock import monotonic_s
from runtime.logs import get_log
from runtime.settings import Settings
from sessions.events import Rules
from streams.intake import MERGED_TOPICS, Intake
from streams.outbox import OutputRecord
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


def create_app(settings: Settings) -> Any:
    """A Faust app that is ready to be run by a Faust worker. Raises OSError where its folder cannot be made."""
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
    _wire(app, settings, rules_from(settings), tables)
    return app


def _wire(app: Any, settings: Settings, rules: Rules, tables: Tables) -> None:
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

    def is_at_end(tp: TP) -> bool:
        return bool(app.consumer.is_at_end(tp))

    intake = Intake(settings, rules, tables, publish, is_at_end)
    inputs = app.topic(
        *(topic_name(settings.topic_prefix, topic) for topic in MERGED_TOPICS),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )

    @app.agent(inputs, name="intake")
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

    async def recovered() -> None:
        intake.recover_timers()
        log.info("worker ready", clock=settings.clock)

    tables.on_recovered(recovered)

    @app.task
    async def work() -> None:
        await _or_exit(_work(app, intake))


async def _work(app: Any, intake: Intake) -> None:
    ticked_s = tallied_s = monotonic_s()
    while not app.should_stop:
        did_any = await intake.pump()
        now_s = monotonic_s()
        if now_s - ticked_s >= TIMER_TICK_S:
            ticked_s = now_s
            await intake.tick()
        if now_s - tallied_s >= TALLY_INTERVAL_S and intake.tally:
            tallied_s = now_s
            log.info("counted", **intake.tally)
        if not did_any:
            await asyncio.sleep(IDLE_WAIT_S)


async def _or_exit(work: Coroutine[Any, Any, None]) -> None:
    """Our own defect is not bad input: leave at once, so that nothing more is acknowledged."""
    try:
        await work
    except Exception:
        log.exception("worker stopped by a defect")
        os._exit(DEFECT_EXIT_STATUS)
