"""What is remembered of a vehicle's readings, quarter-hour by quarter-hour, for as long as late ones may still come.

Of each quarter-hour only a few readings are kept, by rules that depend on the readings alone and not on their order of
arrival: so a reading that comes again finds that it has been told, late ones find their place, and the memory of a day
stays at some readings per quarter-hour, however often a vehicle reports. Nothing here knows what a reading is worth.
"""

from datetime import timedelta
from typing import Final

import msgspec
from msgspec import Struct

from sessions.counters import STEP_LIMIT_W, Reading, put_reading
from sessions.evidence import Observation
from sessions.grid import QUARTER_US
from sessions.rates import Rate, put_rate, useful_rates
from sessions.states import State, flipped_us, put_state

# How far a message may be behind its vehicle's newest; later ones are refused before they get here.
LATE_LIMIT: Final = timedelta(hours=24)
# What was told shortly before a plug-in still describes it; beyond that nobody asks while nothing is plugged in.
IDLE_LIMIT: Final = timedelta(minutes=10)
_LATE_LIMIT_US: Final = LATE_LIMIT // timedelta(microseconds=1)
_IDLE_LIMIT_US: Final = IDLE_LIMIT // timedelta(microseconds=1)
_PACKER: Final = msgspec.msgpack.Encoder()


class Quarter(Struct, frozen=True, array_like=True):
    """What is kept of one quarter-hour, each series in the order of its times (µs since 1970).

    `index`: which one, counted since 1970. `counters`: see `put_reading`. `rates`: see `put_rate` and `useful_rates`.
    `states`: see `put_state`. `levels`: the first and the last level (%) told.
    """

    index: int
    counters: tuple[Reading, ...] = ()
    rates: tuple[Rate, ...] = ()
    states: tuple[State, ...] = ()
    levels: tuple[tuple[int, float], ...] = ()


_UNPACKER: Final = msgspec.msgpack.Decoder(Quarter)


class Readings(Struct, frozen=True, array_like=True):
    """The kept quarter-hours, and the time of the newest message.

    Only the newest quarter-hour is at hand. The `older` ones, oldest first, lie packed beside their index: a vehicle's
    state is read and written with every message, and hardly ever is an older one asked for. `kept_from`: before this
    quarter-hour nothing is known any more, and what comes from there is ignored.
    """

    older: tuple[tuple[int, bytes], ...] = ()
    newest: Quarter | None = None
    newest_us: int = 0
    kept_from: int = 0


def quarters_of(readings: Readings, since: int = 0) -> list[Quarter]:
    """The kept quarter-hours from that one on, oldest first."""
    quarters = [_unpack(packed) for index, packed in readings.older if index >= since]
    if readings.newest is not None and readings.newest.index >= since:
        quarters.append(readings.newest)
    return quarters


def quarter_at(readings: Readings, index: int) -> Quarter | None:
    """A kept quarter-hour."""
    if readings.newest is not None and readings.newest.index == index:
        return readings.newest
    return next((_unpack(packed) for known, packed in reversed(readings.older) if known == index), None)


def counter_at(readings: Readings, at_us: int) -> int | None:
    """What the counter showed at a moment (Wh); null: of that moment no reading is kept."""
    quarter = quarter_at(readings, at_us // QUARTER_US)
    kept = () if quarter is None else quarter.counters
    return next((counter_wh for read_us, counter_wh, _ in kept if read_us == at_us), None)


def remember(readings: Readings, at_us: int, seen: Observation) -> Readings:
    """The readings with what a message of that time tells; the same object if that is no news."""
    index = at_us // QUARTER_US
    older, newest = readings.older, readings.newest
    is_late = newest is not None and index < newest.index
    if newest is not None and index == newest.index:
        known = newest
    else:
        known = (quarter_at(readings, index) if is_late else None) or Quarter(index)
    quarter = known if index < readings.kept_from else told(known, at_us, seen)
    if quarter is known:
        if at_us <= readings.newest_us:
            return readings
    elif is_late:
        older = tuple(sorted({**dict(older), index: _PACKER.encode(quarter)}.items()))
    else:
        if newest is not None and newest.index < index:
            older = (*older, (newest.index, _PACKER.encode(newest)))
        newest = quarter
    return Readings(older, newest, max(at_us, readings.newest_us), readings.kept_from)


def oldest_needed(newest_us: int, *, is_visit_open: bool) -> int:
    """The first quarter-hour from which something may still be asked for."""
    return (newest_us - (_LATE_LIMIT_US if is_visit_open else _IDLE_LIMIT_US)) // QUARTER_US


def has_before(readings: Readings, index: int) -> bool:
    """Tell whether a quarter-hour before that one is kept."""
    if readings.older:
        return readings.older[0][0] < index
    return readings.newest is not None and readings.newest.index < index


def forget(readings: Readings, before: int) -> Readings:
    """The readings without the quarter-hours before that one."""
    newest = readings.newest
    if newest is not None and newest.index < before:
        newest = None
    return Readings(
        tuple((index, packed) for index, packed in readings.older if index >= before),
        newest,
        readings.newest_us,
        before,
    )


def _unpack(packed: bytes) -> Quarter:
    return _UNPACKER.decode(packed)


def told(quarter: Quarter, at_us: int, seen: Observation) -> Quarter:
    """The quarter-hour with what a message of that time tells; the same object if that is no news."""
    counters, rates, states, levels = quarter.counters, quarter.rates, quarter.states, quarter.levels
    if seen.is_charging is not None:
        states = put_state(states, at_us, is_charging=seen.is_charging)
    if seen.level_percent is not None:
        # Nearly always it is the newest.
        is_last = bool(levels) and at_us > levels[-1][0]
        new = (at_us, seen.level_percent)
        levels = (levels[0], new) if is_last else _put_level(levels, new)
    if seen.counter_wh is not None:
        counters = put_reading(counters, at_us, seen.counter_wh, flipped_us(states))
    if seen.charge_rate_w is not None and seen.charge_rate_w <= STEP_LIMIT_W:
        rates = put_rate(rates, at_us, max(seen.charge_rate_w, 0))
    if len(rates) > 1 and counters and (rates is not quarter.rates or counters is not quarter.counters):
        rates = useful_rates(rates, counters)
    if rates is not quarter.rates and rates[-1:] == quarter.rates[-1:] and rates == quarter.rates:
        rates = quarter.rates
    is_known = counters is quarter.counters and rates is quarter.rates
    if is_known and states is quarter.states and levels is quarter.levels:
        return quarter
    return Quarter(quarter.index, counters, rates, states, levels)


def _put_level(levels: tuple[tuple[int, float], ...], new: tuple[int, float]) -> tuple[tuple[int, float], ...]:
    """The first and the last level; of two for one moment the higher is the later."""
    if not levels:
        return (new,)
    first, last = levels[0], levels[-1]
    if new > last:
        return first, new
    return (new, last) if new < first else levels


def is_told(readings: Readings, at_us: int, counter_wh: int) -> bool:
    """Tell whether a counter reading says no more than those that are kept around it."""
    quarter = quarter_at(readings, at_us // QUARTER_US)
    kept = () if quarter is None else quarter.counters
    before = max((reading for reading in kept if reading[0] <= at_us), default=None)
    after = min((reading for reading in kept if reading[0] >= at_us), default=None)
    return before is not None and after is not None and before[1] <= counter_wh <= after[1]
