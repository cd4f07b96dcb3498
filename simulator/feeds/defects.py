"""What real feeds do to a car's words, one habit or defect at a time. README.md has the bounds and the reasons.

A spoiler takes what is on its way (time of arrival, message) and gives what is on its way after it. Each car has its
own, with a chance of its own, so one seed spoils alike in every run.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from msgspec import structs

from models.telemetry import ChargeSample, PlugEvent
from simulator.world.car import Car
from simulator.world.moments import HOUR_MS, MINUTE_MS, SECOND_MS, millis, moment

Message = PlugEvent | ChargeSample
Arrival = tuple[int, Message]

_KEPT_FIELDS: Final = ("event_id", "vehicle_id", "user_id", "at")
_SAMPLE_FIELDS: Final = tuple(field for field in ChargeSample.__struct_fields__ if field not in _KEPT_FIELDS)
# Of what a counter shows, this share drains at most.
_DRAIN_LIMIT: Final = 0.02
# Of a car that is silent for 72 h the contract says that its visit is over.
_SLEEP_LIMIT_MS: Final = 24 * HOUR_MS
# Polls in a row that tell nothing: what is more no bound could hold against.
_BLANKS_LIMIT: Final = 2
_WORDS: Final = ("PLUGGED_IN:MAGIC", "", "charging", "UNKNOWN")


class Spoiler:
    """One habit of one car's feed."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        """What becomes of one message that is on its way."""
        raise NotImplementedError


class ChangedFields(Spoiler):
    """A stream that tells only what has changed since it was told last."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._told: dict[str, object] = {}

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent):
            # A plug event is whole; after it all is told anew.
            self._told.clear()
            return (arrival,)
        if self._told.get("user_id") != message.user_id:
            # So it is to a new owner.
            self._told = {"user_id": message.user_id}
        dropped: dict[str, None] = {}
        for field in _SAMPLE_FIELDS:
            value = getattr(message, field)
            if value is not None and self._told.get(field) == value:
                dropped[field] = None
            elif value is not None:
                self._told[field] = value
        return ((at_ms, structs.replace(message, **dropped)),)


class Polls(Spoiler):
    """Somebody asks every 1 to 10 minutes, and at times not for half an hour. Nobody tells of the plug itself."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._every_ms = chance.randrange(1, 11) * MINUTE_MS
        self._next_ms = 0
        self._blanks = 0

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent) or at_ms < self._next_ms:
            return ()
        is_hole = self.chance.random() < 0.02
        self._next_ms = at_ms + (30 * MINUTE_MS if is_hole else self._every_ms)
        if self.chance.random() < 0.2 and self._blanks < _BLANKS_LIMIT:
            self._blanks += 1
            blank = dict.fromkeys(_SAMPLE_FIELDS)
            return ((at_ms, structs.replace(message, **blank)),)
        self._blanks = 0
        return (arrival,)


class Bursts(Spoiler):
    """Webhooks that gather for up to 7 minutes and then come all at once, in order."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._next_ms = 0

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        while self._next_ms < at_ms:
            self._next_ms = max(self._next_ms, at_ms - 7 * MINUTE_MS) + self.chance.randrange(10, 421) * SECOND_MS
        return ((self._next_ms, message),)


class NoLevel(Spoiler):
    """A charger that knows no battery."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent):
            return ((at_ms, structs.replace(message, battery_level=None, battery_capacity=None)),)
        return ((at_ms, structs.replace(message, battery_level=None, charge_limit=None)),)


class RateOnly(NoLevel):
    """A charger that tells its power, and neither counts nor knows the battery."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        return [_without(told, energy_added=None) for told in super().spoil(car, arrival)]


class LevelOnly(Spoiler):
    """A car that tells its level, and neither what flows nor what has flowed."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        return (_without(arrival, energy_added=None, charge_rate=None),)


class LifetimeCounter(Spoiler):
    """A counter that has counted since the car was made."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        at_ms, message = arrival
        if isinstance(message, PlugEvent):
            return (arrival,)
        untold = 0.0 if message.energy_added is None else message.energy_added - car.counter_kwh
        return ((at_ms, structs.replace(message, energy_added=round(car.lifetime_kwh + untold, 3))),)


class HeldCounter(Spoiler):
    """A counter that shows the last session's value until power flows again."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._last_kwh: float | None = None

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent):
            return (arrival,)
        is_drawing = message.is_charging or message.charge_rate
        if message.energy_added is None or (message.energy_added == 0 and not is_drawing):
            return ((at_ms, structs.replace(message, energy_added=self._last_kwh)),)
        self._last_kwh = message.energy_added
        return (arrival,)


