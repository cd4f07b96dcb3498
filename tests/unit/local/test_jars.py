"""Fetching Kafka's jars, with a Maven that is a few lines of shell."""

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from local.errors import LocalError
from local.jars import fetch_jars, jars_folder, kafka_file
from local.stopping import StopRequest
from tests.support.command import COMMAND, clean_environ

POM = "{http://maven.apache.org/POM/4.0.0}"
# Writes its jars slowly, in two steps, and a line into $RUNS for each run.
GOOD = 'for a; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done; echo run >>"$RUNS"; mkdir -p "$d"; \
: >"$d/other.jar"; sleep 0.3; : >"$d/kafka_2.13-4.2.1.jar"'
FAILS = GOOD.split("sleep", maxsplit=1)[0] + 'echo "[ERROR] no route to host"; exit 1'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    return tmp_path / "cache"


def maven(cache: Path, body: str) -> None:
    script = cache.parent / "bin" / "mvn"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)


def test_every_version_in_the_pom_is_pinned() -> None:
    """The POM names exact versions only: no range, no snapshot, no latest, and Kafka is 4.2.1."""
    root = ET.fromstring(kafka_file("pom.xml").read_text())
    names = {item.tag.removeprefix(POM): item.text for item in root.iter() if item.tag.endswith(".version")}
    assert names == {"kafka.version": "4.2.1", "log4j.version": "2.24.3"}
    versions = [
        item.findtext(f"{POM}version") or "" for kind in ("dependency", "plugin") for item in root.iter(POM + kind)
    ]
    assert versions
    for version in versions:
        assert re.fullmatch(r"\d+\.\d+\.\d+|\$\{(kafka|log4j)\.version\}", version)


def test_the_folder_is_named_after_version_and_pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another POM means another folder, so that jars of two versions never mix."""
    folder = jars_folder(tmp_path)
    assert re.fullmatch(r"kafka-4\.2\.1-[0-9a-f]{10}", folder.parent.name)
    other = tmp_path / "deploy"
    other.mkdir()
    (other / "pom.xml").write_text(kafka_file("pom.xml").read_text() + "\n")
    monkeypatch.setattr("local.jars.KAFKA_DIR", other)
    assert jars_folder(tmp_path) != folder


def test_what_is_cached_needs_no_maven(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jars that are there are used as they are."""
    jars_folder(cache).mkdir(parents=True)
    monkeypatch.setenv("PATH", "/nowhere")
    assert fetch_jars(cache, StopRequest()) == jars_folder(cache)


def test_no_maven_is_one_line_with_the_command(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jars and without Maven, the operator is told what to type."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalError) as caught:
        fetch_jars(cache, StopRequest())
    assert "apt-get install -y maven" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_fetch_leaves_nothing_that_counts(cache: Path) -> None:
    """A fetch that stops half-way is reported with Maven's reason, and the next one starts anew."""
    maven(cache, FAILS)
    with pytest.raises(LocalError, match="no route to host"):
        fetch_jars(cache, StopRequest())
    assert not jars_folder(cache).exists()
    assert [path.name for path in cache.iterdir()] == ["kafka.lock"]
    maven(cache, GOOD)
    assert {path.name for path in fetch_jars(cache, StopRequest()).iterdir()} == {"other.jar", "kafka_2.13-4.2.1.jar"}


def test_a_maven_that_brings_no_kafka_is_a_failure(cache: Path) -> None:
    """Exit code 0 is not enough: the broker's jar must be there."""
    maven(cache, "exit 0")
    with pytest.raises(LocalError, match="could not fetch"):
        fetch_jars(cache, StopRequest())


def test_two_fetches_at_once_run_maven_once(cache: Path) -> None:
    """Of several processes one fetches, and the others wait and take what it brought."""
    maven(cache, GOOD)
    env = clean_environ({"FLEX_CACHE_DIR": str(cache)})
    argv = [*COMMAND, "kafka", "--fetch"]
    both = [subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [each.wait(30) for each in both] == [0, 0, 0]
    assert (cache.parent / "runs").read_text() == "run\n"
