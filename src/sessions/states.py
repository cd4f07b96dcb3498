"""Whether a vehicle was said to charge, within one quarter-hour: which of what it said is worth keeping.

A state holds until another is told. Of states told alike and close to each other only the first and the last time are
kept, and nothing that comes late from between them is taken: so a state that comes again is no news.
"""

from typing import Final

from sessions.grid import MINUTE_US

# States told alike at most so far apart are one row. A row that a late state contradicts stands.
ROW_GAP_US: Final = 2 * MINUTE_US
# Rows kept of one quarter-hour; beyond it the oldest two become one.
QUARTER_LIMIT_ROWS: Final = 16

# The first and the last time (µs) of a row of states told alike, and whether the vehicle charged.
State = tuple[int, int, bool]


def put_state(rows: tuple[State, ...], at_us: int, *, is_charging: bool) -> tuple[State, ...]:
    """The rows with a state told at a time; the same object if that is no news."""
    if rows:
        first_us, last_us, was_charging = rows[-1]
        if was_charging is is_charging and last_us < at_us <= last_us + ROW_GAP_US:
            # Nearly always it goes on as it did.
            return (*rows[:-1], (first_us, at_us, is_charging))
    place = len(rows)
    while place and rows[place - 1][0] > at_us:
        place -= 1
    if place:
        first_us, last_us, was_charging = rows[place - 1]
        if at_us <= last_us:
            if is_charging and not was_charging and first_us == last_us:
                # Two states for one moment: the vehicle charged, whichever came first.
                return (*rows[: place - 1], (at_us, at_us, True), *rows[place:])
            return rows
    return _limited(_joined([*rows[:place], (at_us, at_us, is_charging), *rows[place:]]))


def flipped_us(rows: tuple[State, ...]) -> int:
    """When the newest state of these began to hold, as far as they tell."""
    place = len(rows) - 1
    while place > 0 and rows[place][2] is rows[place - 1][2]:
        place -= 1
    return rows[place][0] if rows else 0


def _is_one(row: State, following: State) -> bool:
    return row[2] is following[2] and following[0] - row[1] <= ROW_GAP_US


def _joined(rows: list[State]) -> tuple[State, ...]:
    place = 1
    while place < len(rows):
        if _is_one(rows[place - 1], rows[place]):
            rows[place - 1 : place + 1] = [(rows[place - 1][0], rows[place][1], rows[place][2])]
        else:
            place += 1
    return tuple(rows)


def _limited(rows: tuple[State, ...]) -> tuple[State, ...]:
    if len(rows) <= QUARTER_LIMIT_ROWS:
        return rows
    return ((rows[0][0], rows[1][1], rows[0][2] or rows[1][2]), *rows[2:])
