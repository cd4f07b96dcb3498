"""One vehicle, alive: moved from event to event, with what its battery holds and what it was told to do.

Where it is follows from its days; its level, its counter and its orders are carried along in a `State`, which is all
that a restart needs. It knows no clock: whoever moves it says up to when.
"""

import math
import zlib
from datetime import timedelta
from enum import Enum
from typing import Final

from msgspec import Struct

from models.command import Action
from models.telemetry import PowerDeliveryState
from simulator.charging import OFF, Charging, cheapest
from simulator.days import Leg, Place, day_of, departure_s, legs_from
from simulator.households import Household

SAMPLE_PLUGGED_S: Final = 300
SAMPLE_UNPLUGGED_S: Final = 1_800
# A change (plug, start or stop of power) is told by a sample so soon after it.
SAMPLE_AFTER_CHANGE_S: Final = 2
# Another sample so long after leaving confirms the plug-out.
_SECOND_SAMPLE_S: Final = 120
# From plug to first power: handshake between vehicle and charger.
CHARGE_STARTS_AFTER_S: Final = 45
# From a command to its effect: a vendor's cloud wakes a vehicle within a minute.
_DELAY_S: Final = (5, 60)
# Nobody drives on: a level so low ends the use of the battery.
_EMPTY_PERCENT: Final = 5.0
# Where no visit is live.
NEVER_S: Final = 2**62


class Told(Enum):
    """What a vehicle tells at an event."""

    PLUG_IN = "plug in"
    PLUG_OUT = "plug out"
    SAMPLE = "sample"


class Order(Struct, frozen=True):
    """A command on its way: what takes effect when."""

    at_s: int
    action: Action


class State(Struct, kw_only=True):
    """What does not follow from the days. `told_s`: the last event. `level_percent` is the level at `since_s`."""

    told_s: int
    since_s: int
    level_percent: float
    is_charging: bool = False
    charging: Charging = OFF
    sample_s: int
    plugged_percent: float
    counter_kwh: float = 0.0
    order: Order | None = None


def delay_s(command_id: str) -> int:
    """How long this command takes from `at` to its effect: the same for the same command, always."""
    least_s, most_s = _DELAY_S
    return least_s + zlib.crc32(command_id.encode()) % (most_s - least_s + 1)


