"""Records of several topics in the order of their event time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.merge import Merge

T0 = datetime(2026, 3, 1, tzinfo=UTC)
WAIT_S = 0.05
LATER_S = 10.0
WINDOW = 100


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


def ends(*topics: str) -> Callable[[str], bool]:
    """These topics are read to their end, the others are not."""
    return lambda topic: topic in topics


def filled(**topics: list[int | None]) -> Merge[str]:
    """A merge of topics with records at these seconds, ready from WAIT_S on, each named like its topic and second."""
    merge: Merge[str] = Merge(sorted(topics), WINDOW)
    for topic, seconds in topics.items():
        for offset, second in enumerate(seconds):
            when = None if second is None else at(second)
            merge.push(topic, offset, when, f"{topic}{second}", ready_s=WAIT_S)
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
    assert merge.take(ends("a", "b"), 10, 0.0) == ["a1"]


def test_nothing_is_taken_before_the_windows_are_seen() -> None:
    """Of a topic that is known to have more, as many records as its window holds are seen before anything is taken."""
    merge: Merge[int] = Merge(["a", "b"], window=3)
    for second in (1, 2):
        merge.push("a", second, at(second), second)
        merge.push("b", second, at(second), 10 * second)
    assert merge.take(ends("a"), 10, LATER_S) == []
    merge.push("b", 3, at(3), 30)
    assert merge.take(ends("a"), 10, LATER_S) == [1, 10]
    assert merge.take(ends("a"), 10, LATER_S) == []
    assert merge.take(ends("a", "b"), 10, LATER_S) == [2, 20, 30]


def test_a_record_without_time_is_taken_at_the_head() -> None:
    """What cannot be read is taken as soon as it is at the head, and holds nobody back."""
    merge = filled(a=[None, 5], b=[1])
    assert merge.take(ends(), 10, 0.0) == ["aNone"]
    assert merge.take(ends("a", "b"), 10, LATER_S) == ["b1", "a5"]


def test_a_late_record_does_not_wait() -> None:
    """A record that is older than its predecessor in its topic is the oldest head, and taken at once."""
    merge = filled(a=[9, 1], b=[10])
    assert merge.take(ends("a", "b"), 10, 0.0) == ["a9", "a1"]


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
    merge: Merge[int] = Merge(sorted(topics), WINDOW)
    for topic, seconds in topics.items():
        for offset, second in enumerate(seconds):
            merge.push(topic, offset, at(second), second)
    taken: list[int] = []
    while batch := merge.take(ends(*topics), limit, LATER_S):
        taken += batch
    assert taken == sorted(second for seconds in topics.values() for second in seconds)


def test_one_vehicles_clock_does_not_matter_to_another() -> None:
    """A vehicle's older record is taken before its newer one, though it stands behind a record from days ahead."""
    merge: Merge[str] = Merge(["plug", "charge"], WINDOW)
    merge.push("plug", 0, at(500_000), "B in", owner="B")
    for offset, (second, name) in enumerate(((0, "A in"), (80, "A out")), start=1):
        merge.push("plug", offset, at(second), name, owner="A")
    for offset, second in enumerate((10, 70, 90)):
        merge.push("charge", offset, at(second), f"A {second}", owner="A")
    assert merge.take(ends("plug"), 10, LATER_S) == []
    assert merge.take(ends("plug", "charge"), 10, LATER_S) == ["A in", "A 10", "A 70", "A out", "A 90", "B in"]
    assert merge.is_empty()


def test_a_topic_may_fall_silent_and_speak_again() -> None:
    """What is taken of a topic while the others have nothing is in nobody's way once they have."""
    merge: Merge[str] = Merge(["plug", "charge"], WINDOW)
    merge.push("plug", 0, at(0), "in", owner="A")
    for offset in range(4):
        merge.push("charge", offset, at(offset + 1), f"sample {offset}", owner="A")
    assert merge.take(ends("plug", "charge"), 1, LATER_S) == ["in"]
    assert merge.take(ends("plug", "charge"), 3, LATER_S) == ["sample 0", "sample 1", "sample 2"]
    merge.push("charge", 4, at(6), "sample 4", owner="A")
    merge.push("plug", 1, at(5), "out", owner="A")
    assert merge.take(ends("plug", "charge"), 9, LATER_S) == ["sample 3", "out", "sample 4"]
    assert not merge._owned


