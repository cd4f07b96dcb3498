"""`flex-sessions kafka`: a broker that is really ready, alone on its folder, and gone with its command."""

import os
import signal
import socket
from pathlib import Path

import pytest

from local.ports import free_port, is_free
from models.topics import VEHICLE_PLUG
from tests.support.command import flex, run_flex
from tests.support.records import Outgoing, produce, read_all
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def environ(port: int, tmp_path: Path) -> dict[str, str]:
    return {"FLEX_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}", "FLEX_STATE_DIR": str(tmp_path / "state")}


def test_ready_means_ready_and_the_data_survive_any_end(tmp_path: Path) -> None:
    """Once it says ready, topics can be made and written; after SIGTERM, and after kill -9, they are still there."""
    port = free_port()
    env = environ(port, tmp_path)
    arguments = ("kafka", "--port", str(port))
    with flex(*arguments, env=env, folder=tmp_path) as first:
        first.wait_for(f"ready: Kafka at 127.0.0.1:{port}")
        assert run_flex("topics", env=env).returncode == 0
        produce(f"127.0.0.1:{port}", [Outgoing(topic=VEHICLE_PLUG, key="v", value={"n": 1})])
        assert first.end(signal.SIGTERM, timeout_s=10) == 0
    with flex(*arguments, env=env, folder=tmp_path) as second:
        second.wait_for("ready")
        produce(f"127.0.0.1:{port}", [Outgoing(topic=VEHICLE_PLUG, key="v", value={"n": 2})])
        os.kill(second.pid, signal.SIGKILL)
        second.process.wait(10)
        wait_until(lambda: not second.left_behind(), 5, "the broker's end after kill -9 of its command")
    with flex(*arguments, env=env, folder=tmp_path) as third:
        third.wait_for("ready")
        assert [record.value for record in read_all(f"127.0.0.1:{port}", VEHICLE_PLUG)] == [b'{"n":1}', b'{"n":2}']


def test_one_broker_per_folder_and_per_port(tmp_path: Path) -> None:
    """A second one on the same folder, or on the same port, is one line that names it."""
    port = free_port()
    env = environ(port, tmp_path)
    with flex("kafka", "--port", str(port), env=env, folder=tmp_path) as running:
        running.wait_for("ready")
        same_folder = run_flex("kafka", "--port", str(free_port()), env=env)
        same_port = run_flex("kafka", "--port", str(port), "--data-dir", str(tmp_path / "other"), env=env)
        assert (same_folder.returncode, same_folder.stderr.count("\n")) == (1, 1)
        assert "another Kafka is running on" in same_folder.stderr
        assert (same_port.returncode, same_port.stderr.count("\n")) == (1, 1)
        assert f"port {port} (Kafka) is taken" in same_port.stderr


def test_a_broker_that_dies_ends_its_command_with_a_line(tmp_path: Path) -> None:
    """The command does not outlive its broker, and says where to look."""
    port = free_port()
    with flex("kafka", "--port", str(port), env=environ(port, tmp_path), folder=tmp_path) as running:
        running.wait_for("ready")
        (java,) = (int(line.split()[0]) for line in running.left_behind() if "kafka.Kafka" in line)
        os.kill(java, signal.SIGKILL)
        assert running.process.wait(10) == 1
        assert running.stderr.startswith("error: Kafka ended by itself: see ")
        assert "Traceback" not in running.stderr


def test_three_nodes_form_one_cluster(tmp_path: Path) -> None:
    """What is written at one node is read at another, and the folder belongs to three nodes ever after."""
    port = next(port for port in iter(free_port, 0) if is_free(port + 1) and is_free(port + 2))
    env = environ(port, tmp_path) | {"FLEX_TOPIC_REPLICATION": "3", "FLEX_TOPIC_PARTITIONS": "1"}
    with flex("kafka", "--port", str(port), "--nodes", "3", env=env, folder=tmp_path) as running:
        running.wait_for(f"ready: Kafka at 127.0.0.1:{port},127.0.0.1:{port + 1},127.0.0.1:{port + 2}", timeout_s=90)
        assert run_flex("topics", env=env).returncode == 0
        produce(f"127.0.0.1:{port + 2}", [Outgoing(topic=VEHICLE_PLUG, key="v", value={"n": 1})])
        assert len(read_all(f"127.0.0.1:{port + 1}", VEHICLE_PLUG)) == 1
    done = run_flex("kafka", "--port", str(port), env=env)
    assert done.returncode == 1
    assert "holds a Kafka of 3 node(s), not 1" in done.stderr


def test_a_signal_while_starting_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT before it is ready ends the command and what it had started."""
    port = free_port()
    with flex("kafka", "--port", str(port), env=environ(port, tmp_path), folder=tmp_path) as running:
        wait_until(lambda: any("java" in line for line in running.left_behind()), 20, "the first child")
        assert running.end(signal.SIGINT, timeout_s=10) == 0
    with socket.create_server(("127.0.0.1", port)):
        pass
