"""Dead letters without a broker: how one is named, which are meant, and what record puts one back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from models.topics import ENERGY_PRICES, VEHICLE_CHARGE, VEHICLE_POLICIES
from runtime.partitions import partition_of
from streams.dead_letter_replay import replay_record
from streams.dead_letters import Filters, Letter, LetterHead, Place, original_headers, parse_place

AT = datetime(2026, 3, 1, tzinfo=UTC)
HEAD = LetterHead(
    place=Place(VEHICLE_CHARGE, 3, 17),
    reason="WRONG_PARTITION",
    detail="v belongs on another partition",
    original_partition=2,
    original_offset=9,
    refused_at=AT,
    key=b"v",
    value_bytes=17,
    attempt=0,
    cut=None,
)
VALUE = b'{"vehicleId":"v","id":"p","zone":"z"}'


def letter(**changes: Any) -> Letter:
    """HEAD with changes, with a value and a header."""
    return Letter(head=structs.replace(HEAD, **changes), value=VALUE, headers=(("trace", b"1"),))


def test_a_place_reads_as_it_is_printed() -> None:
    """TOPIC/PARTITION/OFFSET there and back."""
    assert parse_place(str(HEAD.place)) == HEAD.place


@pytest.mark.parametrize("text", ["", "vehicle.charge/3", "vehicle.charge/-1/0", "other/0/0", "vehicle.charge/0/0/0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    """Another topic, a missing or negative number, something more."""
    with pytest.raises(ValueError, match="is no TOPIC/PARTITION/OFFSET"):
        parse_place(text)


def test_filters_combine_with_and() -> None:
    """Reason, key and time must all fit; the later bound is not included."""
    assert Filters().take(HEAD)
    assert Filters(reasons=frozenset({"WRONG_PARTITION"}), key=b"v", since=AT, until=AT + timedelta(1)).take(HEAD)
    assert not Filters(reasons=frozenset({"WRONG_KEY"}), key=b"v").take(HEAD)
    assert not Filters(key=b"w").take(HEAD)
    assert not Filters(until=AT).take(HEAD)
    assert not Filters(since=AT + timedelta(seconds=1)).take(HEAD)


def test_a_record_goes_back_as_it_was_and_says_so() -> None:
    """Key, value and headers are the original's; where it comes from and which attempt it is stands in two more."""
    record = replay_record(letter(), 0, 4, key_from_value=False)
    assert (record.topic, record.key, record.value, record.partition) == (VEHICLE_CHARGE, b"v", VALUE, None)
    ours = (("replay-of", b"vehicle.charge.dead-letter/3/17"), ("replay-attempt", b"1"))
    assert record.headers == (("trace", b"1"), *ours)


def test_attempts_count_replays_of_letter_and_record() -> None:
    """The second replay of a letter that a first replay of the record led to is the third attempt."""
    old = (("replay-of", b"x"), ("replay-attempt", b"1"), ("trace", b"1"))
    again = replay_record(structs.replace(letter(attempt=1), headers=old), 1, 4, key_from_value=False)
    assert dict(again.headers)["replay-attempt"] == b"3"
    assert len(again.headers) == 3


@pytest.mark.parametrize(
    ("topic", "key", "partition"),
    [
        (VEHICLE_POLICIES, b"p", partition_of("v", 4)),
        (ENERGY_PRICES, b"z", 0),
        (VEHICLE_CHARGE, None, 2),
        (VEHICLE_CHARGE, b"v", None),
    ],
)
def test_a_record_goes_where_it_belongs(topic: str, key: bytes | None, partition: int | None) -> None:
    """A policy to its vehicle's partition, a price to the only one, one without a key where it was, the rest by key."""
    found = replay_record(letter(place=Place(topic, 0, 0), key=key), 0, 4, key_from_value=False)
    assert (found.key, found.partition) == (key, partition)


def test_an_unreadable_policy_goes_where_it_was() -> None:
    """A policy that names no vehicle goes back to its partition."""
    unread = structs.replace(letter(place=Place(VEHICLE_POLICIES, 0, 0)), value=b"\xff")
    assert replay_record(unread, 0, 4, key_from_value=False).partition == 2


@pytest.mark.parametrize(("topic", "key"), [(VEHICLE_CHARGE, b"v"), (VEHICLE_POLICIES, b"p"), (ENERGY_PRICES, b"z")])
def test_a_wrong_key_becomes_the_id_that_the_value_names(topic: str, key: bytes) -> None:
    """Only where that is asked for, and only where the key is what was wrong."""
    wrong = letter(place=Place(topic, 0, 0), key=b"wrong", reason="WRONG_KEY")
    assert replay_record(wrong, 0, 4, key_from_value=True).key == key
    assert replay_record(wrong, 0, 4, key_from_value=False).key == b"wrong"
    other = letter(place=Place(topic, 0, 0), key=b"wrong", reason="TOO_LATE")
    assert replay_record(other, 0, 4, key_from_value=True).key == b"wrong"


def test_what_cannot_be_put_back_says_why() -> None:
    """A letter that was cut, and a key that no value names."""
    with pytest.raises(ValueError, match="not whole"):
        replay_record(letter(cut="value from 9 to 3 bytes"), 0, 4, key_from_value=False)
    nameless = structs.replace(letter(reason="WRONG_KEY"), value=b"{")
    with pytest.raises(ValueError, match="names no id"):
        replay_record(nameless, 0, 4, key_from_value=True)


def test_the_original_headers_are_those_without_ours() -> None:
    """What tells of the refusal is left out, everything else stays, in its order."""
    headers = [("b", b"2"), ("dlq-reason", b"X"), ("a", None), ("dlq-offset", b"1")]
    assert original_headers(headers) == (("b", b"2"), ("a", None))
    assert original_headers(None) == ()