def test_the_last_topic_is_read_on_without_its_window() -> None:
    """Where the others are at their ends and have nothing, a topic's records are taken in its own order."""
    merge = filled(a=[], b=[7, 3])
    assert merge.take(ends("a"), 1, LATER_S) == ["b7"]
    assert merge.take(ends(), 1, LATER_S) == []
    assert merge.take(ends("a"), 1, LATER_S) == ["b3"]


@given(st.booleans(), st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 100))
def test_the_bytes_of_a_batch_are_bounded(has_others: bool, sizes: list[int], limit_bytes: int) -> None:
    """A batch ends with the record that fills its bytes, nothing is lost or reordered by that, and it is told."""
    merge: Merge[int] = Merge(["plug", "charge"], WINDOW)
    if has_others:
        merge.push("plug", 0, at(len(sizes)), len(sizes), owner="B")
    for offset, size in enumerate(sizes):
        merge.push("charge", offset, at(offset), offset, owner="A", size_bytes=size)
    seen: list[int] = []
    while not merge.is_empty():
        batch = merge.take(ends("plug", "charge"), 10, LATER_S, limit_bytes)
        assert batch
        before_last = sum(sizes[each] for each in batch[:-1] if each < len(sizes))
        assert before_last < limit_bytes
        total = before_last + (sizes[batch[-1]] if batch[-1] < len(sizes) else 0)
        assert merge.is_cut == (total >= limit_bytes)
        seen += batch
    assert seen == list(range(len(sizes) + has_others))


def test_what_was_taken_ahead_is_told() -> None:
    """Progress is the first offset that is not done, and the done ones beyond; where nothing waits, the log's end."""
    merge: Merge[str] = Merge(["plug", "charge"], WINDOW)
    merge.start("plug", 5)
    merge.start("charge", 40)
    merge.push("plug", 5, at(100), "B in", owner="B")
    merge.push("plug", 7, at(0), "A in", owner="A")
    merge.push("plug", 8, at(200), "B out", owner="B")
    merge.push("charge", 40, at(1), "A 1", owner="A")
    assert merge.take(ends("plug", "charge"), 1, LATER_S) == ["A in", "A 1"]
    assert merge.progress() == {"plug": (5, [7]), "charge": (41, [])}
    merge.reach("charge", 44)
    assert merge.take(ends("plug", "charge"), 1, LATER_S) == ["B in"]
    assert merge.progress() == {"plug": (8, []), "charge": (44, [])}


def test_what_was_taken_from_behind_keeps_nothing_but_its_place() -> None:
    """Records taken from behind a waiting one are let go, and their places count towards the window."""
    merge: Merge[int] = Merge(["plug", "charge"], window=1_000)
    merge.push("plug", 0, at(10**6), -1, owner="B")
    for second in range(500):
        merge.push("plug", second + 1, at(second), second, owner="A")
        merge.push("charge", second, at(second), second, owner="A")
        assert merge.take(ends("plug", "charge"), 1, LATER_S) == [second, second]
    assert (merge.depth("plug"), merge.depth("charge"), list(merge._owned)) == (501, 0, ["B"])
    assert [each.item for each in merge._queues["plug"].records] == [-1] + [None] * 500


