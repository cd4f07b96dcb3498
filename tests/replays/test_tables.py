"""Published session tables, replayed: each row that holds together comes back as one session, the others are flagged.

This proves bookkeeping (bounds, matching, energy, clock changes), never the physics of a charge: the driver invents
what lies between plug-in and plug-out. Run with `-s` to see what each table holds.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, pairwise
from typing import Final

from sessions.events import Event, Rules
from tests.laws import check_history
from tests.replays.driver import Drive, Lane, drives, policies, telemetry
from tests.replays.judging import Published, differences, replay, wanted
from tests.replays.rows import Flaw
from tests.replays.tables import (
    ACN,
    ACN_API,
    BOULDER,
    DUNDEE,
    EPFL,
    EVWATTS,
    NORWAY,
    SAP,
    TRONDHEIM,
)

# Debounce off: the tables' re-plugs are sessions of their own, however soon they come.
_RULES: Final = Rules(unplug_debounce=timedelta(0))
_MINUTE: Final = timedelta(minutes=1)
# Differences shown of a table that fails.
_SHOWN: Final = 5
# Of the lanes: every so many are held to all laws, which takes as long as the replay itself.
_HELD_TO_LAWS: Final = 8
_TOUCHING_LANES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a table holds.

    `valid`: rows that can be replayed. `lanes`: vehicles that had them. `changed`: rows during which the clocks were
    changed. Rows that begin in the very instant in which the vehicle's last one ended, and those that begin within the
    minute after: `at_once`, `soon`. `momentary`: rows that end when they begin. `flaws`: rows that are left out.
    """

    valid: int
    lanes: int
    changed: int = 0
    at_once: int = 0
    soon: int = 0
    momentary: int = 0
    flaws: Mapping[Flaw, int]


_CONTENTS: Final = {
    ACN.name: Content(valid=21_631, lanes=107, soon=221, flaws={Flaw.POWER: 1}),
    ACN_API.name: Content(valid=2_093, lanes=246, soon=11, flaws={Flaw.DONE_AFTER_END: 19, Flaw.POWER: 2}),
    SAP.name: Content(
        valid=17_259,
        lanes=70,
        changed=5,
        soon=139,
        flaws={Flaw.IDLE: 5, Flaw.OPEN: 2, Flaw.REPEATED: 3, Flaw.OVERLAPS: 2},
    ),
    NORWAY.name: Content(
        valid=21_347, lanes=155, changed=83, at_once=139, soon=55, flaws={Flaw.OPEN: 6, Flaw.REPEATED_HOUR: 3}
    ),
    TRONDHEIM.name: Content(
        valid=4_676, lanes=61, changed=20, at_once=32, soon=31, momentary=10, flaws={Flaw.OPEN: 22}
    ),
    EPFL.name: Content(valid=1_086, lanes=7, soon=5, flaws={}),
    EVWATTS.name: Content(valid=4_480, lanes=24, at_once=52, momentary=83, flaws={}),
    DUNDEE.name: Content(
        valid=18_458,
        lanes=119,
        changed=62,
        at_once=204,
        soon=964,
        momentary=42,
        flaws={Flaw.OPEN: 196, Flaw.SWAPPED: 12_872, Flaw.NO_ENERGY: 732, Flaw.REPEATED_HOUR: 12, Flaw.NEGATIVE: 5},
    ),
    BOULDER.name: Content(
        valid=21_973,
        lanes=53,
        at_once=127,
        momentary=10,
        soon=175,
        flaws={Flaw.NO_ENERGY: 2_091, Flaw.DURATION: 16, Flaw.REVERSED: 1},
    ),
}


def test_a_table_holds_what_is_known_of_it(published: Published) -> None:
    """Rows that contradict themselves are flagged, each for its reason, and no other row is."""
    reading, zone = published.reading, published.table.stamps.zone
    gaps = [gap for lane in published.lanes for gap in _gaps(lane)]
    offsets = [[at.astimezone(zone).utcoffset() for at in (row.start, row.end)] for row in reading.valid]
    content = Content(
        valid=len(reading.valid),
        lanes=len(published.lanes),
        changed=sum(one != other for one, other in offsets),
        at_once=sum(not gap for gap in gaps),
        soon=sum(timedelta(0) < gap <= _MINUTE for gap in gaps),
        momentary=sum(row.start == row.end for row in reading.valid),
        flaws=reading.flaws,
    )
    assert content == _CONTENTS[published.table.name]


