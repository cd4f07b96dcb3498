"""The embedded Kafka by itself: checked, started, said so, watched, stopped."""

from pathlib import Path
from typing import Final

from local.errors import LocalError
from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute, held, prepare
from local.ports import require_free
from local.stopping import Stopped, StopRequest
from runtime.settings import Settings

_STOP_GRACE_S: Final = 8


def fetch_only(settings: Settings) -> int:
    """Fetch the jars, if they are not there yet."""
    stop = StopRequest()
    stop.listen()
    try:
        fetch_jars(absolute(settings.cache_dir), stop)
    except Stopped:
        return 130
    return 0


def run_kafka(settings: Settings, *, port: int, data_dir: Path | None, nodes: int) -> int:
    """Run until a signal, or until a node dies."""
    folder = (data_dir or absolute(settings.state_dir) / "kafka").absolute()
    stop = StopRequest()
    stop.listen()
    java = find_java()
    for number in range(nodes):
        require_free(port + number, "Kafka", "--port")
    prepare(folder, "--data-dir" if data_dir else "FLEX_STATE_DIR")
    with held(folder / "kafka.lock", f"another Kafka is running on {folder}"):
        try:
            libs = fetch_jars(absolute(settings.cache_dir), stop)
        except Stopped:
            return 0
        kafka = Kafka(java=java, libs=libs, data_dir=folder, log_dir=folder / "logs", port=port, nodes=nodes)
        try:
            kafka.start(stop)
            print(f"ready: Kafka at {kafka.bootstrap}, data in {folder}", flush=True)
            while kafka.running():
                stop.pause(0.5)
            raise LocalError(f"Kafka ended by itself: see {folder / 'logs'}")
        except Stopped:
            return 0
        finally:
            kafka.stop(_STOP_GRACE_S)
