"""Weekday deadlines as instants: tables checked by hand, and a walk along the wall clock minute by minute."""

from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy import Deadline, Schedule
from models.zones import get_zone
from sessions.schedule import DueTarget, next_deadline

_DAY_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTE: Final = timedelta(minutes=1)
_DAY_MIN: Final = 24 * 60


def _schedule(**days: str) -> Schedule:
    """A schedule of `HH:MM` or `HH:MM 55` (the target in %, else 80) by weekday."""
    return Schedule(**{name: _deadline(text) for name, text in days.items()})


def _every_day(text: str) -> Schedule:
    return _schedule(**dict.fromkeys(_DAY_NAMES, text))


def _deadline(text: str) -> Deadline:
    time_of_day, _, percent = text.partition(" ")
    return Deadline(deadline=time_of_day, minimum_charge_target=float(percent or 80))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_PLAIN_DAYS: Final = [
    pytest.param("UTC", _schedule(monday="07:00"), "2025-03-03T06:59:59", "2025-03-03T07:00", id="later-today"),
    pytest.param("UTC", _schedule(monday="07:00"), "2025-03-03T07:00", "2025-03-10T07:00", id="never-the-same-instant"),
    pytest.param("UTC", _schedule(sunday="23:59"), "2025-03-03T00:00", "2025-03-09T23:59", id="six-days-on"),
    pytest.param("UTC", _schedule(tuesday="00:00"), "2025-03-03T12:00", "2025-03-04T00:00", id="midnight-begins-a-day"),
    pytest.param("UTC", _every_day("07:00"), "2024-02-28T08:00", "2024-02-29T07:00", id="leap-day"),
    pytest.param("UTC", _every_day("07:00"), "2025-12-31T08:00", "2026-01-01T07:00", id="new-year"),
]

# The local date is not the UTC date: Monday 3 March 2025 there begins or ends on another day here.
_FAR_ZONES: Final = [
    pytest.param("Asia/Kolkata", _schedule(monday="01:00"), "2025-03-02T12:00", "2025-03-02T19:30", id="kolkata"),
    pytest.param("Asia/Kathmandu", _schedule(monday="06:00"), "2025-03-03T00:00", "2025-03-03T00:15", id="kathmandu"),
    pytest.param("Asia/Kathmandu", _schedule(monday="06:00"), "2025-03-03T00:15", "2025-03-10T00:15", id="quarter-off"),
    pytest.param("Pacific/Kiritimati", _schedule(monday="08:00"), "2025-03-02T17:00", "2025-03-02T18:00", id="plus-14"),
    pytest.param("Pacific/Pago_Pago", _schedule(monday="20:00"), "2025-03-04T00:00", "2025-03-04T07:00", id="minus-11"),
    pytest.param(
        "America/Los_Angeles",
        _schedule(sunday="17:00", tuesday="07:00"),
        "2025-03-03T00:30",
        "2025-03-03T01:00",
        id="la",
    ),
    pytest.param("America/St_Johns", _schedule(monday="07:00"), "2025-01-06T10:00", "2025-01-06T10:30", id="st-johns"),
]

