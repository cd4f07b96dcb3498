"""Where simulated events go. A sink takes records in order and says when they are safe."""

from typing import Protocol

from ingest.records import InputRecord
from ingest.writer import InputWriter


class Sink(Protocol):
    """`flush` returns once everything written before is safe; both may raise WriteInterrupted or WriteError."""

    def write(self, record: InputRecord) -> None: ...

    def flush(self) -> None: ...


class KafkaSink:
    """The input topics, through the one writer of input records. It waits through an outage of the broker."""

    def __init__(self, writer: InputWriter) -> None:
        self._writer = writer

    def write(self, record: InputRecord) -> None:
        self._writer.write(record)

    def flush(self) -> None:
        self._writer.flush()
