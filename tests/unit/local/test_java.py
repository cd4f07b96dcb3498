"""Which Java is taken, and what is said when none will do."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.java import find_java, java_version


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_412"', 8),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "25.0.1" 2025-10-21', 25),
        ("command not found", None),
    ],
)
def test_the_feature_release_is_read(said: str, version: int | None) -> None:
    """Old and new numbering both yield the release that decides."""
    assert java_version(said) == version


def java(folder: Path, said: str) -> Path:
    script = folder / "bin" / "java"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    script.chmod(0o755)
    return script


def test_java_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAVA_HOME names the Java, whatever lies on PATH."""
    script = java(tmp_path, 'openjdk version "21.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java() == str(script)


@pytest.mark.parametrize("home", ["absent", "old", "broken", "none"])
def test_a_java_that_will_not_do_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """No Java, one too old, one that does not run: each is one line with the command to type."""
    java(tmp_path / "old", 'java version "1.8.0_412"')
    java(tmp_path / "broken", "Segmentation fault")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home != "none":
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / home))
    with pytest.raises(LocalError) as caught:
        find_java()
    assert "apt-get install -y openjdk-17-jre-headless" in str(caught.value)
    assert "\n" not in str(caught.value)
