"""A seeded load whose truth is known: what hundreds of vehicles tell in steps of five minutes, bad records among it.

The same spec gives the same records, byte for byte. Each step has one event time for all, with a phase of its own in
microseconds, so that no timer is due at the very time of a message; a vehicle tells one thing in a step. So whatever
the order in which the topics of one step are read, and wherever a worker stops between two steps, what each vehicle's
sessions come to is one and the same.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.json import encode

from models.topics import ENERGY_PRICES, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.chaos.checker import Visit
from tests.support.records import Outgoing

BASE: Final = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
STEP: Final = timedelta(minutes=5)
# A phase per step: differences of two steps are never whole seconds.
PHASE: Final = timedelta(microseconds=7)
ZONES: Final = ("DE-LU", "NO3")
# Of a hundred records about so many are bad, and so many are told twice.
BAD_PERCENT: Final = 2
TWICE_PERCENT: Final = 4
# The last steps bring every partition to a sign that all of it is done.
CLOSING_STEPS: Final = 3


class Spec(Struct, frozen=True, kw_only=True):
    """Which load. `steps`: how many, each `step` long, from `base` on; `partitions`: of the vehicle topics."""

    seed: int
    vehicles: int
    steps: int
    partitions: int
    base: datetime = BASE
    step: timedelta = STEP

    def at(self, number: int) -> datetime:
        """The event time of a step."""
        return self.base + number * (self.step + PHASE)

    @property
    def share(self) -> float:
        """A step's length as a share of five minutes: energies and levels go with it."""
        return self.step / STEP


class Step(Struct, frozen=True, kw_only=True):
    """What is written together. `refused`: for the records that must be refused, by position, the reason."""

    records: list[Outgoing]
    refused: dict[int, str]


class Load(Struct, frozen=True, kw_only=True):
    """All of it. `sentinels`: vehicles, one per partition, whose settling says that their partition is done."""

    spec: Spec
    steps: list[Step]
    visits: list[Visit]
    sentinels: list[str]

    @property
    def size(self) -> int:
        """How many records."""
        return sum(len(step.records) for step in self.steps)


