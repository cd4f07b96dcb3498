"""What a store says of itself, and whether it may be taken up again. Pure but for the store it reads.

Offsets stand one by one beside the data that they belong to. `complete_at` is the last moment of which it is known
that everything committed by then is in the store; a batch that was merely written says nothing of the kind.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from struct import Struct as Layout
from typing import Final

import msgspec
from msgspec import Struct

from api.view.keys import LAYOUT_VERSION, meta_key, microseconds, offset_key
from api.view.store import Store

# Kafka keeps tombstones for 7 d (models.topics): a store older than this may have missed one for good.
MAX_AGE: Final = timedelta(days=6)

TopicPartition = tuple[str, int]

_OFFSET: Final = Layout(">Q")
_COMPLETE: Final = meta_key("complete-at-us")
_ORIGIN: Final = meta_key("origin")


class Origin(Struct, frozen=True):
    """Where a store's data came from, and how it is laid out. `topic_ids` tell a topic from its namesake."""

    layout: int
    topic_ids: dict[str, str]


class LogBounds(Struct, frozen=True):
    """The topics at one moment: per partition the first offset kept, and the end of what is committed."""

    at: datetime
    topic_ids: dict[str, str]
    first: dict[TopicPartition, int]
    end: dict[TopicPartition, int]


def origin_changes(topic_ids: Mapping[str, str]) -> dict[bytes, bytes | None]:
    return {_ORIGIN: msgspec.msgpack.encode(Origin(LAYOUT_VERSION, dict(topic_ids)))}


def complete_changes(at: datetime) -> dict[bytes, bytes | None]:
    return {_COMPLETE: str(microseconds(at)).encode()}


def offset_changes(positions: Mapping[TopicPartition, int]) -> dict[bytes, bytes | None]:
    return {offset_key(*partition): _OFFSET.pack(offset) for partition, offset in positions.items()}


def read_positions(store: Store, log: LogBounds) -> dict[TopicPartition, int]:
    """The next offset of every partition that has one in the store."""
    stored = ((partition, store.get(offset_key(*partition))) for partition in log.end)
    return {partition: _OFFSET.unpack(raw)[0] for partition, raw in stored if raw is not None}


def reason_to_rebuild(store: Store, log: LogBounds) -> str | None:
    """Why this store must not be taken up again, in words for the log; None: it may."""
    raw = store.get(_ORIGIN)
    if raw is None:
        return "the store is empty"
    try:
        origin = msgspec.msgpack.decode(raw, type=Origin)
    except msgspec.DecodeError:
        return "the store does not say where it comes from"
    if origin.layout != LAYOUT_VERSION:
        return f"the store has layout {origin.layout}, this is {LAYOUT_VERSION}"
    if origin.topic_ids != log.topic_ids:
        return "a topic was created anew"
    complete_at = store.get(_COMPLETE)
    if complete_at is None or int(complete_at) < microseconds(log.at - MAX_AGE):
        return f"the store was last complete more than {MAX_AGE.days} d ago"
    return outside(read_positions(store, log), log)


def outside(positions: Mapping[TopicPartition, int], log: LogBounds) -> str | None:
    """Name a partition whose next offset the log does not have; None: all are inside."""
    for (topic, partition), end in log.end.items():
        offset = positions.get((topic, partition))
        first = log.first[topic, partition]
        if offset is None or not first <= offset <= end:
            return f"offset {offset} of {topic}[{partition}] is outside the log ({first} to {end})"
    return None
