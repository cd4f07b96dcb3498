"""What a node of the embedded Kafka is told."""

from pathlib import Path

import pytest

from local.kafka_config import MESSAGE_MAX_BYTES, Node, properties
from models.topics import DEAD_LETTER_LIMIT_BYTES, OUTPUT_LIMIT_BYTES


def config(nodes: int) -> list[dict[str, str]]:
    cluster = tuple(Node(number=n, port=9000 + n, controller_port=9100 + n) for n in range(1, nodes + 1))
    texts = [properties(node, cluster, Path(f"/data/{node.number}")) for node in cluster]
    return [dict(line.split("=", 1) for line in text.splitlines()) for text in texts]


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_node_listens_on_this_machine_only(nodes: int) -> None:
    """Every listener of every node is bound to the loopback address: the broker has no access control."""
    for node in config(nodes):
        for listener in node["listeners"].split(","):
            assert "//127.0.0.1:" in listener


@pytest.mark.parametrize(("nodes", "copies", "least"), [(1, "1", "1"), (3, "3", "2")])
def test_internal_topics_have_a_copy_on_every_node(nodes: int, copies: str, least: str) -> None:
    """One node keeps one copy; three keep three, of which two must agree."""
    for node in config(nodes):
        assert node["offsets.topic.replication.factor"] == copies
        assert node["transaction.state.log.replication.factor"] == copies
        assert node["transaction.state.log.min.isr"] == least


def test_all_nodes_know_the_same_voters() -> None:
    """Each node is a voter, at the port on which it listens as controller."""
    nodes = config(3)
    assert {node["controller.quorum.voters"] for node in nodes} == {
        "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"
    }
    for number, node in enumerate(nodes, start=1):
        assert node["node.id"] == str(number)
        assert f"CONTROLLER://127.0.0.1:910{number}" in node["listeners"]


def test_topics_are_never_made_by_accident() -> None:
    """Writing to a topic that nobody created is an error."""
    assert config(1)[0]["auto.create.topics.enable"] == "false"


def test_whatever_is_accepted_fits_the_dead_letters() -> None:
    """The largest record that the broker takes leaves room for headers in a dead-letter topic, and outputs fit it."""
    assert OUTPUT_LIMIT_BYTES < MESSAGE_MAX_BYTES < DEAD_LETTER_LIMIT_BYTES
