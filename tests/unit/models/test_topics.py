"""The table of topics against the contract, which is written here a second time."""

from models.topics import INPUT_TOPICS, TOPICS, TopicSpec, dead_letter_topic, topic_name

HOURS = 3_600_000
DAYS = 24 * HOURS
DEAD_LETTER = {"cleanup.policy": "delete", "retention.ms": 30 * DAYS, "max.message.bytes": 4_194_304}
ARRIVAL = {"message.timestamp.type": "LogAppendTime"}

# Topic: key, partitioned by vehicle?, configuration.
CONTRACT: dict[str, tuple[str, bool, dict[str, object]]] = {
    "vehicle.plug": ("vehicleId", True, {"cleanup.policy": "delete", "retention.ms": 7 * DAYS} | ARRIVAL),
    "vehicle.charge": ("vehicleId", True, {"cleanup.policy": "delete", "retention.ms": 7 * DAYS} | ARRIVAL),
    "flex.vehicle-policies": (
        "policyId",
        True,
        {"cleanup.policy": "compact", "min.compaction.lag.ms": 7 * DAYS} | ARRIVAL,
    ),
    "flex.session-targets": ("vehicleId", True, {"cleanup.policy": "delete", "retention.ms": 7 * DAYS} | ARRIVAL),
    "energy.prices": ("zone", False, {"cleanup.policy": "delete", "retention.ms": 400 * DAYS} | ARRIVAL),
    "flex.session.updated": (
        "sessionId",
        True,
        {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": 7 * DAYS,
            "delete.retention.ms": 7 * DAYS,
            "max.message.bytes": 2_097_152,
        },
    ),
    "vehicle.charge-commands": (
        "vehicleId",
        True,
        {"cleanup.policy": "delete", "retention.ms": DAYS, "max.message.bytes": 2_097_152},
    ),
    "vehicle.plug.dead-letter": ("as received", True, DEAD_LETTER),
    "vehicle.charge.dead-letter": ("as received", True, DEAD_LETTER),
    "flex.vehicle-policies.dead-letter": ("as received", True, DEAD_LETTER),
    "flex.session-targets.dead-letter": ("as received", True, DEAD_LETTER),
    "energy.prices.dead-letter": ("as received", False, DEAD_LETTER),
}


def _line(spec: TopicSpec) -> tuple[str, bool, dict[str, str]]:
    return spec.key, spec.by_vehicle, dict(spec.config)


def test_table_is_the_contract() -> None:
    """Every topic has the key, partitioning, clean-up and retention of the contract, and there is no other topic."""
    expected = {
        name: (key, by_vehicle, {option: str(value) for option, value in config.items()})
        for name, (key, by_vehicle, config) in CONTRACT.items()
    }
    assert {spec.name: _line(spec) for spec in TOPICS} == expected
    assert len(TOPICS) == len(CONTRACT)


def test_every_input_has_a_dead_letter() -> None:
    """What the worker reads has a dead-letter topic beside it, and nothing else has one."""
    beside = {spec.name for spec in TOPICS if spec.name.endswith(".dead-letter")}
    assert beside == {dead_letter_topic(name) for name in INPUT_TOPICS}


def test_prefix() -> None:
    """A prefix goes before the name as it is."""
    assert topic_name("dev.", "vehicle.plug") == "dev.vehicle.plug"
