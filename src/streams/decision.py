"""A batch that was decided and is not published yet."""

from datetime import datetime

from msgspec import Struct

from streams.outbox import OutputRecord, reason_of
from streams.processor import Decided
from streams.progress import Progress


class Decision(Struct):
    """The batch with the records of its states, and what is done with it. Times in monotonic seconds.

    `records`: how many inputs are in it.
    """

    batch: Decided
    states: list[tuple[bytes, bytes | None]]
    done: Progress
    records: int
    began_s: float
    decided_s: float


def refused_prices(letters: list[OutputRecord], wall_now: datetime | None) -> Decided:
    """A batch of dead letters alone: price records are no vehicle's."""
    batch = Decided(wall_now)
    batch.outputs.extend(letters)
    batch.tally.update(f"refused {reason_of(letter)}" for letter in letters)
    return batch
