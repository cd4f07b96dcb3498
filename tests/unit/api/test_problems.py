"""How faults are told: each once, and no more of them than somebody reads."""

import json

import pytest

from api.limits import BODY_LIMIT_BYTES
from api.policy_bodies import changed_policy, new_policy
from api.problems import ISSUES_LIMIT, Issue, Problem, ProblemError, invalid_request, respond
from models.codec import encode
from runtime.clock import utc_now
from tests.support.policy_client import new_body


def issue(number: int) -> Issue:
    return Issue(f"p{number}", "bad", "is bad")


@pytest.mark.parametrize("over", [0, 1, 5])
def test_beyond_the_limit_the_rest_is_counted(over: int) -> None:
    """As many faults as the limit are all named; of more, those beyond it are counted in one further entry."""
    named = [issue(number) for number in range(ISSUES_LIMIT + over)]
    issues = invalid_request(named).problem.issues
    assert list(issues[:ISSUES_LIMIT]) == named[:ISSUES_LIMIT]
    assert [(more.code, more.detail.split()[1]) for more in issues[ISSUES_LIMIT:]] == [("more", str(over))] * bool(over)


def test_a_fault_is_told_once() -> None:
    """The same fault found twice is one; where there are several, `detail` only says how many."""
    problem = invalid_request([issue(1), issue(2), issue(1)]).problem
    assert problem.issues == (issue(1), issue(2))
    assert problem.detail.startswith("2 faults")
    assert invalid_request([issue(1), issue(1)]).problem.detail == "p1: is bad"


def refusal_of_new(body: dict[str, object]) -> Problem:
    with pytest.raises(ProblemError) as caught:
        new_policy(body, None, utc_now())
    return caught.value.problem


def refusal_of_patch(body: dict[str, object]) -> Problem:
    with pytest.raises(ProblemError) as caught:
        changed_policy(encode(new_policy(new_body(), None, utc_now())), body, utc_now())
    return caught.value.problem


@pytest.mark.parametrize("refusal", [refusal_of_new, refusal_of_patch])
def test_a_body_of_unknown_names_has_a_short_answer(refusal: object) -> None:
    """However many names a body has that no field has, the answer is smaller than the body."""
    body = {f"unknown-{number}": 0 for number in range(4_000)}
    assert callable(refusal)
    sent_bytes = len(json.dumps(body))
    assert sent_bytes > BODY_LIMIT_BYTES / 2
    assert len(respond(refusal(body)).body) < 16_384
