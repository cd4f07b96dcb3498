"""How large batches may be."""

from hypothesis import given
from hypothesis import strategies as st

from streams.batch_size import FIRST_RECORDS, WRITTEN_BYTES, BatchSize

LIMIT_RECORDS = 4_000


def grown() -> BatchSize:
    """What it is after batches that write little."""
    size = BatchSize(LIMIT_RECORDS)
    for _ in range(10):
        size.note(size.records, 1_000)
    return size


def test_a_worker_begins_with_little() -> None:
    """The first batch is small, each may be twice as large as the one before, and none is beyond the limit."""
    size, seen = BatchSize(LIMIT_RECORDS), []
    for _ in range(6):
        seen.append(size.records)
        size.note(size.records, 1_000)
    assert seen == [FIRST_RECORDS, 500, 1_000, 2_000, LIMIT_RECORDS, LIMIT_RECORDS]
    assert BatchSize(7).records == 7


@given(record_bytes=st.integers(1, 8_000_000), records=st.integers(1, LIMIT_RECORDS))
def test_the_next_batch_fits_if_it_is_like_the_last(record_bytes: int, records: int) -> None:
    """What a batch may write is kept to by the next one of the same kind, unless a single record is beyond it."""
    size = grown()
    size.note(records, records * record_bytes)
    assert 1 <= size.records <= LIMIT_RECORDS
    assert size.records == 1 or size.records * record_bytes <= WRITTEN_BYTES


def test_a_batch_that_writes_nothing_slows_nobody() -> None:
    """Records that change nothing leave the limit as it is."""
    size = grown()
    size.note(3, 0)
    assert size.records == LIMIT_RECORDS
