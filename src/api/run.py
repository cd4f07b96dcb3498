"""The API as a process: checks what it needs before it listens, serves until SIGINT or SIGTERM, says why it cannot."""

import errno
import gc
import math
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from api.app import asgi_of, create_app
from api.connections import Connection
from api.limits import HEADERS_LIMIT_BYTES, TARGET_LIMIT_BYTES
from api.metrics import Metrics
from api.view.consumer import ViewConsumer
from api.view.directory import DirectoryInUseError, ViewDirectory
from api.view.log import SessionLog
from api.view.view import View
from api.writer import RecordWriter
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES, topic_name
from runtime.clock import utc_now
from runtime.logs import configure_logs, get_log
from runtime.settings import Settings

log: Final = get_log()

# Exit codes, as those of the console command.
_REFUSED: Final = 2
# Bytes of a request's head that may be held while it is incomplete.
_HEAD_LIMIT_BYTES: Final = TARGET_LIMIT_BYTES + HEADERS_LIMIT_BYTES
# Seconds that an idle connection is kept.
_KEEP_ALIVE_S: Final = 15
_BACKLOG_CONNECTIONS: Final = 1_024
# What the kernel takes for a client that does not read: else megabytes each, and a slow client would go unnoticed.
_SEND_BUFFER_BYTES: Final = 262_144
# Milliseconds after which the kernel drops a connection whose client takes nothing, even one that is being closed.
_UNTAKEN_MS: Final = 30_000
# Seconds for which one thread may keep another from running; Python's own 5 ms would show in every slow answer.
_SWITCH_S: Final = 0.0005


def run_api(settings: Settings) -> int:
    """Serve until told to stop. 0: stopped as asked; 2: refused to start, with one line that says why."""
    configure_logs(settings.log_level, "api")
    if not settings.auth_hs256_secret and not settings.auth_jwks_url:
        return _refuse(
            "neither FLEX_AUTH_HS256_SECRET nor FLEX_AUTH_JWKS_URL is set: there is no start without authentication"
        )
    root = Path(settings.state_dir).expanduser().absolute() / "api"
    try:
        directory = ViewDirectory(root)
    except (DirectoryInUseError, OSError) as error:
        return _refuse(f"the view cannot be kept in {root}: {error} (FLEX_STATE_DIR chooses another place)")
    try:
        listener = listen(settings.api_host, settings.api_port)
    except OSError as error:
        directory.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        return _refuse(f"{settings.api_host}:{settings.api_port} {why} (FLEX_API_PORT chooses another port)")
    try:
        _serve(settings, directory, listener)
    finally:
        listener.close()
        directory.close()
    return 0


class _Server(uvicorn.Server):
    """Also tells the view of a stop, so that requests which wait for a session are answered at once."""

    def __init__(self, view: View, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._view = view

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._view.stop_waiting()


def _serve(settings: Settings, directory: ViewDirectory, listener: socket.socket) -> None:
    view, metrics = View(), Metrics()
    session_log = SessionLog(
        settings.kafka_bootstrap_servers,
        topic_name(settings.topic_prefix, SESSION_UPDATED),
        topic_name(settings.topic_prefix, VEHICLE_POLICIES),
        utc_now,
    )
    writer = RecordWriter(settings.kafka_bootstrap_servers)
    app = create_app(view, settings, metrics, ViewConsumer(view, directory, session_log, metrics), writer)
    server = _Server(view, server_config(asgi_of(app), settings.drain_s))

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # For a signal before uvicorn's own handlers are in place. When it is done, uvicorn raises the signal that stopped
    # it once more, for whoever handled it before: then there is nothing left to do.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    threading.excepthook = _log_thread_defect
    settle_process()
    log.info("listening", host=settings.api_host, port=settings.api_port)
    try:
        server.run(sockets=[listener])
    finally:
        writer.close()
        metrics.told()
    log.info("stopped")


def server_config(app: ASGIApp, drain_s: float) -> uvicorn.Config:
    """The server as it is in production, around any application: what benchmarks compare with has the same one."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody asks for a client's address.
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEAD_LIMIT_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_s),
    )


def settle_process() -> None:
    """What a process that serves sets of the interpreter, once everything that it is made of is there."""
    # The thread that keeps the view works in Python too: requests wait for it no longer than this at a time.
    sys.setswitchinterval(_SWITCH_S)
    # What is there by now stays: collecting garbage need not look at it again and again while requests wait.
    gc.collect()
    gc.freeze()


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG_CONNECTIONS)
    # Every connection inherits these from its listener.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # asyncio sets it only on sockets that name their protocol, which those of `create_server` do not: without it the
    # body of an answer waits 40 ms for the client's word that its head has come.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN_MS)
    return listener


def _refuse(line: str) -> int:
    # The one line an operator reads at a terminal; there is no log to look into yet.
    sys.stderr.write(f"error: {line}\n")
    return _REFUSED


def _log_thread_defect(args: threading.ExceptHookArgs) -> None:
    log.error("a thread ended by a defect", thread=getattr(args.thread, "name", None), exc_info=args.exc_value)
