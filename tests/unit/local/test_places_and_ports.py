"""Folders and ports: usable, or one line that names what is wrong."""

import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.errors import LocalError
from local.places import MIN_FREE_BYTES, held, prepare
from local.ports import free_port, is_free, require_free


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the least free space the line says how much there is, how much is needed, and what to set."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=MIN_FREE_BYTES - 1))
    with pytest.raises(LocalError, match=r"only 499 MB free at .*500 MB needed.*FLEX_STATE_DIR"):
        prepare(tmp_path / "state", "FLEX_STATE_DIR")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file in the way is named, with the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match=r"cannot make .*file/state.*FLEX_STATE_DIR"):
        prepare(tmp_path / "file" / "state", "FLEX_STATE_DIR")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to write, the line names the folder."""
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    with pytest.raises(LocalError, match=f"cannot write to {tmp_path}"):
        prepare(tmp_path, "FLEX_STATE_DIR")


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """While it is held nobody else gets it; afterwards anybody does."""
    with held(tmp_path / "lock", "busy"), pytest.raises(LocalError, match="busy"), held(tmp_path / "lock", "busy"):
        pass
    with held(tmp_path / "lock", "busy"):
        pass


def test_a_taken_port_is_named_with_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says which port, whose, and which option chooses another."""
    monkeypatch.setattr("local.ports._PATIENCE_S", 0.0)
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(LocalError, match=rf"port {port} \(Kafka\) is taken on 127\.0\.0\.1: .*--kafka-port"):
            require_free(port, "Kafka", "--kafka-port")


def test_a_port_taken_on_every_address_counts_as_taken() -> None:
    """A server on 0.0.0.0 is in the way of one on the loopback address."""
    with socket.create_server(("0.0.0.0", free_port())) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_that_is_chosen_is_free() -> None:
    """What free_port names can be listened on."""
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_a_port_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until somebody listens on it, it is given to nobody else: not here, and not in a process beside."""
    ours = [free_port() for _ in range(60)]
    assert len(set(ours)) == 60
    neighbour = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: neighbour)
    assert set(ours).isdisjoint(free_port() for _ in range(60))
