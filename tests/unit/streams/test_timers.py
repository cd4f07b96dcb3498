"""When timers fire, on either clock."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.ids import VehicleId
from sessions.timers import Wake
from streams.timers import Timers

T0 = datetime(2026, 3, 1, tzinfo=UTC)
QUIET_S = 2.0
CAR, OTHER = VehicleId("car"), VehicleId("other")


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def due_in(seconds: float, delay_s: float = 0.0) -> Wake:
    return Wake(after(seconds), delay_s)


def by_wall() -> Timers:
    return Timers(QUIET_S, is_wall=True)


def by_event_time() -> Timers:
    return Timers(QUIET_S, is_wall=False)


def test_a_timer_fires_at_its_due_time_and_not_before() -> None:
    """On the wall clock a timer of a quiet vehicle without delay fires from its due time on."""
    timers = by_wall()
    timers.schedule(CAR, due_in(60), heard_s=0.0)
    assert timers.due(after(59.9), 100.0, 10) == []
    assert timers.due(after(60), 100.0, 10) == [CAR]


def test_a_slow_feed_delays_its_timers() -> None:
    """A vehicle whose records take a while gets that while on top."""
    timers = by_wall()
    timers.schedule(CAR, due_in(60, delay_s=300.0), heard_s=0.0)
    assert timers.due(after(359), 1_000.0, 10) == []
    assert timers.due(after(360), 1_000.0, 10) == [CAR]


def test_an_overdue_timer_waits_until_the_vehicle_is_quiet() -> None:
    """While old records of a vehicle still come in, wall time does not pass over them."""
    timers = by_wall()
    timers.schedule(CAR, due_in(-3_600), heard_s=10.0)
    assert timers.due(after(0), 11.9, 10) == []
    timers.schedule(CAR, due_in(-3_500), heard_s=11.9)
    assert timers.due(after(0), 12.1, 10) == []
    assert timers.due(after(0), 13.9, 10) == [CAR]


def test_a_timer_that_stands_is_heard_anew() -> None:
    """A vehicle that is heard again, with the same due time, is quiet only from then on."""
    timers = by_wall()
    timers.schedule(CAR, due_in(0), heard_s=0.0)
    timers.schedule(CAR, due_in(0), heard_s=10.0)
    assert timers.due(after(1), 11.0, 10) == []
    assert timers.due(after(1), 12.0, 10) == [CAR]


def test_a_timer_stays_until_it_is_cleared_or_set_anew() -> None:
    """A timer that fired is still set until the session logic says otherwise; a cleared one never fires."""
    timers = by_wall()
    timers.schedule(CAR, due_in(0), heard_s=0.0)
    assert timers.due(after(1), 10.0, 10) == [CAR] == timers.due(after(1), 10.0, 10)
    timers.schedule(CAR, None, heard_s=10.0)
    assert timers.due(after(1), 20.0, 10) == []
    assert len(timers) == 0


def test_only_the_newest_setting_counts() -> None:
    """A timer that was moved fires at its new time only, also where it came back to an earlier one."""
    timers = by_wall()
    for seconds in (10, 20, 10, 20):
        timers.schedule(CAR, due_in(seconds), heard_s=0.0)
    assert timers.due(after(15), 10.0, 10) == []
    assert timers.due(after(20), 10.0, 10) == [CAR]


def test_at_most_so_many_fire_at_once_earliest_first() -> None:
    """`limit` bounds a batch of timers, on either clock."""
    for timers in (by_wall(), by_event_time()):
        timers.schedule(OTHER, due_in(2), heard_s=0.0)
        timers.schedule(CAR, due_in(1), heard_s=0.0)
        assert timers.due(after(9), 10.0, 1) == [CAR]
        assert timers.due(after(9), 10.0, 2) == [CAR, OTHER]


def test_event_time_alone_counts_on_the_event_clock() -> None:
    """On the event clock delays and quiet play no part."""
    timers = by_event_time()
    timers.schedule(CAR, due_in(60, delay_s=900.0), heard_s=0.0)
    assert timers.due(after(59), 0.0, 10) == []
    assert timers.due(after(60), 0.0, 10) == [CAR]


def test_timers_that_are_set_again_and_again_take_no_more_room() -> None:
    """The queue is bounded by the vehicles with a timer, not by how often they were set or asked for."""
    timers = by_wall()
    for second in range(10_000):
        timers.schedule(CAR, due_in(second), heard_s=0.0)
    assert len(timers._heap) < 100
    for _ in range(1_000):
        timers.schedule(OTHER, due_in(5), heard_s=0.0)
        assert timers.due(after(6), 10.0, 10) == [OTHER]
    assert len(timers._heap) < 100
    assert timers.due(after(10_000), 10.0, 10) == [OTHER, CAR]


def test_a_timer_that_changed_nothing_lets_the_others_go_first() -> None:
    """On either clock a timer that was fired in vain rests a while, and then fires again."""
    for timers in (by_wall(), by_event_time()):
        timers.schedule(CAR, due_in(1), heard_s=0.0)
        timers.schedule(OTHER, due_in(2), heard_s=0.0)
        assert timers.due(after(9), 10.0, 1) == [CAR]
        timers.rest(CAR, 10.0)
        assert timers.due(after(9), 10.0, 1) == [OTHER]
        timers.schedule(OTHER, None, heard_s=10.0)
        assert timers.due(after(9), 10.9, 1) == []
        assert timers.due(after(9), 11.0, 1) == [CAR]


Settings = st.lists(st.tuples(st.sampled_from("ABCD"), st.none() | st.integers(0, 20)), max_size=60)


@given(Settings, st.integers(0, 20), st.integers(1, 5))
def test_whatever_was_set_each_vehicle_fires_once_by_its_newest_setting(
    settings: list[tuple[str, int | None]], now: int, limit: int
) -> None:
    """Whatever came before, what is due are the vehicles whose newest setting is due, each once, earliest first."""
    timers, newest = by_event_time(), dict[str, int | None]()
    for name, seconds in settings:
        timers.schedule(VehicleId(name), None if seconds is None else due_in(seconds), heard_s=0.0)
        newest[name] = seconds
    due = [timers.due(after(now), 0.0, limit) for _ in range(2)]
    expected = sorted(seconds for seconds in newest.values() if seconds is not None and seconds <= now)
    assert due[0] == due[1]
    assert len(set(due[0])) == len(due[0])
    assert [newest[name] for name in due[0]] == expected[:limit]
