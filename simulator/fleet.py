"""The fleet's events: what each vehicle tells while it lives its day, from any moment on, for ever.

Plug events at the second of the plug, a charge sample every 5 minutes while plugged in and every 30 minutes otherwise.
Per vehicle times never fall; across vehicles the stream is merged by time, with one waiting event per vehicle.
"""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingest.records import InputRecord
from models.telemetry import ChargeSample, PlugEvent, PowerDeliveryState
from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from simulator.days import CHARGE_STARTS_AFTER_S, Leg, Place, day_of, plan_day
from simulator.faults import with_faults
from simulator.households import Household, household, policy

SAMPLE_PLUGGED_S: Final = 300
SAMPLE_UNPLUGGED_S: Final = 1_800
# The sample that goes with a plug event follows it by this much, and another soon after leaving confirms the plug-out.
_FIRST_SAMPLE_S: Final = 2
_SECOND_SAMPLE_S: Final = 120


def policies(seed: int, numbers: range, at: datetime) -> Iterator[InputRecord]:
    """One enabled policy per vehicle."""
    for number in numbers:
        record = policy(household(seed, number), at)
        yield InputRecord(at, VEHICLE_POLICIES, record.id, record)


def fleet_events(seed: int, vehicles: int, start_s: int) -> Iterator[InputRecord]:
    """Events of vehicles 1 to `vehicles` at or after `start_s` (seconds since 1970), in the order of their times."""
    streams = (vehicle_events(household(seed, number), start_s) for number in range(1, vehicles + 1))
    return heapq.merge(*streams, key=_time)


def vehicle_events(owner: Household, start_s: int) -> Iterator[InputRecord]:
    """What one vehicle tells at or after `start_s`, with its mild defects."""
    return with_faults(owner.seed, _truth(owner, start_s))


def _time(record: InputRecord) -> datetime:
    if record.at is None:
        raise TypeError("a simulated record tells its time")
    return record.at


def _truth(owner: Household, start_s: int) -> Iterator[InputRecord]:
    day = day_of(owner, start_s)
    teller = _Teller(owner, plan_day(owner, day - timedelta(days=1)).legs[-1])
    while True:
        for leg in plan_day(owner, day).legs:
            for at_s, record in teller.leg(leg):
                if at_s >= start_s:
                    yield record
        day += timedelta(days=1)


class _Teller:
    """Tells legs one after the other; knows the last visit, whose counter some vehicles keep showing."""

    def __init__(self, owner: Household, before: Leg) -> None:
        self._owner = owner
        self._before = before
        self._last_visit = before

    def leg(self, leg: Leg) -> Iterator[tuple[int, InputRecord]]:
        if leg.place is Place.PLUGGED:
            yield leg.start_s, self._plug(leg, leg.start_s, is_plugged_in=True)
            self._last_visit = leg
            for at_s in (
                leg.start_s + _FIRST_SAMPLE_S,
                *range(leg.start_s + SAMPLE_PLUGGED_S, leg.end_s, SAMPLE_PLUGGED_S),
            ):
                yield at_s, self._sample(leg, at_s, self._plugged(leg, at_s))
        else:
            if self._before.place is Place.PLUGGED:
                yield leg.start_s, self._plug(leg, leg.start_s, is_plugged_in=False)
                yield leg.start_s + _FIRST_SAMPLE_S, self._sample(leg, leg.start_s + _FIRST_SAMPLE_S, self._unplugged())
            for at_s in (
                leg.start_s + _SECOND_SAMPLE_S,
                *range(leg.start_s + SAMPLE_UNPLUGGED_S, leg.end_s, SAMPLE_UNPLUGGED_S),
            ):
                yield at_s, self._sample(leg, at_s, self._unplugged())
        self._before = leg

    def _plug(self, leg: Leg, at_s: int, *, is_plugged_in: bool) -> InputRecord:
        owner, at = self._owner, datetime.fromtimestamp(at_s, UTC)
        message = PlugEvent(
            event_id=f"{owner.vehicle_id}-{at_s}-p",
            vehicle_id=owner.vehicle_id,
            user_id=owner.user_id,
            at=at,
            is_plugged_in=is_plugged_in,
            location_id=leg.location_id if is_plugged_in else self._before.location_id,
            battery_level=round(leg.level_at(at_s), 1),
            battery_capacity=owner.capacity_kwh,
        )
        return InputRecord(at, VEHICLE_PLUG, owner.vehicle_id, message)

    def _sample(self, leg: Leg, at_s: int, told: dict[str, Any]) -> InputRecord:
        owner, at = self._owner, datetime.fromtimestamp(at_s, UTC)
        message = ChargeSample(
            event_id=f"{owner.vehicle_id}-{at_s}-c",
            vehicle_id=owner.vehicle_id,
            user_id=owner.user_id,
            at=at,
            battery_level=round(leg.level_at(at_s), 1),
            charge_limit=owner.limit_percent,
            location_id=leg.location_id,
            **told,
        )
        return InputRecord(at, VEHICLE_CHARGE, owner.vehicle_id, message)

    def _plugged(self, leg: Leg, at_s: int) -> dict[str, Any]:
        level = leg.level_at(at_s)
        if at_s < leg.start_s + CHARGE_STARTS_AFTER_S:
            state = PowerDeliveryState.INITIALIZING
        elif level >= leg.limit_percent:
            state = PowerDeliveryState.COMPLETE
        elif at_s < leg.charge_from_s:
            state = PowerDeliveryState.STOPPED
        else:
            state = PowerDeliveryState.CHARGING
        is_charging = state is PowerDeliveryState.CHARGING
        return {
            "is_plugged_in": True,
            "is_charging": is_charging,
            "charge_rate": round(leg.curve.rate_at(level), 2) if is_charging and leg.curve is not None else 0.0,
            "energy_added": self._energy_kwh(leg, level),
            "power_delivery_state": state.value,
        }

    def _unplugged(self) -> dict[str, Any]:
        last = self._last_visit
        return {
            "is_plugged_in": False,
            "is_charging": False,
            "energy_added": self._energy_kwh(last, last.end_percent) if self._owner.holds_counter else None,
            "power_delivery_state": PowerDeliveryState.UNPLUGGED.value,
        }

    def _energy_kwh(self, visit: Leg, level: float) -> float:
        """The vehicle's counter: kWh into the battery since the plug went in."""
        return round((level - visit.start_percent) / 100 * self._owner.capacity_kwh, 3)
