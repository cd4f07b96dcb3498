"""The topics of `models.topics` on a broker: created where absent, checked where present. Settings that differ from the
table are set; a number of partitions that differs is refused, for it would move vehicles to other partitions.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from local.errors import LocalError
from models.topics import ALL_TOPICS, TopicSpec, topic_name
from runtime.clock import monotonic_s
from runtime.settings import Settings

_TIMEOUT_S: Final = 15
_STEP_S: Final = 0.5
_PAUSE_S: Final = 0.05


def ensure_topics(
    settings: Settings, *, check_only: bool = False, between: Callable[[], None] = lambda: None
) -> list[str]:
    """Bring the broker to the table, or only compare: one line per difference. Raises LocalError when it cannot.

    `between` is called again and again while the broker is waited for; it may raise to give up.
    """
    admin = _Admin(settings.kafka_bootstrap_servers, between)
    try:
        return [*_differences(admin, settings, check_only=check_only)]
    except KafkaException as error:
        raise LocalError(f"Kafka at {settings.kafka_bootstrap_servers}: {_reason(error)}") from error


def partitions_of(spec: TopicSpec, settings: Settings) -> int:
    """How many partitions the topic has: the fleet's number, or one."""
    return settings.topic_partitions if spec.by_vehicle else 1


class _Admin:
    """The client's calls, waited for in short steps: its own waits hear no signal."""

    def __init__(self, bootstrap: str, between: Callable[[], None]) -> None:
        self.client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._between = between

    def topics(self) -> Any:
        """What the broker has, by name."""
        until_s = monotonic_s() + _TIMEOUT_S
        while True:
            self._between()
            try:
                return self.client.list_topics(timeout=_STEP_S).topics
            except KafkaException:
                if monotonic_s() >= until_s:
                    raise

    def result(self, future: Any) -> Any:
        """What the call answers; the client bounds it."""
        while True:
            self._between()
            try:
                return future.result(timeout=_STEP_S)
            except TimeoutError:
                continue


def _differences(admin: _Admin, settings: Settings, *, check_only: bool) -> Iterator[str]:
    present = admin.topics()
    specs = {topic_name(settings.topic_prefix, spec.name): spec for spec in ALL_TOPICS}
    for name, spec in specs.items():
        if name in present and len(present[name].partitions) != partitions_of(spec, settings):
            raise LocalError(
                f"topic {name} has {len(present[name].partitions)} partition(s), not {partitions_of(spec, settings)}:"
                " partitions of an existing topic are never changed (FLEX_TOPIC_PARTITIONS, FLEX_TOPIC_PREFIX)"
            )
    absent = {name: spec for name, spec in specs.items() if name not in present}
    if absent and not check_only:
        _create(admin, absent, settings)
    yield from (f"{name}: absent" if check_only else f"{name}: created" for name in absent)
    yield from _config_differences(
        admin, {name: spec for name, spec in specs.items() if name in present}, check_only=check_only
    )


def _create(admin: _Admin, absent: dict[str, TopicSpec], settings: Settings) -> None:
    wanted = [
        NewTopic(
            name,
            num_partitions=partitions_of(spec, settings),
            replication_factor=settings.topic_replication,
            config=dict(spec.config),
        )
        for name, spec in absent.items()
    ]
    for future in admin.client.create_topics(wanted, operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S).values():
        try:
            admin.result(future)
        except KafkaException as error:
            # Two of these commands at once: either one may come first.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    # A broker learns of its topics a moment after they were made; whoever comes next must find them.
    until_s = monotonic_s() + _TIMEOUT_S
    while not absent.keys() <= admin.topics().keys():
        if monotonic_s() >= until_s:
            raise LocalError(f"the topics were created, but are not to be seen after {_TIMEOUT_S} s")
        time.sleep(_PAUSE_S)


def _config_differences(admin: _Admin, present: dict[str, TopicSpec], *, check_only: bool) -> Iterator[str]:
    if not present:
        return
    asked = admin.client.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in present], request_timeout=_TIMEOUT_S
    )
    found = {resource.name: admin.result(future) for resource, future in asked.items()}
    changes = []
    for name, spec in present.items():
        different = {key: value for key, value in spec.config.items() if found[name][key].value != value}
        for key, value in different.items():
            yield f"{name}: {key} {'is' if check_only else 'was'} {found[name][key].value}, {_now(value, check_only)}"
        if different:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in different.items()
            ]
            changes.append(ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries))
    if changes and not check_only:
        for future in admin.client.incremental_alter_configs(changes, request_timeout=_TIMEOUT_S).values():
            admin.result(future)


def _now(value: str, check_only: bool) -> str:
    return f"should be {value}" if check_only else f"now {value}"


def _reason(error: KafkaException) -> str:
    first = error.args[0] if error.args else error
    return str(first.str() if isinstance(first, KafkaError) else first)
