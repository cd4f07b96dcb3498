"""Records of several topics in the order of their event time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.merge import Merge

T0 = datetime(2026, 3, 1, tzinfo=UTC)
WAIT_S = 0.05
LATER_S = 10.0


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


def ends(*topics: str) -> Callable[[str], bool]:
    """These topics are read to their end, the others are not."""
    return lambda topic: topic in topics


def filled(**topics: list[int | None]) -> Merge[str]:
    """A merge of topics with records at these seconds, all arrived at 0 s, each named like its topic and second."""
    merge: Merge[str] = Merge(sorted(topics), WAIT_S)
    for topic, seconds in topics.items():
        for second in seconds:
            merge.push(topic, None if second is None else at(second), f"{topic}{second}", 0.0)
    return merge


def test_the_oldest_head_comes_first() -> None:
    """Of the heads of all topics, the one with the oldest event time is taken."""
    merge = filled(a=[1, 4], b=[2, 3])
    assert merge.take(ends("a", "b"), 10, LATER_S) == ["a1", "b2", "b3", "a4"]


def test_nothing_passes_a_topic_that_has_unread_records() -> None:
    """A record waits, however long, while a topic without a waiting record is known to have more."""
    merge = filled(a=[1], b=[])
    assert merge.take(ends("a"), 10, LATER_S) == []
    assert merge.take(ends("a", "b"), 10, LATER_S) == ["a1"]


def test_a_topic_at_its_end_is_waited_for_a_moment_only() -> None:
    """For a topic at its end a record waits `wait_s` from its arrival, no longer."""
    merge = filled(a=[1], b=[])
    assert merge.take(ends("a", "b"), 10, WAIT_S - 0.001) == []
    assert merge.take(ends("a", "b"), 10, WAIT_S) == ["a1"]


def test_no_wait_where_every_topic_has_a_record() -> None:
    """With a record of every topic at hand, the oldest is taken at once."""
    merge = filled(a=[1], b=[2])
    assert merge.take(ends(), 10, 0.0) == ["a1"]


def test_a_record_without_time_is_taken_at_the_head() -> None:
    """What cannot be read is taken as soon as it is at the head, and holds nobody back."""
    merge = filled(a=[None, 5], b=[1])
    assert merge.take(ends(), 10, 0.0) == ["aNone", "b1"]


def test_a_late_record_does_not_wait() -> None:
    """A record that is older than its predecessor in its topic is the oldest head, and taken at once."""
    merge = filled(a=[9, 1], b=[10])
    assert merge.take(ends(), 10, 0.0) == ["a9", "a1"]


def test_equal_times_follow_the_order_of_the_topics() -> None:
    """Of records with equal times the one of the topic named first is taken first."""
    merge = filled(a=[3], b=[3])
    assert merge.take(ends("a", "b"), 10, LATER_S) == ["a3", "b3"]


def test_a_batch_is_no_larger_than_its_limit() -> None:
    """At most `limit` records are taken; the rest stays in order."""
    merge = filled(a=[1, 2, 3])
    assert merge.take(ends("a"), 2, LATER_S) == ["a1", "a2"]
    assert (merge.depth("a"), merge.is_empty()) == (1, False)


@given(st.lists(st.lists(st.integers(0, 50)), min_size=1, max_size=4), st.integers(1, 7))
def test_whatever_the_batches_the_order_is_that_of_the_times(times: list[list[int]], limit: int) -> None:
    """Topics that are in order by themselves come out in order together, in batches of any size, nothing lost."""
    topics = {f"t{number}": sorted(seconds) for number, seconds in enumerate(times)}
    merge: Merge[int] = Merge(sorted(topics), WAIT_S)
    for topic, seconds in topics.items():
        for second in seconds:
            merge.push(topic, at(second), second, 0.0)
    taken: list[int] = []
    while batch := merge.take(ends(*topics), limit, LATER_S):
        taken += batch
    assert taken == sorted(second for seconds in topics.values() for second in seconds)


def test_one_vehicles_clock_does_not_matter_to_another() -> None:
    """A vehicle's older record is taken before its newer one, though it stands behind a record from days ahead."""
    merge: Merge[str] = Merge(["plug", "charge"], WAIT_S)
    merge.push("plug", at(500_000), "B in", 0.0, "B")
    for second, name in ((0, "A in"), (80, "A out")):
        merge.push("plug", at(second), name, 0.0, "A")
    for second in (10, 70, 90):
        merge.push("charge", at(second), f"A {second}", 0.0, "A")
    assert merge.take(ends(), 10, LATER_S) == ["A in", "A 10", "A 70", "A out", "A 90"]
    assert merge.take(ends("plug", "charge"), 10, LATER_S) == ["B in"]
    assert merge.is_empty()


def test_what_was_taken_from_behind_takes_no_room() -> None:
    """Records taken from behind a waiting one are not kept."""
    merge: Merge[int] = Merge(["plug", "charge"], WAIT_S)
    merge.push("plug", at(10**6), -1, 0.0, "B")
    for second in range(5_000):
        merge.push("plug", at(second), second, 0.0, "A")
        merge.push("charge", at(second), second, 0.0, "A")
        assert merge.take(ends("plug", "charge"), 1, LATER_S) == [second, second]
    assert len(merge._queues["plug"]) < 200
    assert (merge.depth("plug"), list(merge._owned)) == (1, ["B"])


Owned = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 30)), max_size=12)


@given(Owned, Owned, st.integers(1, 5))
def test_a_vehicles_order_depends_on_its_own_records(
    plugs: list[tuple[str, int]], charges: list[tuple[str, int]], limit: int
) -> None:
    """However the records of several vehicles are mixed, each vehicle's come out as if it were alone."""

    def order(owners: str) -> list[tuple[str, str, int]]:
        merge: Merge[tuple[str, str, int]] = Merge(["plug", "charge"], WAIT_S)
        for topic, records in (("plug", plugs), ("charge", charges)):
            for owner, second in records:
                if owner in owners:
                    merge.push(topic, at(second), (owner, topic, second), 0.0, owner)
        taken: list[tuple[str, str, int]] = []
        while batch := merge.take(ends("plug", "charge"), limit, LATER_S):
            taken += batch
        return taken

    mixed = order("ABC")
    for owner in "ABC":
        assert [record for record in mixed if record[0] == owner] == order(owner)
