"""What of each input is done, and where reading goes on after a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import WorkerError
from streams.progress import TopicProgress, decode_progress, encode_progress, start_of

Done = st.builds(
    TopicProgress, st.text(max_size=22), st.integers(0, 2**62), st.lists(st.integers(0, 2**62), max_size=5)
)


@given(st.dictionaries(st.text(max_size=30), Done, max_size=5))
def test_progress_comes_back_as_it_was(progress: dict[str, TopicProgress]) -> None:
    """A record of progress is decoded to what was encoded; no record is no progress."""
    assert decode_progress(encode_progress(progress)) == progress
    assert decode_progress(None) == {}


def test_reading_goes_on_where_it_was_left() -> None:
    """A topic begins at its first record, and later where it was left, with what was taken ahead."""
    done = TopicProgress("id", 7, [9, 11])
    assert start_of("t", "id", None, 3, 20) == TopicProgress("id", 3)
    assert start_of("t", "id", done, 3, 20) == done
    assert start_of("t", "id", done, 7, 7) == done


def test_what_the_log_has_lost_is_passed_over() -> None:
    """Where the log begins later than reading was left, it goes on at the log's first record."""
    done = TopicProgress("id", 7, [9, 11])
    assert start_of("t", "id", done, 10, 20) == TopicProgress("id", 10, [11])


@pytest.mark.parametrize(
    ("topic_id", "end", "words"),
    [("other", 20, "was made anew"), ("id", 6, "ends at offset 6, but is processed up to 7")],
)
def test_a_log_that_is_another_one_is_not_read(topic_id: str, end: int, words: str) -> None:
    """Progress in a topic that has another id, or that is shorter than what is done, is refused in one line."""
    with pytest.raises(WorkerError, match=words):
        start_of("t", topic_id, TopicProgress("id", 7), 0, end)
