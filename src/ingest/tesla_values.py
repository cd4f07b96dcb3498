"""Values of Tesla Fleet Telemetry: typed in new captures, strings in old ones, and often no value at all.

`{}`, `{"invalid": true}` and whatever does not read as asked for mean "no value", which is no news.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from models.units import AwareTime

# A number may come under any of these names; one field changes its type between software versions.
_NUMBERS: Final = ("doubleValue", "floatValue", "intValue", "longValue", "stringValue")


class _Datum(Struct):
    key: str = ""
    value: Any = None


class FleetMessage(Struct, rename="camel"):
    """One message: the fields that changed, when, and of which vehicle."""

    data: list[_Datum]
    created_at: AwareTime
    vin: str


_DECODER: Final = msgspec.json.Decoder(FleetMessage)


def decode_message(text: bytes) -> FleetMessage:
    """Read one message. Raises ValueError (of which msgspec's errors are) or RecursionError."""
    return _DECODER.decode(text)


def fields_of(message: FleetMessage) -> dict[str, Any]:
    """The message's fields that carry a value; of one told twice, the later counts."""
    return {datum.key: datum.value for datum in message.data if _has_value(datum.value)}


def number(value: Any) -> float | None:
    """A finite number, from a typed value or from its text."""
    raw = next((value[name] for name in _NUMBERS if name in value), None) if isinstance(value, Mapping) else value
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        parsed = float(raw)
    except (ValueError, OverflowError):
        return None  # text that is no number, or one beyond every float: no value
    return parsed if math.isfinite(parsed) else None


def flag(value: Any) -> bool | None:
    """A truth value, typed or as the words "true" and "false"."""
    raw = value.get("booleanValue", value.get("stringValue")) if isinstance(value, Mapping) else value
    if isinstance(raw, str):
        return {"true": True, "false": False}.get(raw.strip().lower())
    return raw if isinstance(raw, bool) else None


def word(value: Any, *prefixes: str) -> str | None:
    """An enum's word without its type's name: "DetailedChargeStateCharging" and "Charging" read alike."""
    texts = value.values() if isinstance(value, Mapping) else (value,)
    raw = next((text for text in texts if isinstance(text, str)), None)
    if raw is None:
        return None
    for prefix in prefixes:
        if raw.startswith(prefix) and raw != prefix:
            return raw.removeprefix(prefix)
    return raw or None


def _has_value(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and value.get("invalid") is not True
    return value is not None
