"""What was fetched, on its way to a partition's worker: bounded, in order, without gaps."""

from typing import Any

from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG
from streams.inputs import MERGED_TOPICS, Fetched, Inputs

BEGIN = dict.fromkeys(MERGED_TOPICS, 10)


def fetched(start: int, end: int, topic: str = VEHICLE_CHARGE) -> Fetched:
    records: list[Any] = [object()] * (end - start)
    return Fetched(topic, 0, start, end, records, {topic: end, VEHICLE_PLUG: 12})


def opened(limit: int = 100) -> Inputs:
    inputs = Inputs(limit)
    inputs.accept(BEGIN)
    return inputs


def taken(inputs: Inputs) -> list[tuple[int, int]]:
    with inputs.condition:
        return [(each.start, each.end) for each in inputs.take()]


def test_what_follows_on_is_taken() -> None:
    """Batches that join each other are handed on in their order; one that overlaps brings what is new."""
    inputs = opened()
    assert [inputs.put(fetched(*span)) for span in ((10, 12), (12, 15), (14, 20))] == [None, None, None]
    assert taken(inputs) == [(10, 12), (12, 15), (14, 20)]
    assert inputs.expected()[VEHICLE_CHARGE] == 20


def test_what_came_before_does_not_come_again() -> None:
    """A batch that brings nothing new, as after a fetch that was made twice, is dropped."""
    inputs = opened()
    inputs.put(fetched(10, 15))
    assert inputs.put(fetched(10, 15)) is None
    assert taken(inputs) == [(10, 15)]


def test_a_gap_is_fetched_again() -> None:
    """A batch behind a gap is refused, and the answer says from where to fetch."""
    inputs = opened()
    assert inputs.put(fetched(13, 15)) == 10
    assert taken(inputs) == []
    assert inputs.put(fetched(10, 11, VEHICLE_PLUG)) is None


def test_nothing_is_taken_while_partitions_move() -> None:
    """Closed, it forgets what waits and drops what comes; opened anew, it begins at the offsets that it is told."""
    inputs = opened()
    inputs.put(fetched(10, 15))
    inputs.refuse()
    assert inputs.put(fetched(15, 20)) is None
    assert (taken(inputs), inputs.is_wanted(VEHICLE_CHARGE)) == ([], False)
    inputs.accept(dict.fromkeys(MERGED_TOPICS, 12))
    assert inputs.put(fetched(15, 20)) == 12


def test_no_more_is_fetched_than_there_is_room_for() -> None:
    """A topic whose records wait in such numbers is not wanted, until they are taken and merged; others are."""
    inputs = opened(limit=5)
    assert inputs.is_wanted(VEHICLE_CHARGE)
    inputs.put(fetched(10, 15))
    assert (inputs.is_wanted(VEHICLE_CHARGE), inputs.is_wanted(VEHICLE_PLUG)) == (False, True)
    taken(inputs)
    inputs.note_merged(dict.fromkeys(MERGED_TOPICS, 0) | {VEHICLE_CHARGE: 5})
    assert not inputs.is_wanted(VEHICLE_CHARGE)
    inputs.note_merged(dict.fromkeys(MERGED_TOPICS, 0) | {VEHICLE_CHARGE: 4})
    assert inputs.is_wanted(VEHICLE_CHARGE)


def test_the_end_is_the_farthest_that_is_known() -> None:
    """A topic is at its end where nothing is known to lie beyond; an older answer does not bring the end back."""
    inputs = opened()
    inputs.note_end(VEHICLE_CHARGE, 30)
    inputs.note_end(VEHICLE_CHARGE, 20)
    assert [inputs.is_end(VEHICLE_CHARGE, offset) for offset in (29, 30, 31)] == [False, True, True]


def test_what_was_fetched_later_is_not_waited_for() -> None:
    """A batch is waited for with the others of its fetch, of every topic, but not for what the fetcher knows since."""
    inputs = opened()
    inputs.begin_with({VEHICLE_CHARGE: 12})
    inputs.note_end(VEHICLE_CHARGE, 99)
    assert [inputs.is_read_to(VEHICLE_CHARGE, offset) for offset in (11, 12)] == [False, True]
    inputs.put(fetched(10, 20))
    assert [inputs.is_read_to(VEHICLE_CHARGE, offset) for offset in (19, 20)] == [False, True]
    assert [inputs.is_read_to(VEHICLE_PLUG, offset) for offset in (11, 12)] == [False, True]
    assert not inputs.is_end(VEHICLE_CHARGE, 20)
