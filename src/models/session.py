"""The public Session object, field for field as clients see it (docs/reference/http.md).

Energies in kWh with at most 3 decimals, battery levels whole percents rounded down, times in UTC.
"""

from datetime import datetime
from enum import Enum

from msgspec import Struct

from models.ids import LocationId, PolicyId, SessionId, UserId, VehicleId


class SessionState(Enum):
    """UPCOMING: awaited; ACTIVE:*: plugged in, by what the system is doing now; SETTLED: final."""

    UPCOMING = "UPCOMING"
    ACTIVE_BATTERY_RESERVE = "ACTIVE:BATTERY_RESERVE"
    ACTIVE_REGULAR = "ACTIVE:REGULAR"
    ACTIVE_IMMEDIATE_START = "ACTIVE:IMMEDIATE_START"
    SETTLED = "SETTLED"


class Block(Struct, frozen=True, rename="camel", kw_only=True):
    """One window of charging. `type` is BATTERY_RESERVE, REGULAR or IMMEDIATE_START; energy in kWh."""

    type: str
    kwh_sum: float
    start_at: datetime
    end_at: datetime


class Aggregated(Struct, frozen=True, rename="camel", kw_only=True):
    """Totals of the session: energy in kWh, battery in whole percents, null where no level was told."""

    kwh_sum: float
    battery_from: int | None
    battery_to: int | None


class TimeseriesPoint(Struct, frozen=True, rename="camel", kw_only=True):
    """One interval of the quarter-hour grid: its energy in kWh and the last level told in it."""

    start_at: datetime
    end_at: datetime
    kwh: float
    battery_level: int | None


class Statistics(Struct, frozen=True, rename="camel", kw_only=True):
    """`aggregated` is null while UPCOMING; the sum of `timeseries[].kwh` equals `aggregated.kwh_sum`."""

    aggregated: Aggregated | None = None
    timeseries: tuple[TimeseriesPoint, ...] = ()


class RegularTarget(Struct, frozen=True, rename="camel", kw_only=True, tag="REGULAR", tag_field="type"):
    """A level (%) to reach by `ready_by`, with a reserve (%) that is filled first."""

    id: int
    source: str
    battery_reserve: float
    minimum_charge_target: float
    ready_by: datetime | None


class ImmediateStartTarget(Struct, frozen=True, rename="camel", kw_only=True, tag="IMMEDIATE_START", tag_field="type"):
    """A level (%) to reach at once, whatever it costs."""

    id: int
    minimum_charge_target: float


class LatestTarget(Struct, frozen=True, rename="camel", kw_only=True):
    latest: RegularTarget | ImmediateStartTarget | None = None


class Outcome(Struct, frozen=True, rename="camel", kw_only=True):
    """Will the target be met, or was it: ON_TRACK, AT_RISK, SUCCEEDED, FAILED."""

    target_id: int
    type: str
    state: str
    battery_level_at_ready_by: int | None
    minimum_charge_target_reached_at: datetime | None


class LatestOutcome(Struct, frozen=True, rename="camel", kw_only=True):
    latest: Outcome | None = None


class SessionError(Struct, frozen=True, rename="camel", kw_only=True):
    code: str
    detail: str
    occurred_at: datetime


class LatestError(Struct, frozen=True, rename="camel", kw_only=True):
    latest: SessionError | None = None


class TariffCost(Struct, frozen=True, rename="camel", kw_only=True):
    """Money in the currency of the valuation: what it cost, what it would have cost, and the difference."""

    actual: float
    baseline: float
    savings: float


class Valuation(Struct, frozen=True, rename="camel", kw_only=True):
    currency: str
    tariff_cost: TariffCost


class Session(Struct, frozen=True, rename="camel", kw_only=True):
    """One plug visit, from plug-in (or from its anticipation) to plug-out."""

    id: SessionId
    policy_id: PolicyId | None
    vehicle_id: VehicleId
    user_id: UserId
    location_id: LocationId | None
    state: SessionState
    plugged_in_at: datetime | None
    plugged_out_at: datetime | None
    blocks: tuple[Block, ...] = ()
    statistics: Statistics = Statistics()
    target: LatestTarget = LatestTarget()
    outcome: LatestOutcome = LatestOutcome()
    error: LatestError = LatestError()
    valuation: Valuation | None = None
