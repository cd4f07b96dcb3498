"""What an adapter hands over: one input record, and an account of the lines that told nothing.

Adapters are pure: lines in, records out. They know neither brokers nor sessions.
"""

import zlib
from collections import Counter
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from ingest.errors import CaptureError
from models.ids import LocationId, UserId, VehicleId, is_id
from models.policy import VehiclePolicy
from models.prices import PriceRecord
from models.target import SessionTarget
from models.telemetry import ChargeSample, PlugEvent

ID_MAX_CHARS: Final = 64

Message: TypeAlias = PlugEvent | ChargeSample | VehiclePolicy | PriceRecord | SessionTarget | bytes | None


class InputRecord(NamedTuple):
    """One record for an input topic (name without prefix). `at` is its event time, None where it tells none."""

    at: datetime | None
    topic: str
    key: str | None
    message: Message


class Naming(Struct, frozen=True, kw_only=True):
    """What the operator says about a capture: whose it is, and where it was taken."""

    vehicle_id: VehicleId | None = None
    user_id: UserId = UserId("capture-user")
    location_id: LocationId | None = None

    def __post_init__(self) -> None:
        for option, text in (("vehicle", self.vehicle_id), ("user", self.user_id), ("location", self.location_id)):
            if text is not None and not is_id(text):
                raise CaptureError(f"--{option} {text!r}: an id is 1 to 64 of the characters A-Z a-z 0-9 . _ : -")


class Skipped:
    """Counts lines that could not be used, by reason, and remembers where each reason was first met."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str, where: str) -> None:
        self.counts[reason] += 1
        self._first.setdefault(reason, where)

    def __str__(self) -> str:
        total = sum(self.counts.values())
        reasons = (f"{reason} {count} (first {self._first[reason]})" for reason, count in sorted(self.counts.items()))
        return f"{total}: {', '.join(reasons)}" if total else "0"


def event_id(vehicle_id: str, at: datetime, kind: str, content: bytes) -> str:
    """The same line gives the same id in every run; two lines of one instant differ by their content.

    `kind` ("p" plug, "c" charge) keeps apart what one line tells on two topics.
    """
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")
    tail = f"-{stamp}-{kind}{zlib.crc32(content):08x}"
    return vehicle_id[: ID_MAX_CHARS - len(tail)] + tail
