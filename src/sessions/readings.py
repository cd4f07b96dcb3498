"""STUB"""
from datetime import datetime
from msgspec import Struct
class Readings(Struct, frozen=True):
    counter: tuple[datetime, int] | None = None
    level_at: datetime | None = None
