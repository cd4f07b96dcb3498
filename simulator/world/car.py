"""One car, moved from event to event: acts of its people, power that begins and ends, orders, and times to tell.

It lives in the present alone: its level is that of the newest change, and follows a closed form from there. What really
happens goes to the oracle; what is told is made here as a perfect device would tell it, for a feed to spoil.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from msgspec import structs

from models.command import Action, ChargeCommand
from models.ids import ChargerId, LocationId, UserId
from models.telemetry import ChargeSample, PlugEvent
from simulator.world.acts import (
    Act,
    DeletePolicy,
    Drive,
    Park,
    PlugIn,
    PlugOut,
    Precondition,
    PressStart,
    Sell,
    SetLimit,
    Wish,
    WritePolicy,
)
from simulator.world.battery import ChargeCurve, fast_charger, home_charger
from simulator.world.box import Box, Order
from simulator.world.moments import HOUR_MS, MINUTE_MS, NEVER_MS, SECOND_MS, millis
from simulator.world.oracle import Oracle, Stretch
from simulator.world.people import Person
from simulator.world.words import plug_event, sample

# A plug event or a sample; or an act that the back office hears of.
Told = PlugEvent | ChargeSample | WritePolicy | DeletePolicy | Wish

IDLE_EVERY_MS: Final = 30 * MINUTE_MS
_DRIVING_EVERY_MS: Final = 10 * MINUTE_MS
_EMPTY_PERCENT: Final = 3.0
_FAST_EFFICIENCY: Final = 0.95
_COLD_SHARE: Final = 0.6
_READY_S: Final = (15, 50)  # from the plug to the first power


class Car:
    """A car at its last event; `next_ms` is when the next one is. `step` moves it there and says what it tells."""

    __slots__ = (
        "_act", "_acts", "_capacity_kwh", "_change_ms", "_curve", "_driving_until_ms", "_efficiency", "_heard",
        "_is_manual", "_is_resold", "_order", "_plan", "_preheat", "_since_ms", "_stretch",
        "_used_per_ms", "_wants", "box", "charger_id", "counter_kwh", "is_charging", "is_plugged_in",
        "level", "lifetime_kwh", "limit_percent", "location_id", "next_ms", "now_ms", "oracle", "person",
        "plugged_ms", "ready_ms", "sample_ms", "told_kwh", "told_ms", "user_id", "vehicle_id",
    )  # fmt: skip

    charger_id: ChargerId | None
    location_id: LocationId | None
    user_id: UserId

    def __init__(self, person: Person, acts: Iterator[Act], start_ms: int) -> None:
        self.person = person
        self.vehicle_id = person.vehicle_id
        self.oracle = Oracle()
        self._acts = acts
        self._act: Act | None = next(acts, None)
        self._capacity_kwh = person.capacity_kwh
        chance = person.chance("car")
        self.user_id = person.user_id(0)
        self.limit_percent = person.limit_percent
        self.level, self._since_ms = chance.uniform(35, 75), start_ms
        self.location_id = None
        self.charger_id = None
        # A charger that switches by itself, where nobody commands it; null: it gives all until it is told to stop.
        self.box: Box | None = None
        self._plan: Iterator[Order] | None = None
        self.is_plugged_in = self.is_charging = self._wants = self._is_resold = self._is_manual = False
        self._curve: ChargeCurve | None = None
        self._efficiency = person.efficiency
        self._stretch: Stretch | None = None
        self._preheat: tuple[int, int, float] | None = None
        self._driving_until_ms = 0
        self._used_per_ms = 0.0
        self.ready_ms = 0
        self._change_ms = NEVER_MS
        # Of the visit: when it began, and how many commands were heard in it; both decide what becomes of the next.
        self.plugged_ms, self._heard = start_ms, 0
        self._order: Order | None = None
        # Grid energy before `_since_ms`: of this visit, and of all its life.
        self.counter_kwh = 0.0
        self.lifetime_kwh = chance.uniform(500, 9_000)
        self.now_ms = self.told_ms = start_ms
        self.told_kwh = 0.0
        self.sample_ms = start_ms + MINUTE_MS
        self._schedule()

    def step(self) -> list[Told]:
        """Move to the next event; what is told at it, in order."""
        now_ms = self.now_ms = self.next_ms
        told: list[Told] = []
        if self._act is not None and self._act.at_ms <= now_ms:
            self._do(self._act, told)
            self._act = next(self._acts, None)
        elif self._change_ms <= now_ms:
            self._change(now_ms)
        elif self._order is not None and self._order[0] <= now_ms:
            self._obey(self._order[1])
        else:
            if self._is_resold:
                self._claim()
            told.append(self._tell(now_ms))
            self.told_ms = now_ms
            self.sample_ms = now_ms + self._pause_ms()
        self._schedule()
        return told

    def take(self, command: ChargeCommand, now_ms: int) -> bool:
        """A command that has reached the car's cloud; tells whether the car is going to follow it."""
        chance = self._visit_chance()
        for _ in range(self._heard):
            chance.randrange(2, 70), chance.random()
        self._heard += 1
        delay_ms, is_refused = chance.randrange(2, 70) * SECOND_MS, chance.random() < self.person.refuses_share
        at_ms = now_ms + delay_ms
        if is_refused or self._is_manual:
            self.oracle.meddle("command refused")
        if (
            is_refused
            or self._is_manual
            or not self.is_plugged_in
            or self._is_resold
            or command.user_id != self.user_id
        ):
            return False
        if at_ms > millis(command.valid_until):
            return False
        self._order, self._plan = (at_ms, command.action), None
        self._schedule()
        return True

    def level_at(self, now_ms: int) -> float:
        """The level in % between the newest change and the next."""
        if self.is_charging:
            curve = self._curve
            assert curve is not None
            return curve.level_after(self.level, (now_ms - self._since_ms) / 1_000, self.limit_percent)
        if self._used_per_ms:
            gone_ms = min(now_ms, self._driving_until_ms) - self._since_ms
            return max(min(self.level, _EMPTY_PERCENT), self.level - self._used_per_ms * gone_ms)
        return self.level

    def energy_kwh(self, now_ms: int, level: float) -> float:
        """The grid's energy since the plug-in."""
        energy = self.counter_kwh
        if self.is_charging:
            energy += (level - self.level) / 100 * self._capacity_kwh / self._efficiency
        preheat = self._preheat
        if preheat is not None and now_ms > preheat[0]:
            energy += preheat[2] * (min(now_ms, preheat[1]) - preheat[0]) / HOUR_MS
        return energy

    def rate_kw(self, level: float) -> float:
        """The power at the grid now."""
        if self.is_charging:
            assert self._curve is not None
            return self._curve.rate_at(level) / self._efficiency
        return self._preheat[2] if self._preheat is not None else 0.0

    @property
    def full_power_kw(self) -> float:
        """The most that this visit's charger gives, at the grid."""
        return 0.0 if self._curve is None else self._curve.rate_kw / self._efficiency

    def _visit_chance(self) -> Random:
        """The source of chance of this visit, beyond what the plug-in took: made anew, since it is large to keep."""
        chance = self.person.chance(f"orders/{self.plugged_ms}")
        chance.randrange(*_READY_S)
        return chance

    def _untold_kwh(self) -> float:
        """What has been drawn since it was told last."""
        now_ms = self.now_ms
        return max(0.0, self.energy_kwh(now_ms, self.level_at(now_ms)) - self.told_kwh)

    def _tell(self, now_ms: int) -> ChargeSample:
        said = sample(self, now_ms)
        if said.energy_added is not None:
            self.told_kwh = said.energy_added
        return said

    def _schedule(self) -> None:
        next_ms, act, order = self.sample_ms, self._act, self._order
        if act is not None and act.at_ms < next_ms:
            next_ms = act.at_ms
        next_ms = min(next_ms, self._change_ms)
        if order is not None and order[0] < next_ms:
            next_ms = order[0]
        self.next_ms = max(self.now_ms, next_ms)

    def _pause_ms(self) -> int:
        if self.is_plugged_in:
            return self.person.plugged_every_s * SECOND_MS
        return _DRIVING_EVERY_MS if self._used_per_ms else IDLE_EVERY_MS

    def _do(self, act: Act, told: list[Told]) -> None:  # noqa: C901, PLR0912 - one case an act
        now_ms = self.now_ms
        match act:
            case Drive():
                if not self.is_plugged_in:
                    self._settle(now_ms)
                    self._driving_until_ms = max(act.end_ms, now_ms + 1)
                    used = act.used_kwh / self._capacity_kwh * 100
                    self._used_per_ms = used / (self._driving_until_ms - now_ms)
                    self.location_id = None
                    self.sample_ms = now_ms + 2 * SECOND_MS
            case Park():
                if not self.is_plugged_in:
                    self._settle(now_ms)
                    self._used_per_ms = 0.0
                    self.location_id = act.location_id
                    self.sample_ms = now_ms + 2 * SECOND_MS
            case PlugIn():
                if not self.is_plugged_in and not self._used_per_ms:
                    self._claim()
                    told.append(self._plug_in(act))
            case PlugOut():
                if self.is_plugged_in:
                    # The last reading of the visit, then the plug.
                    self._claim()
                    told.append(self._tell(now_ms))
                    told.append(self._plug_out())
            case WritePolicy():
                self.oracle.write_policy(now_ms, act.policy, self.level_at(now_ms), self._untold_kwh())
                told.append(act)
            case DeletePolicy():
                self.oracle.delete_policy(now_ms, act.policy_id, self.level_at(now_ms), self._untold_kwh())
                told.append(act)
            case Wish():
                self.oracle.wish(now_ms, act.policy_id)
                told.append(act)
            case PressStart():
                self._start_by_hand()
            case SetLimit():
                self._settle(now_ms)
                self.oracle.set_limit(now_ms, act.percent)
                self.limit_percent = act.percent
                self._change(now_ms)
            case Precondition():
                if self.is_plugged_in:
                    self._begin_preheat(act)
            case Sell():
                self._sell(act)

    def _start_by_hand(self) -> None:
        now_ms = self.now_ms
        if self.is_plugged_in:
            self.oracle.note_meddling(now_ms)
            self.oracle.meddle("started by hand")
            self._order, self._plan, self._is_manual = None, None, True
            self._wants, self.ready_ms = True, max(self.ready_ms, now_ms)
            self._change(now_ms)

    def _plug_in(self, act: PlugIn) -> PlugEvent:
        now_ms, person = self.now_ms, self.person
        self._settle(now_ms)
        self.is_plugged_in, self.charger_id = True, act.charger_id
        self.counter_kwh = self.told_kwh = 0.0
        self._efficiency = _FAST_EFFICIENCY if act.is_fast else person.efficiency
        rate_kw = act.rate_kw * self._efficiency * (_COLD_SHARE if act.is_cold else 1.0)
        self._curve = (fast_charger if act.is_fast else home_charger)(rate_kw, self._capacity_kwh)
        self.plugged_ms, self._heard = now_ms, 0
        self._order, self._is_manual = None, False
        self.ready_ms = self._change_ms = now_ms + person.chance(f"orders/{now_ms}").randrange(*_READY_S) * SECOND_MS
        self.oracle.plug_in(now_ms, self.user_id, self.location_id, act.charger_id, self.level)
        self.oracle.offer(self._curve, self.limit_percent)
        self._plan = self._box_plan()
        self._wants = self._plan is None
        self._next_order()
        self.sample_ms = now_ms + 2 * SECOND_MS
        self.told_ms = now_ms
        return plug_event(self, is_plugged_in=True)

    def _plug_out(self) -> PlugEvent:
        now_ms = self.now_ms
        self._settle(now_ms)
        event = plug_event(self, is_plugged_in=False)
        self.is_plugged_in = self._wants = False
        self._order = self._plan = None
        self.charger_id, self._change_ms, self._preheat = None, NEVER_MS, None
        self._switch(now_ms, is_on=False)
        self.oracle.plug_out(now_ms, self.level)
        self.sample_ms = now_ms + 2 * SECOND_MS
        self.told_ms = now_ms
        return event

    def _sell(self, act: Sell) -> None:
        """It is another's from now on; the next word tells so."""
        self.user_id, self._is_resold = act.user_id, True
        self._order = self._plan = None
        self.sample_ms = self.now_ms + 30 * SECOND_MS

    def _claim(self) -> None:
        """The new owner's first word: what the one before had ended with their last; a plug that is in begins anew."""
        if not self._is_resold:
            return
        self._is_resold, now_ms = False, self.now_ms
        self._settle(now_ms)
        self.oracle.change_user(now_ms, self.told_ms)
        if not self.is_plugged_in:
            return
        where = (self.location_id, self.charger_id)
        self.oracle.plug_in(now_ms, self.user_id, *where, self.level, self._untold_kwh())
        if self._stretch is not None:
            # Power flows on, and what flows from now on is of the new visit.
            end_ms, self._stretch.end_ms = self._stretch.end_ms, now_ms
            self._stretch = structs.replace(self._stretch, start_ms=now_ms, end_ms=end_ms, start_percent=self.level)
            self.oracle.flow(self._stretch)

    def _begin_preheat(self, act: Precondition) -> None:
        now_ms = self.now_ms
        self._settle(now_ms)
        self._switch(now_ms, is_on=False)
        end_ms = max(act.end_ms, now_ms + MINUTE_MS)
        self._preheat = (now_ms, end_ms, act.rate_kw)
        self._stretch = Stretch(now_ms, end_ms, self.level, 0.0, None, flat_kw=act.rate_kw)
        self.oracle.flow(self._stretch)
        part = self.oracle.part
        if part is not None:
            part.is_flat = True
        self._change_ms = end_ms
        self.sample_ms = now_ms

    def _box_plan(self) -> Iterator[Order] | None:
        part = self.oracle.part
        if self.box is None or part is None or part.policy is None or self._curve is None:
            return None
        orders = self.box.plan(part.policy, self.now_ms, self.level, self._curve)
        return None if orders is None else iter(orders)

    def _next_order(self) -> None:
        self._order = None if self._plan is None else next(self._plan, None)

    def _obey(self, action: Action) -> None:
        self._next_order()
        if self.is_plugged_in:
            self._wants = action is Action.START
            self._change(self.now_ms)

    def _change(self, now_ms: int) -> None:
        """Power begins or ends, as it should be from now on; a sample tells of it."""
        self._settle(now_ms)
        if not self.is_plugged_in:
            self._change_ms = NEVER_MS
            return
        preheat = self._preheat
        if preheat is not None:
            if now_ms < preheat[1]:
                self._change_ms = preheat[1]
                return
            self._preheat, self._stretch = None, None
        if now_ms < self.ready_ms:
            self._change_ms = self.ready_ms if self._wants else NEVER_MS
            return
        is_on = self._wants and self.level < self.limit_percent
        self._switch(now_ms, is_on=is_on)
        self._change_ms = NEVER_MS
        if is_on:
            curve = self._curve
            assert curve is not None
            self._change_ms = now_ms + max(1, int(curve.seconds_to(self.level, self.limit_percent) * 1_000) + 1)
        self.sample_ms = now_ms

    def _switch(self, now_ms: int, *, is_on: bool) -> None:
        """End the stretch that flows, and begin one that shall. The level has been settled."""
        if self._stretch is not None:
            self._stretch.end_ms = min(self._stretch.end_ms, now_ms)
            self._stretch = None
        self.is_charging = is_on
        if is_on:
            self._stretch = Stretch(now_ms, NEVER_MS, self.level, self.limit_percent, self._curve, self._efficiency)
            self.oracle.flow(self._stretch)

    def _settle(self, now_ms: int) -> None:
        """Carry level and counters on to now. Whether power flows has not changed yet."""
        level = self.level_at(now_ms)
        energy = self.energy_kwh(now_ms, level)
        self.lifetime_kwh += energy - self.counter_kwh
        self.counter_kwh, self.level, self._since_ms = energy, level, now_ms
        preheat = self._preheat
        if preheat is not None:
            self._preheat = (max(preheat[0], min(now_ms, preheat[1])), preheat[1], preheat[2])
