"""Paths and query strings to typed requests. Strict: whatever is not understood is an error, and every fault is named.

Values are never echoed: a client may have put a secret where it does not belong.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar
from urllib.parse import unquote_plus

from msgspec import Struct

from api.cursors import CursorError, read_cursor
from api.policy_cursors import read_policy_cursor
from api.problems import Issue, invalid_request
from api.times import fraction_of, is_time
from api.view.keys import microseconds
from api.view.paging import Cursor, Direction, Selection
from api.view.policies import PolicySelection
from api.view.records import is_session_id
from models.ids import is_id

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 100
FILTERS: Final = ("from", "to", "policyId", "locationId", "vehicleId", "after", "before", "pageSize")
POLICY_FILTERS: Final = ("userId", "vehicleId", "after", "before", "pageSize")
# Far above the eight that exist; more are not read at all.
_FIELDS_LIMIT: Final = 64
_NAME_SHOWN_CHARACTERS: Final = 64
# What only says which page of a list is meant, not which list.
_OF_PAGES: Final = frozenset({"after", "before", "pageSize"})
# The point of a fraction of a second and six digits.
_TO_MICROSECONDS: Final = 7
_PAGE_SIZE: Final = re.compile(r"\A[1-9][0-9]{0,2}\Z")

T = TypeVar("T")


class ListRequest(Struct, frozen=True):
    """A page of settled sessions, as asked for."""

    selection: Selection
    page_size: int
    cursor: Cursor | None


class _FaultError(ValueError):
    """A value that cannot be taken: a word for machines, a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def parse_list(query: bytes, user_id: str | None, known: tuple[str, ...] = FILTERS) -> ListRequest:
    """The list request of a caller who is limited to `user_id`, with these parameters. Raises ProblemError (400)."""
    fields, issues = _fields(query, known)

    def taken(name: str, parse: Callable[[str], T]) -> T | None:
        return _taken(fields, name, parse, issues)

    earliest, latest = taken("from", _moment), taken("to", _moment)
    selection = Selection(
        policy_id=taken("policyId", _id),
        vehicle_id=taken("vehicleId", _id),
        location_id=taken("locationId", _id),
        user_id=user_id,
        # Sessions have whole microseconds: none between the bounds as given is left out, none beyond them comes in.
        from_us=None if earliest is None else earliest.next_us,
        to_us=None if latest is None else latest.us,
    )
    if earliest is not None and latest is not None and earliest > latest:
        issues.append(Issue("from", "after-to", "must not be after `to`"))
    page_size = taken("pageSize", _page_size) or PAGE_SIZE_DEFAULT
    known_list = selection if _is_known_list(issues) else None
    after = taken("after", lambda text: _cursor(text, Direction.AFTER, known_list))
    before = taken("before", lambda text: _cursor(text, Direction.BEFORE, known_list))
    if "after" in fields and "before" in fields:
        issues.append(Issue("before", "after-with-before", "cannot be given together with `after`"))
    if issues:
        raise invalid_request(issues)
    return ListRequest(selection, page_size, after or before)


class PolicyListRequest(Struct, frozen=True):
    """A page of policies, as asked for."""

    selection: PolicySelection
    page_size: int
    cursor: tuple[Direction, str] | None


def parse_policy_list(query: bytes, user_id: str | None) -> PolicyListRequest:
    """The list of policies as a caller who is limited to `user_id` asks for it. Raises ProblemError (400).

    A limited caller who names another user gets an empty list, as for any vehicle that is not theirs.
    """
    fields, issues = _fields(query, POLICY_FILTERS)
    asked_user_id = _taken(fields, "userId", _id, issues)
    selection = PolicySelection(
        user_id=user_id or asked_user_id,
        vehicle_id=_taken(fields, "vehicleId", _id, issues),
        is_nobodys=user_id is not None and asked_user_id not in (None, user_id),
    )
    page_size = _taken(fields, "pageSize", _page_size, issues) or PAGE_SIZE_DEFAULT
    known_list = selection if _is_known_list(issues) else None
    after = _taken(fields, "after", lambda text: _policy_cursor(text, Direction.AFTER, known_list), issues)
    before = _taken(fields, "before", lambda text: _policy_cursor(text, Direction.BEFORE, known_list), issues)
    if "after" in fields and "before" in fields:
        issues.append(Issue("before", "after-with-before", "cannot be given together with `after`"))
    if issues:
        raise invalid_request(issues)
    return PolicyListRequest(selection, page_size, after or before)


