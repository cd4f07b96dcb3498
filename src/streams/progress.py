"""What of each input a partition number has done, as one record of the changelog: it is written in every transaction.

By topic: the topic's id, where reading goes on, and the offsets beyond that are done already (the merge takes some
records ahead; at most its window of them).
"""

from typing import Final

import msgspec
from msgspec import Struct

from streams.errors import WorkerError


class TopicProgress(Struct, frozen=True, array_like=True):
    """`topic_id`: a topic that is made anew has another. `ahead`: offsets beyond `next_offset`, in order."""

    topic_id: str
    next_offset: int
    ahead: list[int] = []


# By topic, named without the prefix.
Progress = dict[str, TopicProgress]

_DECODER: Final = msgspec.msgpack.Decoder(Progress)


def encode_progress(progress: Progress) -> bytes:
    """The record's value."""
    return msgspec.msgpack.encode(progress)


def decode_progress(raw: bytes | None) -> Progress:
    """The progress from the record's value; none where there is no record. Raises msgspec.DecodeError."""
    return {} if raw is None else _DECODER.decode(raw)


def start_of(topic: str, topic_id: str, done: TopicProgress | None, first: int, end: int) -> TopicProgress:
    """Where reading goes on in a log that goes from `first` to `end`.

    Raises WorkerError where the log is not the one of which so much was done.
    """
    if done is None:
        return TopicProgress(topic_id, first)
    if done.topic_id != topic_id:
        raise WorkerError(f"{topic} was made anew since its records were processed: {_ADVICE}")
    if done.next_offset > end:
        raise WorkerError(f"{topic} ends at offset {end}, but is processed up to {done.next_offset}: {_ADVICE}")
    if done.next_offset >= first:
        return done
    # Retention was quicker than we were, or a topic is compacted: what is gone cannot be read.
    return TopicProgress(topic_id, first, [offset for offset in done.ahead if offset >= first])


_ADVICE: Final = "restore the topic, or begin anew with another FLEX_TOPIC_PREFIX"
