"""What the workers of a process share."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from runtime.settings import Settings
from streams.crash import CrashPlan
from streams.figures import Figures
from streams.logic import SessionLogic
from streams.processor import PartitionProcessor


class Surroundings(Struct, frozen=True):
    """`topic_ids`: by topic, named without the prefix. `admin`: Kafka's client. `owner`: who we are, to the group."""

    settings: Settings
    logic: SessionLogic
    admin: Any
    folder: Path
    owner: str
    generation: bytes
    topic_ids: dict[str, str]
    crash: CrashPlan
    figures: Figures
    # What decides; another one only where the engine is measured without the session logic.
    processor: type[PartitionProcessor] = PartitionProcessor
