"""Energy prices as they stand on their topic: one record holds a run of intervals of one zone."""

from datetime import timedelta
from enum import Enum
from typing import Annotated, Final

from msgspec import Meta, Struct

from models.ids import WireZone
from models.units import AwareTime

# ISO 4217: three capital letters.
Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
# Currency per kWh. Real markets stay within 10; the width is for currencies of small units.
Price = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]
# A month of quarter-hours: more is no day-ahead market.
PRICES_LIMIT: Final = 3_000
# How far ahead of `at` a record may begin: fixed tariffs are told for a year; beyond it a date is a slip of the pen.
AHEAD_LIMIT: Final = timedelta(days=400)


class Resolution(Enum):
    """How long one price holds."""

    QUARTER_HOUR = "PT15M"
    HALF_HOUR = "PT30M"
    HOUR = "PT60M"

    @property
    def quarters(self) -> int:
        """In quarter-hours."""
        return {"PT15M": 1, "PT30M": 2, "PT60M": 4}[self.value]

    @property
    def length(self) -> timedelta:
        return self.quarters * timedelta(minutes=15)


class PriceRecord(Struct, frozen=True, rename="camel", kw_only=True):
    """One record of `energy.prices`. `at`: when the prices became known; `start_at` lies on a UTC quarter-hour."""

    zone: WireZone
    currency: Currency
    resolution: Resolution
    start_at: AwareTime
    prices: Annotated[tuple[Price, ...], Meta(min_length=1, max_length=PRICES_LIMIT)]
    at: AwareTime