_CHANGES: Final = [
    # Berlin, 30 March 2025: 02:00 is 03:00 (01:00Z), the day has 23 hours.
    pytest.param("Europe/Berlin", _every_day("02:30"), "2025-03-30T00:00", "2025-03-30T01:30", id="missing-hour"),
    pytest.param("Europe/Berlin", _every_day("02:00"), "2025-03-30T00:00", "2025-03-30T01:00", id="first-missing"),
    pytest.param("Europe/Berlin", _every_day("03:00"), "2025-03-30T00:00", "2025-03-30T01:00", id="first-after-gap"),
    pytest.param("Europe/Berlin", _every_day("02:30"), "2025-03-30T01:30", "2025-03-31T00:30", id="day-after-gap"),
    pytest.param("Europe/Berlin", _every_day("07:00"), "2025-03-29T06:00", "2025-03-30T05:00", id="23-hours-on"),
    # Berlin, 26 October 2025: 03:00 is 02:00 again (01:00Z), the day has 25 hours.
    pytest.param("Europe/Berlin", _every_day("02:30"), "2025-10-26T00:00", "2025-10-26T00:30", id="first-of-two"),
    pytest.param("Europe/Berlin", _every_day("02:30"), "2025-10-26T00:30", "2025-10-27T01:30", id="not-the-second"),
    pytest.param("Europe/Berlin", _every_day("02:30"), "2025-10-26T01:10", "2025-10-27T01:30", id="between-the-two"),
    pytest.param("Europe/Berlin", _every_day("07:00"), "2025-10-25T05:00", "2025-10-26T06:00", id="25-hours-on"),
    # Lord Howe moves by half an hour: 6 October 2024, 02:00 is 02:30; 7 April 2024, 02:00 is 01:30 again.
    pytest.param("Australia/Lord_Howe", _every_day("02:10"), "2024-10-05T15:00", "2024-10-05T15:40", id="half-gap"),
    pytest.param("Australia/Lord_Howe", _every_day("01:45"), "2024-04-06T14:00", "2024-04-06T14:45", id="half-repeat"),
    pytest.param("Australia/Lord_Howe", _every_day("01:45"), "2024-04-06T14:45", "2024-04-07T15:15", id="half-second"),
    # Beirut, 31 March 2024: the day begins at 01:00 (22:00Z the day before).
    pytest.param("Asia/Beirut", _schedule(sunday="00:00"), "2024-03-30T21:00", "2024-03-30T22:00", id="no-midnight"),
    pytest.param("Asia/Beirut", _schedule(sunday="00:30"), "2024-03-30T22:00", "2024-03-30T22:30", id="after-midnight"),
    # St John's until 2011 changed at 00:01. 7 November 2010, 00:01 is 23:01 of the day before: Saturday ends twice.
    pytest.param("America/St_Johns", _schedule(saturday="23:30"), "2010-11-07T01:00", "2010-11-07T02:00", id="back"),
    pytest.param("America/St_Johns", _schedule(saturday="23:30"), "2010-11-07T02:40", "2010-11-14T03:00", id="once"),
    pytest.param(
        # 02:40Z is Saturday again, and Sunday's midnight has passed: the next one is eight local dates on.
        "America/St_Johns",
        _schedule(sunday="00:00"),
        "2010-11-07T02:40",
        "2010-11-14T03:30",
        id="eight-dates-on",
    ),
    pytest.param("America/St_Johns", _schedule(sunday="00:30"), "2010-03-14T03:00", "2010-03-14T04:00", id="at-00:01"),
]

# Apia left out Friday 30 December 2011: Thursday ended at 10:00Z, and Saturday began.
_LOST_DAY: Final = [
    pytest.param(_schedule(thursday="23:59"), "2011-12-30T09:00", "2011-12-30T09:59", 80, id="thursday-ends"),
    pytest.param(_schedule(saturday="00:00"), "2011-12-30T09:00", "2011-12-30T10:00", 80, id="saturday-begins"),
    pytest.param(_schedule(friday="08:00"), "2011-12-30T09:00", "2011-12-30T18:00", 80, id="friday-falls-on-saturday"),
    pytest.param(_schedule(friday="08:00"), "2011-12-30T18:00", "2012-01-05T18:00", 80, id="the-next-friday"),
    pytest.param(
        _schedule(friday="08:00", saturday="07:00 30"), "2011-12-30T09:00", "2011-12-30T17:00", 30, id="saturday-first"
    ),
    pytest.param(
        _schedule(friday="08:00", saturday="07:00 30"), "2011-12-30T17:00", "2011-12-30T18:00", 80, id="then-friday"
    ),
    pytest.param(
        _schedule(friday="08:00 60", saturday="08:00 90"), "2011-12-30T09:00", "2011-12-30T18:00", 90, id="later-higher"
    ),
    pytest.param(
        _schedule(friday="08:00 90", saturday="08:00 60"),
        "2011-12-30T09:00",
        "2011-12-30T18:00",
        90,
        id="earlier-higher",
    ),
]


@pytest.mark.parametrize(("zone", "schedule", "after", "ready_by"), [*_PLAIN_DAYS, *_FAR_ZONES, *_CHANGES])
def test_the_next_deadline_is_the_first_wall_time_after_now(
    zone: str, schedule: Schedule, after: str, ready_by: str
) -> None:
    """A deadline is an instant of the wall clock: moved forward where it is missing, the first where it repeats."""
    assert next_deadline(schedule, zone, _utc(after)) == DueTarget(_utc(ready_by), 80.0)


@pytest.mark.parametrize(("schedule", "after", "ready_by", "percent"), _LOST_DAY)
def test_a_day_that_a_zone_leaves_out_moves_its_deadline_to_the_next(
    schedule: Schedule, after: str, ready_by: str, percent: float
) -> None:
    """The deadline of a lost day counts a day later, and of two at one instant the higher target does."""
    assert next_deadline(schedule, "Pacific/Apia", _utc(after)) == DueTarget(_utc(ready_by), percent)


def test_each_day_has_its_own_target() -> None:
    """The percent is that of the day whose deadline comes next."""
    schedule = _schedule(monday="07:00 55", wednesday="06:00 100")
    assert next_deadline(schedule, "UTC", _utc("2025-03-03T00:00")) == DueTarget(_utc("2025-03-03T07:00"), 55.0)
    assert next_deadline(schedule, "UTC", _utc("2025-03-03T07:00")) == DueTarget(_utc("2025-03-05T06:00"), 100.0)