def test_each_valid_row_comes_back_as_one_managed_session(published: Published) -> None:
    """A managed visit is one session, with the published bounds, energy and levels, whatever its energy."""
    found = _Findings(published, is_managed=True)
    for number, lane in enumerate(published.lanes):
        driven = drives(lane)
        played = replay(lane, chain(policies(lane), _told(lane, driven)), _RULES)
        found.add(driven, differences(published.table, lane, driven, played, is_managed=True))
        if number % _HELD_TO_LAWS == 0:
            check_history(played.outputs, played.vehicle)
    found.show()
    assert not found.differences, found.differences[:_SHOWN]


def test_each_row_with_a_charge_comes_back_as_one_unmanaged_session(published: Published) -> None:
    """A visit that nobody manages is one session if a charge was seen in it, and none if not."""
    found = _Findings(published, is_managed=False)
    for lane in published.lanes[::4]:
        driven = drives(lane)
        played = replay(lane, _told(lane, driven), _RULES)
        found.add(driven, differences(published.table, lane, driven, played, is_managed=False))
    found.show()
    assert not found.differences, found.differences[:_SHOWN]


def test_a_counter_that_begins_anew_at_each_plug_in_tells_the_same(published: Published) -> None:
    """A visit's energy is that of its own readings, whatever the counter showed in the one before."""
    found = _Findings(published, is_managed=False)
    for lane in published.lanes[1::4]:
        driven = drives(lane)
        played = replay(lane, _told(lane, driven, is_counter_for_life=False), _RULES)
        found.add(driven, differences(published.table, lane, driven, played, is_managed=False))
    assert not found.differences, found.differences[:_SHOWN]


def test_a_plug_in_at_the_instant_of_the_last_plug_out_begins_a_session(published: Published) -> None:
    """Of two visits that share an instant, the first ends and the second begins in it."""
    # What is plugged in and out in one instant has no order among others of that instant.
    lasting = [Lane(lane.vehicle_id, [row for row in lane.rows if row.start < row.end]) for lane in published.lanes]
    touching = [lane for lane in lasting if not all(_gaps(lane))][:_TOUCHING_LANES]
    wrong: list[str] = []
    for lane in touching:
        driven = drives(lane, is_literal=True)
        settled = replay(lane, chain(policies(lane), _told(lane, driven)), _RULES).settled
        assert len(settled) == len(driven)
        wrong += [
            f"{lane.vehicle_id}, row {drive.row.key}: {session.plugged_in_at} to {session.plugged_out_at}"
            for drive, session in zip(driven, settled, strict=True)
            if (session.plugged_in_at, session.plugged_out_at) != (drive.plug_in, drive.plug_out)
        ]
    assert not wrong, (len(wrong), wrong[:_SHOWN])


def _gaps(lane: Lane) -> list[timedelta]:
    return [other.start - one.end for one, other in pairwise(lane.rows)]


def _told(lane: Lane, driven: Sequence[Drive], *, is_counter_for_life: bool = True) -> Iterator[Event]:
    return chain.from_iterable(telemetry(lane, driven, is_counter_for_life=is_counter_for_life))


class _Findings:
    """What came back of a table, and what did not."""

    def __init__(self, published: Published, *, is_managed: bool) -> None:
        self.differences: list[str] = []
        self._published = published
        self._is_managed = is_managed
        self._row_count = self._matched_count = 0

    def add(self, driven: Sequence[Drive], differences: Iterator[str]) -> None:
        """Take what was found of a lane."""
        found = list(differences)
        rows = len(wanted(driven, is_managed=self._is_managed))
        self.differences += found
        self._row_count += rows
        self._matched_count += max(rows - len(found), 0)

    def show(self) -> None:
        """One line for people."""
        reading = self._published.reading
        flaws = ", ".join(f"{count} {flaw}" for flaw, count in sorted(reading.flaws.items()))
        kind = "managed" if self._is_managed else "unmanaged"
        sys.stdout.write(
            f"\n{reading.table.name}: {len(reading.valid) + len(reading.flawed)} rows, {len(reading.valid)} valid, "
            f"{len(reading.flawed)} flagged ({flaws or 'none'}); "
            f"{self._matched_count} of {self._row_count} {kind} rows came back\n"
        )
