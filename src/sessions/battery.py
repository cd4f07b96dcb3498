"""What a plan has to know of the battery: how full it is, how full it should be, and what is missing.

Whoever does not tell a level is planned for as if plugged in with 20 %; that figure is never published.
"""

from typing import Final

from msgspec import Struct

from models.policy import VehiclePolicy
from models.telemetry import PowerDeliveryState
from models.units import WH_PER_KWH
from sessions.energy import charging_spans
from sessions.events import Rules
from sessions.grid import HOUR_US, QUARTER_US, clipped
from sessions.state import PeakPower, Vehicle, Visit
from sessions.totals import FULL_PERCENT, Totals, estimated_level

ASSUMED_PERCENT: Final = 20.0
DEFAULT_POWER_W: Final = 7_000
# Less is preconditioning or the last trickle: no power to plan with.
LEAST_POWER_W: Final = 1_000
# Places of which the power is remembered, the newest.
PEAKS_LIMIT: Final = 8

_COMPLETE: Final = PowerDeliveryState.COMPLETE


class Battery(Struct, frozen=True):
    """`percent`: the level now; `is_told` false: nobody told one in this visit, so it is assumed.

    `limit_percent`: as far as the vehicle lets itself be charged. `is_complete`: it says that it is done.
    """

    percent: float
    is_told: bool
    capacity_wh: int
    limit_percent: float
    is_complete: bool
    efficiency: float

    @property
    def wh_per_percent(self) -> int:
        """The energy of one percent of level, as the vehicle's feed counts it."""
        return round(self.capacity_wh / FULL_PERCENT / self.efficiency)

    def goal(self, percent: float) -> float:
        """How much of a wanted level the vehicle allows."""
        return min(percent, self.limit_percent)

    def has_reached(self, percent: float) -> bool:
        """Whether a wanted level is reached, or as far as the vehicle goes."""
        return self.is_complete or (self.is_told and self.percent >= self.goal(percent))

    def is_done(self, percent: float) -> bool:
        """Whether a wanted level is reached by all that can be known: where nobody tells one, by what was assumed."""
        return self.has_reached(percent) or (not self.is_told and not self.missing_wh(percent))

    def missing_wh(self, percent: float) -> int:
        """Energy to charge until a level, as the vehicle's feed counts it."""
        missing = max(0.0, self.goal(percent) - self.percent)
        return round(missing / FULL_PERCENT * self.capacity_wh / self.efficiency)

    def percent_after(self, energy_wh: int) -> float:
        """The level after so much more energy."""
        return min(FULL_PERCENT, self.percent + energy_wh * self.efficiency / self.capacity_wh * FULL_PERCENT)


def known_capacity_wh(vehicle: Vehicle, policy: VehiclePolicy | None) -> int | None:
    """By the vehicle's newest word, else by the policy's."""
    if vehicle.capacity is not None:
        return vehicle.capacity.capacity_wh
    if policy is not None and policy.battery_capacity is not None:
        return round(policy.battery_capacity * WH_PER_KWH)
    return None


def battery_of(vehicle: Vehicle, visit: Visit, policy: VehiclePolicy, rules: Rules) -> Battery:
    """The battery of a plugged-in vehicle, at its newest sample."""
    capacity_wh = known_capacity_wh(vehicle, policy) or rules.default_capacity_wh
    totals = visit.part.totals
    percent = told = estimated_level(totals, capacity_wh, rules.efficiency)
    if percent is None:
        assumed = ASSUMED_PERCENT + totals.energy_sum_wh * rules.efficiency / capacity_wh * FULL_PERCENT
        percent = min(FULL_PERCENT, assumed)
    state, limit = vehicle.power_state, vehicle.charge_limit
    limit_percent = FULL_PERCENT if limit is None else limit.percent
    is_complete = state is not None and state.state is _COMPLETE and state.at >= visit.plugged_in_at
    return Battery(percent, told is not None, capacity_wh, limit_percent, is_complete, rules.efficiency)


def power_w(vehicle: Vehicle, visit: Visit, policy: VehiclePolicy, battery: Battery) -> int:
    """The power to plan with: what this visit has shown, else the last one here, else what the policy says.

    Where only levels tell of this visit, they can show that it is less than that.
    """
    peak_w = visit.part.totals.peak_w
    if peak_w is not None and peak_w >= LEAST_POWER_W:
        return peak_w
    expected_w, most_w = _expected_power_w(vehicle, visit, policy), _most_power_w(visit.part.totals, battery)
    return expected_w if most_w is None else min(expected_w, max(most_w, LEAST_POWER_W))


def _expected_power_w(vehicle: Vehicle, visit: Visit, policy: VehiclePolicy) -> int:
    for peak in vehicle.peaks:
        if peak.location_id == visit.location_id:
            return peak.power_w
    if policy.max_charge_rate is not None:
        return max(1, round(policy.max_charge_rate * WH_PER_KWH))
    return DEFAULT_POWER_W


def _most_power_w(totals: Totals, battery: Battery) -> int | None:
    """The highest mean power that the levels of a part allow: they may be told in whole percents, rounded down.

    Null: something better tells of energy, no level has risen, or no time is known in which the vehicle charged. Until
    its newest rise a level counts, and not after: a level that is only told again may be an old one.
    """
    risen = len(totals.energy_wh)
    while risen and not totals.energy_wh[risen - 1]:
        risen -= 1
    if totals.is_energy_known or not risen:
        return None
    until_us = min((totals.started_us // QUARTER_US + risen) * QUARTER_US, totals.level_to_us)
    told = clipped(charging_spans(totals.tip), totals.level_from_us, until_us)
    charged_us = sum(end_us - start_us for start_us, end_us in told)
    if not charged_us:
        return None
    return (totals.energy_sum_wh + battery.wh_per_percent) * HOUR_US // charged_us


def remember_peak(vehicle: Vehicle, visit: Visit) -> None:
    """Keep a visit's power for the next one at its place."""
    peak_w = visit.part.totals.peak_w
    if visit.location_id is None or peak_w is None or peak_w < LEAST_POWER_W:
        return
    others = [peak for peak in vehicle.peaks if peak.location_id != visit.location_id]
    vehicle.peaks = (PeakPower(visit.location_id, peak_w), *others[: PEAKS_LIMIT - 1])
