"""Which words of the plug a feed delivered, and when: what was told to nobody, nobody can know."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Final

from models.telemetry import POWER_DELIVERY_STATES, ChargeSample, PlugEvent, PowerDeliveryState
from simulator.world.moments import MINUTE_MS, NEVER_MS, SECOND_MS
from simulator.world.oracle import DEBOUNCE_MS

# Words remembered of one car: at one a minute, a fortnight of them.
_LIMIT_WORDS: Final = 20_000
# When it was true, when it reaches the log (ms), and whether the plug was in.
Word = tuple[int, int, bool]
# A place that was told so long before a plug-in is the visit's.
_PLACE_MS: Final = 10 * MINUTE_MS
# After a silence of that length, a counter that began anew ends a visit at its last word.
_SILENCE_MS: Final = 30 * MINUTE_MS
_UNKNOWN: Final = PowerDeliveryState.UNKNOWN
_OUT: Final = PowerDeliveryState.UNPLUGGED


class Heard:
    """The words of one car's plug, in the order in which they became true."""

    __slots__ = ("_places", "_told", "_words")

    def __init__(self) -> None:
        self._words: list[Word] = []
        # Words of a place: when it was true, when it reaches the log (ms), and whether it said that the plug was out.
        self._places: list[Word] = []
        # Everything that was told, whatever of, and whether it told the counter.
        self._told: list[Word] = []

    def take(self, true_ms: int, arrives_ms: int, message: PlugEvent | ChargeSample) -> None:
        """A message that was true then reaches the log then."""
        is_in = _said(message)
        _keep(self._told, (true_ms, arrives_ms, isinstance(message, ChargeSample) and message.energy_added is not None))
        if is_in is not None:
            _keep(self._words, (true_ms, arrives_ms, is_in))
        if message.location_id is not None:
            _keep(self._places, (true_ms, arrives_ms, is_in is False and not isinstance(message, PlugEvent)))

    def remembers(self, at_ms: int) -> bool:
        """Whether words of the plug from before that moment, or of it, are still known."""
        return bool(self._words) and self._words[0][0] <= at_ms

    def was_out(self, from_ms: int, to_ms: int) -> bool:
        """Whether an unplug between these moments was told so that nobody can miss it.

        It must reach the log before any word of a plug that is in later, and the plug must not be in again at once.
        """
        return self._was(from_ms, to_ms, is_in=False)

    def was_in(self, from_ms: int, to_ms: int) -> bool:
        """Whether a plug-in between these moments was told so, and the plug was not out again at once."""
        return self._was(from_ms, to_ms, is_in=True)

    def first_in(self, from_ms: int, to_ms: int, came: Sequence[tuple[int, int]], by_ms: int = NEVER_MS) -> int | None:
        """When first, between these moments, a word that the plug is in was true that can begin a visit; null: never.

        `by_ms`: it reached the log by then.
        `came`: of sessions, when each came and since when it lasts (ms). No visit begins before one that had come.
        """
        for true_ms, arrives_ms, says_in in _since(self._words, from_ms):
            if true_ms > to_ms:
                break
            if (
                says_in
                and arrives_ms <= by_ms
                and not any(at_ms <= arrives_ms and true_ms <= start_ms for at_ms, start_ms in came)
            ):
                return true_ms
        return None

    def last_read(self, from_ms: int, to_ms: int, by_ms: int) -> int:
        """When the newest reading of the counter between these moments was true that came by then; else `from_ms`."""
        told = takewhile(lambda word: word[0] <= to_ms, _since(self._told, from_ms))
        return max((true_ms for true_ms, came_ms, is_read in told if is_read and came_ms <= by_ms), default=from_ms)

    def is_silent(self, from_ms: int, to_ms: int) -> bool:
        """Whether nothing of the half-hour after `from_ms` was told before something later was, up to `to_ms`."""
        until_ms, later_ms = from_ms + _SILENCE_MS, NEVER_MS
        for true_ms, arrives_ms, _ in _since(self._told, until_ms):
            if true_ms > to_ms:
                break
            later_ms = min(later_ms, arrives_ms)
        between = takewhile(lambda word: word[0] < until_ms, _since(self._told, from_ms + SECOND_MS))
        return later_ms < NEVER_MS and all(arrives_ms >= later_ms for _, arrives_ms, _ in between)

    def is_in_before(self, at_ms: int) -> bool:
        """Whether the plug was in for all that was told of the time before: nothing took the newest such word back."""
        words = self._words
        newest = next((word for word in reversed(words[: bisect_left(words, (at_ms,))]) if word[2]), None)
        return newest is not None and not self.was_out(newest[0], at_ms - 1)

    def is_mixed(self, from_ms: int, to_ms: int) -> bool:
        """Whether what was true after `to_ms` reached the log before the unplug between these moments did.

        Until then it counts for the visit that was over: its counters, levels and rates.
        """
        out_ms = min(
            (
                arrives_ms
                for true_ms, arrives_ms, says_in in _since(self._words, from_ms)
                if true_ms <= to_ms and not says_in and _stands(self._words, true_ms, arrives_ms, is_in=False)
            ),
            default=NEVER_MS,
        )
        for true_ms, arrives_ms, _ in _since(self._told, to_ms):
            if true_ms > out_ms:
                break
            if arrives_ms < out_ms:
                return True
        return False

    def was_placed(self, plugged_in_ms: int, ended_ms: int) -> bool | None:
        """Whether a visit's place was told while it lasted, or just before it; null: only later, and it depends.

        A sample that finds the plug out does not tell where it was in. A place of after the visit may be taken for its
        own where the unplug reached the log later than that.
        """
        came = [
            arrives_ms
            for true_ms, arrives_ms, is_out in _since(self._places, plugged_in_ms - _PLACE_MS)
            if true_ms <= ended_ms + DEBOUNCE_MS and not (is_out and true_ms >= plugged_in_ms)
        ]
        if came:
            return None if min(came) > ended_ms else True
        outs = (came_ms for _, came_ms, says_in in _since(self._words, ended_ms) if not says_in)
        out_ms = min(outs, default=NEVER_MS)
        later = _since(self._places, ended_ms + DEBOUNCE_MS)
        return None if any(came_ms < out_ms and not is_out for _, came_ms, is_out in later) else False

    def _was(self, from_ms: int, to_ms: int, *, is_in: bool) -> bool:
        words = self._words
        for true_ms, arrives_ms, says_in in _since(words, from_ms):
            if true_ms > to_ms:
                break
            if says_in is is_in and _stands(words, true_ms, arrives_ms, is_in=is_in):
                return True
        return False


