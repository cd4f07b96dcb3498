"""Running the worker as a process: its topics must be there, prices are read first, its shutdown is bounded."""

import logging
import os
import signal
import sys
import threading
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from models.topics import ALL_TOPICS, topic_name
from runtime.logs import configure_logs, get_log
from runtime.settings import Settings
from streams.errors import WorkerError
from streams.prices import PriceFeed

log: Final = get_log()

METADATA_TIMEOUT_S: Final = 10.0
# Faust may wait for minutes for a send that cannot be delivered; what was not acknowledged is read again anyway.
SHUTDOWN_LIMIT_S: Final = 5.0


def require_topics(settings: Settings) -> None:
    """Check that every topic is there with the right number of partitions. Raises WorkerError.

    Nothing creates a topic in passing: one made by a first write would have the wrong partitions and clean-up, and a
    changelog that Faust makes at its start may not be known yet when the first partitions are assigned.
    """
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    try:
        found = admin.list_topics(timeout=METADATA_TIMEOUT_S).topics
    except KafkaException as error:
        raise WorkerError(f"no Kafka broker at {settings.kafka_bootstrap_servers}") from error
    for spec in ALL_TOPICS:
        name = topic_name(settings.topic_prefix, spec.name)
        if name not in found:
            raise WorkerError(f"topic {name} is missing: create the topics with `flex-sessions topics`")
        if spec.by_vehicle and len(found[name].partitions) != settings.topic_partitions:
            raise WorkerError(
                f"topic {name} has {len(found[name].partitions)} partitions; "
                f"FLEX_TOPIC_PARTITIONS says {settings.topic_partitions}"
            )


def run_worker(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status; one line on standard error says why it is not 0."""
    configure_logs(settings.log_level, "worker")
    if settings.log_level != "debug":
        # Faust and aiokafka tell every step of every service as "info".
        for name in ("faust", "mode", "aiokafka", "streams.transport"):
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        require_topics(settings)
        prices = PriceFeed(settings)
    except WorkerError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # for the operator who typed the command
        return 1
    try:
        return _run(settings, prices)
    finally:
        prices.close()


def _run(settings: Settings, prices: PriceFeed) -> int:
    # Faust is slow to load; a worker that cannot start should say so at once.
    import faust  # noqa: PLC0415

    from streams.app import create_app  # noqa: PLC0415

    try:
        app = create_app(settings, prices)
    except OSError as error:
        print(f"error: cannot keep state in {settings.state_dir}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    # It would write cursor codes into the log.
    worker.spinner = None
    _bound_shutdown(worker)
    try:
        worker.execute_from_commandline()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def _bound_shutdown(worker: Any) -> None:
    """From the first signal on, leave within SHUTDOWN_LIMIT_S whatever Faust still waits for."""
    schedule = worker._schedule_shutdown  # noqa: SLF001  # Faust's one hook between signal and stop

    def schedule_and_limit(number: signal.Signals) -> None:
        timer = threading.Timer(SHUTDOWN_LIMIT_S, _leave)
        timer.daemon = True
        timer.start()
        schedule(number)

    worker._schedule_shutdown = schedule_and_limit  # noqa: SLF001


def _leave() -> None:
    log.warning("shutdown took too long: leaving; what was not committed is read again", limit_s=SHUTDOWN_LIMIT_S)
    os._exit(0)
