"""How clients write a moment, in a query as in a body: RFC 3339 with an offset, nothing of ISO 8601 beyond it."""

import re
from typing import Final

# To the nanosecond: more digits than any clock has.
TIME_PATTERN: Final = (
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_TIME: Final = re.compile(TIME_PATTERN)


def is_time(text: str) -> bool:
    """Tell whether this is spelt as a moment; the calendar may still not have it."""
    return _TIME.match(text) is not None


def fraction_of(text: str) -> str:
    """The point and the digits after the seconds of a time; empty: it has none."""
    found = _TIME.match(text)
    return "" if found is None else found[1] or ""
