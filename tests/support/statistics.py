"""The statistics of one visit, fed with samples as tests write them, without a lifecycle around them."""

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from sessions.events import Counted, TelemetryReceived
from sessions.evidence import Observation, observe
from sessions.readings import Readings
from sessions.samples import begin, take
from sessions.totals import Context, Totals
from tests.builders import minute

CAPACITY_WH: Final = 60_000


def context(start: float = 10, *, until: float | None = None, **facts: object) -> Context:
    """A part that begins with its visit at that minute."""
    known = Context(started_at=minute(start), plugged_in_at=minute(start))
    if until is not None:
        known = structs.replace(known, unplugged_at=minute(until))
    return structs.replace(known, **facts)


def seen(event: TelemetryReceived) -> Observation:
    """What an event says."""
    return observe(event.message)


class Visit:
    """What is remembered of a vehicle, and the totals of its open part, if there is one."""

    def __init__(self, known: Context | None = None) -> None:
        self.readings = Readings()
        self.context = known
        self.counted: list[Counted] = []
        self.totals = None if known is None else begin(self.readings, known)

    def tell(self, *events: TelemetryReceived) -> "Visit":
        """The vehicle tells something."""
        for event in events:
            self.readings, self.totals, counted = take(self.readings, self.totals, seen(event), self.context)
            self.counted += counted
        return self

    def plug_in(self, known: Context) -> "Visit":
        """A part begins now, at whatever time, with what was told until now."""
        self.context = known
        self.totals = begin(self.readings, known)
        return self

    def plug_out(self) -> "Visit":
        """The visit is over."""
        self.context = self.totals = None
        return self

    @property
    def part(self) -> Totals:
        """The totals of the open part."""
        assert self.totals is not None
        return self.totals

    @property
    def energy_wh(self) -> list[int]:
        """The energies of the part's quarter-hours."""
        return list(self.part.energy_wh)

    @property
    def sum_wh(self) -> int:
        """All energy of the part."""
        return self.part.energy_sum_wh


def told(events: Iterable[TelemetryReceived], known: Context | None = None) -> Visit:
    """A visit from minute 10 on, of which the events tell."""
    return Visit(known or context()).tell(*events)
