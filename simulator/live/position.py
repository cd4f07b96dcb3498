"""How far a fleet has got, for a run that goes on after a restart: a small file, and a journal of commands beside it.

A world follows from its seed, its beginning and the commands that its cars took: a restart lives it again up to the
time reached, and goes on from there. So a command stands in the journal before it has an effect, and what was told
after the last save is told again, word for word.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from models.command import ChargeCommand
from models.ids import PolicyId, VehicleId
from runtime.logs import get_log
from simulator.world.moments import DAY_MS, HOUR_MS

FILE_NAME: Final = "simulator.json"
JOURNAL_NAME: Final = "simulator-commands.jsonl"
# Further behind than this a run begins anew: the worker gives up a car after 72 h of silence.
BEHIND_LIMIT_MS: Final = 66 * HOUR_MS
# So does one that began longer ago: all of it would have to be lived again.
AGE_LIMIT_MS: Final = 60 * DAY_MS


class Position(Struct, frozen=True, kw_only=True):
    """What a run is, and how far it has come: everything before `reached_ms` is on the broker.

    `pasts`: the spans (ms) that were told when they were over. `offsets`: the next command to be read, by partition.
    `policy_id`: a policy of the fleet that has a session, as it is named on the broker; `vehicle_id`: its vehicle.
    """

    seed: int
    vehicles: int
    feed: str
    unruly: float
    tag: str
    start_ms: int
    reached_ms: int
    pasts: tuple[tuple[int, int], ...] = ()
    offsets: dict[int, int] = {}
    policy_id: PolicyId | None = None
    vehicle_id: VehicleId | None = None

    def is_same_fleet(self, other: "Position") -> bool:
        """Whether the operator asks for the fleet that ran before."""
        one, another = (
            (position.seed, position.vehicles, position.feed, position.unruly) for position in (self, other)
        )
        return one == another

    def can_go_on(self, now_ms: int) -> bool:
        """Whether a run can go on from here now."""
        is_near = self.reached_ms <= now_ms <= self.reached_ms + BEHIND_LIMIT_MS
        return is_near and now_ms <= self.start_ms + AGE_LIMIT_MS


class Taken(Struct, frozen=True):
    """A command that reached the cars' cloud at that moment (ms), in the names of the world."""

    at_ms: int
    partition: int
    offset: int
    command: ChargeCommand


class Keeper:
    """The two files of a run in the state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / FILE_NAME
        self._journal = state_dir / JOURNAL_NAME

    def load(self) -> Position | None:
        """The kept position; None where there is none, or none that can be read (which is logged)."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Position)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            get_log().warning("the kept position cannot be read; beginning anew", reason=str(error))
            return None

    def taken(self) -> list[Taken]:
        """The journal. A last line that was cut off had no effect yet, and is cut off here as well."""
        try:
            content = self._journal.read_bytes()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._journal, len(whole))
        return [msgspec.json.decode(line, type=Taken) for line in whole.splitlines()]

    def begin(self, position: Position) -> None:
        """A new run: nothing was taken in it yet."""
        self._journal.unlink(missing_ok=True)
        self.save(position)

    def save(self, position: Position) -> None:
        """Replace the kept position in one step, so that a crash leaves the old one or the new one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".json.new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(position))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)

    def note(self, taken: Sequence[Taken]) -> None:
        """Append to the journal; done when it would survive the end of the process."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with self._journal.open("ab") as file:
            file.writelines(msgspec.json.encode(each) + b"\n" for each in taken)
