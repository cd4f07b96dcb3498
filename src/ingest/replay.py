"""From files to a stream of records: which adapter reads them, and in which order their records are written.

Captures are small and are put in the order of their times, so that files and vehicles may come in any order. Recorded
events stream in the order of their file, with constant memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from ingest import events_jsonl, tesla_fleet, teslafi
from ingest.errors import CaptureError
from ingest.files import check_readable, read_lines
from ingest.records import InputRecord, Naming, Skipped

EVENTS_JSONL: Final = "events-jsonl"
TESLA_FLEET: Final = "tesla-fleet-telemetry"
TESLAFI: Final = "teslafi-csv"
FORMATS: Final = (EVENTS_JSONL, TESLA_FLEET, TESLAFI)

# What is sorted is held in memory: about 2 KB a message. A year of minute polls has half as many.
CAPTURE_LIMIT_MESSAGES: Final = 1_000_000


class Capture(Struct, frozen=True, kw_only=True):
    """What to replay."""

    format: str
    files: Sequence[Path]
    naming: Naming = Naming()
    zone: tzinfo = UTC


def read_capture(capture: Capture, skipped: Skipped) -> Iterator[InputRecord]:
    """The records of a capture, in the order in which they are to be written. Raises CaptureError."""
    for path in capture.files:
        check_readable(path)
    return _READERS[capture.format](capture, skipped)


def _read_events(capture: Capture, _skipped: Skipped) -> Iterator[InputRecord]:
    return events_jsonl.records(chain.from_iterable(read_lines(path) for path in capture.files))


def _read_tesla_fleet(capture: Capture, skipped: Skipped) -> Iterator[InputRecord]:
    lines = chain.from_iterable(read_lines(path) for path in capture.files)
    return tesla_fleet.records(_in_time_order(tesla_fleet.observations(lines, skipped)), capture.naming)


def _read_teslafi(capture: Capture, skipped: Skipped) -> Iterator[InputRecord]:
    polls = chain.from_iterable(
        teslafi.polls(
            read_lines(path), capture.naming.vehicle_id or teslafi.vehicle_of(path.name), capture.zone, skipped
        )
        for path in capture.files
    )
    return teslafi.records(_in_time_order(polls), capture.naming)


_READERS: Final[dict[str, Callable[[Capture, Skipped], Iterator[InputRecord]]]] = {
    EVENTS_JSONL: _read_events,
    TESLA_FLEET: _read_tesla_fleet,
    TESLAFI: _read_teslafi,
}


class _Timed(Protocol):
    @property
    def at(self) -> object: ...


_AnyTimed = TypeVar("_AnyTimed", bound=_Timed)


def _in_time_order(captured: Iterable[_AnyTimed]) -> list[_AnyTimed]:
    """Sorted by time; messages of one instant stay as they were told."""
    held = list(islice(captured, CAPTURE_LIMIT_MESSAGES + 1))
    if len(held) > CAPTURE_LIMIT_MESSAGES:
        raise CaptureError(f"more than {CAPTURE_LIMIT_MESSAGES} messages: replay fewer files at once")
    held.sort(key=lambda message: message.at)  # type: ignore[arg-type, return-value]
    return held
