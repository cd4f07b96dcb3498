"""Dead letters put back on their input topics, each at most once per wish.

A replayed record and the note that it was replayed are one Kafka transaction, under one transactional id: it is taken
before the notes are read, so that of two replays at once the later fences the earlier, and sees all that it wrote.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaException, Producer
from msgspec import Struct

from models.codec import Refusal
from models.topics import DEAD_LETTER_LIMIT_BYTES, ENERGY_PRICES, VEHICLE_POLICIES, WORKER_GROUP, topic_name
from models.topics import dead_letter_topic as letters_of
from runtime.partitions import LIBRDKAFKA_PARTITIONER, partition_of
from runtime.settings import Settings
from streams.dead_letters import (
    ATTEMPT_HEADER,
    REPLAY_OF_HEADER,
    REPLAYED_HEADER,
    DeadLetterBox,
    Headers,
    Letter,
    LetterHead,
    Place,
    Progress,
)
from streams.errors import WorkerError

# Letters per transaction: an open one holds back everyone who reads committed records.
BATCH_LETTERS: Final = 100
TRANSACTION_LIMIT_S: Final = 30.0


class ReplayRecord(Struct, frozen=True, kw_only=True):
    """What goes to the input topic (`topic`: without prefix). `partition` null: the partitioner decides by the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None


class Outcome(Struct, kw_only=True):
    """What came of a replay. `impossible`: a line for each letter that cannot be replayed."""

    replayed: int
    impossible: list[str]


class _Named(Struct, rename="camel"):
    """The ids that a value may name."""

    vehicle_id: str | None = None
    id: str | None = None
    zone: str | None = None


_NAMED: Final = msgspec.json.Decoder(_Named)


def replay_record(letter: Letter, earlier: int, partitions: int, *, key_from_value: bool) -> ReplayRecord:
    """The record that puts a letter back. `earlier`: replays of this very letter so far.

    It goes to the partition of its vehicle, wherever it lay. `key_from_value`: a record that was refused for its key
    gets the id that its value names. Raises ValueError where it cannot be put back as it was.
    """
    head = letter.head
    if head.cut is not None:
        raise ValueError(f"the letter is not whole ({head.cut}): the original lies at offset {head.original_offset}")
    named, key = _named(letter.value), head.key
    if key_from_value and head.reason == Refusal.WRONG_KEY:
        own = {VEHICLE_POLICIES: named.id, ENERGY_PRICES: named.zone}.get(head.place.topic, named.vehicle_id)
        if own is None:
            raise ValueError("its value names no id for a key")
        key = own.encode()
    kept = tuple(pair for pair in letter.headers if pair[0] not in {REPLAY_OF_HEADER, ATTEMPT_HEADER})
    ours = (
        (REPLAY_OF_HEADER, f"{letters_of(head.place.topic)}/{head.place.partition}/{head.place.offset}".encode()),
        (ATTEMPT_HEADER, str(head.attempt + earlier + 1).encode()),
    )
    return ReplayRecord(
        topic=head.place.topic,
        key=key,
        value=letter.value,
        headers=(*kept, *ours),
        partition=_partition(head, key, named, partitions),
    )


class DeadLetterReplay:
    """One replay. Every method raises WorkerError, in one line."""

    def __init__(self, settings: Settings) -> None:
        """Fence every earlier replay: from here on nothing of theirs can be written."""
        self._settings = settings
        self._box = DeadLetterBox(settings)
        self._producer: Any = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap_servers,
                "transactional.id": topic_name(settings.topic_prefix, f"{WORKER_GROUP}-dead-letters"),
                "transaction.timeout.ms": int(TRANSACTION_LIMIT_S * 1_000),
                "partitioner": LIBRDKAFKA_PARTITIONER,
                "message.max.bytes": DEAD_LETTER_LIMIT_BYTES,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        try:
            self._producer.init_transactions(TRANSACTION_LIMIT_S)
        except KafkaException as error:
            servers = settings.kafka_bootstrap_servers
            raise WorkerError(f"Kafka at {servers} does not answer: {error.args[0].str()}") from error

    def run(
        self,
        heads: Sequence[LetterHead],
        earlier: "dict[Place, int]",
        *,
        key_from_value: bool,
        progress: Progress = lambda _: None,
    ) -> Outcome:
        """Replay these letters in this order. `earlier`: replays so far, by letter, read since this replay began."""
        outcome = Outcome(replayed=0, impossible=[])
        for batch in _batches(heads):
            records: list[tuple[LetterHead, ReplayRecord]] = []
            for head in batch:
                letter = self._box.fetch(head.place)
                try:
                    record = replay_record(
                        letter,
                        earlier.get(head.place, 0),
                        self._settings.topic_partitions,
                        key_from_value=key_from_value,
                    )
                except ValueError as error:
                    outcome.impossible.append(f"{head.place}: {error}")
                else:
                    records.append((head, record))
            self._commit(records)
            outcome.replayed += len(records)
            progress(len(batch))
        return outcome

    def _commit(self, records: Iterable[tuple[LetterHead, ReplayRecord]]) -> None:
        try:
            self._producer.begin_transaction()
            for head, record in records:
                self._produce(record)
                self._note(head, record)
            self._producer.commit_transaction(TRANSACTION_LIMIT_S)
        except KafkaException as error:
            # Whatever stands in the open transaction is aborted by the broker, or by the next replay.
            raise WorkerError(
                f"the replay stopped, and its last {BATCH_LETTERS} letters at most were not replayed "
                f"({error.args[0].str()}): run it again"
            ) from error

    def _produce(self, record: ReplayRecord) -> None:
        self._producer.produce(
            topic_name(self._settings.topic_prefix, record.topic),
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            partition=-1 if record.partition is None else record.partition,
        )

    def _note(self, head: LetterHead, record: ReplayRecord) -> None:
        attempt = next(value for name, value in record.headers if name == ATTEMPT_HEADER)
        self._producer.produce(
            topic_name(self._settings.topic_prefix, letters_of(head.place.topic)),
            key=head.key,
            value=None,
            headers=[
                (REPLAYED_HEADER, f"{head.place.partition}/{head.place.offset}".encode()),
                (ATTEMPT_HEADER, attempt),
            ],
            partition=head.place.partition,
        )


def _partition(head: LetterHead, key: bytes | None, named: _Named, partitions: int) -> int | None:
    if head.place.topic == ENERGY_PRICES:
        return 0
    if head.place.topic == VEHICLE_POLICIES:
        # A policy lies on its vehicle's partition, whatever its own key is.
        return head.original_partition if named.vehicle_id is None else partition_of(named.vehicle_id, partitions)
    return head.original_partition if key is None else None


def _named(value: bytes | None) -> _Named:
    try:
        return _NAMED.decode(value or b"{}")
    except (ValueError, RecursionError):
        return _Named()


def _batches(heads: Sequence[LetterHead]) -> Iterator[list[LetterHead]]:
    rest = iter(heads)
    while batch := list(islice(rest, BATCH_LETTERS)):
        yield batch
