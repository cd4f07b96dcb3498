"""The table of topics is the one of the contract (docs, section "Topics")."""

import pytest

from local.topics import partitions_of
from models.topics import TOPICS, TopicSpec
from runtime.settings import load_settings

DAY_MS = 86_400_000
SPECS = {spec.name: spec for spec in TOPICS}


def test_nothing_is_missing_and_nothing_more() -> None:
    """Seven topics, and a dead-letter topic for each of the five inputs."""
    inputs = ["vehicle.plug", "vehicle.charge", "flex.vehicle-policies", "flex.session-targets", "energy.prices"]
    outputs = ["flex.session.updated", "vehicle.charge-commands"]
    assert sorted(SPECS) == sorted([*inputs, *outputs, *(f"{name}.dead-letter" for name in inputs)])
    for name in inputs:
        assert SPECS[name].config["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("vehicle.plug", 7),
        ("vehicle.charge", 7),
        ("flex.session-targets", 7),
        ("energy.prices", 400),
        ("vehicle.charge-commands", 1),
        ("vehicle.plug.dead-letter", 30),
        ("energy.prices.dead-letter", 30),
    ],
)
def test_what_is_deleted_is_kept_long_enough(name: str, days: int) -> None:
    """Clean-up by age, after the days of the contract."""
    assert SPECS[name].config["cleanup.policy"] == "delete"
    assert SPECS[name].config["retention.ms"] == str(days * DAY_MS)


def test_what_is_compacted_keeps_a_week() -> None:
    """Policies and sessions are compacted after seven days at the earliest, and tombstones of sessions stay seven."""
    for name in ("flex.vehicle-policies", "flex.session.updated"):
        assert SPECS[name].config["cleanup.policy"] == "compact"
        assert SPECS[name].config["min.compaction.lag.ms"] == str(7 * DAY_MS)
    assert SPECS["flex.session.updated"].config["delete.retention.ms"] == str(7 * DAY_MS)


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_vehicle_topics_are_co_partitioned(spec: TopicSpec) -> None:
    """Whatever lies on a vehicle's partition has the fleet's number of them; prices have one."""
    prices = spec.name.startswith("energy.prices")
    assert partitions_of(spec, load_settings({"FLEX_TOPIC_PARTITIONS": "7"})) == (1 if prices else 7)
