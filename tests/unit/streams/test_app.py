"""What ends Faust ends the worker's process, at once and with a word."""

import subprocess
import sys

import pytest

CRASHING = """
import asyncio, sys
import faust
from aiokafka.errors import IllegalStateError, NodeNotReadyError
from streams.app import leave_on_crash

app = faust.App("crashes")
leave_on_crash(app)

async def crash() -> None:
    await app.crash({reason})

asyncio.run(crash())
"""


@pytest.mark.parametrize(
    ("reason", "status", "word"),
    [
        ("RuntimeError('boom')", 70, "worker stopped by a defect"),
        ("NodeNotReadyError('gone')", 1, "the Kafka client gave up"),
    ],
)
def test_a_crash_of_faust_ends_the_process(reason: str, status: int, word: str) -> None:
    """A defect with the status of one, a client that gave up with one line: neither waits for Faust to stop."""
    run = subprocess.run(
        [sys.executable, "-c", CRASHING.format(reason=reason)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == status, run.stderr
    assert word in run.stderr + run.stdout
