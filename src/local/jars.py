"""The embedded broker's jars: fetched once by Maven from the pinned POM, into a cache folder named after its hash.
A folder under its final name is complete: it is filled under another name and renamed, one process at a time.
"""

import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.errors import LocalError
from local.places import prepare
from local.processes import Child
from local.stopping import StopRequest

KAFKA_DIR: Final = Path(__file__).parents[2] / "deploy" / "kafka"
_VERSION: Final = re.compile(r"<kafka\.version>([^<]+)</kafka\.version>")
# In full, with the version that the POM pins: the short form looks the plugin up first, and hides why that failed.
_GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
_FETCH_TIMEOUT_S: Final = 600
_LINE_CHARS: Final = 300


def kafka_file(name: str) -> Path:
    """A file of deploy/kafka; raises a line if this is not a checkout."""
    path = KAFKA_DIR / name
    if not path.is_file():
        raise LocalError(f"{path} is missing: the embedded Kafka needs a checkout of the project (pip install -e .)")
    return path


def jars_folder(cache: Path) -> Path:
    """Where this POM's jars belong."""
    pom = kafka_file("pom.xml").read_bytes()
    version = _VERSION.search(pom.decode())
    name = version[1] if version else "unknown"
    return cache / f"kafka-{name}-{hashlib.sha256(pom).hexdigest()[:10]}" / "libs"


def fetch_jars(cache: Path, stop: StopRequest) -> Path:
    """The folder of the jars, fetched if it is not there yet."""
    libs = jars_folder(cache)
    if libs.is_dir():
        return libs
    prepare(cache, "FLEX_CACHE_DIR")
    with _one_at_a_time(cache / "kafka.lock", stop):
        if libs.is_dir():
            return libs
        maven = shutil.which("mvn")
        if maven is None:
            raise LocalError("no Maven found to fetch Kafka's jars with (once): apt-get install -y maven")
        print("fetching Kafka's jars (54 MB, once)", flush=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
            whole = Path(scratch) / "whole"
            _copy_dependencies(maven, whole / "libs", Path(scratch) / "maven.log", stop)
            shutil.rmtree(libs.parent, ignore_errors=True)
            whole.rename(libs.parent)
    return libs


@contextmanager
def _one_at_a_time(lock: Path, stop: StopRequest) -> Iterator[None]:
    with lock.open("a") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not stop.wait(taken, _FETCH_TIMEOUT_S):
            raise LocalError(f"another process has been fetching Kafka's jars for {_FETCH_TIMEOUT_S} s ({lock})")
        yield


def _copy_dependencies(maven: str, libs: Path, log: Path, stop: StopRequest) -> None:
    argv = [maven, "-q", "-B", "-f", str(kafka_file("pom.xml")), _GOAL]
    child = Child("maven", [*argv, f"-DoutputDirectory={libs}"], log)
    try:
        ended = stop.wait(lambda: not child.running(), _FETCH_TIMEOUT_S)
    finally:
        code = child.sweep()
    if not ended:
        raise LocalError(f"Maven did not fetch Kafka's jars within {_FETCH_TIMEOUT_S} s")
    if code != 0 or not any(libs.glob("kafka_2*.jar")):
        raise LocalError(f"Maven could not fetch Kafka's jars: {_first_error(log)}")


def _first_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "it said nothing")
    return said[:_LINE_CHARS]
