"""One table of topics: key, partitions, clean-up, retention. What is created is exactly what stands here.

Names carry no prefix; `topic_name` adds the configured one.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
KIB: Final = 1_024
MIB: Final = 1_024 * KIB

VEHICLE_PLUG: Final = "vehicle.plug"
VEHICLE_CHARGE: Final = "vehicle.charge"
VEHICLE_POLICIES: Final = "flex.vehicle-policies"
SESSION_TARGETS: Final = "flex.session-targets"
ENERGY_PRICES: Final = "energy.prices"
SESSION_UPDATED: Final = "flex.session.updated"
CHARGE_COMMANDS: Final = "vehicle.charge-commands"

# What the worker reads: each has a dead-letter topic beside it.
INPUT_TOPICS: Final = (VEHICLE_PLUG, VEHICLE_CHARGE, VEHICLE_POLICIES, SESSION_TARGETS, ENERGY_PRICES)

# A larger input record is refused (SPEC 2); outputs and dead letters may be larger than any input.
INPUT_LIMIT_BYTES: Final = 64 * KIB
OUTPUT_LIMIT_BYTES: Final = 2 * MIB
DEAD_LETTER_LIMIT_BYTES: Final = 4 * MIB


class TopicSpec(Struct, frozen=True, kw_only=True):
    """One topic. `by_vehicle`: as many partitions as every other vehicle-keyed topic; else a single one."""

    name: str
    key: Literal["vehicleId", "policyId", "sessionId", "zone", "as received", "state key"]
    by_vehicle: bool
    config: Mapping[str, str]


def dead_letter_topic(input_topic: str) -> str:
    """The topic for what could not be taken from `input_topic`."""
    return f"{input_topic}.dead-letter"


def topic_name(prefix: str, name: str) -> str:
    """The name as it stands on the broker."""
    return f"{prefix}{name}"


def _deleted_after(retention_ms: int, **more: str) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms)} | _dotted(more)


def _compacted_after(lag_ms: int, **more: str) -> dict[str, str]:
    return {"cleanup.policy": "compact", "min.compaction.lag.ms": str(lag_ms)} | _dotted(more)


def _dotted(config: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in config.items()}


# The broker stamps inputs on arrival: lateness is measured against a clock that no producer sets.
_STAMPED: Final = {"message_timestamp_type": "LogAppendTime"}


def _dead_letters(spec: TopicSpec) -> TopicSpec:
    config = _deleted_after(30 * DAY_MS, max_message_bytes=str(DEAD_LETTER_LIMIT_BYTES))
    return TopicSpec(name=dead_letter_topic(spec.name), key="as received", by_vehicle=spec.by_vehicle, config=config)


_INPUTS: Final = (
    TopicSpec(name=VEHICLE_PLUG, key="vehicleId", by_vehicle=True, config=_deleted_after(7 * DAY_MS, **_STAMPED)),
    TopicSpec(name=VEHICLE_CHARGE, key="vehicleId", by_vehicle=True, config=_deleted_after(7 * DAY_MS, **_STAMPED)),
    TopicSpec(name=VEHICLE_POLICIES, key="policyId", by_vehicle=True, config=_compacted_after(7 * DAY_MS, **_STAMPED)),
    TopicSpec(name=SESSION_TARGETS, key="vehicleId", by_vehicle=True, config=_deleted_after(7 * DAY_MS, **_STAMPED)),
    TopicSpec(name=ENERGY_PRICES, key="zone", by_vehicle=False, config=_deleted_after(400 * DAY_MS, **_STAMPED)),
)

_OUTPUTS: Final = (
    TopicSpec(
        name=SESSION_UPDATED,
        key="sessionId",
        by_vehicle=True,
        config=_compacted_after(
            7 * DAY_MS, delete_retention_ms=str(7 * DAY_MS), max_message_bytes=str(OUTPUT_LIMIT_BYTES)
        ),
    ),
    TopicSpec(
        name=CHARGE_COMMANDS,
        key="vehicleId",
        by_vehicle=True,
        config=_deleted_after(DAY_MS, max_message_bytes=str(OUTPUT_LIMIT_BYTES)),
    ),
)

TOPICS: Final = (*_INPUTS, *_OUTPUTS, *(_dead_letters(spec) for spec in _INPUTS))

# The worker's own: its consumer group, and the topic from which its state is restored.
WORKER_GROUP: Final = "flex-sessions"
CHANGELOG: Final = f"{WORKER_GROUP}-state-changelog"

_CHANGELOG: Final = TopicSpec(
    name=CHANGELOG,
    key="state key",
    by_vehicle=True,
    # A store that was last written within the retention of deletions finds every one of them.
    config=_compacted_after(0, delete_retention_ms=str(7 * DAY_MS), max_message_bytes=str(OUTPUT_LIMIT_BYTES)),
)

# Everything that must be there before the worker starts.
ALL_TOPICS: Final = (*TOPICS, _CHANGELOG)
