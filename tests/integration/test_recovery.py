"""A store is rebuilt from a changelog while the broker compacts it: it comes out the same, time and again."""

import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from local.kafka import Kafka
from runtime.clock import monotonic_s
from streams.recovery import Recovery
from streams.store import Store
from tests.support.system import delete_topics

pytestmark = pytest.mark.integration

KEYS: Final = 500
ROUNDS: Final = 40
DELETED: Final = 50
VALUE_BYTES: Final = 400
# The broker looks every 15 s for something to compact.
COMPACTED_LIMIT_S: Final = 90.0


class Changelog:
    """One partition that its broker compacts as soon as it may, in segments of 1 MiB, the smallest that there are."""

    def __init__(self, bootstrap: str) -> None:
        self.name = f"changelog-{uuid.uuid4().hex[:8]}"
        self.expected: dict[bytes, bytes] = {}
        # Records that were written, and that were committed.
        self.committed = 0
        config = {
            "cleanup.policy": "compact",
            "segment.bytes": "1048576",
            "min.cleanable.dirty.ratio": "0.001",
            "min.compaction.lag.ms": "0",
        }
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(self.name, 1, 1, config=config)])[self.name].result()
        self._producer: Any = Producer({"bootstrap.servers": bootstrap, "transactional.id": self.name})
        self._producer.init_transactions()

    def fill(self) -> None:
        """Every key many times, some deleted at last; every fourth transaction is aborted, and says otherwise."""
        for number in range(ROUNDS):
            is_lie = number % 4 == 3
            text = b"lie" if is_lie else b"%d" % number
            gone = DELETED if number == ROUNDS - 2 else 0
            self._write({b"v%d" % key: None if key < gone else text.ljust(VALUE_BYTES) for key in range(KEYS)}, is_lie)

    def claim(self) -> int:
        """A committed record at the end, as a new owner writes it. Its offset."""
        return self._write({b"s": uuid.uuid4().bytes}, is_lie=False)

    def _write(self, changes: dict[bytes, bytes | None], is_lie: bool) -> int:
        offsets: list[int] = []
        self._producer.begin_transaction()
        for key, value in changes.items():
            self._producer.produce(
                self.name, value, key, 0, on_delivery=lambda _, message: offsets.append(message.offset())
            )
        self._producer.flush()
        if is_lie:
            self._producer.abort_transaction()
            return -1
        self._producer.commit_transaction()
        self.committed += len(changes)
        for key, value in changes.items():
            if value is None:
                self.expected.pop(key, None)
            else:
                self.expected[key] = value
        return max(offsets)


@pytest.fixture
def changelog(broker: Kafka) -> Iterator[Changelog]:
    """A filled changelog."""
    made = Changelog(broker.bootstrap)
    made.fill()
    yield made
    delete_topics(broker.bootstrap, made.name)


def test_a_changelog_may_be_compacted_while_it_is_read(broker: Kafka, changelog: Changelog, tmp_path: Path) -> None:
    """From before the broker compacts until after, one rebuild follows the other: each finds the newest committed value
    of every key, nothing that was deleted, and nothing of what was aborted.
    """
    read: list[int] = []
    until_s = monotonic_s() + COMPACTED_LIMIT_S
    while not read or read[-1] > changelog.committed // 2:
        assert monotonic_s() < until_s, f"the broker did not compact: {read}"
        own = changelog.claim()
        recovery = Recovery(broker.bootstrap, (changelog.name, 0), b"generation", own)
        store = recovery.open(tmp_path / f"store-{len(read)}", lambda: False)
        found = {key: value for prefix in (b"v", b"s") for key, value in store.with_prefix(prefix)}
        store.close()
        assert found == changelog.expected
        read.append(recovery.records)
    # Some were read before it was compacted, and the last one after.
    assert read[0] > changelog.committed // 2 > read[-1]


def test_what_another_owner_wrote_later_does_not_count_as_read(
    broker: Kafka, changelog: Changelog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was shut out in its recovery may die at any moment, and its store never says that it has what it has not."""
    own = changelog.claim()
    for _ in range(3):
        changelog.claim()
    positions: list[int] = []
    write = Store.write

    def noted(store: Store, changes: Iterable[tuple[bytes, bytes | None]], position: int, wall_ms: int) -> None:
        positions.append(position)
        write(store, changes, position, wall_ms)

    monkeypatch.setattr(Store, "write", noted)
    Recovery(broker.bootstrap, (changelog.name, 0), b"generation", own).open(tmp_path / "s", lambda: False).close()
    assert max(positions) == own + 1
