"""The embedded Kafka: one or three KRaft nodes as child processes over one data folder. It is ready when a client gets
an answer from every node, and what it holds survives any kind of end. It knows no topic of ours.
"""

import shutil
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from local.errors import LocalError
from local.jars import kafka_file
from local.kafka_config import Node, properties
from local.ports import LOOPBACK, free_port
from local.processes import Child, last_line, rotate
from local.stopping import StopRequest
from runtime.clock import monotonic_s

_READY_TIMEOUT_S: Final = 60
_FORMAT_TIMEOUT_S: Final = 60
_ANSWER_TIMEOUT_S: Final = 2
# Bounded, so that the broker leaves the machine to the rest; -Xmx holds many times the load of one machine.
_JVM: Final = ("-Xms256m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")


class ClusterFile(Struct, frozen=True, rename="camel"):
    """What the data folder says about itself."""

    cluster_id: str
    nodes: int


class Kafka:
    """The nodes of one data folder. The caller holds the folder's lock."""

    def __init__(self, *, java: str, libs: Path, data_dir: Path, log_dir: Path, port: int, nodes: int = 1) -> None:
        self._java = java
        self._libs = libs
        self._data_dir = data_dir
        self._log_dir = log_dir
        self._cluster = _cluster_file(data_dir, nodes)
        self._nodes = tuple(
            Node(number=number, port=port + number - 1, controller_port=free_port()) for number in range(1, nodes + 1)
        )
        self.children: dict[int, Child] = {}

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self._nodes)

    def start(self, stop: StopRequest) -> None:
        """Start every node and wait until each one answers."""
        self.prepare(stop)
        for node in self._nodes:
            self.start_node(node.number)
        self._await_ready(stop)

    def prepare(self, stop: StopRequest) -> None:
        """Make the nodes' folders, where they are not there yet."""
        for node in self._nodes:
            rotate(self._log(node))
            self._format(node, stop)

    def start_node(self, number: int) -> Child:
        """Start one node (again), without waiting."""
        node = self._nodes[number - 1]
        config = self._write_config(node, self._node_dir(node))
        self.children[number] = Child(f"kafka-{number}", self._command("kafka.Kafka", str(config)), self._log(node))
        return self.children[number]

    def running(self) -> bool:
        """Whether every node lives."""
        return all(child.running() for child in self.children.values())

    def answers(self) -> bool:
        """Whether a client is told of every node."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return len(client.list_topics(timeout=_ANSWER_TIMEOUT_S).brokers) == len(self._nodes)
        except KafkaException:
            return False

    def stop(self, grace_s: float) -> None:
        """Ask every node to stop, and kill those that have not within `grace_s` altogether."""
        for child in self.children.values():
            child.ask_to_stop()
        until_s = monotonic_s() + grace_s
        for child in self.children.values():
            child.wait(max(0.0, until_s - monotonic_s()))

    def _await_ready(self, stop: StopRequest) -> None:
        until_s = monotonic_s() + _READY_TIMEOUT_S
        while not self.answers():
            for number, child in self.children.items():
                if not child.running():
                    said = last_line(child.log)
                    raise LocalError(f"Kafka node {number} ended while starting: {said} (log: {child.log})")
            if monotonic_s() >= until_s:
                raise LocalError(f"Kafka did not answer within {_READY_TIMEOUT_S} s: see {self._log_dir}")
            stop.pause(0.05)

    def _format(self, node: Node, stop: StopRequest) -> None:
        """Make the node's folder under another name, then rename it: one under its name is whole."""
        final = self._node_dir(node)
        if final.is_dir():
            return
        scratch = final.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        config = self._write_config(node, scratch)
        tool = self._command("kafka.tools.StorageTool", "format", "-t", self._cluster.cluster_id, "-c", str(config))
        child = Child("kafka-format", tool, self._log(node))
        try:
            stop.wait(lambda: not child.running(), _FORMAT_TIMEOUT_S)
        finally:
            code = child.sweep()
        if code != 0:
            raise LocalError(f"Kafka could not format {scratch}: {last_line(child.log)} (log: {child.log})")
        scratch.rename(final)

    def _write_config(self, node: Node, log_dir: Path) -> Path:
        path = self._data_dir / f"node-{node.number}.properties"
        path.write_text(properties(node, self._nodes, log_dir), encoding="utf-8")
        return path

    def _command(self, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={kafka_file('log4j2.properties')}"
        return [self._java, *_JVM, logging, "-cp", f"{self._libs}/*", main, *arguments]

    def _node_dir(self, node: Node) -> Path:
        return self._data_dir / f"node-{node.number}"

    def _log(self, node: Node) -> Path:
        return self._log_dir / ("kafka.log" if len(self._nodes) == 1 else f"kafka-{node.number}.log")


def _cluster_file(data_dir: Path, nodes: int) -> ClusterFile:
    path = data_dir / "cluster.json"
    if path.exists():
        try:
            found = msgspec.json.decode(path.read_bytes(), type=ClusterFile)
        except msgspec.DecodeError as error:
            raise LocalError(f"{path} is damaged ({error}): choose another folder, or remove {data_dir}") from error
        if found.nodes != nodes:
            raise LocalError(f"{data_dir} holds a Kafka of {found.nodes} node(s), not {nodes}: choose another folder")
        return found
    # Kafka's tool takes a word that begins with a dash for an option: the first character is always this letter.
    cluster_id = "F" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    cluster = ClusterFile(cluster_id=cluster_id, nodes=nodes)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(cluster))
    scratch.replace(path)
    return cluster
