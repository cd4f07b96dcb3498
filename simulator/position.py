"""How far the simulated fleet has got, kept in one small file that is replaced whole.

Only time needs keeping: every vehicle's state follows from it. What was written after the last save is written again.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from models.units import AwareTime
from runtime.logs import get_log

FILE_NAME: Final = "simulator.json"
# Further behind than this the fleet jumps: at the default speed it would take longer than 6 minutes to catch up.
MAX_BEHIND: Final = timedelta(days=3)
# Told again after a restart, whatever a lost buffer held: duplicates change nothing.
OVERLAP: Final = timedelta(minutes=5)


class Position(Struct, frozen=True, kw_only=True):
    """`reached`: every event before it is on the broker. `vehicles`: how many have their policy there."""

    seed: int
    vehicles: int
    origin: AwareTime
    reached: AwareTime


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


def start_from(kept: Position | None, now: datetime, start_ago: timedelta) -> tuple[datetime, datetime]:
    """Origin and the moment to go on from: where the last run stopped, unless that is days ago or still to come."""
    if kept is None or kept.reached > now or now - kept.reached > MAX_BEHIND:
        return now - start_ago, now - start_ago
    return kept.origin, max(kept.origin, kept.reached - OVERLAP)
