"""Readings of a cumulative energy counter: which of a quarter-hour are worth keeping, and what each adds to its run.

Counters count since some moment of their own. They begin anew, drain, jump to another register and show zeros that mean
nothing; a run lasts from one such break to the next, and only what exceeds a run's highest reading is energy.
"""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from sessions.grid import HOUR_US, MINUTE_US

# Counters of real vehicles fall a little after a charge is complete (10.21 to 10.11 kWh); more is a new run.
COUNTER_NOISE_WH: Final = 100
# A counter that showed less before a zero may as well have begun anew, with a re-plug for instance.
PLACEHOLDER_LEAST_WH: Final = 500
# No vehicle charges faster; a larger step is a placeholder or a register of another kind.
STEP_LIMIT_W: Final = 400_000
# Readings kept of one quarter-hour. One that rises takes two; only one that breaks off all the time gets here.
QUARTER_LIMIT_READINGS: Final = 16
# Readings at most so far apart follow each other closely: they leave nothing to what else tells of the time between.
CLOSE_US: Final = 5 * MINUTE_US

# When (µs), what it showed (Wh), and whether readings between the one kept before and this one have been dropped: then
# all of these followed each other closely.
Reading = tuple[int, int, bool]


class Run(Struct, frozen=True, array_like=True):
    """A counter since it last began anew: when that was, when it was last read, and the highest it has shown.

    `before_zero_wh`: what the run before had shown, while this one has shown nothing but a sudden zero.
    """

    began_us: int
    read_us: int
    highest_wh: int
    before_zero_wh: int = 0


class Step(Enum):
    """What a reading is to its run."""

    RISES = auto()
    RESTARTS = auto()
    IMPLAUSIBLE = auto()


def put_reading(readings: tuple[Reading, ...], at_us: int, counter_wh: int, flip_us: int) -> tuple[Reading, ...]:
    """The kept readings of one quarter-hour with another one; the same object if it tells nothing new.

    A reading between two close ones in time and in value says nothing that they do not, so it is dropped, and whatever
    comes late to where readings were dropped is dropped too: that is what makes a repeated reading harmless without a
    memory of it. `flip_us`: when the vehicle last began or stopped charging; a reading next to that is kept, since what
    a fall means depends on it.
    """
    if not readings:
        return ((at_us, counter_wh, False),)
    last = readings[-1]
    if at_us <= last[0]:
        return _put_late(readings, at_us, counter_wh, flip_us)
    new = (at_us, counter_wh, False)
    if len(readings) > 1 and _is_redundant(readings[-2], last, new, flip_us):
        return (*readings[:-1], (at_us, counter_wh, True))
    return _limited((*readings, new))


def is_close(before: Reading, after: Reading) -> bool:
    """Tell whether a reading follows the one kept before it closely."""
    return after[2] or after[0] - before[0] <= CLOSE_US


def is_step_steep(energy_wh: int, passed_us: int) -> bool:
    """Tell whether no vehicle charges so much in so little time."""
    return energy_wh * HOUR_US > STEP_LIMIT_W * passed_us


