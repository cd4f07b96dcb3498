"""How far ahead a target override may be, to the microsecond."""

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
