"""Energy prices as reference data: every worker reads the whole topic before its first batch, then follows it.

Each does so by itself, without a consumer group, since it needs every zone. A record counts from its `at` on; live, one
that the log had only later acts on the vehicles that were planned without it. One that cannot be taken is passed over
here; the worker that has the topic's partition in the group sends it to the dead letter
(docs/decisions/0007-prices-are-judged-once.md).
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from models.ids import Zone
from models.prices import PriceRecord
from models.topics import ENERGY_PRICES, topic_name
from runtime.logs import get_log
from runtime.settings import Settings
from sessions.events import Refused
from sessions.prices import PriceBook
from streams.outbox import OutputRecord, dead_letter
from streams.records import InputRecord, read_price
from streams.topic_reader import TopicReader

log: Final = get_log()


class PriceFeed:
    """The prices known so far, in `book`, and the reader that brings new ones."""

    def __init__(self, settings: Settings) -> None:
        """Read the whole topic. Raises WorkerError where it cannot be read within the reader's limits."""
        self.book = PriceBook()
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
                taken.append(price)
        return taken


def refusal_letter(record: InputRecord) -> OutputRecord | None:
    """The dead letter of a price record that cannot be taken; None: it can."""
    price = read_price(record)
    # Whatever number of partitions the input has, its dead-letter topic has one: it is not keyed by vehicle.
    return replace(dead_letter(record, price), partition=0) if isinstance(price, Refused) else None


def _record(message: Any) -> InputRecord:
    return InputRecord(
        topic=ENERGY_PRICES,
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        logged_at=datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC),
    )
