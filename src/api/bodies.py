"""Request bodies: JSON, its size bounded by api.limits, and fields to typed values where every fault is named.

Values are never echoed: a client may have put a secret where it does not belong.
"""

import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import Request
from msgspec import Struct

from api.problems import Issue, ProblemError, faulty, invalid_request
from api.times import is_time

JSON: Final = "application/json"
_NAME_SHOWN_CHARACTERS: Final = 64

_ID: Final = ("bad-id", "must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -")
_PERCENT: Final = ("bad-percent", "must be a number from 0 to 100")
_OBJECT: Final = ("bad-object", "must be an object")
# What is wrong with a value, by the field's name: a word for machines, a sentence for people.
_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "userId": _ID,
    "vehicleId": _ID,
    "locationId": _ID,
    "zone": _ID,
    "isEnabled": ("bad-boolean", "must be true or false"),
    "timezoneName": ("bad-timezone", "must name a zone of the IANA database, such as Europe/Berlin"),
    "batteryReserve": _PERCENT,
    "minimumChargeTarget": _PERCENT,
    "deadline": ("bad-time-of-day", "must be a time of day, 00:00 to 23:59"),
    "maxChargeRate": ("bad-power", "must be a number of kW from 0.1 to 4000, or null"),
    "batteryCapacity": ("bad-energy", "must be a number of kWh from 0.1 to 2000, or null"),
    "readyBy": ("bad-time", "must be an RFC 3339 time with an offset, such as 2025-01-31T17:30:00Z"),
}


async def read_json(request: Request, media_types: tuple[str, ...] = (JSON,)) -> Any:
    """The body, parsed. Raises ProblemError (400, 408, 413, 415)."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in media_types:
        detail = f"The body must be {' or '.join(media_types)}."
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    raw = await request.body()
    try:
        parsed = msgspec.json.decode(raw)
        # Once more, for what the first one does not mind: a name that stands twice in one object.
        json.loads(raw, object_pairs_hook=_without_repetition)
    except _RepeatedNameError as error:
        raise invalid_request([Issue("body", "repeated", "holds an object that has one name twice")]) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid_request([Issue("body", "malformed", "must be JSON in UTF-8")]) from error
    return parsed


def invalid_content(issues: list[Issue]) -> ProblemError:
    """422: the body can be read, but what it asks for cannot be; every fault found is named."""
    return faulty(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-content", issues)


def read_fields(kind: type[Struct], given: object, issues: list[Issue], path: str = "") -> dict[str, Any]:
    """The fields of a struct that can be taken, by their Python names; every fault of the others goes to `issues`."""
    if not isinstance(given, dict):
        issues.append(Issue(path.rstrip(".") or "body", *_OBJECT))
        return {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    issues.extend(
        Issue(f"{path}{name}"[:_NAME_SHOWN_CHARACTERS], "unknown", "is not a field of this object")
        for name in given
        if name not in fields and name != tag
    )
    taken: dict[str, Any] = {}
    for name, field in fields.items():
        place = path + name
        if name not in given:
            if field.required:
                issues.append(Issue(place, "missing", "must be given"))
            continue
        nested = _struct_in(field.type)
        if nested is not None and not (given[name] is None and _may_be_null(field.type)):
            before = len(issues)
            inner = read_fields(nested, given[name], issues, f"{place}.")
            if len(issues) == before:
                taken[field.name] = nested(**inner)
            continue
        try:
            taken[field.name] = _converted(given[name], field.type)
        except msgspec.ValidationError:
            issues.append(Issue(place, *_FAULTS[name]))
    return taken


def bad_value(name: str, path: str = "") -> Issue:
    """The fault of a field whose value has the right type and still cannot be."""
    return Issue(path + name, *_FAULTS[name])


def _converted(given: object, kind: Any) -> Any:
    """A value as its type. Raises msgspec.ValidationError."""
    value = msgspec.convert(given, kind)
    # msgspec is more generous with times than RFC 3339, and than our own parameters.
    if isinstance(value, datetime) and isinstance(given, str) and not is_time(given):
        raise msgspec.ValidationError
    # JSON has a -0.0, which equals 0 and is written otherwise: one value, one spelling.
    return value + 0.0 if isinstance(value, float) else value


def _struct_in(annotation: Any) -> type[Struct] | None:
    """The struct that a field holds, perhaps beside null."""
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    found = [one for one in options if isinstance(one, type) and issubclass(one, Struct)]
    return found[0] if found else None


def _may_be_null(annotation: Any) -> bool:
    return _is_union(annotation) and type(None) in typing.get_args(annotation)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in {typing.Union, types.UnionType}


class _RepeatedNameError(ValueError):
    """An object that has one name twice."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedNameError
    return found
