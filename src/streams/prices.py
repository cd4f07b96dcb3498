"""Energy prices as reference data: every worker reads the whole topic before its first batch, then follows it.

Each does so by itself, without a consumer group, since it needs every zone. A record counts from its `at` on; live, one
that the log had only later acts on the vehicles that were planned without it. One that cannot be taken is passed over
here; the worker that has partition number 0 sends it to the dead letter
(docs/decisions/0007-prices-are-judged-once.md).
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import structs

from models.ids import Zone
from models.prices import PriceRecord
from models.topics import ENERGY_PRICES, topic_name
from runtime.logs import get_log
from runtime.settings import Settings
from sessions.events import Refused
from sessions.prices import PriceBook
from streams.outbox import OutputRecord, dead_letter
from streams.progress import Progress, TopicProgress
from streams.records import InputRecord, read_price
from streams.topic_reader import TopicReader

log: Final = get_log()

# Beside the names of inputs in a progress record, with the partition behind it.
_JUDGED: Final = f"{ENERGY_PRICES}:"


class PriceFeed:
    """The prices known so far, in `book`, and the reader that brings new ones."""

    def __init__(self, settings: Settings) -> None:
        """Read the whole topic. Raises WorkerError where it cannot be read within the reader's limits."""
        self.book = PriceBook()
        # How many records of each zone are in the book.
        self.counts: Counter[Zone] = Counter()
        self._is_wall = settings.clock == "wall"
        self._fault: str | None = None
        self._reader = TopicReader(settings.kafka_bootstrap_servers, [topic_name(settings.topic_prefix, ENERGY_PRICES)])
        taken = passed_over = 0
        for messages in self._reader.to_end():
            prices = self._take(messages)
            taken += len(prices)
            passed_over += len(messages) - len(prices)
        log.info("prices read", records=taken, passed_over=passed_over)

    def take_new(self) -> set[Zone]:
        """Take what has been written since; the zones whose prices have changed. Raises WorkerError."""
        messages = self._reader.follow()
        if self._reader.fault != self._fault:
            self._fault = self._reader.fault
            if self._fault is not None:
                log.warning("prices cannot be read for the moment", error=self._fault)
        if not messages:
            return set()
        zones = {price.zone for price in self._take(messages)}
        log.info("prices changed", records=len(messages), zones=sorted(zones))
        return zones

    def close(self) -> None:
        """End the reading."""
        self._reader.close()

    def _take(self, messages: list[Any]) -> list[PriceRecord]:
        taken: list[PriceRecord] = []
        for message in messages:
            record = _record(message)
            price = read_price(record)
            if isinstance(price, PriceRecord):
                self.book.add(price, price.at, max(price.at, record.logged_at) if self._is_wall else price.at)
                self.counts[price.zone] += 1
                taken.append(price)
        return taken


class PriceJudge:
    """Reads the price topic for whoever has partition number 0, and finds what cannot be taken, once.

    How far it was read goes into that partition's progress, in the transaction that holds the dead letters.
    """

    def __init__(self, settings: Settings, done: Progress, topic_id: str) -> None:
        """`done`: the partition's progress. Raises WorkerError."""
        self._topic = topic_name(settings.topic_prefix, ENERGY_PRICES)
        self._topic_id = topic_id
        starts = {
            (self._topic, int(name.removeprefix(_JUDGED))): each.next_offset
            for name, each in done.items()
            if name.startswith(_JUDGED) and each.topic_id == topic_id
        }
        self._reader = TopicReader(settings.kafka_bootstrap_servers, [self._topic], starts)

    def letters(self) -> list[OutputRecord]:
        """The dead letters of what has come since, of a batch at most. Raises WorkerError."""
        letters = (refusal_letter(_record(message)) for message in self._reader.follow())
        return [letter for letter in letters if letter is not None]

    def progress(self) -> Progress:
        """How far it has read."""
        positions = self._reader.positions()
        return {
            f"{_JUDGED}{number}": TopicProgress(self._topic_id, offset) for (_, number), offset in positions.items()
        }

    def close(self) -> None:
        """End the reading."""
        self._reader.close()


def refusal_letter(record: InputRecord) -> OutputRecord | None:
    """The dead letter of a price record that cannot be taken; None: it can."""
    price = read_price(record)
    # Whatever number of partitions the input has, its dead-letter topic has one: it is not keyed by vehicle.
    return structs.replace(dead_letter(record, price), partition=0) if isinstance(price, Refused) else None


def _record(message: Any) -> InputRecord:
    return InputRecord(
        topic=ENERGY_PRICES,
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        logged_at=datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC),
        headers=tuple(message.headers() or ()),
    )
