"""Nothing that a batch makes needs to be searched for: the worker hardly searches."""

import gc
from collections.abc import Iterator
from datetime import timedelta

import pytest

from models.topics import VEHICLE_CHARGE
from streams.garbage import LITTLE_RECORDS, Garbage
from tests.support.processor_bench import CAR, NOW, T0, Bench, deletion, plug, policy, record
from tests.support.records import Outgoing


@pytest.fixture
def searched_by_hand() -> Iterator[None]:
    """As in a worker; afterwards as before."""
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


def _rings() -> int:
    return sum(isinstance(each, Ring) for each in gc.get_objects())


@pytest.mark.usefixtures("searched_by_hand")
def test_batches_leave_no_garbage() -> None:
    """Whatever a batch holds, good records, bad ones, timers, what it leaves is freed without a search for cycles."""
    bench = Bench()
    rounds = [_round(bench, number) for number in range(3)]
    Garbage()
    rounds += [_round(bench, number) for number in range(3, 6)]
    assert all(rounds)
    assert gc.collect() == 0


@pytest.mark.usefixtures("searched_by_hand")
def test_young_garbage_is_found_while_little_comes() -> None:
    """What refers to itself is freed by the next look of a worker to which hardly any record comes."""
    garbage = Garbage()
    before = _rings()
    Ring()
    garbage.look(LITTLE_RECORDS)
    assert _rings() == before


@pytest.mark.usefixtures("searched_by_hand")
def test_much_is_not_searched() -> None:
    """Under load nothing is searched: what was made since the last look counts as old at once."""
    garbage = Garbage()
    made = [[number] for number in range(1_000)]
    garbage.look(LITTLE_RECORDS + 1)
    assert not any(each is made[0] for each in gc.get_objects(0))
    assert gc.get_freeze_count() >= len(made)


def _round(bench: Bench, number: int) -> int:
    """A visit with records of every kind, and its end. How many records it published."""
    before = len(bench.published)
    minute = number * 300
    bench.take(
        policy(at=(T0 + timedelta(minutes=minute)).isoformat()),
        plug(minute + 1, True),
        record(Outgoing(topic=VEHICLE_CHARGE, key=CAR, value=b"{broken")),
        record(Outgoing(topic=VEHICLE_CHARGE, key="other", value=b"{}")),
        plug(minute + 5, False),
        plug(minute + 9, None),
        deletion(),
    )
    bench.fire(NOW + timedelta(minutes=minute))
    return len(bench.published) - before