def test_a_backlog_beyond_the_window_keeps_every_order() -> None:
    """However many records lie behind one from months ahead, each of the other vehicles is heard in its own order."""
    window, vehicles = 10, 200
    merge: Merge[str] = Merge(["plug", "charge"], window)
    merge.push("plug", 0, at(10**7), "ahead in", owner="ahead")
    for number in range(vehicles):
        name, start = f"car-{number}", 10 * number
        for place, (topic, second, what) in enumerate((("plug", 0, "in"), ("charge", 1, "1"), ("charge", 2, "2"))):
            merge.push(topic, 3 * number + place, at(start + second), f"{name} {what}", owner=name)
        merge.push("plug", 3 * number + 3, at(start + 3), f"{name} out", owner=name)
    taken: list[str] = []
    while batch := merge.take(ends("plug", "charge"), 7, LATER_S):
        taken += batch
        # What is taken ahead is told with every batch: it must stay within the window.
        assert all(len(ahead) < window for _, ahead in merge.progress().values())
    told: dict[str, list[str]] = {}
    for vehicle, what in (each.split() for each in taken):
        told.setdefault(vehicle, []).append(what)
    assert told.pop("ahead") == ["in"]
    assert set(map(tuple, told.values())) == {("in", "1", "2", "out")}
    assert len(told) == vehicles


Owned = st.lists(st.tuples(st.sampled_from("ABC"), st.none() | st.integers(0, 30)), max_size=12)
Log = dict[str, list[tuple[str, int | None]]]
Name = tuple[str, int]


def run(log: Log, window: int, steps: Callable[[int], int], *, restart_each: bool) -> list[Name]:
    """The order in which a log's records are taken, read by pieces of `steps` records and taken by `steps` again.

    `restart_each`: after every batch all that is in memory is lost, but for the progress.
    """
    order: list[Name] = []
    merge: Merge[Name] = Merge(["plug", "charge"], window)
    read = dict.fromkeys(log, 0)
    rounds = 0
    while any(read[topic] < len(log[topic]) for topic in log) or not merge.is_empty():
        rounds += 1
        assert rounds < 1_000, "nothing moves any more"
        for topic in log:
            for _ in range(steps(rounds)):
                offset = read[topic]
                if offset == len(log[topic]):
                    break
                read[topic] += 1
                owner, second = log[topic][offset]
                if not merge.is_done(topic, offset):
                    when = None if second is None else at(second)
                    merge.push(topic, offset, when, (topic, offset), owner=owner)
        taken = merge.take(lambda topic: read[topic] == len(log[topic]), steps(rounds), LATER_S)
        order += taken
        if restart_each and taken:
            progress = merge.progress()
            merge = Merge(["plug", "charge"], window)
            for topic, (offset, beyond) in progress.items():
                merge.start(topic, offset, beyond)
                read[topic] = offset
    return order


@given(Owned, Owned, st.integers(1, 6), st.integers(1, 5), st.integers(1, 5))
def test_a_log_has_one_order(
    plugs: list[tuple[str, int | None]], charges: list[tuple[str, int | None]], window: int, one: int, other: int
) -> None:
    """However a log is fetched and cut into batches, and if reading begins anew after each: the order is the same.

    Every record is taken once, nothing twice.
    """
    log: Log = {"plug": plugs, "charge": charges}
    first = run(log, window, lambda _: one, restart_each=False)
    assert sorted(first) == sorted((topic, offset) for topic in log for offset in range(len(log[topic])))
    assert run(log, window, lambda number: other + number % 2, restart_each=False) == first
    assert run(log, window, lambda _: other, restart_each=True) == first


@given(Owned, Owned, st.integers(1, 5))
def test_a_vehicles_order_depends_on_its_own_records(
    plugs: list[tuple[str, int | None]], charges: list[tuple[str, int | None]], limit: int
) -> None:
    """Within the window each vehicle's records come out as if it were alone, however those of several are mixed."""

    def order(owners: str) -> list[tuple[str, str, int]]:
        merge: Merge[tuple[str, str, int]] = Merge(["plug", "charge"], WINDOW)
        for topic, records in (("plug", plugs), ("charge", charges)):
            for offset, (owner, second) in enumerate(records):
                if owner in owners and second is not None:
                    merge.push(topic, offset, at(second), (owner, topic, second), owner=owner)
        taken: list[tuple[str, str, int]] = []
        while batch := merge.take(ends("plug", "charge"), limit, LATER_S):
            taken += batch
        return taken

    mixed = order("ABC")
    for owner in "ABC":
        assert [record for record in mixed if record[0] == owner] == order(owner)