def make_load(spec: Spec) -> Load:
    """The load of a spec."""
    vehicles = [_Vehicle(spec, number) for number in range(spec.vehicles)]
    sentinels = [_vehicle_on(partition, spec, "sentinel") for partition in range(spec.partitions)]
    closers = [_vehicle_on(partition, spec, "closer") for partition in range(spec.partitions)]
    rng = random.Random(f"{spec.seed} order")
    opening = [*_prices(spec), *(record for vehicle in vehicles for record in vehicle.policies())]
    opening += [_policy(sentinel, spec, 0) for sentinel in sentinels]
    steps = [Step(records=opening, refused={})]
    steps += [_step(number, spec, vehicles, rng) for number in range(1, spec.steps - CLOSING_STEPS)]
    last = spec.steps - CLOSING_STEPS
    steps.append(_plain([_plug(name, spec.at(last), True, locationId="home") for name in sentinels]))
    steps.append(_plain([_plug(name, spec.at(last + 1), False) for name in sentinels]))
    steps.append(_plain([_sample(name, spec.at(last + 2), batteryLevel=50) for name in closers]))
    visits = [visit for vehicle in vehicles for visit in vehicle.visits]
    visits += [_visit(spec, name, last, last + 1, []) for name in sentinels]
    return Load(spec=spec, steps=steps, visits=visits, sentinels=sentinels)


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC with Z."""
    return at.isoformat().replace("+00:00", "Z")


def _step(number: int, spec: Spec, vehicles: list["_Vehicle"], rng: random.Random) -> Step:
    records: list[Outgoing] = []
    refused: dict[int, str] = {}
    for vehicle in vehicles:
        record = vehicle.tell(number)
        if record is None:
            continue
        if rng.random() < BAD_PERCENT / 100:
            bad, reason = _bad(vehicle.name, spec.at(number), spec, rng)
            refused[len(records)] = reason
            records.append(bad)
        records.append(record)
    return Step(records=records, refused=refused)


def _plain(records: list[Outgoing]) -> Step:
    return Step(records=records, refused={})


class _Vehicle:
    """One vehicle: away, plugged in and charging, away again; every fourth has no policy."""

    def __init__(self, spec: Spec, number: int) -> None:
        self.name = f"vehicle-{spec.seed}-{number}"
        self.visits: list[Visit] = []
        self._spec = spec
        self._rng = random.Random(f"{spec.seed} {number}")
        # Short steps at twenty times the power, so that a visit of some seconds is more than nothing.
        self._scale = min(1.0, 20 * spec.share)
        # Of a visit without a policy that took next to nothing it is open whether it is one.
        self._has_policy = number % 4 != 3 or self._scale < 1
        self._last_step = spec.steps - CLOSING_STEPS - 2
        self._told: list[Outgoing] = []
        self._away_for = self._rng.randint(1, 12)
        self._left = 0
        self._is_in = False
        self._confirms = False
        self._counter_kwh = round(self._rng.uniform(0, 900), 3)
        self._level = self._rng.uniform(10, 60)
        self._in_step = 0
        self._counters: list[tuple[int, float]] = []

    def policies(self) -> list[Outgoing]:
        """Its policy, where it has one."""
        return [_policy(self.name, self._spec, self._rng.randint(0, 30))] if self._has_policy else []

    def tell(self, step: int) -> Outgoing | None:
        """What it tells in this step; None: nothing."""
        if self._told and self._rng.random() < TWICE_PERCENT / 100 and not self._confirms:
            return self._again(step)
        record = self._at_home(step) if self._is_in else self._away(step)
        if record is not None:
            self._told.append(record)
        return record

    def _again(self, step: int) -> Outgoing | None:
        """Word for word what it told before, at most four hours ago; the vehicle itself skips its turn."""
        if self._is_in:
            self._left += 1
        since = stamp(self._spec.at(max(0, step - 48)))
        recent = [
            record for record in self._told[-20:] if isinstance(record.value, dict) and record.value["at"] > since
        ]
        return self._rng.choice(recent) if recent else None

    def _away(self, step: int) -> Outgoing | None:
        at = self._spec.at(step)
        if self._confirms:
            self._confirms = False
            return _sample(self.name, at, isPluggedIn=False, batteryLevel=round(self._level, 1))
        self._away_for -= 1
        self._left = self._rng.randint(6, 24)
        if self._away_for > 0 or step + self._left + 2 > self._last_step:
            return None
        self._is_in, self._in_step, self._counters = True, step, []
        # No level yet: from the first counter on, energy has one source.
        return _plug(self.name, at, True, locationId="home")

    def _at_home(self, step: int) -> Outgoing:
        at = self._spec.at(step)
        # The end of the load is near: leave, however little was charged.
        must_leave = step >= self._last_step
        self._left -= 1
        if self._left <= 0 or must_leave:
            self._is_in, self._confirms, self._away_for = False, True, self._rng.randint(2, 20)
            self._leave(step)
            self._level = max(8.0, self._level - self._rng.uniform(5, 30))
            return _plug(self.name, at, False)
        if self._counters:
            self._counter_kwh = round(self._counter_kwh + self._rng.uniform(0.05, 0.85) * self._scale, 3)
            self._level = min(99.0, self._level + self._rng.uniform(0.1, 1.2) * self._scale)
        self._counters.append((step, self._counter_kwh))
        return _sample(
            self.name,
            at,
            isCharging=True,
            powerDeliveryState="PLUGGED_IN:CHARGING",
            batteryLevel=round(self._level, 1),
            energyAdded=self._counter_kwh,
        )

    def _leave(self, step: int) -> None:
        total_kwh = round(self._counters[-1][1] - self._counters[0][1], 3) if self._counters else 0.0
        # Without a policy nobody hears of a visit in which nothing was charged.
        if not self._has_policy and total_kwh < 0.06:
            return
        self.visits.append(_visit(self._spec, self.name, self._in_step, step, self._counters))


def _visit(spec: Spec, vehicle: str, in_step: int, out_step: int, counters: list[tuple[int, float]]) -> Visit:
    """`counters`: step and reading (kWh) of each sample."""
    return Visit(
        vehicle_id=vehicle,
        in_at=stamp(spec.at(in_step)),
        out_at=stamp(spec.at(out_step)),
        energy_kwh=round(counters[-1][1] - counters[0][1], 3) if counters else 0.0,
        quarters_kwh=_by_quarter(spec, counters),
    )


def _by_quarter(spec: Spec, counters: list[tuple[int, float]]) -> dict[int, float]:
    """Each difference of two readings, spread evenly over the time between them and cut at quarter-hours."""
    found: dict[int, float] = defaultdict(float)
    for (one, low_kwh), (other, high_kwh) in itertools.pairwise(counters):
        start_s, end_s = spec.at(one).timestamp(), spec.at(other).timestamp()
        at_s = start_s
        while at_s < end_s:
            quarter = int(at_s) // 900 * 900
            until_s = min(end_s, quarter + 900.0)
            found[quarter] += (high_kwh - low_kwh) * (until_s - at_s) / (end_s - start_s)
            at_s = until_s
    return dict(found)


def _bad(vehicle: str, at: datetime, spec: Spec, rng: random.Random) -> tuple[Outgoing, str]:
    value = _message(vehicle, at, isCharging=True)
    home = partition_of(vehicle, spec.partitions)
    kinds: dict[str, Outgoing] = {
        "MALFORMED_JSON": Outgoing(topic=VEHICLE_CHARGE, key=vehicle, value=b'{"eventId":"e", "at'),
        "INVALID_MESSAGE": Outgoing(topic=VEHICLE_PLUG, key=vehicle, value=value | {"isPluggedIn": "maybe"}),
        "WRONG_KEY": Outgoing(topic=VEHICLE_CHARGE, key=f"{vehicle}-x", value=value, partition=home),
        "NULL_VALUE": Outgoing(topic=VEHICLE_PLUG, key=vehicle, value=None),
    }
    if spec.partitions > 1:
        astray = (home + 1) % spec.partitions
        kinds["WRONG_PARTITION"] = Outgoing(topic=VEHICLE_CHARGE, key=vehicle, value=value, partition=astray)
    reason = rng.choice(sorted(kinds))
    return kinds[reason], reason


def _prices(spec: Spec) -> Iterator[Outgoing]:
    rng = random.Random(f"{spec.seed} prices")
    days = int(spec.steps * spec.step / timedelta(days=1)) + 3
    for zone in ZONES:
        for day in range(-1, days):
            start = spec.base.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=day)
            # Known at noon of the day before, as day-ahead prices are; a second that no step has.
            known_at = start - timedelta(hours=11, seconds=17)
            if spec.share < 1 and known_at > spec.base:
                # A load that begins now: nobody can know them yet.
                continue
            value = {
                "zone": zone,
                "currency": "EUR",
                "resolution": "PT60M",
                "startAt": stamp(start),
                "prices": [round(rng.uniform(-0.02, 0.4), 4) for _ in range(24)],
                "at": stamp(known_at),
            }
            yield Outgoing(topic=ENERGY_PRICES, key=zone, value=value)


def _policy(vehicle: str, spec: Spec, reserve_percent: int) -> Outgoing:
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    policy_id = f"policy-of-{vehicle}"
    value = {
        "id": policy_id,
        "userId": f"user-of-{vehicle}",
        "vehicleId": vehicle,
        "locationId": "home",
        "isEnabled": True,
        "timezoneName": "Europe/Berlin",
        "zone": ZONES[reserve_percent % len(ZONES)],
        "batteryReserve": reserve_percent,
        "schedule": {day: {"deadline": "07:00", "minimumChargeTarget": 80} for day in days},
        "maxChargeRate": 11,
        "batteryCapacity": 60,
        "at": stamp(spec.at(0)),
    }
    partition = partition_of(vehicle, spec.partitions)
    return Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=value, partition=partition)


def _plug(vehicle: str, at: datetime, is_plugged_in: bool, **fields: Any) -> Outgoing:
    return Outgoing(topic=VEHICLE_PLUG, key=vehicle, value=_message(vehicle, at, isPluggedIn=is_plugged_in, **fields))


def _sample(vehicle: str, at: datetime, **fields: Any) -> Outgoing:
    return Outgoing(topic=VEHICLE_CHARGE, key=vehicle, value=_message(vehicle, at, **fields))


def _message(vehicle: str, at: datetime, **fields: Any) -> dict[str, Any]:
    event_id = f"e-{vehicle[-20:]}-{int(at.timestamp() * 1_000_000)}"
    return {"eventId": event_id, "vehicleId": vehicle, "userId": f"user-of-{vehicle}", "at": stamp(at)} | fields


def _vehicle_on(partition: int, spec: Spec, name: str) -> str:
    """A vehicle of that partition."""
    names = (f"{name}-{spec.seed}-{number}" for number in range(10_000))
    return next(each for each in names if partition_of(each, spec.partitions) == partition)


def value_bytes(record: Outgoing) -> bytes | None:
    """The record's value as it is written."""
    return record.value if isinstance(record.value, bytes | None) else encode(record.value)
