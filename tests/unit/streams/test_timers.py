"""When timers fire, on either clock."""

from datetime import UTC, datetime, timedelta

from models.ids import VehicleId
from streams.timers import Timers

T0 = datetime(2026, 3, 1, tzinfo=UTC)
QUIET_S = 2.0
CAR, OTHER = VehicleId("car"), VehicleId("other")


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_a_timer_fires_at_its_due_time_and_not_before() -> None:
    """On the wall clock a timer of a quiet vehicle without delay fires from its due time on."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(60), 0.0, heard_s=0.0)
    assert timers.due_by_wall(after(59.9), 100.0, 10) == []
    assert timers.due_by_wall(after(60), 100.0, 10) == [CAR]


def test_a_slow_feed_delays_its_timers() -> None:
    """A vehicle whose records take a while gets that while on top."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(60), 300.0, heard_s=0.0)
    assert timers.due_by_wall(after(359), 1_000.0, 10) == []
    assert timers.due_by_wall(after(360), 1_000.0, 10) == [CAR]


def test_an_overdue_timer_waits_until_the_vehicle_is_quiet() -> None:
    """While old records of a vehicle still come in, wall time does not pass over them."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(-3_600), 0.0, heard_s=10.0)
    assert timers.due_by_wall(after(0), 11.9, 10) == []
    timers.schedule(CAR, after(-3_500), 0.0, heard_s=11.9)
    assert timers.due_by_wall(after(0), 12.1, 10) == []
    assert timers.due_by_wall(after(0), 13.9, 10) == [CAR]


def test_a_timer_stays_until_it_is_cleared_or_set_anew() -> None:
    """A timer that fired is still set until the session logic says otherwise; a cleared one never fires."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(0), 0.0, heard_s=0.0)
    assert timers.due_by_wall(after(1), 10.0, 10) == [CAR] == timers.due_by_wall(after(1), 10.0, 10)
    timers.schedule(CAR, None, 0.0, heard_s=10.0)
    assert timers.due_by_wall(after(1), 20.0, 10) == []
    assert len(timers) == 0


def test_only_the_newest_setting_counts() -> None:
    """A timer that was moved fires at its new time only."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(10), 0.0, heard_s=0.0)
    timers.schedule(CAR, after(20), 0.0, heard_s=0.0)
    assert timers.due_by_wall(after(15), 10.0, 10) == []
    assert timers.due_by_wall(after(20), 10.0, 10) == [CAR]


def test_at_most_so_many_fire_at_once_earliest_first() -> None:
    """`limit` bounds a batch of timers, on either clock."""
    timers = Timers(QUIET_S)
    timers.schedule(OTHER, after(2), 0.0, heard_s=0.0)
    timers.schedule(CAR, after(1), 0.0, heard_s=0.0)
    assert timers.due_by_wall(after(9), 10.0, 1) == [CAR]
    assert timers.due_by_event_time(after(9), 1) == [CAR]


def test_event_time_alone_counts_on_the_event_clock() -> None:
    """On the event clock delays and quiet play no part."""
    timers = Timers(QUIET_S)
    timers.schedule(CAR, after(60), 900.0, heard_s=0.0)
    assert timers.due_by_event_time(after(59), 10) == []
    assert timers.due_by_event_time(after(60), 10) == [CAR]


def test_timers_that_are_set_again_and_again_take_no_more_room() -> None:
    """The queue is bounded by the vehicles with a timer, not by how often they were set."""
    timers = Timers(QUIET_S)
    for second in range(10_000):
        timers.schedule(CAR, after(second), 0.0, heard_s=0.0)
    assert len(timers._heap) < 100
    assert timers.due_by_wall(after(10_000), 10.0, 10) == [CAR]
