"""What the workers of a process share."""

from pathlib import Path

from msgspec import Struct

from runtime.settings import Settings
from streams.crash import CrashPlan
from streams.figures import Figures
from streams.log_offsets import LogOffsets
from streams.logic import SessionLogic
from streams.processor import PartitionProcessor


class Surroundings(Struct, frozen=True):
    """`topic_ids`: by topic, named without the prefix. `owner`: who we are, to the group."""

    settings: Settings
    logic: SessionLogic
    offsets: LogOffsets
    folder: Path
    owner: str
    generation: bytes
    topic_ids: dict[str, str]
    crash: CrashPlan
    figures: Figures
    # What decides; another one only where the engine is measured without the session logic.
    processor: type[PartitionProcessor] = PartitionProcessor
