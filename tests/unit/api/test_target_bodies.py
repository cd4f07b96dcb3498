"""Bounds of a target override: how far ahead it may be, to the microsecond, and its reserve."""

from datetime import UTC, datetime, timedelta

import pytest

from api.problems import ProblemError
from api.target_bodies import read_target
from models.target import RegularOverride

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("ahead", "is_taken"), [(timedelta(0), False), (TICK, True), (WEEK, True), (WEEK + TICK, False), (-TICK, False)]
)
def test_ready_by_is_within_seven_days_from_now(ahead: timedelta, *, is_taken: bool) -> None:
    """`readyBy` lies after now, by seven days at most; what is taken is in UTC."""
    elsewhere = (NOW + ahead).astimezone().isoformat()
    given = {"type": "REGULAR", "batteryReserve": 0, "minimumChargeTarget": 100, "readyBy": elsewhere}
    if is_taken:
        expected = RegularOverride(battery_reserve=0.0, minimum_charge_target=100.0, ready_by=NOW + ahead)
        taken = read_target(given, NOW)
        assert taken == expected
        assert isinstance(taken, RegularOverride)
        assert taken.ready_by.tzinfo is UTC
        return
    with pytest.raises(ProblemError) as caught:
        read_target(given, NOW)
    assert [issue.code for issue in caught.value.problem.issues] == ["not-within-7-d"]


@pytest.mark.parametrize(
    "ready_by",
    [
        "2026-01-02 12:00:00Z",
        "2026-01-02T12:00:00+0000",
        "2026-01-02T12:00:00.1234567890Z",
        "2026-01-02T12:00:00",
        "2026-02-30T12:00:00Z",
        1_767_355_200,
        None,
    ],
)
def test_ready_by_is_a_time_of_rfc_3339(ready_by: object) -> None:
    """What is no RFC 3339 time with an offset is named as such, as it is where it stands in a query."""
    given = {"type": "REGULAR", "batteryReserve": 0, "minimumChargeTarget": 100, "readyBy": ready_by}
    with pytest.raises(ProblemError) as caught:
        read_target(given, NOW)
    assert [(issue.parameter, issue.code) for issue in caught.value.problem.issues] == [("readyBy", "bad-time")]


@pytest.mark.parametrize(("reserve_percent", "is_taken"), [(79.5, True), (80, True), (80.5, False)])
def test_the_reserve_is_not_above_the_target(reserve_percent: float, *, is_taken: bool) -> None:
    """As in a policy, what is charged at once is no more than what is charged at all."""
    ready_by = (NOW + TICK).isoformat()
    given = {"type": "REGULAR", "batteryReserve": reserve_percent, "minimumChargeTarget": 80, "readyBy": ready_by}
    if is_taken:
        assert read_target(given, NOW) == RegularOverride(
            battery_reserve=reserve_percent, minimum_charge_target=80.0, ready_by=NOW + TICK
        )
        return
    with pytest.raises(ProblemError) as caught:
        read_target(given, NOW)
    issues = [(issue.parameter, issue.code) for issue in caught.value.problem.issues]
    assert issues == [("minimumChargeTarget", "below-reserve")]