def test_a_schedule_without_deadlines_is_never_due() -> None:
    """Where no weekday has a deadline there is no next one."""
    assert next_deadline(Schedule(), "Europe/Berlin", _utc("2025-03-03T00:00")) is None


def test_the_zone_of_now_does_not_matter() -> None:
    """One instant gives one answer, in whatever zone it is told, and the answer is in UTC."""
    after = _utc("2025-10-26T00:10")
    local = after.astimezone(get_zone("America/New_York"))
    due = next_deadline(_every_day("02:30"), "Europe/Berlin", local)
    assert due == next_deadline(_every_day("02:30"), "Europe/Berlin", after)
    assert due is not None
    assert due.ready_by.tzinfo is UTC


# A clock change of each kind that our years have seen, and the hours around it.
_CHANGES_AT: Final = {
    "Europe/Berlin": ("2025-03-30T01:00", "2025-10-26T01:00"),
    "America/New_York": ("2025-03-09T07:00", "2025-11-02T06:00"),
    "America/St_Johns": ("2010-03-14T03:31", "2010-11-07T02:31", "2024-03-10T05:30"),
    "Australia/Lord_Howe": ("2024-10-05T15:30", "2024-04-06T15:00"),
    "Pacific/Apia": ("2011-12-30T10:00", "2021-04-03T14:00"),
    "Asia/Beirut": ("2024-03-30T22:00", "2024-10-26T21:00"),
    "America/Havana": ("2024-03-10T05:00", "2024-11-03T05:00"),
    "Asia/Pyongyang": ("2015-08-14T15:00", "2018-05-04T15:00"),
    "America/Caracas": ("2016-05-01T07:00",),
    "Antarctica/Troll": ("2025-03-30T01:00", "2025-10-26T01:00"),
    "Asia/Kathmandu": ("2025-03-02T18:15",),
    "Pacific/Chatham": ("2025-04-05T14:00", "2025-09-27T14:00"),
}
_TIMES: Final = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
# Most changes come at night.
_NEAR_CHANGES: Final = st.sampled_from(
    ["00:00", "00:30", "01:00", "01:45", "02:00", "02:15", "02:30", "03:00", "23:30"]
)
_SCHEDULES: Final = st.dictionaries(
    st.sampled_from(_DAY_NAMES),
    st.builds("{} {}".format, _NEAR_CHANGES | _TIMES, st.sampled_from([20, 80])),
    min_size=1,
).map(lambda days: _schedule(**days))
_MOMENTS: Final = st.sampled_from([(zone, _utc(at)) for zone, changes in _CHANGES_AT.items() for at in changes])


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(
    change=_MOMENTS,
    schedule=_SCHEDULES,
    minutes=st.integers(-8 * _DAY_MIN, _DAY_MIN),
    seconds=st.sampled_from([0, 0, 29]),
)
def test_no_deadline_is_passed_over(
    change: tuple[str, datetime], schedule: Schedule, minutes: int, seconds: int
) -> None:
    """A walk along the zone's wall clock, minute by minute, meets no deadline earlier than the one that is given."""
    after = change[1] + timedelta(minutes=minutes, seconds=seconds)
    walk = _walk(*change)
    met: list[tuple[datetime, float]] = []
    for day in sorted({minute.date() for minute in walk}):
        deadline: Deadline | None = getattr(schedule, _DAY_NAMES[day.weekday()])
        if deadline is not None:
            at = walk.get(datetime.combine(day, time.fromisoformat(deadline.deadline)))
            met += [(at, -deadline.minimum_charge_target)] if at is not None and at > after else []
    ready_by, percent = min(met)
    assert next_deadline(schedule, change[0], after) == DueTarget(ready_by, -percent)


@cache
def _walk(zone_name: str, change: datetime) -> dict[datetime, datetime]:
    """When each minute is on the wall first, around a clock change.

    A minute that is skipped counts when the clock has gone on for as long as it would have taken to come to it.
    """
    zone = get_zone(zone_name)
    first: dict[datetime, datetime] = {}
    start = change - timedelta(days=10)
    before = start.astimezone(zone).replace(tzinfo=None) - _MINUTE
    for number in range(20 * _DAY_MIN):
        now = start + number * _MINUTE
        wall = now.astimezone(zone).replace(tzinfo=None)
        for skipped in range(1, (wall - before) // _MINUTE):
            first.setdefault(before + skipped * _MINUTE, now + (skipped - 1) * _MINUTE)
        first.setdefault(wall, now)
        before = wall
    return first
