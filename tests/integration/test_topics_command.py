"""`flex-sessions topics` on a real broker: creates what the table says, and never changes a number of partitions."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from local.kafka import Kafka
from local.topics import partitions_of
from models.topics import ALL_TOPICS, VEHICLE_PLUG, topic_name
from tests.support.command import flex, run_flex
from tests.support.system import Topics, delete_topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def config_of(bootstrap: str, names: list[str]) -> dict[str, dict[str, str]]:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    return {
        resource.name: {key: entry.value for key, entry in future.result().items()}
        for resource, future in asked.items()
    }


def shows(bootstrap: str, name: str, *, retention: str, segment: str) -> None:
    """Until the broker, which learns of changes a moment later, answers with these two."""

    def found() -> bool:
        config = config_of(bootstrap, [name])[name]
        return (config["retention.ms"], config["segment.bytes"]) == (retention, segment)

    wait_until(found, 10, f"{name} with {retention} and {segment}")


def partitions(bootstrap: str, prefix: str) -> dict[str, int]:
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in found.items() if name.startswith(prefix)}


def test_the_topics_are_those_of_the_table_and_a_second_run_changes_nothing(broker: Kafka, prefix: str) -> None:
    """Every topic has the table's partitions and settings; run again, the command finds nothing to do."""
    wanted = Topics(bootstrap=broker.bootstrap, prefix=prefix, partitions=3)
    first = run_flex("topics", env=wanted.env())
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(": created\n") == len(ALL_TOPICS)

    names = {topic_name(prefix, spec.name): spec for spec in ALL_TOPICS}
    assert partitions(broker.bootstrap, prefix) == {
        name: partitions_of(spec, wanted.settings()) for name, spec in names.items()
    }
    for name, config in config_of(broker.bootstrap, list(names)).items():
        assert names[name].config.items() <= config.items()

    for arguments in (("topics",), ("topics", "--check")):
        again = run_flex(*arguments, env=wanted.env())
        assert again.returncode == 0
        assert again.stdout.count("\n") == 1
    delete_topics(broker.bootstrap, prefix)


def test_other_partitions_are_refused_and_nothing_is_touched(topics: Topics) -> None:
    """A vehicle stays on its partition: another number is one line, exit code 1, and no change."""
    before = partitions(topics.bootstrap, topics.prefix)
    done = run_flex("topics", env=topics.env() | {"FLEX_TOPIC_PARTITIONS": "8"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "has 2 partition(s), not 8" in done.stderr
    assert partitions(topics.bootstrap, topics.prefix) == before


def test_a_setting_that_differs_is_reported_then_repaired(topics: Topics) -> None:
    """--check names the difference and leaves it; without it the table's value is set, and others are left alone."""
    name = topics.name(VEHICLE_PLUG)
    changes = [
        ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("segment.bytes", "2000000", incremental_operation=AlterConfigOpType.SET),
    ]
    admin = AdminClient({"bootstrap.servers": topics.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=changes)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
    shows(topics.bootstrap, name, retention="60000", segment="2000000")

    checked = run_flex("topics", "--check", env=topics.env())
    assert checked.returncode == 1
    assert f"{name}: retention.ms is 60000, should be 604800000\n" in checked.stdout

    repaired = run_flex("topics", env=topics.env())
    assert repaired.returncode == 0
    assert f"{name}: retention.ms was 60000, now 604800000\n" in repaired.stdout
    shows(topics.bootstrap, name, retention="604800000", segment="2000000")


def test_an_absent_topic_is_reported_by_check_and_not_created(broker: Kafka, prefix: str) -> None:
    """--check creates nothing."""
    done = run_flex("topics", "--check", env=Topics(bootstrap=broker.bootstrap, prefix=prefix, partitions=2).env())
    assert done.returncode == 1
    assert done.stdout.count(": absent\n") == len(ALL_TOPICS)
    assert partitions(broker.bootstrap, prefix) == {}


def test_two_at_once_both_succeed(broker: Kafka, prefix: str, tmp_path: Path) -> None:
    """Several parts may bring the topics at the same moment."""
    env = Topics(bootstrap=broker.bootstrap, prefix=prefix, partitions=2).env()
    with flex("topics", env=env, folder=tmp_path) as one, flex("topics", env=env, folder=tmp_path) as other:
        assert (one.process.wait(30), other.process.wait(30)) == (0, 0), one.tail() + other.tail()
    delete_topics(broker.bootstrap, prefix)
