"""Who owns which car, where they live and work, and how careful they are. All follows from (seed, number)."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct

from models.ids import LocationId, UserId, VehicleId
from simulator.world.market import ZONES, MarketZone

# Battery (kWh), wall box (kW, grid side), fast charging (kW).
_MODELS: Final = (
    (28.0, 3.7, 40.0),
    (42.0, 7.4, 50.0),
    (52.0, 7.4, 100.0),
    (60.0, 11.0, 120.0),
    (75.0, 11.0, 170.0),
    (82.0, 22.0, 200.0),
    (100.0, 11.0, 250.0),
)


class Person(Struct, frozen=True, kw_only=True):
    """One car and its first owner. Powers in kW, measured where the grid ends; shares of days or of commands, 0 to 1.

    `phase_ms`: no car's clock ticks on whole seconds. `unruly`: how often something else happens than planned.
    """

    seed: int
    number: int
    zone: MarketZone
    capacity_kwh: float
    box_kw: float
    fast_kw: float
    efficiency: float
    limit_percent: float
    target_percent: float
    reserve_percent: float
    works_with_plug: bool
    work_location: LocationId | None
    refuses_share: float
    plugged_every_s: int
    phase_ms: int
    unruly: float
    policy_has_capacity: bool
    policy_has_rate: bool

    @property
    def vehicle_id(self) -> VehicleId:
        return VehicleId(f"true-{self.number}")

    def user_id(self, owner: int) -> UserId:
        """The id of its first (0), second ... owner."""
        return UserId(f"user-{self.number}.{owner}")

    def home(self, owner: int) -> LocationId:
        """Where that owner lives."""
        return LocationId(f"home-{self.number}.{owner}")

    def chance(self, topic: str) -> Random:
        """A source of chance of its own for each topic: the same in every run, whatever else happens."""
        return Random(f"{self.seed}/{self.number}/{topic}")


def person(seed: int, number: int, *, unruly: float = 1.0, zones: Sequence[MarketZone] = ()) -> Person:
    """Number 1, 2, 3 ... of this seed's fleet. `unruly` 0: every day is a plain one.

    `zones`: where they live, in turn; none: each in one of `ZONES`, by chance.
    """
    chance = Random(f"{seed}/{number}/person")
    capacity_kwh, box_kw, fast_kw = chance.choice(_MODELS)
    limit_percent = chance.choice((80.0, 85.0, 90.0, 100.0))
    work_location = LocationId(f"work-{chance.randrange(1 + number // 5)}") if chance.random() < 0.6 else None
    zone = chance.choice(ZONES)
    return Person(
        seed=seed,
        number=number,
        zone=zones[number % len(zones)] if zones else zone,
        capacity_kwh=capacity_kwh,
        box_kw=box_kw,
        fast_kw=fast_kw,
        efficiency=round(chance.uniform(0.86, 0.95), 3),
        limit_percent=limit_percent,
        target_percent=min(100.0, limit_percent - chance.choice((-10.0, 0.0, 0.0, 5.0, 20.0)) * min(1.0, unruly)),
        reserve_percent=chance.choice((0.0, 10.0, 20.0, 30.0)),
        works_with_plug=chance.random() < 0.4,
        work_location=work_location,
        refuses_share=chance.choice((0.0, 0.0, 0.0, 0.1, 1.0)) * min(1.0, unruly),
        plugged_every_s=chance.choice((60, 120, 300, 300, 600)),
        phase_ms=chance.randrange(1_000),
        unruly=unruly,
        policy_has_capacity=chance.random() < 0.5,
        policy_has_rate=chance.random() < 0.5,
    )
