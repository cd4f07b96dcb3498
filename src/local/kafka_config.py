"""The embedded broker's configuration as text. Pure: what a node of a cluster of one or three is told, and why."""

from pathlib import Path
from typing import Final

from msgspec import Struct

from local.ports import LOOPBACK
from models.topics import MIB

# Any input that the broker takes must fit, with five headers, into a dead-letter topic of 4 MiB.
MESSAGE_MAX_BYTES: Final = 3 * MIB


class Node(Struct, frozen=True, kw_only=True):
    """One broker that is also a controller."""

    number: int
    port: int
    controller_port: int


def properties(node: Node, nodes: tuple[Node, ...], log_dir: Path) -> str:
    """server.properties of `node`."""
    copies = len(nodes)
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.number,
        # Loopback only: the embedded broker has no access control.
        "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{each.number}@{LOOPBACK}:{each.controller_port}" for each in nodes),
        "log.dirs": log_dir,
        # A topic that nobody created is a mistake; `flex-sessions topics` creates ours.
        "auto.create.topics.enable": "false",
        "message.max.bytes": MESSAGE_MAX_BYTES,
        "replica.fetch.max.bytes": MESSAGE_MAX_BYTES,
        # One worker on one machine gains nothing by waiting for others to join its group.
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "share.coordinator.state.topic.replication.factor": copies,
        # Of three copies one may be away; what two have, the loss of a node does not take.
        "min.insync.replicas": min(copies, 2),
        "transaction.state.log.min.isr": min(copies, 2),
        "share.coordinator.state.topic.min.isr": min(copies, 2),
        # After kill -9 a node waits until its former self is taken for dead: 9 s by default.
        "broker.session.timeout.ms": 4_000,
        "broker.heartbeat.interval.ms": 1_000,
        # A handful of groups and transactions: the default of 50 partitions each only slows the first start.
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.num.partitions": 8,
        # The default of 128 MiB would be a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": 16 * MIB,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
