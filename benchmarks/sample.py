"""What one charge sample costs in an ACTIVE managed session: all rules on, the update encoded, the state not stored.

A vehicle is plugged in at home under a policy with a deadline and prices, and tells level, counter, rate and state
every 30 seconds while it charges. The visit is 1 hour or 72 hours old when the samples are timed; every one of them
changes the session, so every one publishes an update.

One vehicle alone stays in the processor's caches; of 15,000 that tell in turn, none does.
"""

import gc
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

import msgspec

from models.ids import LocationId, PolicyId, UserId, VehicleId, Zone
from models.policy import Deadline, Schedule, VehiclePolicy
from models.prices import PriceRecord, Resolution
from models.telemetry import ChargeSample, PlugEvent
from sessions.events import PolicyWritten, Rules, SessionChanged, TelemetryReceived, new_vehicle
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from streams.updates import UpdateEncoder

START: Final = datetime(2025, 1, 6, 17, 0, tzinfo=UTC)
PACE: Final = timedelta(seconds=30)
TIMED: Final = 400
ROUNDS: Final = 5
RULES: Final = Rules()
CAPACITY_KWH: Final = 400.0
MANY_VEHICLES: Final = 15_000
# Slow enough to charge for three days.
RATE_KW: Final = 3.6


def measure() -> dict[str, dict[str, Any]]:
    """`sample_cost_us` after one hour, how much more it is after 72 h, and what it is with many vehicles in turn."""
    young, old = _at_age(timedelta(hours=1)), _at_age(timedelta(hours=72))
    young_us, old_us = [], []
    for _ in range(ROUNDS):
        # By turns, so that a noisy moment of the machine meets both.
        young_us += _timed_us(young)
        old_us += _timed_us(old)
    cost_us = median(young_us)
    return {
        "sample_cost_us": {"value": cost_us, "unit": "us"},
        "sample_cost_72h_us": {"value": median(old_us), "unit": "us"},
        "sample_cost_ratio_72h_vs_1h": {"value": median(old_us) / cost_us, "unit": "ratio"},
        "sample_cost_15k_vehicles_us": {"value": _in_turn_us(_at_age(timedelta(hours=1))), "unit": "us"},
    }


class _Visit:
    """A vehicle in the middle of a visit, and what goes on with it."""

    def __init__(self, vehicle: Vehicle, prices: PriceBook, at: datetime, energy_kwh: float) -> None:
        self.vehicle = vehicle
        self.prices = prices
        self.at = at
        self.energy_kwh = energy_kwh
        self.encoder = UpdateEncoder()

    def tell(self, pace: timedelta = PACE) -> int:
        """One sample; nanoseconds that it took, its update included."""
        self.at += pace
        self.energy_kwh += RATE_KW * (pace / timedelta(hours=1))
        event = TelemetryReceived(_sample(self.at, self.energy_kwh), self.at)
        began_ns = perf_counter_ns()
        decision = apply(self.vehicle, event, RULES, self.prices)
        for output in decision.outputs:
            if isinstance(output, SessionChanged):
                self.encoder.encode(output)
        took_ns = perf_counter_ns() - began_ns
        self.vehicle = decision.vehicle
        return took_ns


def _at_age(age: timedelta) -> _Visit:
    prices = PriceBook()
    for day in range(5):
        start = START.replace(hour=0) + timedelta(days=day)
        hourly = tuple(0.2 + 0.01 * (hour % 7) for hour in range(24))
        known_at = START - timedelta(hours=5)
        record = PriceRecord(
            zone=Zone("Z"), currency="EUR", resolution=Resolution.HOUR, start_at=start, prices=hourly, at=known_at
        )
        prices.add(record, known_at)
    deadline = Deadline(deadline="07:00", minimum_charge_target=100.0)
    week = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), deadline)
    policy = VehiclePolicy(
        id=PolicyId("p1"),
        user_id=UserId("u1"),
        vehicle_id=VehicleId("v1"),
        location_id=LocationId("home"),
        is_enabled=True,
        at=START - timedelta(hours=1),
        timezone_name="Europe/Berlin",
        zone=Zone("Z"),
        battery_reserve=20.0,
        schedule=Schedule(**week),
        max_charge_rate=RATE_KW,
    )
    vehicle = new_vehicle(VehicleId("v1"))
    vehicle = apply(vehicle, PolicyWritten(policy, policy.at), RULES, prices).vehicle
    plug = PlugEvent(
        event_id="e0",
        vehicle_id=VehicleId("v1"),
        user_id=UserId("u1"),
        at=START,
        is_plugged_in=True,
        location_id=LocationId("home"),
        battery_level=10.0,
        battery_capacity=CAPACITY_KWH,
    )
    vehicle = apply(vehicle, TelemetryReceived(plug, START), RULES, prices).vehicle
    visit = _Visit(vehicle, prices, START, 0.0)
    while visit.at < START + age - PACE:
        visit.tell(min(timedelta(minutes=5), START + age - visit.at))
    return visit


def _timed_us(visit: _Visit) -> list[float]:
    return [visit.tell() / 1_000 for _ in range(TIMED)]


def _in_turn_us(visit: _Visit) -> float:
    """The cost of a sample where each is another vehicle's: copies of one, that share nothing."""
    raw = msgspec.msgpack.encode(visit.vehicle)
    visits = []
    for _ in range(MANY_VEHICLES):
        vehicle = msgspec.msgpack.decode(raw, type=Vehicle)
        visits.append(_Visit(vehicle, visit.prices, visit.at, visit.energy_kwh))
    # Once for the encoders to remember what was told.
    for each in visits:
        each.tell()
    # A worker hardly ever looks for garbage among its states.
    gc.disable()
    try:
        return median(each.tell() / 1_000 for each in visits)
    finally:
        gc.enable()


def _sample(at: datetime, energy_kwh: float) -> ChargeSample:
    return ChargeSample(
        event_id="e1",
        vehicle_id=VehicleId("v1"),
        user_id=UserId("u1"),
        at=at,
        is_plugged_in=True,
        is_charging=True,
        battery_level=10.0 + energy_kwh * 0.9 / CAPACITY_KWH * 100,
        battery_capacity=CAPACITY_KWH,
        charge_limit=100.0,
        charge_rate=RATE_KW,
        energy_added=energy_kwh,
        power_delivery_state="PLUGGED_IN:CHARGING",
        location_id=LocationId("home"),
    )
