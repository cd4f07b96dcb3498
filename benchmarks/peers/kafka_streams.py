"""Kafka Streams on the same work (java/ThinFold.java): fetched by Maven from its pinned POM, and compiled, once.

Both land in the cache folder, under a name that both files decide. Without a JDK or Maven there is no such peer.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.system import Process, Site
from local.java import find_java
from local.places import absolute
from models.topics import SESSION_UPDATED, VEHICLE_CHARGE, WORKER_GROUP
from runtime.settings import load_settings

SOURCES: Final = Path(__file__).parent / "java"
POM: Final = SOURCES / "pom.xml"
FOLD: Final = SOURCES / "ThinFold.java"
_GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
_LIMIT_S: Final = 600
# As the embedded broker: enough for both on one small machine.
_HEAP: Final = ("-Xms256m", "-Xmx1024m")


def missing() -> str | None:
    """Why there is no such peer on this machine; None: there is."""
    absent = [name for name in ("javac", "mvn") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found" if absent else None


def start(at: Site) -> Process:
    """The compiled fold on the topics of a site. The name of its group is the worker's, so that its progress shows."""
    folder = _built()
    classpath = f"{folder / 'libs'}/*:{folder / 'classes'}"
    topics = (at.name(VEHICLE_CHARGE), at.name(SESSION_UPDATED))
    state = at.folder / "kafka-streams"
    argv = [find_java(), *_HEAP, "-cp", classpath, "ThinFold", at.bootstrap, at.name(WORKER_GROUP), *topics, str(state)]
    return Process(argv, {}, at.folder / "kafka-streams.log")


def _built() -> Path:
    """The folder of jars and classes."""
    cache = absolute(load_settings({}).cache_dir)
    folder = cache / f"kafka-streams-{hashlib.sha256(POM.read_bytes() + FOLD.read_bytes()).hexdigest()[:10]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Complete under its final name, or not there.
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
        made = Path(scratch) / "made"
        _run("mvn", "-q", "-B", "-f", str(POM), _GOAL, f"-DoutputDirectory={made / 'libs'}")
        (made / "classes").mkdir()
        _run("javac", "-cp", f"{made / 'libs'}/*", "-d", str(made / "classes"), str(FOLD))
        made.rename(folder)
    return folder


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT_S, check=False)  # noqa: S603  # our own
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed: {(done.stdout + done.stderr)[-2_000:]}")
