"""The topics as they are on the broker: there, with the right partitions, and by which ids."""

from typing import Any, Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from models.topics import ALL_TOPICS, CHANGELOG, topic_name
from runtime.settings import Settings
from streams.errors import WorkerError

METADATA_TIMEOUT_S: Final = 10.0


class FoundTopics(Struct, frozen=True):
    """`ids`: by topic, named without the prefix: one that is made anew has another. `generation`: of the changelog."""

    ids: dict[str, str]
    generation: bytes


def require_topics(settings: Settings) -> FoundTopics:
    """Check that every topic is there with the right number of partitions. Raises WorkerError.

    Nothing creates a topic in passing: one made by a first write would have the wrong partitions and clean-up.
    """
    servers = settings.kafka_bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    try:
        metadata = admin.list_topics(timeout=METADATA_TIMEOUT_S)
        _check(settings, metadata.topics)
        names = {topic_name(settings.topic_prefix, spec.name): spec.name for spec in ALL_TOPICS}
        asked = admin.describe_topics(TopicCollection(list(names)), request_timeout=METADATA_TIMEOUT_S)
        ids = {names[name]: str(future.result().topic_id) for name, future in asked.items()}
    except KafkaException as error:
        raise WorkerError(f"no Kafka broker at {servers}: {error.args[0].str()}") from error
    return FoundTopics(ids, f"1 {metadata.cluster_id} {ids[CHANGELOG]}".encode())


def _check(settings: Settings, found: Any) -> None:
    for spec in ALL_TOPICS:
        name = topic_name(settings.topic_prefix, spec.name)
        if name not in found:
            raise WorkerError(f"topic {name} is missing: create the topics with `flex-sessions topics`")
        if spec.by_vehicle and len(found[name].partitions) != settings.topic_partitions:
            raise WorkerError(
                f"topic {name} has {len(found[name].partitions)} partitions; "
                f"FLEX_TOPIC_PARTITIONS says {settings.topic_partitions}"
            )
