"""Query strings: what is right is taken exactly, what is wrong is named."""

from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import write_cursor
from api.problems import ProblemError
from api.requests import check_path, parse_list, parse_policy_list, refuse_query
from api.view.keys import Position
from api.view.paging import Direction, Selection
from tests.support.updates import session_id

HERE = Position(5, session_id(1))


def faults(query: bytes) -> set[tuple[str, str]]:
    """Each fault of a query as (parameter, code)."""
    with pytest.raises(ProblemError) as caught:
        parse_list(query, None)
    assert caught.value.problem.status == 400
    return {(issue.parameter, issue.code) for issue in caught.value.problem.issues}


def test_nothing_asked() -> None:
    """Without parameters: no filter, 50 per page, from the newest on."""
    asked = parse_list(b"", None)
    assert (asked.selection, asked.page_size, asked.cursor) == (Selection(), 50, None)


def test_every_filter() -> None:
    """Every filter is taken, and the caller's own limit is one of them."""
    query = urlencode(
        {
            "from": "1970-01-01T01:00:00.000001+01:00",
            "to": "1970-01-01T00:00:01Z",
            "policyId": "p.1",
            "locationId": "l:1",
            "vehicleId": "v-1",
            "pageSize": "100",
        }
    )
    asked = parse_list(query.encode(), "u1")
    assert asked.selection == Selection(
        policy_id="p.1", vehicle_id="v-1", location_id="l:1", user_id="u1", from_us=1, to_us=1_000_000
    )
    assert asked.page_size == 100


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"colour=red", {("colour", "unknown")}),
        (b"access_token=abc", {("access_token", "unknown")}),
        (b"policyid=p", {("policyid", "unknown")}),
        (b"pageSize=1&pageSize=1", {("pageSize", "repeated")}),
        (b"vehicleId=", {("vehicleId", "empty")}),
        (b"from=&from=2025-01-01T00:00:00Z", {("from", "empty"), ("from", "repeated")}),
        (b"from=2025-01-01T00:00:00Z&from=", {("from", "repeated")}),
        (b"vehicleId", {("vehicleId", "empty")}),
        (b"policyId=a%20b", {("policyId", "bad-id")}),
        (b"locationId=" + b"x" * 65, {("locationId", "bad-id")}),
        (b"vehicleId=a%00", {("vehicleId", "bad-id")}),
        (b"from=2025-01-01T00:00:00", {("from", "bad-time")}),
        (b"from=2025-01-01", {("from", "bad-time")}),
        (b"from=2025-01-01T00:00:00+01:00", {("from", "bad-time")}),  # an unescaped + is a space
        (b"to=2025-02-30T00:00:00Z", {("to", "bad-time")}),
        (b"to=2025-01-01T00:00:60Z", {("to", "bad-time")}),
        (b"to=9999-12-31T23:59:59-10:00", {("to", "bad-time")}),
        (b"to=now", {("to", "bad-time")}),
        (b"from=2025-01-02T00:00:00Z&to=2025-01-01T00:00:00Z", {("from", "after-to")}),
        (b"pageSize=0", {("pageSize", "bad-page-size")}),
        (b"pageSize=101", {("pageSize", "bad-page-size")}),
        (b"pageSize=-1", {("pageSize", "bad-page-size")}),
        (b"pageSize=1.0", {("pageSize", "bad-page-size")}),
        (b"pageSize=" + quote("٣").encode(), {("pageSize", "bad-page-size")}),
        (b"after=abc", {("after", "bad-cursor")}),
        (b"before=abc", {("before", "bad-cursor")}),
        (
            b"after=abc&before=abc",
            {("after", "bad-cursor"), ("before", "bad-cursor"), ("before", "after-with-before")},
        ),
        (b"policyId=%ff", {("policyId", "malformed")}),
        (b"policyId=\xff", {("policyId", "malformed")}),
        (b"%ff=1", {("query", "malformed")}),
        (b"colour=%ff", {("colour", "unknown")}),
        (b"policyId=p&policyId=%ff", {("policyId", "repeated")}),
        (
            b"policyId=%ff&%ff=1&pageSize=0&x=1",
            {("policyId", "malformed"), ("query", "malformed"), ("pageSize", "bad-page-size"), ("x", "unknown")},
        ),
        (b"after=x&pageSize=0", {("after", "bad-cursor"), ("pageSize", "bad-page-size")}),
        (b"before=x&policyId=a%20b", {("before", "bad-cursor"), ("policyId", "bad-id")}),
        (b"&".join(b"a=1" for _ in range(100)), {("query", "malformed")}),
        (b"x=1&from=now&pageSize=0", {("x", "unknown"), ("from", "bad-time"), ("pageSize", "bad-page-size")}),
    ],
)
def test_every_fault_is_named(query: bytes, expected: set[tuple[str, str]]) -> None:
    """A query with faults is refused with each of them by parameter and kind."""
    assert faults(query) == expected


