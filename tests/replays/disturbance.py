"""The same telemetry as a bad line delivers it: late, out of order and more than once, within what is promised.

A message may come up to 24 h late, as long as its visit is open; a repeated one at any time within the 24 h.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from random import Random
from typing import Final

from msgspec import structs

from sessions.events import TelemetryReceived

# Short of the 24 h by what the vehicle's newest message may be ahead of the one that it overtook.
_LATEST: Final = timedelta(hours=23)
_DELAYS: Final = (
    timedelta(0),
    timedelta(seconds=25),
    timedelta(minutes=4),
    timedelta(minutes=50),
    timedelta(hours=6),
    _LATEST,
)
_REPEATED: Final = 0.3


class Late(Enum):
    """Which messages of a visit come late. Something must come in time: it opens the visit, or ends it."""

    PLUG_INS = "plug-ins"
    LATER_SAMPLES = "all samples but the first"
    SAMPLES = "all samples"


def disturbed(visits: Sequence[Sequence[TelemetryReceived]], late: Late, random: Random) -> list[TelemetryReceived]:
    """Delay some messages, and repeat some; what is told of a visit comes before anything of the next one."""
    deliveries: list[tuple[datetime, int, TelemetryReceived]] = []
    following = [told[0].message.at for told in visits[1:]]
    for told, closes_at in zip(visits, [*following, None], strict=True):
        for number, event in enumerate(told):
            at = event.message.at
            arrives = at + random.choice(_DELAYS) if _is_late(late, number, len(told)) else at
            if closes_at is not None:
                arrives = min(arrives, closes_at)
            deliveries.append((arrives, len(deliveries), event))
            if random.random() < _REPEATED:
                again = max(arrives, at + random.choice(_DELAYS))
                deliveries.append((again, len(deliveries), event))
    return [structs.replace(event, logged_at=arrives) for arrives, _, event in sorted(deliveries, key=_by_arrival)]


def _is_late(late: Late, number: int, told_count: int) -> bool:
    """A visit is told by its plug-in, its samples and its plug-out."""
    match late:
        case Late.PLUG_INS:
            return number == 0
        case Late.LATER_SAMPLES:
            return 1 < number < told_count - 1
        case Late.SAMPLES:
            return 0 < number < told_count - 1


def _by_arrival(delivery: tuple[datetime, int, TelemetryReceived]) -> tuple[datetime, int]:
    return delivery[:2]
