"""Everything on this machine: embedded Kafka, topics, API, worker, simulated fleet, each a process of its own, started
in that order, said to be ready when the printed lines work, kept running, and ended within ten seconds.
"""

import os
import sys
import urllib.error
import urllib.request
from typing import Final

import msgspec
from msgspec import Struct

from local.errors import LocalError
from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute, held, prepare
from local.ports import require_free
from local.processes import Child, last_line, rotate
from local.stopping import Stopped, StopRequest
from local.supervisor import Part, Supervisor
from local.tokens import make_secret, make_token
from local.topics import ensure_topics
from runtime.clock import utc_now
from runtime.settings import Settings
from simulator.live.position import Keeper, Position

_START_TIMEOUT_S: Final = 60.0
_ANSWER_TIMEOUT_S: Final = 5.0
# How much past the fleet tells: a large one less, so that it comes to the present before anybody is tired of waiting.
_PAST_H: Final = 36.0
_PAST_VEHICLE_H: Final = 7_200.0
# Together under the ten seconds that a stop may take. What produces goes first; the broker last, for the others
# still have something to write.
_STAGES: Final = (
    (frozenset({"simulate"}), 2.0),
    (frozenset({"worker", "api"}), 3.25),
    (frozenset({"kafka"}), 4.0),
)


class Options(Struct, frozen=True, kw_only=True):
    """What the command line says beyond the settings. `vehicles` 0: no simulated fleet."""

    kafka_port: int
    api_port: int | None
    vehicles: int


class Up:
    """One run of `flex-sessions up`. The caller holds the locks of the state folder."""

    def __init__(self, settings: Settings, options: Options, stop: StopRequest) -> None:
        self._stop = stop
        self._options = options
        self._state = absolute(settings.state_dir)
        self._settings = msgspec.structs.replace(
            settings,
            kafka_bootstrap_servers=f"127.0.0.1:{options.kafka_port}",
            api_port=options.api_port or settings.api_port,
            state_dir=str(self._state),
            # Its printed token is signed with the secret that it keeps, whatever issuer the environment names.
            auth_hs256_secret=make_secret(settings),
            auth_jwks_url="",
        )
        self._supervisor = Supervisor(stop, say)
        self._shown: Position | None = None
        self._token = make_token(self._settings, self._settings.auth_hs256_secret)

    def start(self) -> None:
        """Start every part; returns when the printed lines work."""
        settings = self._settings
        java = find_java()
        if self._options.kafka_port == settings.api_port:
            raise LocalError(f"port {settings.api_port} cannot serve both Kafka and the API: choose with --kafka-port")
        require_free(self._options.kafka_port, "Kafka", "--kafka-port")
        require_free(settings.api_port, "API", "--api-port", settings.api_host)
        libs = fetch_jars(absolute(settings.cache_dir), self._stop)
        kafka = Kafka(
            java=java,
            libs=libs,
            data_dir=self._state / "kafka",
            log_dir=self._state / "logs",
            port=self._options.kafka_port,
        )
        say("starting Kafka")
        kafka.prepare(self._stop)
        self._supervisor.start(Part("kafka", lambda: kafka.start_node(1)), kafka.answers, _START_TIMEOUT_S)
        ensure_topics(settings, between=self._stop.check)
        say("starting worker and API")
        worker, api = self._part("worker"), self._part("api")
        self._supervisor.launch(worker)
        self._supervisor.launch(api)
        self._supervisor.await_ready(worker, lambda: _wrote(worker, b'"worker ready"'), _START_TIMEOUT_S)
        self._supervisor.await_ready(api, lambda: self._status("/readyz") == 200, _START_TIMEOUT_S)
        if self._options.vehicles:
            say(f"starting {self._options.vehicles} simulated vehicles")
            past_h = min(_PAST_H, _PAST_VEHICLE_H / self._options.vehicles)
            fleet = self._part("simulate", "--vehicles", str(self._options.vehicles), "--start-ago", f"{past_h:g}")
            launched_ms = int(utc_now().timestamp() * 1_000)
            self._supervisor.start(fleet, lambda: self._shows_fleet(launched_ms), _START_TIMEOUT_S)

    def watch(self) -> None:
        """Say that all is ready, and keep it so."""
        say(self._greeting())
        self._supervisor.watch()

    def end(self) -> None:
        """End every part that was started."""
        self._supervisor.end(_STAGES)
        if self._shown is not None:
            # What became of it: how much was told, and what its judge found.
            say(f"simulated fleet: {last_line(self._state / 'logs' / 'simulate.log')}")

    def _shows_fleet(self, launched_ms: int) -> bool:
        """Whether the fleet has come to the present, and the API shows what it told; remembers whom to show."""
        position = Keeper(self._state).load()
        if position is None or position.policy_id is None or position.reached_ms < launched_ms:
            return False
        self._shown = position
        return self._status(f"/flex/vehicle-policies/{position.policy_id}/session") == 200

    def _part(self, name: str, *arguments: str) -> Part:
        log = self._state / "logs" / f"{name}.log"
        rotate(log)
        # -P: a folder named `models` where we are started must not be taken for ours.
        argv = [sys.executable, "-P", "-m", "cli.main", name, *arguments]
        env = os.environ | self._environ() | {"PYTHONUNBUFFERED": "1"}
        return Part(name, lambda: Child(name, argv, log, env))

    def _environ(self) -> dict[str, str]:
        settings = self._settings
        return {
            "FLEX_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "FLEX_STATE_DIR": settings.state_dir,
            "FLEX_API_PORT": str(settings.api_port),
            "FLEX_AUTH_HS256_SECRET": settings.auth_hs256_secret,
            "FLEX_AUTH_JWKS_URL": settings.auth_jwks_url,
        }

    @property
    def _url(self) -> str:
        host = self._settings.api_host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.api_port}"

    def _status(self, path: str) -> int | None:
        """The status with which the API answers; None: it does not."""
        request = urllib.request.Request(self._url + path, headers={"Authorization": f"Bearer {self._token}"})  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_TIMEOUT_S) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None

    def _greeting(self) -> str:
        paths = ["/flex/vehicle-policies/sessions"]
        if self._shown is not None:
            paths += [
                f"/flex/vehicle-policies/{self._shown.policy_id}/session",
                f"/flex/vehicle-policies/sessions?vehicleId={self._shown.vehicle_id}",
            ]
        curls = [f"curl -sS -H 'Authorization: Bearer {self._token}' '{self._url}{path}'" for path in paths]
        return "\n".join(
            (
                "ready",
                f"URL:   {self._url}",
                f"token: {self._token}",
                *curls,
                f"Logs are in {self._state / 'logs'}. Ctrl-C stops everything; the data stays.",
            )
        )


def run_up(settings: Settings, options: Options) -> int:
    """Run until a signal, or until a part cannot be kept running."""
    stop = StopRequest()
    stop.listen()
    state = absolute(settings.state_dir)
    prepare(state / "kafka", "FLEX_STATE_DIR")
    with (
        held(state / "up.lock", f"another `flex-sessions up` is running on {state}"),
        held(state / "kafka" / "kafka.lock", f"another Kafka is running on {state / 'kafka'}"),
    ):
        up = Up(settings, options, stop)
        try:
            up.start()
            up.watch()
        except Stopped:
            say("stopping")
        finally:
            up.end()
        say("stopped")
    return 0


def say(line: str) -> None:
    """Tell the operator."""
    print(line, flush=True)


def _wrote(part: Part, text: bytes) -> bool:
    return part.child is not None and part.child.wrote(text)