class FallingCounter(Spoiler):
    """A counter that drains after completion, while the car keeps itself warm from its battery."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._fallen = 0.0

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent) or message.energy_added is None or message.is_charging:
            self._fallen = 0.0
            return (arrival,)
        if message.power_delivery_state == "PLUGGED_IN:COMPLETE":
            self._fallen = min(_DRAIN_LIMIT, self._fallen + 0.002)
        return ((at_ms, structs.replace(message, energy_added=round(message.energy_added * (1 - self._fallen), 3))),)


class PlaceholderZeros(Spoiler):
    """A counter that says 0 now and then, and means nothing by it."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, ChargeSample) and message.energy_added and self.chance.random() < 0.03:
            return ((at_ms, structs.replace(message, energy_added=0.0)),)
        return (arrival,)


class Duplicates(Spoiler):
    """A tenth comes twice, some of it hours later."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if self.chance.random() < 0.1:
            after_ms = self.chance.choice((0, 0, 500, 30_000, 20 * HOUR_MS))
            return (arrival, (at_ms + after_ms, message))
        return (arrival,)


class Reordering(Spoiler):
    """Every message takes its own time, up to 2 minutes."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        return ((arrival[0] + self.chance.randrange(120) * SECOND_MS, arrival[1]),)


class Drops(Spoiler):
    """A tenth never comes; nor do plug events at times."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        return () if self.chance.random() < 0.1 else (arrival,)


class Skew(Spoiler):
    """A clock that is up to 2 minutes behind, or 2 ahead, and stays so."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self.off_ms = chance.randrange(-120, 121) * SECOND_MS

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        return ((at_ms, structs.replace(message, at=moment(millis(message.at) + self.off_ms))),)


class WrongWords(Spoiler):
    """States that nobody knows, and plug states that are null."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if isinstance(message, PlugEvent) or self.chance.random() > 0.2:
            return (arrival,)
        word = self.chance.choice(_WORDS)
        plug = None if self.chance.random() < 0.5 else message.is_plugged_in
        return ((at_ms, structs.replace(message, power_delivery_state=word, is_plugged_in=plug)),)


class OutOfRange(Spoiler):
    """Values that cannot be: a level of 65535 %, a rate of a power station, a counter in mWh."""

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if self.chance.random() > 0.1:
            return (arrival,)
        if isinstance(message, PlugEvent):
            return ((at_ms, structs.replace(message, battery_level=65_535.0, battery_capacity=0.0)),)
        field, value = self.chance.choice(
            (("battery_level", 65_535.0), ("charge_rate", -99_999.0), ("energy_added", 1e9), ("charge_limit", -1.0))
        )
        return ((at_ms, structs.replace(message, **{field: value})),)


class Sleep(Spoiler):
    """A car that stands and does not charge falls asleep after half an hour, until something happens, or for a day."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._known: tuple[object, ...] = ()
        self._since_ms = 0
        self._told_ms = 0

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        at_ms, message = arrival
        if isinstance(message, PlugEvent):
            self._known = ()
            return (arrival,)
        now = (
            message.is_charging,
            message.is_plugged_in,
            message.location_id,
            message.power_delivery_state,
            car.user_id,
        )
        if now != self._known or message.is_charging or message.charge_rate:
            self._known, self._since_ms = now, at_ms
        if at_ms > self._since_ms + 30 * MINUTE_MS and at_ms < self._told_ms + _SLEEP_LIMIT_MS:
            # A car that sleeps says nothing: should it be sold, its last word was the one before.
            car.told_ms = self._told_ms
            return ()
        self._told_ms = at_ms
        return (arrival,)


class Offline(Spoiler):
    """A car that loses its connection now and then, for up to 8 hours, and then uploads all, in order."""

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self._until_ms = 0

    def spoil(self, car: Car, arrival: Arrival) -> Sequence[Arrival]:
        del car
        at_ms, message = arrival
        if at_ms >= self._until_ms and self.chance.random() < 0.003:
            self._until_ms = at_ms + self.chance.randrange(10, 480) * MINUTE_MS
        return ((max(at_ms, self._until_ms), message),)


def _without(arrival: Arrival, **fields: None) -> Arrival:
    at_ms, message = arrival
    return arrival if isinstance(message, PlugEvent) else (at_ms, structs.replace(message, **fields))


SPOILERS: Final[dict[str, Callable[[Random], Spoiler]]] = {
    "changed-fields": ChangedFields,
    "stream": ChangedFields,
    "polls": Polls,
    "bursts": Bursts,
    "no-level": NoLevel,
    "rate-only": RateOnly,
    "level-only": LevelOnly,
    "lifetime-counter": LifetimeCounter,
    "held-counter": HeldCounter,
    "falling-counter": FallingCounter,
    "placeholder-zeros": PlaceholderZeros,
    "duplicates": Duplicates,
    "reordering": Reordering,
    "drops": Drops,
    "skew": Skew,
    "wrong-words": WrongWords,
    "out-of-range": OutOfRange,
    "sleep": Sleep,
    "offline": Offline,
}
