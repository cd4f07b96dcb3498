"""What a test needs to run parts of the system beside others: its own topics on the shared broker, its own folders."""

from confluent_kafka.admin import AdminClient
from msgspec import Struct

from models.topics import topic_name
from runtime.settings import Settings, load_settings
from tests.support.waiting import wait_until

SECRET = "only-for-tests-" + "x" * 32


class Topics(Struct, frozen=True, kw_only=True):
    """All topics of the table, under one prefix."""

    bootstrap: str
    prefix: str
    partitions: int

    def name(self, topic: str) -> str:
        """The name on the broker of a topic of models.topics."""
        return topic_name(self.prefix, topic)

    def env(self, **settings: object) -> dict[str, str]:
        """FLEX_ variables of this test's system; further settings by field name."""
        values = {
            "kafka_bootstrap_servers": self.bootstrap,
            "topic_prefix": self.prefix,
            "topic_partitions": self.partitions,
            "auth_hs256_secret": SECRET,
        } | settings
        return {f"FLEX_{name.upper()}": str(value) for name, value in values.items()}

    def settings(self, **settings: object) -> Settings:
        """The same, parsed."""
        return load_settings(self.env(**settings))


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Remove every topic under the prefix, changelogs included, so that the shared broker stays quick."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def names() -> list[str]:
        return [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]

    if asked := names():
        for future in admin.delete_topics(asked, operation_timeout=10).values():
            future.result()
        # A broker tells of them a moment longer; whoever makes them anew must not take those for theirs.
        wait_until(lambda: not names(), 30, "the topics to be gone")
