"""Errors as RFC 9457 problem documents. Decides their shape, and nothing of when one is due."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
# A name of ours that nothing resolves: what a type means is said in docs/reference/http.md.
_TYPE_PREFIX: Final = "urn:flex-sessions:problem:"
# Faults that are named. A body of 64 KiB has room for thousands, each of which takes more to name than to make.
ISSUES_LIMIT: Final = 100


class Issue(Struct, frozen=True):
    """One fault of a request: where it lies (a parameter's name), a word for machines, a sentence for people."""

    parameter: str
    code: str
    detail: str


class Problem(Struct, frozen=True, kw_only=True):
    """The document. `issues` is empty where there is nothing to name."""

    type: str
    title: str
    status: int
    detail: str
    issues: tuple[Issue, ...] = ()


class ProblemError(Exception):
    """Ends a request with this problem."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        issues: Sequence[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=_TYPE_PREFIX + kind, title=status.phrase, status=status, detail=detail, issues=tuple(issues)
        )
        self.headers = headers


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as an answer."""
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=None if headers is None else dict(headers),
    )


def faulty(status: HTTPStatus, kind: str, issues: Sequence[Issue]) -> ProblemError:
    """A problem of faults. Each is named once; beyond ISSUES_LIMIT only how many more there are is told."""
    found = list(dict.fromkeys(issues))
    detail = f"{len(found)} faults; `issues` names them."
    if len(found) == 1:
        detail = f"{found[0].parameter}: {found[0].detail}"
    elif len(found) > ISSUES_LIMIT:
        more = Issue("request", "more", f"has {len(found) - ISSUES_LIMIT} more faults, which are not named")
        found[ISSUES_LIMIT:] = [more]
    return ProblemError(status, kind, detail, issues=found)


def invalid_request(issues: Sequence[Issue]) -> ProblemError:
    """400: the request itself is wrong, and every fault found is named."""
    return faulty(HTTPStatus.BAD_REQUEST, "invalid-request", issues)


def not_found(what: str) -> ProblemError:
    """404. Says the same whether the thing does not exist or is not the caller's to see."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"There is no such {what}.")


def unavailable(why: str, retry_after_s: int) -> ProblemError:
    """503, with the seconds after which to ask again."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", why, headers={"Retry-After": str(retry_after_s)})
