"""The feeds by name: the clean one, each defect alone, and all of them together; and what each may do to a session."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from models.telemetry import ChargeSample
from simulator.feeds.defects import SPOILERS, Arrival, Message, Skew, Spoiler
from simulator.feeds.feed import Feed
from simulator.judge.bounds import Bounds
from simulator.judge.heard import Heard
from simulator.judge.metered import Metered
from simulator.world.car import Car
from simulator.world.people import Person

CLEAN: Final = "clean"
ALL: Final = "all"
# One of each kind that can be together; of the counters the worst, and no polls beside a stream.
_TOGETHER: Final = (
    "changed-fields",
    "held-counter",
    "wrong-words",
    "out-of-range",
    "sleep",
    "drops",
    "skew",
    "offline",
    "bursts",
    "reordering",
    "duplicates",
)
_HALF_HOUR_S: Final = 1_800.0
# README.md tells why, one line a feed.
BOUNDS: Final[dict[str, Bounds]] = {
    CLEAN: Bounds(),
    "changed-fields": Bounds(),
    "stream": Bounds(),
    "polls": Bounds(
        start_s=(0, 6_600), end_s=(0, 10_800), energy_gap_s=6_600, money=None, blind_s=6_600, settle_s=9_600,
        level_percent=None, late_s=6_600, may_split=True,
    ),
    "bursts": Bounds(settle_s=3_600, late_s=600, may_split=True),
    "no-level": Bounds(level_percent=None),
    "rate-only": Bounds(energy_gap_s=180, level_percent=None, knows_power=False),
    "level-only": Bounds(energy_share=0.06, energy_kwh=0.1, energy_gap_s=1_200, money=None, knows_power=False),
    "lifetime-counter": Bounds(),
    "held-counter": Bounds(energy_kwh=0.12, energy_gap_s=600),
    "falling-counter": Bounds(energy_share=0.025, energy_kwh=0.12),
    "placeholder-zeros": Bounds(energy_gap_s=1_500),
    "duplicates": Bounds(),
    "reordering": Bounds(
        end_s=(0, 120), energy_gap_s=300, blind_s=180, settle_s=3_600, late_s=300, level_percent=None,
        may_split=True,
    ),
    "drops": Bounds(
        start_s=(0, 700), end_s=(0, 2 * _HALF_HOUR_S), energy_gap_s=1_300, blind_s=700, settle_s=7_200,
        level_percent=None, late_s=2 * _HALF_HOUR_S, may_split=True,
    ),
    "skew": Bounds(money=None, settle_s=600, late_s=300),
    "wrong-words": Bounds(),
    "out-of-range": Bounds(level_percent=None, knows_power=False),
    "sleep": Bounds(),
    "offline": Bounds(settle_s=12 * 3_600, late_s=9 * 3_600, may_split=True),
    ALL: Bounds(
        start_s=(120, 9_000), end_s=(4_200, 40_000), energy_gap_s=7_200, money=None, blind_s=36_000,
        settle_s=18 * 3_600, level_percent=None, late_s=12 * 3_600, may_split=True,
    ),
}  # fmt: skip
_ORDERED: Final = frozenset(
    {
        "changed-fields", "stream", "polls", "no-level", "rate-only", "level-only", "lifetime-counter", "held-counter",
        "falling-counter", "placeholder-zeros", "drops", "wrong-words", "out-of-range", "sleep",
    }
)  # fmt: skip
# Values that no message may have pass the same door as in a worker, which takes them out.
_COARSE: Final = frozenset({"out-of-range", ALL})
# Whose levels and limits all arrive, when they are true: elsewhere nobody can say which of them a verdict knew.
_LEVELLED: Final = frozenset(
    {
        "changed-fields", "lifetime-counter", "held-counter", "falling-counter", "placeholder-zeros", "duplicates",
        "wrong-words",
    }
)  # fmt: skip
# Who tell only what has changed.
_CHANGED: Final = frozenset({"changed-fields", "stream", ALL})
# Readings of the counter are missing, each at its time, and no bound of the clock allows for that.
_UNREAD: Final = frozenset({"out-of-range", "rate-only"})
# Whose words of the plug say nothing now and then, and all else comes whole and at once.
_WORDLESS: Final = frozenset({"wrong-words"})
# Who tells as often as the fastest do, every 1 to 10 s while plugged in.
_FAST: Final = frozenset({"stream"})
NAMES: Final = tuple(BOUNDS)


class DirtyFeed(Feed):
    """A feed with one or more habits, one after another."""

    is_clean = False

    def __init__(self, name: str, spoilers: Sequence[Spoiler]) -> None:
        self.is_ordered = name in _ORDERED
        self.is_coarse = name in _COARSE
        self.tells_levels = name in _LEVELLED
        self.tells_again = name not in _CHANGED
        skew_ms = next((spoiler.off_ms for spoiler in spoilers if isinstance(spoiler, Skew)), 0)
        self.bounds = structs.replace(BOUNDS[name], skew_ms=skew_ms)
        self.heard = Heard() if self.bounds.blind_s else None
        self.spoken = Heard() if name in _WORDLESS else None
        self.metered = Metered() if name in _UNREAD else None
        self._spoilers = spoilers

    def tell(self, car: Car, message: Message, now_ms: int) -> Sequence[Arrival]:
        arrivals: Sequence[Arrival] = ((now_ms, message),)
        for spoiler in self._spoilers:
            arrivals = [spoilt for arrival in arrivals for spoilt in spoiler.spoil(car, arrival)]
        heard = self.heard or self.spoken
        if heard is not None:
            for arrives_ms, told in arrivals:
                heard.take(now_ms, arrives_ms, told)
        if self.metered is not None and isinstance(message, ChargeSample):
            for _, told in arrivals:
                if isinstance(told, ChargeSample):
                    self.metered.take(now_ms, message, told)
        return arrivals


def feed_maker(name: str) -> Callable[[Person], Feed]:
    """Makes each person's feed of that name. Raises KeyError where there is none."""
    if name == CLEAN:
        return lambda _: Feed()
    if name not in BOUNDS:
        raise KeyError(name)
    names = _TOGETHER if name == ALL else (name,)

    def make(who: Person) -> Feed:
        feed = DirtyFeed(name, [SPOILERS[each](who.chance(f"feed/{each}")) for each in names])
        if name in _FAST:
            feed.plugged_every_s = who.chance("feed/every").randrange(1, 11)
        return feed

    return make
