"""Recorded events as they stand: lines `{"topic", "key", "value"}` (format `events-jsonl`), streamed in file order.

`value` keeps its very bytes: an object is sent as written, null is a null value, and a string is sent as its UTF-8
bytes, whatever they are (that is how bad input is recorded). A line that is wrong itself ends the replay.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from ingest.errors import CaptureError
from ingest.files import Line
from ingest.records import InputRecord
from models.topics import ENERGY_PRICES, INPUT_TOPICS, VEHICLE_POLICIES


class _Entry(Struct, forbid_unknown_fields=True):
    topic: str
    value: Raw
    key: str | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)
_KEY_FIELDS: Final = {VEHICLE_POLICIES: "id", ENERGY_PRICES: "zone"}


def records(lines: Iterable[Line]) -> Iterator[InputRecord]:
    """The recorded events. Raises CaptureError with file and line at the first line that is none."""
    for line in lines:
        if line.text.strip():
            yield _record(line)


def _record(line: Line) -> InputRecord:
    try:
        entry = _ENTRY.decode(line.text)
        value: Any = msgspec.json.decode(entry.value)
    except (ValueError, RecursionError) as error:
        raise CaptureError(f'{line.where}: not a line {{"topic", "key", "value"}}: {error}') from error
    if entry.topic not in INPUT_TOPICS:
        raise CaptureError(f"{line.where}: topic {entry.topic!r} is none of {', '.join(INPUT_TOPICS)}")
    fields = value if isinstance(value, dict) else {}
    return InputRecord(_at(fields), entry.topic, _key(entry, fields, line.where), _message(entry.value, value, line))


def _key(entry: _Entry, fields: dict[str, Any], where: str) -> str:
    if entry.key is not None:
        return entry.key
    field = _KEY_FIELDS.get(entry.topic, "vehicleId")
    found = fields.get(field)
    if not isinstance(found, str):
        raise CaptureError(f"{where}: no key, and no {field!r} in the value to take it from")
    return found


def _message(raw: Raw, value: Any, line: Line) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return bytes(raw)
    raise CaptureError(f"{line.where}: value must be an object, null or a string")


def _at(fields: dict[str, Any]) -> datetime | None:
    """The event time, for pacing only: one that cannot be read delays nothing."""
    try:
        at = msgspec.convert(fields.get("at"), datetime)
    except msgspec.ValidationError:
        return None
    return at if at.tzinfo is not None else None
