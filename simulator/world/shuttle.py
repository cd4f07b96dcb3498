"""A car that is shared by many: it goes out and comes back all day, and charges whenever it stands.

Some of a live fleet are such cars, so that whoever looks sees visits begin and end within minutes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import structs

from models.ids import ChargerId, PolicyId
from models.policy import Deadline, Schedule, VehiclePolicy
from simulator.world.acts import Act, Drive, Park, PlugIn, PlugOut, WritePolicy
from simulator.world.moments import HOUR_MS, MINUTE_MS, SECOND_MS, moment
from simulator.world.people import Person

_EVERY_S: Final = 60
_RESERVE_PERCENT: Final = 90.0


def sharer(person: Person) -> Person:
    """The same person, whose car tells of itself every minute and does as it is told."""
    return structs.replace(person, plugged_every_s=_EVERY_S, limit_percent=100.0, refuses_share=0.0)


def shuttle_acts(person: Person, start_ms: int, pasts: Sequence[tuple[int, int]]) -> Iterator[Act]:
    """Its acts without end. It is taken into use at the end of the first of `pasts` (ms), or a day after the start."""
    start_ms += person.phase_ms
    yield Park(start_ms, person.home(0))
    yield WritePolicy(start_ms + HOUR_MS, _policy(person, start_ms + HOUR_MS))
    at_ms = (pasts[0][1] if pasts else start_ms + 24 * HOUR_MS) + person.phase_ms
    trip = 0
    while True:
        chance = person.chance(f"trip/{trip}")
        arrives_ms = at_ms + chance.randrange(6 * 60, 15 * 60) * SECOND_MS
        yield Drive(at_ms, arrives_ms, chance.uniform(2, 5))
        yield Park(arrives_ms, person.home(0))
        in_ms = arrives_ms + chance.randrange(20, 60) * SECOND_MS
        yield PlugIn(in_ms, ChargerId(f"box-{person.number}.0"), person.box_kw)
        out_ms = in_ms + chance.randrange(12, 30) * MINUTE_MS
        yield PlugOut(out_ms)
        at_ms = out_ms + chance.randrange(61, 180) * SECOND_MS
        trip += 1


def _policy(person: Person, at_ms: int) -> VehiclePolicy:
    wish = Deadline(deadline="07:00", minimum_charge_target=100.0)
    return VehiclePolicy(
        id=PolicyId(f"policy-{person.number}.1"),
        user_id=person.user_id(0),
        vehicle_id=person.vehicle_id,
        location_id=person.home(0),
        is_enabled=True,
        at=moment(at_ms),
        timezone_name=person.zone.clock.key,
        zone=person.zone.name,
        battery_reserve=_RESERVE_PERCENT,
        schedule=Schedule(
            monday=wish, tuesday=wish, wednesday=wish, thursday=wish, friday=wish, saturday=wish, sunday=wish
        ),
        max_charge_rate=person.box_kw,
        battery_capacity=person.capacity_kwh,
    )
