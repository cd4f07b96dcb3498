"""What people do with their cars."""

from simulator.world.acts import Act, Park, PlugIn
from simulator.world.life import Life
from simulator.world.moments import DAY_MS, start_of
from simulator.world.people import person

_SEED, _DAYS = 5, 400


def acts_of(number: int) -> list[Act]:
    start_ms = start_of(_SEED)
    return list(Life(person(_SEED, number), start_ms).acts(_DAYS))


def nights_at(number: int, place: str) -> set[int]:
    """The days (counted from 1970) on which the car was parked at a place, by the clock of an evening."""
    return {act.at_ms // DAY_MS for act in acts_of(number) if isinstance(act, Park) and act.location_id == place}


def test_neighbours_swap_their_cars_on_the_same_evenings() -> None:
    """On some evenings two neighbours come home with each other's car, which then stands at the other's box."""
    one, other = nights_at(1, "home-2.0"), nights_at(2, "home-1.0")
    assert one
    assert other
    # Their days may begin in different time zones, and one of the two may stay at home.
    assert all(any(abs(day - match) <= 1 for match in other) or day not in driven(2) for day in one)
    boxes = {act.charger_id for act in acts_of(1) if isinstance(act, PlugIn)}
    assert "box-2.0" in boxes
    assert nights_at(1, "home-3.0") == set()


def driven(number: int) -> set[int]:
    """The days on which the car came to stand anywhere."""
    return {act.at_ms // DAY_MS for act in acts_of(number) if isinstance(act, Park)}


def test_a_plain_life_swaps_nothing() -> None:
    """With nothing unruly in a life, every evening is at home."""
    start_ms = start_of(_SEED)
    plain = list(Life(person(_SEED, 1, unruly=0.0), start_ms).acts(_DAYS))
    assert not any(isinstance(act, Park) and act.location_id == "home-2.0" for act in plain)
