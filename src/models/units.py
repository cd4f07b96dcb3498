"""Quantities and times with their bounds. The one place where a range such as 0 to 100 % is written down."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta

AwareTime = Annotated[datetime, Meta(tz=True)]

BATTERY_LEVEL_PERCENT: Final = (0.0, 100.0)
# Largest road vehicle batteries are below 1 MWh; a value above says that the unit is not kWh.
BATTERY_CAPACITY_KWH: Final = (0.1, 2_000.0)
# Megawatt charging ends at 3.75 MW; negative while a vehicle feeds the house or the grid.
CHARGE_RATE_KW: Final = (-4_000.0, 4_000.0)
# A counter may count for life: a million kWh is 5 million km.
ENERGY_COUNTER_KWH: Final = (0.0, 1_000_000.0)

# No vehicle of today reported before; a date in 1970 is a clock that was never set.
EARLIEST: Final = datetime(2015, 1, 1, tzinfo=UTC)

Percent = Annotated[float, Meta(ge=0, le=100)]
WH_PER_KWH: Final = 1_000


def utc(moment: datetime) -> datetime:
    """The same instant in UTC. `moment` must be aware."""
    return moment.astimezone(UTC)


def kwh_from_wh(energy_wh: int) -> float:
    """Whole watt-hours as kWh; a whole number divided by 1000 prints with at most 3 decimals."""
    return energy_wh / WH_PER_KWH