class Vehicle:
    """A vehicle at its last event, and the next one."""

    def __init__(self, owner: Household, state: State) -> None:
        self.owner = owner
        self.state = state
        self._legs = legs_from(owner, state.told_s)
        self.leg = next(self._legs)
        self.left = self.leg

    @classmethod
    def begin(cls, owner: Household, start_s: int) -> "Vehicle":
        """A vehicle that nobody has heard of, just before its first event at or after `start_s`.

        It has lived for more than a day by then, from a departure at its usual level: the same as if for years.
        """
        lived_s = departure_s(owner, day_of(owner, start_s) - timedelta(days=1))
        state = State(
            told_s=lived_s,
            since_s=lived_s,
            level_percent=owner.usual_percent,
            sample_s=lived_s + _SECOND_SAMPLE_S,
            plugged_percent=owner.usual_percent,
        )
        vehicle = cls(owner, state)
        while vehicle.next_s < start_s:
            vehicle.step(NEVER_S)
        return vehicle

    @property
    def next_s(self) -> int:
        """When its next event is."""
        due = [self.leg.end_s, self.state.sample_s]
        if self.state.order is not None:
            due.append(self.state.order.at_s)
        change_s = self._change_s()
        if change_s is not None:
            due.append(change_s)
        return min(due)

    def step(self, live_from_s: int) -> Told | None:
        """Move to the next event. A visit from `live_from_s` on waits for commands, an earlier one for the wall box."""
        state, now_s, change_s = self.state, self.next_s, self._change_s()
        state.told_s = now_s
        if now_s == self.leg.end_s:
            return self._enter(next(self._legs), is_live=now_s >= live_from_s)
        if state.order is not None and now_s == state.order.at_s:
            self._obey(state.order)
            return None
        if now_s == change_s:
            self._switch(now_s)
            return None
        state.sample_s = now_s + self._pause_s(now_s)
        return Told.SAMPLE

    @property
    def can_obey(self) -> bool:
        """Only its own wall box passes commands on."""
        return self.leg.place is Place.PLUGGED and self.leg.location_id == self.owner.home

    def take(self, order: Order) -> None:
        """Accept an order for a moment that is still to come; it replaces one that has had no effect yet."""
        self.state.order = order

    def level_at(self, at_s: int) -> float:
        """The level in % at a moment between its last event and its next."""
        state, leg = self.state, self.leg
        if leg.place is Place.DRIVING:
            used = min(leg.used_percent, max(0.0, state.level_percent - _EMPTY_PERCENT))
            return state.level_percent - used * (at_s - leg.start_s) / (leg.end_s - leg.start_s)
        if not state.is_charging or leg.curve is None:
            return state.level_percent
        if at_s >= self._full_s():
            return state.charging.until_percent
        return leg.curve.level_after(state.level_percent, at_s - state.since_s, state.charging.until_percent)

    def rate_kw(self, level_percent: float) -> float:
        """The power into the battery."""
        return self.leg.curve.rate_at(level_percent) if self.state.is_charging and self.leg.curve is not None else 0.0

    def energy_kwh(self, level_percent: float) -> float | None:
        """The vehicle's counter: kWh into the battery since the plug went in. Some go on showing it without a plug."""
        if self.leg.place is Place.PLUGGED:
            return (level_percent - self.state.plugged_percent) / 100 * self.owner.capacity_kwh
        return self.state.counter_kwh if self.owner.holds_counter else None

    def power_at(self, at_s: int) -> PowerDeliveryState:
        """What it says of plug and power."""
        if self.leg.place is not Place.PLUGGED:
            return PowerDeliveryState.UNPLUGGED
        if at_s < self.leg.start_s + CHARGE_STARTS_AFTER_S:
            return PowerDeliveryState.INITIALIZING
        if self.state.is_charging:
            return PowerDeliveryState.CHARGING
        is_full = self.level_at(at_s) >= self.owner.limit_percent
        return PowerDeliveryState.COMPLETE if is_full else PowerDeliveryState.STOPPED

    def _enter(self, leg: Leg, *, is_live: bool) -> Told | None:
        """Begin the next leg. Orders and the wall box's plan end with the visit."""
        state, left, now_s = self.state, self.leg, leg.start_s
        level = self.level_at(now_s)
        if left.place is Place.PLUGGED:
            state.counter_kwh = self.energy_kwh(level) or 0.0
        self.left, self.leg = left, leg
        state.level_percent, state.since_s, state.is_charging = level, now_s, False
        state.charging, state.order = OFF, None
        if leg.place is Place.PLUGGED:
            state.plugged_percent = level
            state.charging = self._of_its_own(level, is_live=is_live)
        is_plug = Place.PLUGGED in {left.place, leg.place}
        state.sample_s = now_s + (SAMPLE_AFTER_CHANGE_S if is_plug else _SECOND_SAMPLE_S)
        if not is_plug:
            return None
        return Told.PLUG_IN if leg.place is Place.PLUGGED else Told.PLUG_OUT

    def _of_its_own(self, level: float, *, is_live: bool) -> Charging:
        """What it does in a visit as long as nobody commands it."""
        leg, owner = self.leg, self.owner
        ready_s = leg.start_s + CHARGE_STARTS_AFTER_S
        if not self.can_obey:
            return Charging(((ready_s, leg.end_s),), owner.usual_percent)
        if owner.has_smart_box and not is_live:
            return cheapest(owner, level, ready_s)
        return Charging(((ready_s, leg.end_s),), owner.limit_percent)

    def _obey(self, order: Order) -> None:
        state, leg = self.state, self.leg
        state.order = None
        self._settle(order.at_s)
        if order.action is Action.START:
            ready_s = max(order.at_s, leg.start_s + CHARGE_STARTS_AFTER_S)
            state.charging = Charging(((ready_s, leg.end_s),), self.owner.limit_percent)
        else:
            state.charging = OFF
        self._switch(order.at_s)

    def _switch(self, now_s: int) -> None:
        """Power begins or ends, as it should be from now on; a sample will tell."""
        self._settle(now_s)
        state = self.state
        state.is_charging = state.charging.is_on(now_s) and state.level_percent < state.charging.until_percent
        state.sample_s = now_s + SAMPLE_AFTER_CHANGE_S

    def _settle(self, now_s: int) -> None:
        """Begin a new stretch of level. Whether power flows has not changed yet."""
        self.state.level_percent, self.state.since_s = self.level_at(now_s), now_s

    def _change_s(self) -> int | None:
        """When power begins or ends next, if nothing else happens."""
        state = self.state
        bound_s = state.charging.next_bound_s(state.told_s)
        if not state.is_charging:
            return bound_s if state.level_percent < state.charging.until_percent else None
        return self._full_s() if bound_s is None else min(bound_s, self._full_s())

    def _full_s(self) -> int:
        """When a charge that goes on reaches its end."""
        state, curve = self.state, self.leg.curve
        if curve is None:
            return NEVER_S
        return state.since_s + max(1, math.ceil(curve.seconds_to(state.level_percent, state.charging.until_percent)))

    def _pause_s(self, now_s: int) -> int:
        if self.leg.place is Place.PLUGGED:
            return SAMPLE_PLUGGED_S
        second_s = self.leg.start_s + _SECOND_SAMPLE_S
        return second_s - now_s if now_s < second_s else SAMPLE_UNPLUGGED_S
