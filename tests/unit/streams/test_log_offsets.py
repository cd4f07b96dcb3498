"""Questions that nobody answers."""

import gc
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import OffsetSpec

from local.ports import free_port
from streams.log_offsets import LogOffsets
from tests.support.waiting import wait_until

QUESTIONS = 5


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux lists them")
def test_questions_without_an_answer_leave_nothing_behind() -> None:
    """A worker looks for no circles of old objects: none may keep a client while no broker answers."""
    offsets = LogOffsets(f"127.0.0.1:{free_port()}")
    before = threads()
    gc.disable()
    try:
        for _ in range(QUESTIONS):
            with pytest.raises(KafkaException):
                offsets.ask([("topic", 0)], OffsetSpec.latest(), 0.1)
        wait_until(lambda: threads() <= before, 10, "no more threads than those of one client")
    finally:
        gc.enable()


def test_no_partition_needs_no_broker() -> None:
    """Nothing is asked about nothing."""
    assert LogOffsets(f"127.0.0.1:{free_port()}").ask([], OffsetSpec.latest(), 0.1) == {}
