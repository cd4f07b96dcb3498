"""Which records of prices and targets are taken, and in which word the others are refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.json import encode

from models.codec import Refusal
from models.prices import PriceRecord
from models.topics import ENERGY_PRICES, SESSION_TARGETS, dead_letter_topic
from sessions.events import Refused, TargetWritten
from streams.prices import refusal_letter
from streams.records import InputRecord, ReadEvent, Unreadable, read, read_price

LOGGED_AT = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
AHEAD = timedelta(minutes=5)


def price(key: bytes | None = b"DE-LU", partition: int = 0, **fields: Any) -> InputRecord:
    said = {
        "zone": "DE-LU",
        "currency": "EUR",
        "resolution": "PT60M",
        "startAt": "2026-03-02T00:00:00Z",
        "prices": [0.3] * 24,
        "at": "2026-03-01T12:00:00Z",
    }
    return InputRecord(ENERGY_PRICES, partition, 7, key, encode(said | fields), LOGGED_AT)


def target(key: bytes | None = b"car", **fields: Any) -> InputRecord:
    said = {"vehicleId": "car", "sessionId": "s-1", "at": "2026-03-01T12:00:00Z", "target": None}
    return InputRecord(SESSION_TARGETS, 0, 7, key, encode(said | fields), LOGGED_AT)


def test_a_price_is_read() -> None:
    """A good record is a price, and nobody's dead letter."""
    read = read_price(price())
    assert isinstance(read, PriceRecord)
    assert (read.zone, len(read.prices)) == ("DE-LU", 24)
    assert refusal_letter(price()) is None


BAD_PRICES: dict[str, tuple[InputRecord, Refusal]] = {
    "another key": (price(b"FR"), Refusal.WRONG_KEY),
    "no key": (price(None), Refusal.WRONG_KEY),
    "known before 2015": (price(at="2014-12-31T23:59:59Z", startAt="2015-01-01T00:00:00Z"), Refusal.TOO_OLD),
    "known in the future": (price(at=LOGGED_AT + AHEAD + timedelta(seconds=1)), Refusal.IN_FUTURE),
    "no prices": (price(prices=[]), Refusal.INVALID_MESSAGE),
}


@pytest.mark.parametrize(("record", "reason"), BAD_PRICES.values(), ids=BAD_PRICES)
def test_a_bad_price_has_a_reason_and_a_letter(record: InputRecord, reason: Refusal) -> None:
    """A price record whose key or time is wrong, or that cannot be read, is refused; its letter says why."""
    refused = read_price(record)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    letter = refusal_letter(record)
    assert letter is not None
    assert (letter.topic, letter.key, letter.value) == (dead_letter_topic(ENERGY_PRICES), record.key, record.value)
    assert dict(letter.headers)["dlq-reason"] == reason.encode()


def test_a_price_known_a_little_ahead_is_taken() -> None:
    """Clocks of producers may run 5 min ahead of the log's."""
    assert isinstance(read_price(price(at=LOGGED_AT + AHEAD)), PriceRecord)


def test_the_letters_of_prices_lie_on_the_one_partition() -> None:
    """The dead-letter topic of prices has one partition, whatever the input has; the header says where it came from."""
    letter = refusal_letter(price(b"FR", partition=3))
    assert letter is not None
    assert (letter.partition, dict(letter.headers)["dlq-partition"]) == (0, b"3")


def test_a_target_is_an_event_of_its_vehicle() -> None:
    """A good override is taken in the order of its time, for the vehicle that it names."""
    event = read(target())
    assert isinstance(event, ReadEvent)
    assert isinstance(event.event, TargetWritten)
    assert (event.vehicle_id, event.at) == ("car", datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert event.event.logged_at == LOGGED_AT


BAD_TARGETS: dict[str, tuple[InputRecord, Refusal]] = {
    "another key": (target(b"van"), Refusal.WRONG_KEY),
    "before 2015": (target(at="2014-12-31T23:59:59Z"), Refusal.TOO_OLD),
    "in the future": (target(at=LOGGED_AT + AHEAD + timedelta(seconds=1)), Refusal.IN_FUTURE),
    "another type": (target(target={"type": "LATER"}), Refusal.INVALID_MESSAGE),
}


@pytest.mark.parametrize(("record", "reason"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_bad_target_has_a_reason(record: InputRecord, reason: Refusal) -> None:
    """An override whose key or time is wrong, or that cannot be read, is refused in that word."""
    unreadable = read(record)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.refused.reason == reason
