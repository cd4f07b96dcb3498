"""Running the worker as a process: its topics must be there, its folder is its own, prices are read first, its
shutdown is bounded.
"""

import logging
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from models.topics import WORKER_GROUP, topic_name
from runtime.allocator import settle_allocator
from runtime.logs import configure_logs, get_log
from runtime.settings import Settings
from streams.errors import WorkerError
from streams.home import Home
from streams.kafka_topics import FoundTopics, require_topics
from streams.prices import PriceFeed
from streams.processor import PartitionProcessor

log: Final = get_log()

# However long Kafka may not answer: what was not committed is read again anyway.
SHUTDOWN_LIMIT_S: Final = 5.0
SWITCH_INTERVAL_S: Final = 0.001


def run_worker(settings: Settings, processor: type[PartitionProcessor] = PartitionProcessor) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status; one line on standard error says why it is not 0.

    `processor`: what decides.
    """
    configure_logs(settings.log_level, "worker")
    settle_allocator()
    if settings.log_level != "debug":
        # Faust and aiokafka tell every step of every service as "info".
        for name in ("faust", "mode", "aiokafka", "streams.transport"):
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        found = require_topics(settings)
        with Home(state_folder(settings)) as home, closing(PriceFeed(settings)) as prices:
            return _run(settings, prices, found, home, processor)
    except WorkerError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # for the operator who typed the command
        return 1


def state_folder(settings: Settings) -> Path:
    """Where a worker with these settings keeps its state."""
    return Path(settings.state_dir).expanduser() / "worker" / topic_name(settings.topic_prefix, WORKER_GROUP)


def _run(
    settings: Settings, prices: PriceFeed, found: FoundTopics, home: Home, processor: type[PartitionProcessor]
) -> int:
    # Faust is slow to load; a worker that cannot start should say so at once.
    import faust  # noqa: PLC0415

    from streams.app import create_app  # noqa: PLC0415

    app = create_app(settings, prices, found, home, processor)
    # Batches are short, and several threads take turns: by Python's default of 5 ms each turn would be felt.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
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
