"""Prices that the log has later than they became known: they count from then on, and act as soon as they are read."""

from models.prices import PriceRecord, Resolution
from sessions.events import Event
from sessions.prices import PriceBook
from sessions.timers import wake
from tests.builders import HOME, RULES, ZONE, blocks, minute, plug, policy, priced, run, sample, timer

# 6 h of prices from minute 0 on; told anew, another hour of them is the cheapest.
FIRST, SECOND = (0.3, 0.1, 0.3, 0.3, 0.3, 0.3), (0.3, 0.3, 0.3, 0.1, 0.3, 0.3)
THREE_DAYS = 3 * 1_440.0


def told_anew(known: float, read: float) -> PriceBook:
    """A book with both, of which the second counts from a minute, and could be read from another."""
    book = priced(*FIRST)
    record = PriceRecord(
        zone=ZONE, currency="EUR", resolution=Resolution.HOUR, start_at=minute(0), prices=SECOND, at=minute(known)
    )
    book.add(record, record.at, minute(read))
    return book


def plugged_in(delay: float = 0) -> list[Event]:
    """A visit at home, every message of which takes so many minutes."""
    return [
        policy(-10, by="23:59", zone=ZONE, rate=7.0, capacity=60.0),
        plug(10, where=HOME, level=75, logged=10 + delay),
        sample(20, level=75, charging=False, logged=20 + delay),
    ]


def test_they_act_when_they_are_read() -> None:
    """A silent vehicle that was planned without them is planned anew once, at the moment when they could be read."""
    before = run(*plugged_in(), prices=priced(*FIRST))
    book = told_anew(known=5, read=30)
    waked = wake(before.vehicle, RULES, book)
    assert waked is not None
    assert waked.due_at == minute(30)
    after = run(timer(31), before=before.vehicle, prices=book)
    assert [one.created_at for one in after.changes] == [minute(30)]
    assert blocks(after.latest) == ["REGULAR 180-210 3.5"] != blocks(before.latest)
    assert run(timer(40), before=after.vehicle, prices=book).outputs == ()


def test_telemetry_from_the_past_is_planned_with_them() -> None:
    """Where telemetry comes as late as prices do, the sessions are those of telemetry and prices that come in time."""
    in_time = run(*plugged_in(), prices=told_anew(known=15, read=15))
    late = run(*plugged_in(THREE_DAYS), prices=told_anew(known=15, read=15 + THREE_DAYS))
    assert [(one.created_at, one.session) for one in late.changes] == [
        (one.created_at, one.session) for one in in_time.changes
    ]
    assert blocks(late.latest) != blocks(run(*plugged_in(), prices=priced(*FIRST)).latest)
