"""Energy prices by zone and quarter-hour, as known at a moment."""

from datetime import datetime

from models.ids import Zone
from models.prices import PriceRecord


class PriceBook:
    """Every price record that was read; each counts from its `known_at` on."""

    def add(self, record: PriceRecord, known_at: datetime) -> None:
        """Take one more record."""

    def next_change(self, zone: Zone | None, after: datetime) -> datetime | None:
        """The first moment after `after` at which a record of the zone becomes known."""
