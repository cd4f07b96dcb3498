"""The Java runtime: which one, and is it new enough. Kafka 4 needs 17."""

import os
import re
import shutil
import subprocess
from typing import Final

from local.errors import LocalError

MIN_JAVA: Final = 17
_INSTALL: Final = "apt-get install -y openjdk-17-jre-headless"
_VERSION: Final = re.compile(r'version "(?:1\.)?(\d+)')
_TIMEOUT_S: Final = 30


def find_java() -> str:
    """$JAVA_HOME/bin/java, else the one on PATH; raises a line with the command to type if it will not do."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)  # noqa: PTH118 - a search path
    if java is None:
        where = f"JAVA_HOME ({home}) holds no bin/java" if home else "no Java found"
        raise LocalError(f"{where}, {MIN_JAVA} or later needed: {_INSTALL}")
    version = java_version(_say_version(java))
    if version is None:
        raise LocalError(f"{java} does not run, Java {MIN_JAVA} or later needed: {_INSTALL}")
    if version < MIN_JAVA:
        raise LocalError(f"{java} is Java {version}, {MIN_JAVA} or later needed: {_INSTALL}, or set JAVA_HOME")
    return java


def java_version(said: str) -> int | None:
    """The feature release (8, 17, 21 ...) in what `java -version` says."""
    found = _VERSION.search(said)
    return int(found[1]) if found else None


def _say_version(java: str) -> str:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr + done.stdout
