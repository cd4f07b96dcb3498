"""What a feed is: it takes a car's perfect words and gives what reaches the log, and when."""

from collections.abc import Sequence

from models.telemetry import ChargeSample, PlugEvent
from simulator.judge.bounds import Bounds
from simulator.judge.heard import Heard
from simulator.judge.metered import Metered
from simulator.world.car import Car

Message = PlugEvent | ChargeSample


class Feed:
    """The clean feed: every word, whole, at once. `bounds`: how far from the truth a session may be that knows it.

    `is_ordered`: messages arrive in the order of their time. `is_coarse`: some values are out of their range.
    `tells_levels`: every level and limit that changes is told at once, so that a verdict can be held against the truth.
    `tells_again`: what has not changed is told again with every word.
    `heard`: what it delivered of the plug, where some words are lost or late; null: all.
    `spoken`: the same, where all comes at once and whole, but some words of the plug say nothing; null: none of them.
    `metered`: what it delivered of the meter, where readings are lost; null: all, or the bounds allow for it.
    `plugged_every_s`: how often a car tells while it is plugged in; null: as it likes.
    """

    is_clean = True
    is_ordered = True
    is_coarse = False
    tells_levels = True
    tells_again = True
    bounds = Bounds()
    heard: Heard | None = None
    spoken: Heard | None = None
    metered: Metered | None = None
    plugged_every_s: int | None = None

    def tell(self, car: Car, message: Message, now_ms: int) -> Sequence[tuple[int, Message]]:
        """What reaches the log because of this word, each with its time of arrival (ms), which is never before now."""
        del car
        return [(now_ms, message)]
