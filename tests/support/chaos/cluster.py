"""Brokers that may be killed: one or three nodes of the embedded Kafka, and whether all their replicas are in sync."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.jars import fetch_jars
from local.java import find_java
from local.kafka import Kafka
from local.places import absolute
from local.ports import free_port, is_free
from local.stopping import StopRequest
from runtime.settings import load_settings

QUESTION_S = 2.0


class Cluster:
    """A Kafka of its own, whose nodes can be killed."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return self._kafka.bootstrap

    def kill(self, number: int) -> None:
        """Kill -9 of a node (1, 2, 3)."""
        self._kafka.children[number].sweep()

    def start(self, number: int) -> None:
        """Start a node again, without waiting."""
        self._kafka.start_node(number)

    def freeze(self, number: int, freeze_s: float) -> None:
        """SIGSTOP of a node for so long."""
        pid = self._kafka.children[number].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(freeze_s)
        finally:
            os.kill(pid, signal.SIGCONT)

    def is_frozen(self, number: int) -> bool:
        """Whether a node stands still at present."""
        status = Path(f"/proc/{self._kafka.children[number].pid}/stat").read_text(encoding="ascii")
        return status.rsplit(")", 1)[1].split()[0] == "T"

    def log(self, number: int) -> str:
        """What a node has written to its log."""
        return self._kafka.children[number].log.read_text()

    def is_in_sync(self) -> bool:
        """Whether every node answers and no partition lacks a replica."""
        if not self._kafka.answers():
            return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            topics = admin.list_topics(timeout=QUESTION_S).topics.values()
        except KafkaException:
            return False
        parts = [part for topic in topics for part in topic.partitions.values()]
        return all(len(part.isrs) == len(part.replicas) for part in parts)


@contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[Cluster]:
    """A running Kafka of one or three nodes; afterwards it is gone."""
    stop = StopRequest()
    libs = fetch_jars(absolute(load_settings({}).cache_dir), stop)
    kafka = Kafka(
        java=find_java(), libs=libs, data_dir=_made(folder), log_dir=folder / "logs", port=_ports(nodes), nodes=nodes
    )
    try:
        kafka.start(stop)
        yield Cluster(kafka)
    finally:
        kafka.stop(10)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _ports(nodes: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = free_port()
        if all(is_free(first + number) for number in range(nodes)):
            return first
