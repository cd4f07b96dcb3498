"""The thread that keeps the view: takes up the store or builds a new one, and retries what may pass.

What makes a store useless (damage, another topic under its name, offsets that the log no longer has) ends in a
rebuild beside it; what only needs patience (no broker, no topic yet) ends in another attempt.
"""

import threading
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from api.metrics import Metrics
from api.view.batches import LogLostError
from api.view.directory import ViewDirectory
from api.view.following import Following
from api.view.log import SessionLog
from api.view.meta import LogBounds, offset_changes, origin_changes, reason_to_rebuild
from api.view.rocksdb import RocksStore
from api.view.store import StoreDamagedError
from api.view.view import View
from runtime.logs import get_log

log: Final = get_log()

# Seconds before the next attempt after a fault. A broker that does not answer has taken its own seconds before that.
_RETRY_S: Final = 1.0
# Seconds that a stop may take: the batch at hand, at worst a question to a broker that is away.
_STOP_S: Final = 2.0


class ViewConsumer:
    """`start` begins a thread, `stop` ends it."""

    def __init__(self, view: View, directory: ViewDirectory, session_log: SessionLog, metrics: Metrics) -> None:
        self._view = view
        self._directory = directory
        self._log = session_log
        self._metrics = metrics
        self._stop = threading.Event()
        self._must_rebuild = False
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, and wait for it a while: ended by force it only leaves something to read again."""
        self._stop.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            self._keep_following()
        finally:
            # Whatever ended this thread: nobody may take its last picture for the present.
            self._view.died()
            self._metrics.ready.set(0)

    def _keep_following(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (LogLostError, StoreDamagedError) as error:
                self._must_rebuild = True
                log.warning("the view will be rebuilt", reason=str(error))
            except KafkaException as error:
                log.warning("the topics cannot be read; trying again", wait_s=_RETRY_S, error=str(error.args[0]))
            self._stop.wait(_RETRY_S)

    def _follow(self) -> None:
        """Keep one store until told to stop. Raises whatever makes it useless."""
        bounds = self._log.bounds()
        store, folder = self._open(bounds)
        try:
            Following(self._view, self._log, store, bounds, self._metrics, lambda: self._promote(store, folder)).run(
                self._stop
            )
        finally:
            self._view.withdraw("the view is catching up with the topics")
            self._metrics.ready.set(0)
            store.close()

    def _promote(self, store: RocksStore, folder: Path) -> None:
        if self._must_rebuild:
            store.keep()
            self._directory.promote(folder)
            self._must_rebuild = False

    def _open(self, bounds: LogBounds) -> tuple[RocksStore, Path]:
        """The store in use if it may be taken up, else a fresh one."""
        current = self._directory.current()
        self._directory.tidy(current)
        if current is not None and not self._must_rebuild:
            store, reason = _take_up(current, bounds)
            if store is not None:
                return store, current
            log.warning("the view will be rebuilt", reason=reason)
        self._must_rebuild = True
        self._metrics.rebuilds.inc()
        folder = self._directory.fresh()
        fresh = RocksStore(folder, is_draft=True)
        fresh.write(origin_changes(bounds.topic_ids) | offset_changes(bounds.first))
        return fresh, folder


def _take_up(folder: Path, bounds: LogBounds) -> tuple[RocksStore | None, str]:
    """The store in this folder, or why it cannot be used."""
    try:
        store = RocksStore(folder)
    except StoreDamagedError as error:
        return None, str(error)
    try:
        reason = reason_to_rebuild(store, bounds)
    except StoreDamagedError as error:
        reason = str(error)
    if reason is None:
        return store, ""
    store.close()
    return None, reason
