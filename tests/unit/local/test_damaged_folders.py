"""Folders that were damaged, or that belong to something else: one line each, and what is drawn by chance is usable."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.kafka import _cluster_file
from local.ports import is_free
from local.stopping import StopRequest
from local.tokens import find_secret, secret_file
from local.up import Options, Up
from runtime.settings import Settings, load_settings


def settings(folder: Path) -> Settings:
    return load_settings({"FLEX_STATE_DIR": str(folder)})


def test_a_cluster_id_is_never_taken_for_an_option(tmp_path: Path) -> None:
    """Kafka's tool reads an id that begins with a dash as an option: none does, and each is 22 characters long."""
    ids = []
    for number in range(300):
        folder = tmp_path / str(number)
        folder.mkdir()
        ids.append(_cluster_file(folder, 1).cluster_id)
    assert len(set(ids)) == len(ids)
    assert {len(each) for each in ids} == {22}
    assert not [each for each in ids if each.startswith("-")]


def test_a_damaged_cluster_file_is_named(tmp_path: Path) -> None:
    """A cluster file that was cut short is one line that names it."""
    (tmp_path / "cluster.json").write_text('{"clusterId":"F')
    with pytest.raises(LocalError, match=r"cluster\.json is damaged"):
        _cluster_file(tmp_path, 1)


@pytest.mark.parametrize("text", ["", "short"])
def test_a_damaged_secret_is_named(tmp_path: Path, text: str) -> None:
    """A kept secret too short to sign with is one line that names its file."""
    found = settings(tmp_path)
    secret_file(found).write_text(text)
    with pytest.raises(LocalError, match="dev-secret is damaged"):
        find_secret(found)


def test_one_port_for_two_servers_is_refused(tmp_path: Path) -> None:
    """The same port for Kafka and the API is refused before anything starts."""
    up = Up(settings(tmp_path), Options(kafka_port=20_001, api_port=20_001, vehicles=0), StopRequest())
    with pytest.raises(LocalError, match="cannot serve both"):
        up.start()


def test_a_host_that_is_not_ours_is_not_a_taken_port() -> None:
    """An address that this machine does not have is named as such."""
    with pytest.raises(LocalError, match=r"cannot listen on 192\.0\.2\.1"):
        is_free(20_001, "192.0.2.1")
