"""What was refused, as it lies on the dead-letter topics: found by what it is, or fetched by where it lies.

A letter is named by its place: input topic, and partition and offset on that input's dead-letter topic. Beside the
letters lie notes: one for each replay of a letter (header `dlq-replayed`), written together with the replayed record.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from msgspec import Struct

from models.topics import INPUT_TOPICS, dead_letter_topic, topic_name
from runtime.clock import monotonic_s
from runtime.settings import Settings
from streams.errors import WorkerError
from streams.topic_reader import TopicReader

# On a note: which letter was replayed, as PARTITION/OFFSET.
REPLAYED_HEADER: Final = "dlq-replayed"
# On a replayed record: the letter that it comes from, and the how manieth attempt it is.
REPLAY_OF_HEADER: Final = "replay-of"
ATTEMPT_HEADER: Final = "replay-attempt"
OWN_HEADERS: Final = "dlq-"
# Bounds of one selection, and of one fetch by place.
SELECTION_LIMIT: Final = 10_000
FETCH_LIMIT_S: Final = 30.0
_STEP_S: Final = 0.2

Headers = tuple[tuple[str, bytes | None], ...]
Progress = Callable[[int], None]
_PLACE: Final = re.compile(r"\A(?P<topic>[a-z.-]+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})\Z")


class Place(Struct, frozen=True, order=True):
    """Where a letter lies: `topic` is the input's, without prefix; partition and offset are the dead-letter topic's."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class LetterHead(Struct, frozen=True, kw_only=True):
    """A letter without its value. `refused_at`: when the log took the original, UTC; `attempt`: which replay of the
    record this refusal ended (0: it was no replay); `cut`: what the letter lacks of the original, None if nothing.
    """

    place: Place
    reason: str
    detail: str
    original_partition: int
    original_offset: int
    refused_at: datetime
    key: bytes | None
    value_bytes: int
    attempt: int
    cut: str | None


class Letter(Struct, frozen=True, kw_only=True):
    """All of a letter: `headers` are the original's, without those that tell of the refusal."""

    head: LetterHead
    value: bytes | None
    headers: Headers


class Filters(Struct, frozen=True, kw_only=True):
    """Which letters are meant; an empty or absent filter means all. Times are those of the originals in the log."""

    topics: tuple[str, ...] = INPUT_TOPICS
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    key: bytes | None = None

    def take(self, head: LetterHead) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.reasons or head.reason in self.reasons)
            and (self.since is None or head.refused_at >= self.since)
            and (self.until is None or head.refused_at < self.until)
            and (self.key is None or head.key == self.key)
        )


class Selection(Struct, kw_only=True):
    """Heads in the order of refusal, at most as many as were asked for; `found`: how many there were in all."""

    heads: list[LetterHead]
    found: int


def parse_place(text: str) -> Place:
    """A place as it is printed: TOPIC/PARTITION/OFFSET. Raises ValueError."""
    match = _PLACE.match(text)
    if match is None or match["topic"] not in INPUT_TOPICS:
        raise ValueError(f"{text!r} is no TOPIC/PARTITION/OFFSET of a dead letter")
    return Place(match["topic"], int(match["partition"]), int(match["offset"]))


