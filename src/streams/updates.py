"""The bytes of a session update, made without writing anew what the update before already told.

A visit of three days has 288 intervals, and each sample changes the last one: what stands is kept as bytes. The memory
is bounded and only saves work: without it, or after a restart, the same bytes come out.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from models.codec import encode
from models.ids import SessionId
from models.session import SessionState
from models.topics import MIB
from models.webhook import SessionUpdated
from sessions.events import SessionChanged
from sessions.series import point

# Sessions remembered, and bytes of their intervals: a night has 5 KB, a visit of six months two million. Where the
# intervals end costs a third more.
MEMORY_LIMIT: Final = 4_000
MEMORY_LIMIT_BYTES: Final = 32 * MIB

_ENCODER: Final = msgspec.json.Encoder()
# Where the series of a session without one stands; ids hold no quotes, and an error's detail comes later.
_EMPTY: Final = b'"timeseries":[]'


class _Told:
    """What an update told of the intervals that were over: the bytes of each with a comma behind, and its end."""

    __slots__ = ("ends", "raw", "version")

    def __init__(self) -> None:
        self.version = 0
        self.ends: list[int] = []
        self.raw = b""


class UpdateEncoder:
    """Makes the value of each update of a partition."""

    def __init__(self) -> None:
        self._told = OrderedDict[SessionId, _Told]()
        self.size_bytes = 0

    def encode(self, change: SessionChanged) -> bytes:
        """The value of the update, as JSON."""
        head = encode(SessionUpdated(user_id=change.head.user_id, created_at=change.created_at, session=change.head))
        series = change.series
        count = 0 if series is None else series.count
        if series is None or not count:
            return head
        told = self._take_told(change)
        ends, over = told.ends, told.raw
        kept = min(len(ends), series.kept, count - 1)
        if kept < len(ends):
            # A quarter-hour that is over may change once more, and what comes late changes earlier ones.
            del ends[kept:]
            over = over[: ends[-1] if ends else 0]
        for index in range(kept, count - 1):
            over += _ENCODER.encode(point(series, index)) + b","
            ends.append(len(over))
        told.version, told.raw = change.version, over
        self._remember(change, told)
        last = _ENCODER.encode(point(series, count - 1))
        return head.replace(_EMPTY, b'"timeseries":[' + over + last + b"]", 1)

    def _take_told(self, change: SessionChanged) -> _Told:
        """What the update before this one told, to be brought up to date; empty where that is not remembered."""
        told = self._told.pop(change.head.id, None)
        if told is None:
            return _Told()
        self.size_bytes -= len(told.raw)
        return told if told.version == change.version - 1 else _Told()

    def _remember(self, change: SessionChanged, told: _Told) -> None:
        if change.head.state is SessionState.SETTLED:
            return
        self._told[change.head.id] = told
        self.size_bytes += len(told.raw)
        while len(self._told) > MEMORY_LIMIT or self.size_bytes > MEMORY_LIMIT_BYTES:
            _, oldest = self._told.popitem(last=False)
            self.size_bytes -= len(oldest.raw)
