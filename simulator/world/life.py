"""A life as a stream of acts, day after day: commutes, errands, long trips, nights at the plug, and second thoughts.

Each day follows from (seed, person, date) and from what the days before left behind: who owns the car, which policy
stands. It knows nothing of batteries.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from msgspec import structs

from models.ids import ChargerId, LocationId, PolicyId
from models.policy import Deadline, Schedule, VehiclePolicy
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
from simulator.world.moments import MINUTE_MS, SECOND_MS, millis, moment
from simulator.world.people import Person

# From one plug-out to the next plug-in at once, in seconds: within the debounce, at its very end, and beyond.
_REPLUG_GAPS_S: Final = (5, 20, 45, 59, 60, 61, 75, 300, 1_200)
_HOUR_S: Final = 3_600
# Evenings on which neighbours come home with each other's car.
_SWAPPED_SHARE: Final = 0.02
# Where nothing is left to chance.
_NO_CHANCE: Final = Random(0)


class Life:
    """One person's acts from `start_ms` on. Iterate `acts`."""

    __slots__ = ("_chance", "_owner", "_person", "_policies", "_policy", "_start_ms")

    def __init__(self, person: Person, start_ms: int) -> None:
        self._person = person
        self._start_ms = start_ms
        self._owner = 0
        self._policies = 0
        self._policy: VehiclePolicy | None = None
        # Of the day that is being thought out; a source of chance is large, so nobody keeps one from day to day.
        self._chance: Random = _NO_CHANCE

    def acts(self, days: int | None = None) -> Iterator[Act]:
        """All acts in order of time, of that many days (None: without end)."""
        first = moment(self._start_ms).astimezone(self._person.zone.clock).date()
        yield Park(self._start_ms, self._home)
        self._chance = self._person.chance("life")
        begun = list(self._begin_policies(self._start_ms + self._chance.randrange(60, 7_200) * SECOND_MS))
        self._chance = _NO_CHANCE
        yield from begun
        number = 0
        held: list[Act] = []
        while days is None or number < days:
            day = first + timedelta(days=number + 1)
            self._chance = self._person.chance(f"life/{day}")
            held.extend(self._day(day))
            self._chance = _NO_CHANCE
            held.sort(key=lambda act: act.at_ms)
            # Nothing of the next day is earlier than its small hours.
            until_ms = self._at(day + timedelta(days=1), 4.5 * _HOUR_S)
            due = [act for act in held if act.at_ms < until_ms]
            held = [act for act in held if act.at_ms >= until_ms]
            yield from due
            number += 1
        yield from held

    @property
    def _home(self) -> LocationId:
        return self._person.home(self._owner)

    @property
    def _neighbour(self) -> int:
        number = self._person.number
        return number + 1 if number % 2 else number - 1

    def _is_swapped(self, day: date) -> bool:
        """Whether two neighbours drive each other's car home that evening: cars 1 and 2, 3 and 4, and so on.

        Decided by a chance of the pair, so that each of them knows without the other.
        """
        person = self._person
        chance = Random(f"{person.seed}/pair-{(person.number + 1) // 2}/swap/{day}")
        return chance.random() < _SWAPPED_SHARE * person.unruly

    def _happens(self, share: float) -> bool:
        """Whether something unusual happens, by how unruly this life is."""
        return self._chance.random() < share * self._person.unruly

    def _at(self, day: date, second_of_day: float) -> int:
        """A wall-clock time of that day, moved by this person's odd milliseconds."""
        hours, seconds = divmod(int(second_of_day), _HOUR_S)
        days, hours = divmod(hours, 24)
        wall = datetime.combine(day + timedelta(days=days), time(hours), self._person.zone.clock)
        return millis(wall.astimezone(UTC)) + seconds * SECOND_MS + self._person.phase_ms

    def _day(self, day: date) -> list[Act]:
        chance, is_weekend = self._chance, day.weekday() >= 5
        if chance.random() < (0.25 if is_weekend else 0.08):
            # Home all day; sometimes the cable is moved all the same.
            return (
                self._second_thoughts(self._at(day, 8 * _HOUR_S), self._at(day, 22 * _HOUR_S))
                if self._happens(0.5)
                else []
            )
        leaves_ms = self._at(day, chance.gauss(9.5 if is_weekend else 7.4, 0.6) * _HOUR_S)
        leaves_ms = max(leaves_ms, self._at(day, 5.2 * _HOUR_S))
        acts: list[Act] = []
        if self._happens(0.2):
            acts.append(Precondition(leaves_ms - 20 * MINUTE_MS, leaves_ms - 3 * MINUTE_MS, chance.uniform(1.5, 5)))
        acts.append(PlugOut(leaves_ms - chance.randrange(30, 240) * SECOND_MS))
        now_ms = self._trips(acts, day, leaves_ms, is_long=chance.random() < 0.1)
        self._evening(acts, day, now_ms)
        return acts

    def _trips(self, acts: list[Act], day: date, now_ms: int, *, is_long: bool) -> int:
        """Everything between leaving home and coming back to it; tells when that is."""
        chance, person = self._chance, self._person
        km = chance.uniform(120, 260) if is_long else chance.uniform(8, 60)
        now_ms = self._drive(acts, now_ms, km)
        if is_long:
            # A fast charge on the way, at a place that may have no name.
            place = LocationId(f"public-{chance.randrange(20)}") if chance.random() < 0.6 else None
            acts.append(Park(now_ms, place))
            in_ms = now_ms + chance.randrange(60, 180) * SECOND_MS
            is_cold = self._happens(0.3)
            acts.append(PlugIn(in_ms, ChargerId(f"dc-{chance.randrange(40)}"), person.fast_kw, True, is_cold))
            out_ms = in_ms + chance.randrange(8, 45) * MINUTE_MS + chance.randrange(60) * SECOND_MS
            acts.append(PlugOut(out_ms))
            now_ms = self._drive(acts, out_ms + chance.randrange(30, 300) * SECOND_MS, km)
        acts.append(Park(now_ms, person.work_location))
        back_ms = max(now_ms + 30 * MINUTE_MS, self._at(day, chance.gauss(17.2, 1) * _HOUR_S))
        if person.works_with_plug and chance.random() < 0.7:
            in_ms = now_ms + chance.randrange(40, 900) * SECOND_MS
            acts.append(PlugIn(in_ms, ChargerId(f"work-box-{chance.randrange(6)}"), min(11.0, person.box_kw)))
            if self._happens(0.1):
                acts.extend(self._replug(in_ms + 20 * MINUTE_MS, ChargerId("work-box-9"), 11.0))
            acts.append(PlugOut(back_ms - chance.randrange(30, 600) * SECOND_MS))
        now_ms = self._drive(acts, back_ms, km * chance.uniform(0.9, 1.3))
        acts.append(Park(now_ms, LocationId(f"home-{self._neighbour}.0") if self._is_swapped(day) else self._home))
        return now_ms

    def _drive(self, acts: list[Act], at_ms: int, km: float) -> int:
        """Drive so far; tells when it arrives. No drive is shorter than a quarter of an hour."""
        end_ms = at_ms + max(16 * MINUTE_MS, int(km * 60 * MINUTE_MS / 70)) + self._chance.randrange(300) * SECOND_MS
        acts.append(Drive(at_ms, end_ms, km * self._chance.uniform(0.15, 0.22)))
        return end_ms

    def _evening(self, acts: list[Act], day: date, now_ms: int) -> None:
        chance, person = self._chance, self._person
        if chance.random() < 0.07:
            return  # Forgot the cable, or did not care.
        wait_s = chance.randrange(600, 5 * _HOUR_S) if chance.random() < 0.15 else chance.randrange(20, 240)
        in_ms = now_ms + wait_s * SECOND_MS
        box = ChargerId(f"box-{person.number}.{self._owner}") if chance.random() < 0.8 else None
        if self._is_swapped(day):
            box = ChargerId(f"box-{self._neighbour}.0")
        acts.append(PlugIn(in_ms, box, person.box_kw, is_cold=self._happens(0.15)))
        acts.extend(self._second_thoughts(in_ms, self._at(day, 28 * _HOUR_S)))

    def _second_thoughts(self, from_ms: int, until_ms: int) -> list[Act]:
        """What somebody may do between the plug-in and the small hours."""
        acts: list[Act] = []
        if until_ms <= from_ms + 2 * MINUTE_MS:
            return acts

        def some_ms() -> int:
            return from_ms + self._chance.randrange((until_ms - from_ms) // SECOND_MS) * SECOND_MS

        chance, person = self._chance, self._person
        if self._happens(0.05):
            acts.append(PlugOut(some_ms()))
        if self._happens(0.1):
            acts.extend(self._replug(some_ms(), ChargerId(f"box-{person.number}.spare"), person.box_kw))
        if self._happens(0.04):
            acts.append(PressStart(some_ms()))
        if self._happens(0.05):
            acts.append(SetLimit(some_ms(), chance.choice((60.0, 80.0, 90.0, 100.0))))
        if self._policy is not None and self._happens(0.08):
            acts.extend(self._wishes(self._policy.id, some_ms()))
        if self._happens(0.12):
            acts.extend(self._policy_change(some_ms()))
        if self._happens(0.004):
            acts.extend(self._sale(some_ms()))
        return acts

    def _replug(self, at_ms: int, other: ChargerId, rate_kw: float) -> list[Act]:
        gap_ms = self._chance.choice(_REPLUG_GAPS_S) * SECOND_MS
        same = ChargerId(f"box-{self._person.number}.{self._owner}")
        charger_id = other if self._chance.random() < 0.2 else same
        return [PlugOut(at_ms), PlugIn(at_ms + gap_ms, charger_id, rate_kw)]

    def _wishes(self, policy_id: PolicyId, at_ms: int) -> list[Act]:
        chance = self._chance
        if chance.random() < 0.6:
            wish = Wish(at_ms, policy_id, float(chance.randrange(40, 101, 10)))
        else:
            ready_ms = at_ms + chance.randrange(1, 20) * 30 * MINUTE_MS
            wish = Wish(at_ms, policy_id, float(chance.randrange(40, 101, 10)), ready_ms, chance.choice((0.0, 30.0)))
        if chance.random() < 0.4:
            return [wish, Wish(at_ms + chance.randrange(60, 7_200) * SECOND_MS, policy_id, None)]
        return [wish]

    def _begin_policies(self, at_ms: int) -> Iterator[Act]:
        yield self._written(self._new_policy(self._home, at_ms))
        if self._person.works_with_plug and self._person.work_location is not None and self._happens(0.25):
            at_work = structs.replace(
                self._new_policy(self._person.work_location, at_ms), id=PolicyId(f"at-work-{self._person.number}")
            )
            yield WritePolicy(at_ms + SECOND_MS, structs.replace(at_work, at=moment(at_ms + SECOND_MS)))

    def _policy_change(self, at_ms: int) -> list[Act]:
        chance, later_ms = self._chance, at_ms + self._chance.randrange(20, 14_400) * SECOND_MS
        policy = self._policy
        if policy is None:
            return [self._written(self._new_policy(self._home, at_ms))]
        kind = chance.random()
        if kind < 0.35:
            off = structs.replace(policy, is_enabled=False, at=moment(at_ms))
            return [self._written(off), self._written(structs.replace(policy, at=moment(later_ms)))]
        if kind < 0.55:
            return [
                DeletePolicy(at_ms, policy.id),
                self._written(self._new_policy(self._home, later_ms, is_same=chance.random() < 0.3)),
            ]
        if kind < 0.65:
            away = structs.replace(policy, location_id=LocationId("elsewhere"), at=moment(at_ms))
            return [self._written(away), self._written(structs.replace(policy, at=moment(later_ms)))]
        return [
            self._written(
                structs.replace(
                    policy,
                    schedule=self._schedule(),
                    battery_reserve=chance.choice((0.0, 20.0, 50.0)),
                    at=moment(at_ms),
                )
            )
        ]

    def _sale(self, at_ms: int) -> list[Act]:
        acts: list[Act] = [Sell(at_ms, self._person.user_id(self._owner + 1))]
        if self._policy is not None:
            acts.append(DeletePolicy(at_ms + self._chance.randrange(-3_600, 3_600) * SECOND_MS, self._policy.id))
        self._owner += 1
        acts.append(self._written(self._new_policy(self._home, at_ms + self._chance.randrange(60, 9_000) * SECOND_MS)))
        return acts

    def _written(self, policy: VehiclePolicy) -> WritePolicy:
        self._policy = policy
        return WritePolicy(millis(policy.at), policy)

    def _new_policy(self, location_id: LocationId, at_ms: int, *, is_same: bool = False) -> VehiclePolicy:
        person = self._person
        if not is_same:
            self._policies += 1
        return VehiclePolicy(
            id=PolicyId(f"policy-{person.number}.{self._policies}"),
            user_id=person.user_id(self._owner),
            vehicle_id=person.vehicle_id,
            location_id=location_id,
            is_enabled=True,
            at=moment(at_ms),
            timezone_name=person.zone.clock.key,
            zone=None if self._happens(0.04) else person.zone.name,
            battery_reserve=person.reserve_percent,
            schedule=self._schedule(),
            max_charge_rate=person.box_kw if person.policy_has_rate else None,
            battery_capacity=person.capacity_kwh if person.policy_has_capacity else None,
        )

    def _schedule(self) -> Schedule:
        if self._happens(0.08):
            return Schedule()
        at = self._chance.choice(("06:30", "07:00", "07:00", "05:15")) if not self._happens(0.1) else "02:30"
        wish = Deadline(deadline=at, minimum_charge_target=self._person.target_percent)
        weekend = None if self._happens(0.2) else wish
        return Schedule(
            monday=wish,
            tuesday=wish,
            wednesday=wish,
            thursday=wish,
            friday=wish,
            saturday=weekend,
            sunday=weekend,
        )