class DeadLetterBox:
    """The dead-letter topics of some inputs. Every method raises WorkerError, in one line."""

    def __init__(self, settings: Settings, topics: Sequence[str] = INPUT_TOPICS) -> None:
        self._settings = settings
        self._names = {topic_name(settings.topic_prefix, dead_letter_topic(topic)): topic for topic in topics}

    def replays(self, progress: Progress = lambda _: None) -> Counter[Place]:
        """How often each letter was replayed; absent where never."""
        counts: Counter[Place] = Counter()
        for message in self._read(progress):
            noted = noted_place(self._names[message.topic()], message)
            if noted is not None:
                counts[noted] += 1
        return counts

    def select(
        self,
        filters: Filters,
        limit: int,
        *,
        newest: bool,
        replayed: Mapping[Place, int] | None = None,
        progress: Progress = lambda _: None,
    ) -> Selection:
        """The newest or oldest `limit` letters that the filters mean, leaving out those that are in `replayed`."""
        # Partitions are read side by side: what is oldest or newest is known per partition, then among them.
        kept: dict[tuple[str, int], deque[LetterHead]] = {}
        found = 0
        for message in self._read(progress):
            head = read_head(self._names[message.topic()], message)
            if head is None or not filters.take(head) or (replayed and head.place in replayed):
                continue
            found += 1
            own = kept.setdefault((head.place.topic, head.place.partition), deque(maxlen=limit if newest else None))
            if newest or len(own) < limit:
                own.append(head)
        heads = sorted((head for own in kept.values() for head in own), key=lambda head: (head.refused_at, head.place))
        return Selection(heads=heads[-limit:] if newest else heads[:limit], found=found)

    def fetch(self, place: Place) -> Letter:
        """The letter at a place."""
        name = topic_name(self._settings.topic_prefix, dead_letter_topic(place.topic))
        consumer: Any = Consumer(
            {
                "bootstrap.servers": self._settings.kafka_bootstrap_servers,
                # A name is required; no group forms under it, since nothing subscribes and nothing commits.
                "group.id": "flex-sessions-dead-letters-no-group",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(name, place.partition, place.offset)])
            message = _first(consumer, place)
        except KafkaException as error:
            raise WorkerError(f"{place} cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()
        head = read_head(place.topic, message) if message.offset() == place.offset else None
        if head is None:
            raise WorkerError(f"there is no dead letter at {place}")
        return Letter(head=head, value=message.value(), headers=original_headers(message.headers()))

    def _read(self, progress: Progress) -> Iterator[Any]:
        reader = TopicReader(self._settings.kafka_bootstrap_servers, tuple(self._names))
        try:
            ahead = reader.offsets_ahead()
            for messages in reader.to_end():
                yield from messages
                progress(ahead - reader.offsets_ahead())
                ahead = reader.offsets_ahead()
        finally:
            reader.close()


def read_head(topic: str, message: Any) -> LetterHead | None:
    """The head of a record of the dead-letter topic of `topic`; None where it is a note, or nothing of ours."""
    told = {name: value for name, value in message.headers() or () if value is not None}
    try:
        stamp_ms = int(told["dlq-timestamp"])
        return LetterHead(
            place=Place(topic, message.partition(), message.offset()),
            reason=told["dlq-reason"].decode(),
            detail=told.get("dlq-detail", b"").decode(errors="replace"),
            original_partition=int(told["dlq-partition"]),
            original_offset=int(told["dlq-offset"]),
            refused_at=datetime.fromtimestamp(stamp_ms / 1_000, UTC),
            key=message.key(),
            value_bytes=len(message.value() or b""),
            attempt=int(told.get(ATTEMPT_HEADER, b"0")),
            cut=told["dlq-cut"].decode() if "dlq-cut" in told else None,
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def noted_place(topic: str, message: Any) -> Place | None:
    """Which letter's replay a record of the dead-letter topic of `topic` notes; None where it is no note."""
    for name, value in message.headers() or ():
        if name == REPLAYED_HEADER and value is not None:
            try:
                return parse_place(f"{topic}/{value.decode()}")
            except ValueError:
                return None
    return None


def original_headers(headers: Sequence[tuple[str, bytes | None]] | None) -> Headers:
    """The headers that the record had before it was refused."""
    return tuple((name, value) for name, value in headers or () if not name.startswith(OWN_HEADERS))


def _first(consumer: Any, place: Place) -> Any:
    until_s = monotonic_s() + FETCH_LIMIT_S
    while monotonic_s() < until_s:
        message = consumer.poll(_STEP_S)
        if message is None:
            continue
        error = message.error()
        if error is None:
            return message
        if error.code() in {KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET}:  # noqa: SLF001
            raise WorkerError(f"there is no dead letter at {place}")
        if not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            raise WorkerError(f"{place} cannot be read: {error.str()}")
    raise WorkerError(f"{place} cannot be read: the broker gave no answer for {FETCH_LIMIT_S:g} s")