def refuse_query(query: bytes) -> None:
    """For calls that take no parameters. Raises ProblemError (400)."""
    if not query:
        return
    _, issues = _fields(query, ())
    if issues:
        raise invalid_request(issues)


def check_path(policy_id: str, session_id: str | None = None) -> None:
    """Ids in the path must be possible ones. Raises ProblemError (400)."""
    issues = [] if is_id(policy_id) else [Issue("policyId", "bad-id", _ID_RULE)]
    if session_id is not None and not is_session_id(session_id):
        issues.append(_BAD_UUID)
    if issues:
        raise invalid_request(issues)


def check_session_id(session_id: str) -> None:
    """An id in the path must be a possible one. Raises ProblemError (400)."""
    if not is_session_id(session_id):
        raise invalid_request([_BAD_UUID])


_BAD_UUID: Final = Issue("sessionId", "bad-uuid", "must be a UUID in lower case with hyphens")
_ID_RULE: Final = "must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -"


def _fields(query: bytes, known: tuple[str, ...]) -> tuple[dict[str, str], list[Issue]]:
    """Each known parameter's one value, and the faults of all others."""
    pairs = query.split(b"&", _FIELDS_LIMIT)
    if len(pairs) > _FIELDS_LIMIT:
        raise invalid_request([Issue("query", "malformed", f"must have {_FIELDS_LIMIT} parameters at most")])
    fields: dict[str, str] = {}
    seen: set[str] = set()
    issues: list[Issue] = []
    for pair in pairs:
        if not pair:  # many clients leave one at the end
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _text(raw_name), _text(raw_value)
        if name is None:
            issues.append(Issue("query", "malformed", "has a name that is not percent-encoded UTF-8"))
        elif name not in known:
            issues.append(Issue(name[:_NAME_SHOWN_CHARACTERS], "unknown", "is not a parameter of this call"))
        elif name in seen:
            issues.append(Issue(name, "repeated", "must be given once"))
        elif value is None:
            issues.append(Issue(name, "malformed", "must be percent-encoded UTF-8"))
        elif not value:
            issues.append(Issue(name, "empty", "must have a value"))
        else:
            fields[name] = value
        if name is not None:
            seen.add(name)
    return fields, issues


def _text(raw: bytes) -> str | None:
    """A name or a value of a query; None: it is no text."""
    try:
        return unquote_plus(raw.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return None


def _is_known_list(issues: Sequence[Issue]) -> bool:
    """Tell whether the faults so far leave no doubt which list is meant: only then can a cursor be of another."""
    return all(issue.parameter in _OF_PAGES for issue in issues)


def _taken(fields: Mapping[str, str], name: str, parse: Callable[[str], T], issues: list[Issue]) -> T | None:
    """The value of a parameter; None where it is not given, or wrong: then the fault goes to `issues`."""
    if name not in fields:
        return None
    try:
        return parse(fields[name])
    except _FaultError as fault:
        issues.append(Issue(name, fault.code, fault.detail))
        return None


def _id(text: str) -> str:
    if not is_id(text):
        raise _FaultError("bad-id", _ID_RULE)
    return text


class _Moment(NamedTuple):
    """Whole microseconds since 1970, and the digits beyond them."""

    us: int
    beyond: str

    @property
    def next_us(self) -> int:
        """The first whole microsecond that is not before it."""
        return self.us + 1 if self.beyond else self.us


def _moment(text: str) -> _Moment:
    if not is_time(text):
        raise _FaultError(
            "bad-time", "must be an RFC 3339 time with an offset, such as 2025-01-31T17:30:00Z (write + as %2B)"
        )
    try:
        us = microseconds(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise _FaultError("bad-time", "is not a moment of the calendar") from error
    return _Moment(us, fraction_of(text)[_TO_MICROSECONDS:].rstrip("0"))


def _page_size(text: str) -> int:
    if not _PAGE_SIZE.match(text) or int(text) > PAGE_SIZE_MAX:
        raise _FaultError("bad-page-size", f"must be a whole number from 1 to {PAGE_SIZE_MAX}")
    return int(text)


def _cursor(text: str, direction: Direction, selection: Selection | None) -> Cursor:
    try:
        return read_cursor(text, direction, selection)
    except CursorError as error:
        raise _FaultError("bad-cursor", str(error)) from error


def _policy_cursor(text: str, direction: Direction, selection: PolicySelection | None) -> tuple[Direction, str]:
    try:
        return read_policy_cursor(text, direction, selection)
    except CursorError as error:
        raise _FaultError("bad-cursor", str(error)) from error
