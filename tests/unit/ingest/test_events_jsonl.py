"""Recorded events: what is sent is what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CaptureError
from ingest.events_jsonl import records
from ingest.files import Line
from ingest.records import InputRecord
from models.topics import INPUT_TOPICS


def told(*lines: bytes) -> list[InputRecord]:
    return list(records(Line(raw, f"events.jsonl:{number}") for number, raw in enumerate(lines, 1)))


def test_an_object_keeps_its_bytes() -> None:
    """The value is sent as it was recorded, number for number."""
    record = told(b'{"topic":"vehicle.charge","key":"v","value":{ "x": 1.50 }}')[0]
    assert (record.topic, record.key, record.message) == ("vehicle.charge", "v", b'{ "x": 1.50 }')


def test_null_is_a_null_value_and_a_string_is_raw_bytes() -> None:
    """A deletion is recorded as null, and bad input as a string."""
    found = told(
        b'{"topic":"flex.vehicle-policies","key":"p","value":null}',
        b"",
        b'{"topic":"vehicle.plug","key":"v","value":"{not json \\u00e9"}',
    )
    assert [record.message for record in found] == [None, "{not json é".encode()]


@pytest.mark.parametrize(
    ("topic", "field"),
    [("vehicle.charge", "vehicleId"), ("flex.vehicle-policies", "id"), ("energy.prices", "zone")],
)
@pytest.mark.parametrize("key", ['"key":null,', ""])
def test_a_missing_key_is_found_in_the_value(topic: str, field: str, key: str) -> None:
    """Without a key, the value's own id is the key, as for every producer."""
    assert told(f'{{"topic":"{topic}",{key}"value":{{"{field}":"x"}}}}'.encode())[0].key == "x"


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"[]",
        b'{"topic":"vehicle.charge","key":"v"}',
        b'{"topic":"vehicle.charge","key":"v","value":{"x":NaN}}',
        b'{"topic":"vehicle.charge","key":"v","value":7}',
        b'{"topic":"vehicle.charge","key":7,"value":{}}',
        b'{"topic":"vehicle.charge","value":{}}',
        b'{"topic":"vehicle.charge","key":"v","value":{},"extra":1}',
        b'{"topic":"flex.session.updated","key":"s","value":{}}',
        b'{"topic":"\xff"}',
        b'{"topic":"vehicle.charge","key":"v","value":' + b"[" * 100_000,
    ],
)
def test_a_bad_line_ends_the_replay_and_is_named(bad: bytes) -> None:
    """Nothing is skipped in silence: the error names file and line."""
    with pytest.raises(CaptureError) as error:
        told(b'{"topic":"vehicle.charge","key":"v","value":{}}', bad)
    assert str(error.value).startswith("events.jsonl:2: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("at", "hour"), [("2025-01-01T10:00:00Z", 10), ("2025-01-01T10:00:00", None), (5, None)])
def test_the_time_is_read_for_pacing_only(at: object, hour: int | None) -> None:
    """A time that cannot be read is no error: the record is sent as it is."""
    quoted = f'"{at}"' if isinstance(at, str) else str(at)
    record = told(f'{{"topic":"vehicle.plug","key":"v","value":{{"at":{quoted}}}}}'.encode())[0]
    assert (record.at and record.at.hour) == hour


@given(st.binary(max_size=300) | st.binary(max_size=50).map(lambda raw: b'{"topic":"vehicle.plug","value":' + raw))
def test_no_bytes_crash_the_adapter(raw: bytes) -> None:
    """Any bytes are a record, nothing, or an error that names the line."""
    try:
        found = told(raw)
    except CaptureError as error:
        assert str(error).startswith("events.jsonl:1: ")  # noqa: PT017 - the error is one of two right answers
    else:
        assert all(record.topic in INPUT_TOPICS for record in found)
