"""When a worker that stands still leaves."""

import pytest

from streams.errors import WorkerError
from streams.restoring import Restoring
from streams.watchdog import Standstill

AT = ("t", 0)


class Case:
    """A partition: its end (None: nobody answers) and what is done of it; and who looks at it."""

    def __init__(self) -> None:
        self.end: int | None = 10
        self.done: dict[tuple[str, int], int] = {AT: 0}
        self.quiet_s: float | None = None
        self.standstill = Standstill(60.0)

    def look(self, now_s: float) -> None:
        ends = None if self.end is None else dict.fromkeys(self.done, self.end)
        self.standstill.look(self.done, ends, self.quiet_s, now_s)


def test_a_partition_that_stands_still_ends_the_worker() -> None:
    """With records unread and nothing done for longer than the limit, the word names topic, partition and offset."""
    case = Case()
    for now_s in (0.0, 30.0, 60.0):
        case.look(now_s)
    with pytest.raises(WorkerError, match="t, partition 0 stands at offset 0 of 10 for more than 60 s"):
        case.look(60.1)


def test_who_moves_stays() -> None:
    """However slowly it goes, a partition that moves within the limit does not end the worker; its lag is told."""
    case = Case()
    for step in range(5):
        case.done = {AT: step}
        case.look(step * 59.0)
    assert case.standstill.lag == {AT: 6}


def test_who_has_nothing_to_do_stays() -> None:
    """A partition at its end, or none at all, may rest for ever."""
    case = Case()
    case.done = {AT: 10}
    for now_s in (0.0, 1_000.0):
        case.look(now_s)
    case.done = {}
    case.look(2_000.0)


def test_a_broker_that_does_not_answer_is_waited_for() -> None:
    """While nobody answers nothing can move; when somebody does, the limit begins anew."""
    case = Case()
    case.look(0.0)
    case.end = None
    case.look(1_000.0)
    case.end = 10
    case.look(1_001.0)
    case.look(1_060.0)
    with pytest.raises(WorkerError):
        case.look(1_061.1)


def test_a_broker_that_answers_now_and_then_hides_nothing() -> None:
    """What counts is how long a partition stood still while the broker answered, however often it did not."""
    case = Case()
    now_s = 0.0
    with pytest.raises(WorkerError):  # noqa: PT012  # at one of them
        for _ in range(40):
            case.end = 10
            case.look(now_s)
            case.end = None
            case.look(now_s + 5.0)
            now_s += 10.0
    assert 60.0 < now_s <= 140.0


def test_a_partition_of_which_nobody_tells_hides_no_other() -> None:
    """One topic that is gone, or may not be read, keeps nobody from seeing that another stands still."""
    standstill, other = Standstill(60.0), ("u", 0)
    standstill.look({AT: 0, other: 0}, {AT: 10}, None, 0.0)
    with pytest.raises(WorkerError, match="t, partition 0 stands"):
        standstill.look({AT: 0, other: 0}, {AT: 10}, None, 60.1)


def test_a_log_that_ends_before_what_is_done_ends_the_worker() -> None:
    """It was made anew, or has lost its end: records that come to it would never be taken; a moment's doubt is none."""
    case = Case()
    case.done = {AT: 10}
    case.end = 3
    case.look(0.0)
    case.end = 10
    case.look(59.0)
    case.end = 3
    case.look(60.0)
    case.look(119.0)
    with pytest.raises(WorkerError, match="t, partition 0 stands at offset 10 of 3"):
        case.look(120.1)


def test_partitions_that_are_never_given_back_end_the_worker() -> None:
    """A rebalance that does not end is a standstill too, after twice the limit."""
    case = Case()
    case.done, case.quiet_s = {}, 100.0
    case.look(219.0)
    with pytest.raises(WorkerError, match="taken away"):
        case.look(220.1)


def test_a_recovery_that_stands_still_ends_the_worker() -> None:
    """Whoever it waits for: once nothing of it has moved for longer than the limit, the word names its step."""
    standstill = Standstill(60.0)
    for now_s in (0.0, 60.0):
        standstill.look_at_recoveries({3: ("reads the log", 7), 4: ("reads the log", round(now_s))}, now_s)
    with pytest.raises(WorkerError, match="partition 3 cannot be recovered: it reads the log, and nothing has moved"):
        standstill.look_at_recoveries({3: ("reads the log", 7), 4: ("reads the log", 61)}, 60.1)


def test_a_recovery_that_moves_may_take_its_time() -> None:
    """Only standing still counts, not how long it takes in all; one that begins anew later has the whole limit."""
    standstill = Standstill(60.0)
    for step in range(5):
        standstill.look_at_recoveries({3: ("reads the log", step)}, step * 59.0)
    standstill.look_at_recoveries({}, 300.0)
    standstill.look_at_recoveries({3: ("reads the log", 4)}, 400.0)


def test_a_recovery_that_begins_anew_is_another_one() -> None:
    """A partition that is lost and comes back at the same step, as often moved, has not stood still meanwhile."""
    standstill, lost, regained = Standstill(limit_s=60.0), Restoring(), Restoring()
    for restoring, now_s in ((lost, 0.0), (lost, 59.0), (regained, 61.0)):
        standstill.look_at_recoveries({3: (restoring.step, restoring.moves)}, now_s)
    with pytest.raises(WorkerError, match="partition 3 cannot be recovered"):
        standstill.look_at_recoveries({3: (regained.step, regained.moves)}, 122.0)
