"""What is refused by its time, and what such a refusal leaves."""

from datetime import timedelta

import pytest

from models.codec import Refusal
from sessions.arrival import delay_s, refusal_by_time
from sessions.events import Event
from tests.builders import HOME, ZERO, minute, plug, policy, run, sample

DAY_MIN = 24 * 60


@pytest.mark.parametrize(
    ("at", "logged", "reason"),
    [
        (ZERO.replace(year=2014, month=12, day=31, hour=23, minute=59), ZERO, Refusal.TOO_OLD),
        (ZERO.replace(year=1970), ZERO, Refusal.TOO_OLD),
        (ZERO.replace(year=1), ZERO, Refusal.TOO_OLD),
        (ZERO.replace(year=2015, month=1, day=1, hour=0), ZERO, None),
        (minute(5), ZERO, None),
        (minute(5) + timedelta(microseconds=1), ZERO, Refusal.IN_FUTURE),
        (ZERO.replace(year=9999), ZERO, Refusal.IN_FUTURE),
        (ZERO, minute(99_999), None),
    ],
)
def test_refused_whoever_sent_it(at: object, logged: object, reason: Refusal | None) -> None:
    """Before 2015 and more than 5 min ahead of the log are refused; a long delay is not."""
    refused = refusal_by_time(at, logged)  # type: ignore[arg-type]
    assert (None if refused is None else refused.reason) == reason


@pytest.mark.parametrize(("behind_min", "is_refused"), [(DAY_MIN, False), (DAY_MIN + 0.01, True)])
def test_too_far_behind_its_vehicle(behind_min: float, is_refused: bool) -> None:
    """A message more than 24 h behind its vehicle's newest is refused."""
    assert run(sample(0), sample(-behind_min)).refusals == ([Refusal.TOO_LATE] if is_refused else [])


REFUSED: dict[str, Event] = {
    "too late": plug(-DAY_MIN, where=HOME, level=1),
    "in the future": plug(600, is_plugged_in=False, logged=100),
    "before 2015": sample(-6_000_000, 9.0),
}


@pytest.mark.parametrize("event", REFUSED.values(), ids=REFUSED)
def test_refused_changes_nothing(event: Event) -> None:
    """A refused message leaves the vehicle as it was, pending timers included, and publishes nothing."""
    before: list[Event] = [policy(0), plug(10, where=HOME), plug(50, is_plugged_in=False)]
    story = run(*before, event)
    assert len(story.refusals) == 1
    assert (story.vehicle, story.last().outputs) == (run(*before).vehicle, ())


@pytest.mark.parametrize(("logged", "seconds"), [(0, 0), (-3, 0), (10, 600), (99, 5_940)])
def test_delay(logged: float, seconds: float) -> None:
    """A message's delay is how much later the log took it, and 0 where its clock was ahead."""
    assert delay_s(minute(0), minute(logged)) == seconds


def test_newest_message_tells_the_delay() -> None:
    """The vehicle's delay is that of its newest message, not of the last to arrive."""
    assert run(sample(10, logged=12), sample(5, logged=13)).vehicle.delay_s == 120
