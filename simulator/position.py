"""How far the simulated fleet has got, kept in one small file that is replaced whole.

Time, the vehicles' states at that time, and the commands read by then belong together: a restart goes on as if nothing
had been. What was written after the last save is written again.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from models.units import AwareTime
from runtime.logs import get_log
from simulator.vehicle import State

FILE_NAME: Final = "simulator.json"
# Further behind than this the fleet jumps: at the default speed it would take longer than 6 minutes to catch up.
MAX_BEHIND: Final = timedelta(days=3)


class Position(Struct, frozen=True, kw_only=True):
    """`reached`: every event up to it is on the broker, and the prices public by then. `vehicles`: how many have their
    policy there. `states` by vehicle, `command_offsets` by partition.
    """

    seed: int
    vehicles: int
    origin: AwareTime
    reached: AwareTime
    states: dict[int, State]
    command_offsets: dict[int, int]

    @property
    def is_new(self) -> bool:
        """Tell whether nothing has been told from here yet, not even the prices that are public."""
        return not self.states


def load_position(state_dir: Path) -> Position | None:
    """The kept position; None where there is none, or none that can be read (which is logged)."""
    path = state_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        get_log().warning("the kept position cannot be read; beginning anew", file=str(path), reason=str(error))
        return None


def save_position(state_dir: Path, position: Position) -> None:
    """Replace the kept position in one step, so that a crash leaves the old one or the new one."""
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / FILE_NAME
    fresh = path.with_suffix(".json.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(position))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def start_from(kept: Position | None, seed: int, now: datetime, start_ago: timedelta) -> Position:
    """Where a run begins: where the last run stopped, unless that is days ago or still to come; then in a new past.

    Another seed is another fleet: it begins with its policies.
    """
    policies = kept.vehicles if kept is not None and kept.seed == seed else 0
    if kept is not None and kept.seed == seed and now - MAX_BEHIND <= kept.reached <= now:
        return kept
    begin = now - start_ago
    return Position(seed=seed, vehicles=policies, origin=begin, reached=begin, states={}, command_offsets={})
