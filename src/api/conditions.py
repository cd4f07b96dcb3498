"""Conditional requests (RFC 9110): entity tags in If-Match and If-None-Match, and the Idempotency-Key of a POST."""

import re
from http import HTTPStatus
from typing import Final

from fastapi import Request

from api.problems import Issue, ProblemError, invalid_request

_ONE_TAG: Final = '(W/)?"([!#-~]*)"'
# `*`, or a list in which elements may be empty (RFC 9110, 5.6.1.2).
TAGS_PATTERN: Final = rf"\A([ \t]*\*[ \t]*|[ \t,]*{_ONE_TAG}([ \t]*,[ \t,]*{_ONE_TAG})*[ \t,]*)\Z"
_TAGS: Final = re.compile(TAGS_PATTERN)
_TAG: Final = re.compile(_ONE_TAG)
_KEY: Final = re.compile(r"\A[\x21-\x7e]{1,255}\Z")


def etag(tag: str) -> str:
    """The header's value for a version."""
    return f'"{tag}"'


def required_match(request: Request) -> frozenset[str] | None:
    """What If-Match allows; None: any version (`*`). A weak tag matches nothing. Raises ProblemError (400, 428)."""
    given = request.headers.getlist("if-match")
    if not given:
        detail = "If-Match is needed: the ETag of the version that the change is meant for, or * for any."
        raise ProblemError(HTTPStatus.PRECONDITION_REQUIRED, "precondition-required", detail)
    found = _tags(", ".join(given), "If-Match")
    return None if found is None else frozenset(tag for weak, tag in found if not weak)


def has_it_already(request: Request, tag: str) -> bool:
    """Tell whether If-None-Match names this version. Raises ProblemError (400)."""
    given = request.headers.getlist("if-none-match")
    if not given:
        return False
    found = _tags(", ".join(given), "If-None-Match")
    return found is None or any(known == tag for _, known in found)


def idempotency_key(request: Request) -> str | None:
    """The key of a POST, if it has one. Raises ProblemError (400)."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not _KEY.match(given[0]):
        detail = "must be given once, 1 to 255 visible characters of ASCII"
        raise invalid_request([Issue("Idempotency-Key", "bad-key", detail)])
    return given[0]


def _tags(text: str, name: str) -> list[tuple[str, str]] | None:
    """Each tag with its mark of weakness; None: `*`."""
    if not _TAGS.match(text):
        raise invalid_request([Issue(name, "bad-etag", "must be *, or quoted entity tags with commas between them")])
    return None if text.strip(" \t") == "*" else _TAG.findall(text)