def test_a_cursor_of_another_list() -> None:
    """That a cursor belongs to other filters is said beside whatever else is wrong with the page, but not where a
    filter itself is wrong: nobody knows then which list is meant.
    """
    text = write_cursor(Direction.AFTER, HERE, Selection(policy_id="p"))
    size = ("pageSize", "bad-page-size")
    assert faults(f"policyId=q&pageSize=0&after={text}".encode()) == {("after", "bad-cursor"), size}
    assert faults(f"policyId=p&pageSize=0&after={text}".encode()) == {size}
    assert faults(f"policyid=p&after={text}".encode()) == {("policyid", "unknown")}
    assert faults(f"policyId=a%20b&after={text}".encode()) == {("policyId", "bad-id")}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"after=x&pageSize=0", {("after", "bad-cursor"), ("pageSize", "bad-page-size")}),
        (b"after=x&userId=a%20b", {("after", "bad-cursor"), ("userId", "bad-id")}),
        (b"userId=%ff&pageSize=0", {("userId", "malformed"), ("pageSize", "bad-page-size")}),
    ],
)
def test_every_fault_of_a_list_of_policies_is_named(query: bytes, expected: set[tuple[str, str]]) -> None:
    """As in the list of sessions."""
    with pytest.raises(ProblemError) as caught:
        parse_policy_list(query, None)
    assert {(issue.parameter, issue.code) for issue in caught.value.problem.issues} == expected


@pytest.mark.parametrize("call", [lambda query: parse_policy_list(query, None), refuse_query])
def test_nothing_between_two_ampersands_is_no_fault(call: Callable[[bytes], object]) -> None:
    """Many clients leave one at the end: it says nothing."""
    call(b"&&")


def test_no_moment_outside_the_bounds_comes_in_by_rounding() -> None:
    """Where a time is given more finely than sessions have it, `from` begins at the next microsecond, `to` ends at the
    last; two times of one microsecond are in order.
    """
    query = b"from=1970-01-01T00:00:00.000001001Z&to=1970-01-01T00:00:00.000005999Z"
    selection = parse_list(query, None).selection
    assert (selection.from_us, selection.to_us) == (2, 5)
    assert parse_list(b"from=1970-01-01T00:00:00.000001000Z", None).selection.from_us == 1
    parse_list(b"from=1970-01-01T00:00:00.0000011Z&to=1970-01-01T00:00:00.0000012Z", None)
    same = b"from=1970-01-01T00:00:00.0000012Z&to=1970-01-01T00:00:00.0000011Z"
    assert faults(same) == {("from", "after-to")}


def test_cursor_is_taken() -> None:
    """A cursor of this very list says where to go on."""
    text = write_cursor(Direction.BEFORE, HERE, Selection(policy_id="p"))
    asked = parse_list(f"policyId=p&before={text}".encode(), None)
    assert asked.cursor is not None
    assert (asked.cursor.direction, asked.cursor.position) == (Direction.BEFORE, HERE)


def test_cursor_of_other_filters_or_callers() -> None:
    """A cursor of a list with other filters, or of a caller with another limit, is refused."""
    text = write_cursor(Direction.AFTER, HERE, Selection(policy_id="p"))
    assert faults(f"policyId=q&after={text}".encode()) == {("after", "bad-cursor")}
    with pytest.raises(ProblemError):
        parse_list(f"policyId=p&after={text}".encode(), "u1")


def test_values_are_not_echoed() -> None:
    """What a client sent as a value never comes back in the problem: it may be a secret."""
    with pytest.raises(ProblemError) as caught:
        parse_list(b"access_token=s3cret&policyId=s3cret%21&from=s3cret&after=s3cret", None)
    assert "s3cret" not in str(caught.value.problem)


@given(st.binary(max_size=200))
def test_any_query_is_an_answer_or_a_400(query: bytes) -> None:
    """No query string, however odd, is anything but a list request or a 400."""
    try:
        parse_list(query, None)
    except ProblemError as error:
        assert error.problem.status == 400  # noqa: PT017 - both outcomes are right


def test_calls_without_parameters() -> None:
    """A call that takes no parameters refuses each of them."""
    refuse_query(b"")
    with pytest.raises(ProblemError, match="pageSize"):
        refuse_query(b"pageSize=1")


def test_ids_in_the_path() -> None:
    """A path may only hold possible ids."""
    check_path("p1", session_id(1))
    with pytest.raises(ProblemError) as caught:
        check_path("a b", session_id(1).upper() + "x")
    assert [issue.parameter for issue in caught.value.problem.issues] == ["policyId", "sessionId"]
    with pytest.raises(ProblemError, match="sessionId"):
        check_path("p1", session_id(0xABCDEF).upper())