def _keep(words: list[Word], word: Word) -> None:
    words.append(word)
    if len(words) > _LIMIT_WORDS:
        del words[: _LIMIT_WORDS // 4]


def _since(words: list[Word], from_ms: int) -> Iterator[Word]:
    return islice(words, bisect_left(words, (from_ms,)), None)


def _stands(words: list[Word], said_ms: int, heard_ms: int, *, is_in: bool) -> bool:
    """Whether no word of the contrary takes it back, and no later word came before it."""
    for true_ms, arrives_ms, says_in in _since(words, said_ms):
        if true_ms > max(heard_ms, said_ms + DEBOUNCE_MS):
            return True
        if says_in is is_in:
            # Evidence that is older than what is known already changes nothing: then the newer word is what counts.
            if true_ms > said_ms and arrives_ms < heard_ms:
                return False
            continue
        if true_ms == said_ms and arrives_ms > heard_ms:
            return False
        if true_ms > said_ms and (arrives_ms <= heard_ms or true_ms <= said_ms + DEBOUNCE_MS):
            return False
    return True


def _said(message: PlugEvent | ChargeSample) -> bool | None:
    """What the message says of the plug, the first field present alone; null: nothing, as a word that nobody knows."""
    if message.is_plugged_in is not None or isinstance(message, PlugEvent):
        return message.is_plugged_in
    state = POWER_DELIVERY_STATES.get(message.power_delivery_state or "", _UNKNOWN)
    if state is not _UNKNOWN:
        return state is not _OUT
    return True if message.is_charging or (message.charge_rate or 0) > 0 else None