def read(
    run: Run,
    at_us: int,
    counter_wh: int,
    *,
    limit_wh: float,
    is_idle: bool,
    is_first: bool = False,
    is_counting: bool = False,
    given_wh: int = 0,
) -> tuple[Step, Run]:
    """Judge the next reading of a run, and give the run that holds from it on.

    `limit_wh`: more than a battery takes. `is_idle`: the vehicle is known not to charge. Then a fall to no less than
    half of the highest is a drain (docs/decisions/0005): a counter that begins anew falls to a small part, or falls
    while the vehicle charges. `is_first`: the run was last read before the plug-in, with which many counters begin
    anew; then a fall to less than half of the highest is no noise, and a zero no placeholder. `is_counting`: it
    showed zero as the vehicle began to charge, and what it shows may have been charged since: no placeholder either.
    `given_wh`: what the rate gave since the run was last read, which tells it best.
    """
    highest_wh = run.highest_wh
    step_wh = counter_wh - highest_wh
    if is_first and 2 * counter_wh < highest_wh:
        return Step.RESTARTS, Run(at_us, at_us, counter_wh)
    if step_wh < -COUNTER_NOISE_WH and not (is_idle and 2 * counter_wh >= highest_wh):
        return Step.RESTARTS, Run(at_us, at_us, counter_wh, highest_wh if counter_wh == 0 else 0)
    if given_wh and run.before_zero_wh:
        is_placeholder = _is_back(run.before_zero_wh, counter_wh, given_wh)
    else:
        is_placeholder = not is_counting and _was_placeholder(run, counter_wh, is_idle=is_idle)
    if step_wh > limit_wh or is_step_steep(step_wh, at_us - run.read_us) or is_placeholder:
        return Step.IMPLAUSIBLE, Run(at_us, at_us, counter_wh)
    before_zero_wh = run.before_zero_wh if counter_wh == 0 else 0
    return Step.RISES, Run(run.began_us, at_us, max(highest_wh, counter_wh), before_zero_wh)


def _is_back(before_wh: int, counter_wh: int, given_wh: int) -> bool:
    """Tell whether the counter is back nearer to what it showed before its zero, but for what the rate gave since."""
    return counter_wh >= before_wh - COUNTER_NOISE_WH and 2 * (counter_wh - given_wh) > before_wh


def _was_placeholder(run: Run, counter_wh: int, *, is_idle: bool) -> bool:
    """Tell whether the run's zero stood for nothing: the counter is back nearer to what it showed before than to it.

    Of a counter that has hardly begun nobody can tell, and there is little to be wrong about: it is believed, unless it
    comes back to the very same while nothing charges. A zero may come again and again.
    """
    before_wh = run.before_zero_wh
    if is_idle and 0 < before_wh == counter_wh:
        return True
    return before_wh >= PLACEHOLDER_LEAST_WH and before_wh - COUNTER_NOISE_WH <= counter_wh <= 2 * before_wh


def _put_late(readings: tuple[Reading, ...], at_us: int, counter_wh: int, flip_us: int) -> tuple[Reading, ...]:
    place = next(index for index, reading in enumerate(readings) if reading[0] >= at_us)
    following = readings[place]
    if following[0] == at_us:
        # Two values for one moment: the higher stands, whichever came first.
        if counter_wh <= following[1]:
            return readings
        return (*readings[:place], (at_us, counter_wh, following[2]), *readings[place + 1 :])
    if following[2]:
        return readings
    return _limited(_thinned([*readings[:place], (at_us, counter_wh, False), *readings[place:]], flip_us))


def _is_redundant(before: Reading, reading: Reading, after: Reading, flip_us: int) -> bool:
    before_us, before_wh, _ = before
    at_us, counter_wh, is_row = reading
    after_us, after_wh, is_row_after = after
    return (
        before_wh <= counter_wh <= after_wh
        # What follows a zero tells whether the zero meant anything.
        and (before_wh > 0 or counter_wh == 0)
        and flip_us <= before_us
        # After a longer silence a part may begin between the two: the one before is too old for it, the other is not.
        and (is_row or at_us - before_us <= CLOSE_US)
        and (is_row_after or after_us - at_us <= CLOSE_US)
        and not is_step_steep(counter_wh - before_wh, at_us - before_us)
        and not is_step_steep(after_wh - counter_wh, after_us - at_us)
    )


def _thinned(readings: list[Reading], flip_us: int) -> tuple[Reading, ...]:
    index = 1
    while index < len(readings) - 1:
        after = readings[index + 1]
        if _is_redundant(readings[index - 1], readings[index], after, flip_us):
            readings[index : index + 2] = [(after[0], after[1], True)]
        else:
            index += 1
    return tuple(readings)


def _limited(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    if len(readings) <= QUARTER_LIMIT_READINGS:
        return readings
    third = readings[2]
    return (readings[0], (third[0], third[1], True), *readings[3:])
