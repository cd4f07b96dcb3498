"""What a feed delivered of a car's meter, and by how much the rates err where no reading of its counter arrived."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

from models.telemetry import ChargeSample
from simulator.world.moments import HOUR_MS, MINUTE_MS
from simulator.world.oracle import TruePart

# Words remembered of one car: at one a minute, a fortnight of them.
_LIMIT_WORDS: Final = 20_000
# A rate that nothing follows holds for so long.
_HOLDS_MS: Final = 15 * MINUTE_MS


class Word(Struct, frozen=True):
    """What one message said: counter in kWh, rate in kW; null: not told, or out of its range."""

    at_ms: int
    counter_kwh: float | None
    rate_kw: float | None
    is_charging: bool | None


class Metered:
    """The words of one car's meter, in the order in which they were true, which is that of their arrival."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: list[Word] = []

    def take(self, at_ms: int, true: ChargeSample, told: ChargeSample) -> None:
        """A message of that moment reaches the log; a value that is not as it was in truth says nothing."""
        word = Word(
            at_ms,
            told.energy_added if told.energy_added == true.energy_added else None,
            told.charge_rate if told.charge_rate == true.charge_rate else None,
            told.is_charging,
        )
        self._words.append(word)
        if len(self._words) > _LIMIT_WORDS:
            del self._words[: _LIMIT_WORDS // 4]

    def off_kwh(self, part: TruePart) -> float:
        """How far the part's energy may be off, since for some of its time the rates alone told of it.

        A counter tells what flowed between two readings of it. Before the first, after the last, and where it began
        anew in between, the rates as they arrived stand for that, each held to the next one.
        """
        return sum(abs(self.told_kwh(*gap) - _true_kwh(part, *gap)) for gap in self._gaps(part))

    def told_kwh(self, from_ms: int, to_ms: int) -> float:
        """What the rates come to between two moments: held for 15 min at most, none while said not to charge."""
        energy, held_ms, rate_kw, is_charging = 0.0, from_ms, 0.0, True
        ends_ms = from_ms
        first = bisect_left(self._words, from_ms - _HOLDS_MS, key=_at)
        last = bisect_left(self._words, to_ms, key=_at)
        for word in (*self._words[first:last], Word(to_ms, None, None, None)):
            until_ms = min(word.at_ms, ends_ms)
            if until_ms > held_ms and is_charging:
                energy += rate_kw * (until_ms - held_ms) / HOUR_MS
            held_ms = max(held_ms, word.at_ms)
            if word.rate_kw is not None:
                rate_kw, ends_ms = word.rate_kw, word.at_ms + _HOLDS_MS
            is_charging = is_charging if word.is_charging is None else word.is_charging
        return energy

    def _gaps(self, part: TruePart) -> Iterator[tuple[int, int]]:
        start_ms, end_ms = part.started_ms, part.started_ms if part.ended_ms is None else part.ended_ms
        words = self._words
        first, after = bisect_left(words, start_ms, key=_at), bisect_right(words, end_ms, key=_at)
        read = [(word.at_ms, word.counter_kwh) for word in words[first:after] if word.counter_kwh is not None]
        if not read:
            yield start_ms, end_ms
            return
        if part.plugged_in_ms == start_ms:
            yield start_ms, read[0][0]
        else:
            # What the part before it was given by its rates is not this one's.
            before_ms = next((word.at_ms for word in reversed(words[:first]) if word.counter_kwh is not None), start_ms)
            yield max(before_ms, part.plugged_in_ms), start_ms
        yield from ((one_ms, other_ms) for (one_ms, one), (other_ms, other) in pairwise(read) if other < one)
        yield read[-1][0], end_ms


def _at(word: Word) -> int:
    return word.at_ms


def _true_kwh(part: TruePart, from_ms: int, to_ms: int) -> float:
    return sum(stretch.energy_kwh(from_ms, to_ms) for stretch in part.stretches)
