"""The cars of a live run, moved together through time: what they tell, under the names of the run."""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace

from msgspec import structs

from ingest.errors import WriteInterrupted
from models.command import ChargeCommand
from models.ids import VehicleId
from simulator.feeds.catalogue import feed_maker
from simulator.judge.bounds import Bounds
from simulator.judge.findings import Finding
from simulator.judge.judged import JudgedCar
from simulator.judge.truth import Comparison
from simulator.live.naming import Words
from simulator.live.position import Position, Taken
from simulator.world.acts import Act, DeletePolicy, Wish, WritePolicy
from simulator.world.box import SmartBox
from simulator.world.car import Car, Told
from simulator.world.life import Life
from simulator.world.market import WORLD, ZONES, Market
from simulator.world.moments import moment
from simulator.world.people import person
from simulator.world.shuttle import sharer, shuttle_acts
from simulator.world.wishes import target_of

# On the wall clock a timer waits for the delay that its vehicle had last, 30 min at most; and what comes while the past
# is made up for, from several topics, may be taken in another order than it was written.
_WALL_SETTLE_S = 2_400.0
_WALL_LATE_S = 600.0
# Of four households three have a smart box; it acts while nobody can command.
_BOXES = 4
# One car in ten is shared by many, so that whoever looks at the present sees something move.
_SHARED = 10
# A large fleet hears a stop between so many events.
_STOP_EVERY = 1_000


class LiveFleet:
    """All cars at `now_ms`. `pasts` may grow: what a plug-in in one of these spans leads to is up to the car's box.

    `taken`: commands of an earlier run of this world, each of which is taken again when its time comes.
    """

    def __init__(
        self,
        begun: Position,
        taken: Sequence[Taken],
        report: Callable[[Finding], None],
        *,
        is_wall: bool,
        is_told_to_stop: Callable[[], bool],
    ) -> None:
        self.now_ms = begun.start_ms
        self.pasts = list(begun.pasts)
        self._begun = begun
        self._report = report
        self._is_wall = is_wall
        self._is_told_to_stop = is_told_to_stop
        self._again = list(reversed(taken))
        # Around the world in the present; a history has the days on which clocks change.
        self._zones = WORLD if is_wall else ()
        self._market = Market(begun.seed, begun.start_ms, zones=self._zones or ZONES)
        self._box = SmartBox(self._market, self.pasts)
        self.cars: list[JudgedCar] = []
        for number in range(1, begun.vehicles + 1):
            self._hear_stop(number)
            self.cars.append(self._car(number))
        self._places = {car.car.person.vehicle_id: place for place, car in enumerate(self.cars)}
        # When to look at which car. An entry that is not the one in `_due_ms` is from before a command.
        self._due_ms = [car.told_ms for car in self.cars]
        self._heap = [(due_ms, place) for place, due_ms in enumerate(self._due_ms)]
        heapify(self._heap)

    def by_vehicle(self) -> dict[VehicleId, JudgedCar]:
        """The cars by the ids that they have in the world."""
        return {vehicle_id: self.cars[place] for vehicle_id, place in self._places.items()}

    def words_until(self, until_ms: int) -> Iterator[Words]:
        """Everything that reaches the log before that moment. Prices come first, which count from their own time on."""
        while self._again and self._again[-1].at_ms <= until_ms:
            each = self._again.pop()
            yield from self._move(each.at_ms)
            self.take(each.command)
        yield from self._move(until_ms)

    def take(self, command: ChargeCommand) -> bool:
        """A command that has reached its car's cloud now; tells whether the car is going to follow it."""
        place = self._places[command.vehicle_id]
        car = self.cars[place]
        is_followed = car.car.take(command, self.now_ms)
        if car.told_ms != self._due_ms[place]:
            self._due_ms[place] = car.told_ms
            heappush(self._heap, (car.told_ms, place))
        return is_followed

    def _move(self, until_ms: int) -> Iterator[Words]:
        yield from self._market.publish(until_ms)
        heap, due_ms, moved = self._heap, self._due_ms, 0
        while heap[0][0] < until_ms:
            at_ms, place = heap[0]
            if due_ms[place] != at_ms:
                heappop(heap)
                continue
            moved += 1
            self._hear_stop(moved)
            car = self.cars[place]
            for told in car.arrivals(at_ms):
                words = _words(car, told, at_ms)
                if words is not None:
                    yield words
            due_ms[place] = car.told_ms
            heapreplace(heap, (car.told_ms, place))
        self.now_ms = max(self.now_ms, until_ms)

    def _car(self, number: int) -> JudgedCar:
        begun, is_wall = self._begun, self._is_wall
        who = person(begun.seed, number, unruly=begun.unruly, zones=self._zones)
        is_shared = is_wall and number % _SHARED == _SHARED - 1
        if is_shared:
            who = sharer(who)
        acts = shuttle_acts(who, begun.start_ms, self.pasts) if is_shared else Life(who, begun.start_ms).acts()
        feed = feed_maker(begun.feed)(who)
        if feed.plugged_every_s is not None:
            who = structs.replace(who, plugged_every_s=feed.plugged_every_s)
        car = Car(who, _kept(acts), begun.start_ms)
        if is_wall and not is_shared and number % _BOXES:
            car.box = self._box
        bounds = _on_the_wall(feed.bounds) if is_wall else feed.bounds
        comparison = Comparison(
            car.oracle, who.vehicle_id, bounds, self._market, self._report, feed.heard, feed.metered, feed.spoken
        )
        return JudgedCar(car, feed, comparison, self._report)

    def _hear_stop(self, count: int) -> None:
        if count % _STOP_EVERY == 0 and self._is_told_to_stop():
            raise WriteInterrupted


def _words(car: JudgedCar, told: Told, now_ms: int) -> Words | None:
    match told:
        case WritePolicy():
            return told.policy
        case Wish():
            # What the app sends for the session that it shows; nothing where there is none.
            session_id = car.ledger.current.get(told.policy_id)
            return None if session_id is None else target_of(told, car.car.person.vehicle_id, session_id, now_ms)
        case DeletePolicy():
            raise AssertionError("deletions were taken out of these lives")
        case _:
            return told


def _kept(acts: Iterator[Act]) -> Iterator[Act]:
    """A policy's deletion has the time at which the broker takes it, which is no time of the past: it is disabled."""
    standing: dict[str, WritePolicy] = {}
    for act in acts:
        match act:
            case WritePolicy():
                standing[act.policy.id] = act
                yield act
            case DeletePolicy() if act.policy_id in standing:
                policy = structs.replace(standing[act.policy_id].policy, is_enabled=False, at=moment(act.at_ms))
                yield WritePolicy(act.at_ms, policy)
            case DeletePolicy():
                pass
            case _:
                yield act


def _on_the_wall(bounds: Bounds) -> Bounds:
    return structs.replace(
        bounds,
        settle_s=max(bounds.settle_s, _WALL_SETTLE_S),
        late_s=max(bounds.late_s, _WALL_LATE_S),
        may_split=True,
    )
