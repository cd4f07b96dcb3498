"""A batch of one partition: what is published, what is kept, and in which order."""

from datetime import datetime, timedelta
from typing import ClassVar

from msgspec import structs

from models.command import Action, ChargeCommand, Reason
from models.ids import CommandId, PolicyId, SessionId, UserId, VehicleId, Zone
from models.topics import (
    CHARGE_COMMANDS,
    DEAD_LETTER_LIMIT_BYTES,
    SESSION_TARGETS,
    SESSION_UPDATED,
    VEHICLE_CHARGE,
    VEHICLE_PLUG,
    VEHICLE_POLICIES,
    dead_letter_topic,
)
from runtime.partitions import partition_of
from sessions.events import CommandIssued, Decision, Event, Rules, TimerDue
from sessions.prices import PriceBook
from sessions.state import Vehicle
from sessions.timers import Wake
from streams.logic import SessionLogic
from streams.records import InputRecord
from streams.timers import Timers
from streams.vehicles import Vehicles
from tests.support.processor_bench import CAR, HOME, NOW, PARTITIONS, T0, Bench, deletion, plug, policy, record
from tests.support.records import Outgoing
from tests.support.worker import message


def test_a_batch_sees_its_own_changes() -> None:
    """Records of one batch build on each other, though the tables are written only at its end."""
    bench = Bench()
    bench.take(policy(), plug(0, True), plug(30, False), plug(32, None))
    versions = [dict(update.headers)["session-version"] for update in bench.of(SESSION_UPDATED)]
    assert versions == [b"1", b"2", b"3", b"1"]


def test_a_batch_that_is_not_kept_leaves_nothing_behind() -> None:
    """Decided and thrown away, as where its transaction fails, a batch can be decided anew with the same result."""
    bench, other = Bench(), Bench()
    bench.take(policy())
    other.take(policy())
    records = plug(0, True), plug(30, False), plug(32, None), deletion()
    before = dict(bench.records)
    bench.processor.states(bench.decide(*records))
    assert (bench.records, len(bench.timers), bench.processor.newest_at) == (before, 0, None)
    bench.take(*records)
    other.take(*records)
    assert bench.published == other.published
    assert (bench.records, bench.tally) == (other.records, other.tally)


def test_a_restart_changes_nothing() -> None:
    """Begun anew between any two records with what is kept, the processor publishes and keeps the same."""
    records = (policy(), plug(0, True), plug(30, False), plug(32, None), plug(40, True), deletion())
    steady, restarted = Bench(), Bench()
    for each in records:
        steady.take(each)
        restarted.take(each)
        restarted.start()
        assert restarted.processor.newest_at == steady.processor.newest_at
        assert restarted.timers.due(NOW, 1.0, 10) == steady.timers.due(NOW, 1.0, 10)
    assert steady.published == restarted.published
    assert steady.records == restarted.records


def test_prices_that_came_meanwhile_set_the_timers_anew() -> None:
    """After a restart a vehicle is asked anew if its zone has other prices than when its timer was set, else not."""
    bench = Bench()
    bench.take(policy(), plug(0, True))
    bench.start()
    assert not bench.processor.is_asking
    bench.logic.price_counts[Zone("FR")] += 1
    bench.start()
    assert not bench.processor.is_asking
    bench.logic.price_counts[Zone("DE-LU")] += 1
    bench.start()
    assert bench.processor.is_asking


def test_other_rules_set_the_timers_anew() -> None:
    """A vehicle whose timer was set by other rules is asked anew after a restart."""
    bench = Bench()
    bench.take(plug(0, True))
    assert bench.timers.next_fires_at() == T0 + timedelta(hours=72)
    bench.logic = SessionLogic(Rules(visit_timeout=timedelta(hours=1)), PriceBook())
    bench.start()
    assert bench.processor.is_asking
    bench.processor.ask_anew(10)
    assert bench.timers.due(T0 + timedelta(hours=1), 0.0, 10) == [CAR]


def test_a_batch_taken_again_publishes_the_same() -> None:
    """What a crash makes come again is equal, byte for byte."""
    first, second = Bench(), Bench()
    for bench in (first, second):
        bench.take(policy(), plug(0, True), plug(30, False), plug(32, None))
    assert first.published == second.published


def test_the_split_into_batches_changes_nothing() -> None:
    """One batch or one for each record: the same updates."""
    records = (policy(), plug(0, True), plug(30, False), plug(32, None), deletion())
    together, apart = Bench(), Bench()
    together.take(*records)
    for each in records:
        apart.take(each)
    assert together.published == apart.published
    assert together.vehicles == apart.vehicles


def test_a_timer_is_set_fired_and_cleared() -> None:
    """An unplug sets a timer; fired, it settles the session and leaves none behind."""
    bench = Bench()
    bench.take(policy(), plug(0, True), plug(30, False))
    due_at = T0 + timedelta(minutes=31)
    assert bench.timers.due(due_at, 0.0, 10) == [CAR]
    bench.fire(due_at)
    assert len(bench.timers) == 0
    assert b'"SETTLED"' in (bench.of(SESSION_UPDATED)[-2].value or b"")


def test_a_timer_that_changes_nothing_does_not_fire_at_once_again() -> None:
    """Fired before the logic finds it due, a timer rests: it is counted, and keeps no other from its turn."""
    bench = Bench()
    bench.take(policy(), plug(0, True), plug(30, False))
    bench.fire(T0 + timedelta(minutes=30.5))
    due_at = T0 + timedelta(minutes=31)
    assert bench.tally["timer_changed_nothing"] == 1
    assert bench.timers.due(due_at, 0.5, 10) == []
    assert bench.timers.due(due_at, 1.0, 10) == [CAR]


def test_a_forgotten_vehicle_has_no_record() -> None:
    """A week after its last word a vehicle without policy and visit leaves store, cache and timers; heard again, it is
    as one that is new, and a restart finds the same.
    """
    bench, restarted = Bench(), Bench()
    for each in (bench, restarted):
        each.take(plug(0, True), plug(30, False), plug(32, None))
        assert len(each.vehicles) == 1
        each.fire(T0 + timedelta(days=7, minutes=33))
        assert (each.records, len(each.timers), each.tally["vehicle_forgotten"]) == ({}, 0, 1)
    restarted.start()
    for each in (bench, restarted):
        each.take(structs.replace(plug(10 * 24 * 60, True), logged_at=T0 + timedelta(days=10)))
    assert bench.records == restarted.records != {}
    assert bench.published == restarted.published


def test_a_vehicle_is_forgotten_by_its_own_next_message() -> None:
    """Whether its timer fired or its own next message came first, a vehicle that was silent for a week is the same."""
    silent, fired = Bench(), Bench()
    for each in (silent, fired):
        each.take(plug(0, True), plug(30, False), plug(32, None))
    fired.fire(T0 + timedelta(days=8))
    for each in (silent, fired):
        each.take(structs.replace(plug(10 * 24 * 60, True), logged_at=T0 + timedelta(days=10)))
    assert silent.records == fired.records
    assert silent.published == fired.published


def test_time_alone_forgets() -> None:
    """By the wall a silent vehicle is forgotten a week, and what its newest message was late, after that message; the
    timer that says so stands again after a restart.
    """
    bench = Bench()
    bench.take(plug(0, False))
    # It was told at T0 and logged at NOW.
    gone_at = NOW + timedelta(days=7)
    for _ in range(2):
        bench.start()
        timers = Timers(quiet_s=0.0, is_wall=True)
        for vehicle_id, summary in Vehicles(bench, limit=2).summaries():
            timers.schedule(vehicle_id, summary.wake, 0.0)
        assert timers.due(gone_at - timedelta(seconds=1), 1.0, 10) == []
        assert timers.due(gone_at, 1.0, 10) == [CAR]
    bench.keep(bench.processor.decide_timers([CAR], TimerDue(gone_at - timedelta(seconds=1), is_wall=True), NOW))
    assert len(bench.vehicles) == 1
    bench.keep(bench.processor.decide_timers([CAR], TimerDue(gone_at, is_wall=True), NOW))
    assert bench.records == {}


def test_everything_goes_to_the_partition_that_it_came_from() -> None:
    """Updates, dead letters and restored policies stay on the vehicle's partition, whatever their keys."""
    bench = Bench()
    bench.take(policy(), policy("rival"), record(Outgoing(topic=VEHICLE_CHARGE, key="x", value=b"?")), deletion())
    assert {out.partition for out in bench.published} == {HOME}
    assert {out.topic for out in bench.published} == {
        SESSION_UPDATED,
        VEHICLE_POLICIES,
        dead_letter_topic(VEHICLE_POLICIES),
        dead_letter_topic(VEHICLE_CHARGE),
    }


def test_an_earlier_dead_letters_headers_are_not_doubled() -> None:
    """A record that was a dead letter before keeps its own headers and gets the newest reason only."""
    bench = Bench()
    again = Outgoing(topic=VEHICLE_CHARGE, key=CAR, value=b"?", headers={"dlq-reason": "OLD", "trace": "t"})
    bench.take(record(again, offset=7))
    (letter,) = bench.of(dead_letter_topic(VEHICLE_CHARGE))
    names = [name for name, _ in letter.headers]
    assert len(names) == len(set(names))
    headers = dict(letter.headers)
    assert (headers["dlq-reason"], headers["trace"], headers["dlq-offset"]) == (b"MALFORMED_JSON", b"t", b"7")


def test_every_refusal_is_counted() -> None:
    """The tally names what was read, refused, and out of range."""
    bench = Bench()
    absurd = message(CAR, T0, batteryLevel=65_535)
    bench.take(
        record(Outgoing(topic=VEHICLE_CHARGE, key=CAR, value=absurd)),
        record(Outgoing(topic=VEHICLE_CHARGE, key=CAR, value=None)),
    )
    assert bench.tally == {f"read {VEHICLE_CHARGE}": 2, "refused NULL_VALUE": 1, "out_of_range battery_level": 1}


def test_a_dead_letter_always_fits() -> None:
    """A record larger than any topic takes is cut, the header says how, and it is found by its offset."""
    bench = Bench()
    bomb = Outgoing(topic=VEHICLE_CHARGE, key="k" * 200_000, value=b"a" * 20_000_000, headers={"h": "x" * 600_000})
    bench.take(record(bomb, offset=3))
    (letter,) = bench.of(dead_letter_topic(VEHICLE_CHARGE))
    size = len(letter.key or b"") + len(letter.value or b"") + sum(len(n) + len(t or b"") for n, t in letter.headers)
    assert size < DEAD_LETTER_LIMIT_BYTES - 100_000
    headers = dict(letter.headers)
    assert (headers["dlq-reason"], headers["dlq-offset"]) == (b"TOO_LARGE", b"3")
    assert (
        headers["dlq-cut"]
        == b"key from 200000 to 65536 bytes; value from 20000000 to 3145728 bytes; headers from 1 to 0"
    )


def test_only_what_was_taken_moves_the_event_clock() -> None:
    """The partition's event time follows messages that count, not refused ones and not policies."""
    bench = Bench()
    future = message(CAR, T0 + timedelta(days=900))
    bench.take(policy(), record(Outgoing(topic=VEHICLE_CHARGE, key=CAR, value=future)), deletion())
    assert bench.processor.newest_at is None
    bench.take(plug(5, True), plug(3, True))
    assert bench.processor.newest_at == T0 + timedelta(minutes=5)


def target(vehicle: str = CAR, **fields: object) -> InputRecord:
    said = {"vehicleId": vehicle, "sessionId": "s-1", "at": "2026-03-01T18:00:00Z", "target": None} | fields
    return record(Outgoing(topic=SESSION_TARGETS, key=vehicle, value=said))


def test_a_target_is_the_vehicles_own_matter() -> None:
    """An override on another vehicle's partition, or from before 2015, is refused; a good one is not."""
    bench = Bench()
    astray = next(name for name in map(str, range(99)) if partition_of(name, PARTITIONS) != HOME)
    bench.take(policy(), target(), target(astray), target(at="2014-12-31T23:59:59Z"))
    letters = bench.of(dead_letter_topic(SESSION_TARGETS))
    assert [dict(letter.headers)["dlq-reason"] for letter in letters] == [b"WRONG_PARTITION", b"TOO_OLD"]


def test_a_vehicle_of_which_nothing_comes_to_be_known_is_not_kept() -> None:
    """An override for a vehicle that nobody has heard of leaves no state behind."""
    bench = Bench()
    bench.take(target())
    assert bench.vehicles == {}


class Commanding(SessionLogic):
    """Answers every event with a command that holds until T0 plus so many minutes, and wakes nobody."""

    valid_min = 0.0

    def apply(self, vehicle: Vehicle, event: Event) -> Decision:
        at = event.now if isinstance(event, TimerDue) else T0
        command = ChargeCommand(
            command_id=CommandId("c-1"),
            vehicle_id=vehicle.id,
            user_id=UserId("user-1"),
            policy_id=PolicyId("p"),
            session_id=SessionId("s-1"),
            action=Action.STOP,
            reason=Reason.WAITING,
            at=at,
            valid_until=T0 + timedelta(minutes=self.valid_min),
        )
        return Decision(vehicle=vehicle, outputs=(CommandIssued(command),))

    def wake(self, vehicle: Vehicle) -> Wake | None:
        assert vehicle.id
        return None


def commanding(valid_min: float) -> Bench:
    logic = Commanding(Rules(), PriceBook())
    logic.valid_min = valid_min
    return Bench(logic=logic)


def test_a_command_goes_to_its_vehicles_gateway() -> None:
    """A command is written with the vehicle's id as key, on the vehicle's partition, whether a timer or a record led
    to it.
    """
    bench = commanding(valid_min=181)
    bench.take(plug(0, True))
    bench.fire(T0)
    commands = bench.of(CHARGE_COMMANDS)
    assert [(command.key, command.partition, command.headers) for command in commands] == [(b"car", HOME, [])] * 2
    assert b'"action":"STOP"' in (commands[0].value or b"")
    assert b'"validUntil":"2026-03-01T21:01:00Z"' in (commands[0].value or b"")
    assert bench.tally["command_written"] == 2


def test_a_command_that_nobody_may_obey_any_more_is_not_written() -> None:
    """Once `validUntil` has passed by the wall clock, the command is counted and not written."""
    bench = commanding(valid_min=180)
    bench.take(plug(0, True))
    assert bench.published == []
    assert bench.tally["command_withheld expired"] == 1


def test_a_replay_commands_nobody() -> None:
    """With the event clock no command is written, only counted."""
    bench = commanding(valid_min=10_000)
    bench.wall_now = None
    bench.take(plug(0, True))
    assert bench.published == []
    assert bench.tally["command_withheld event_clock"] == 1


class Asking(SessionLogic):
    """The real logic, which notes whose timer it was asked for."""

    asked: ClassVar[list[VehicleId]] = []

    def wake(self, vehicle: Vehicle) -> Wake | None:
        self.asked.append(vehicle.id)
        return super().wake(vehicle)


def test_a_change_of_prices_asks_the_vehicles_that_it_concerns_and_no_others() -> None:
    """Only a vehicle whose open visit is managed in a changed zone is asked anew, at most so many at once."""
    logic = Asking(Rules(), PriceBook())
    bench = Bench(logic=logic)
    names = [name for name in map(str, range(99)) if partition_of(name, PARTITIONS) == HOME][:3]
    for name in names:
        value = message(name, T0, isPluggedIn=True, locationId="home")
        bench.take(policy(f"p{name}", name), record(Outgoing(topic=VEHICLE_PLUG, key=name, value=value)))
    bench.take(policy("idle"))
    bench.processor.prices_changed([Zone("FR"), Zone("DE-LU")])
    bench.processor.prices_changed([Zone("DE-LU")])
    logic.asked.clear()
    assert [bench.processor.ask_anew(2) for _ in range(3)] == [True, True, False]
    assert sorted(logic.asked) == sorted(names)
    value = message(names[0], T0 + timedelta(minutes=9), isPluggedIn=False)
    bench.take(record(Outgoing(topic=VEHICLE_PLUG, key=names[0], value=value)))
    value = message(names[0], T0 + timedelta(minutes=20))
    bench.take(record(Outgoing(topic=VEHICLE_CHARGE, key=names[0], value=value)))
    logic.asked.clear()
    bench.processor.prices_changed([Zone("DE-LU")])
    assert bench.processor.ask_anew(10)
    assert sorted(logic.asked) == sorted(names[1:])


class WokenByPrices(SessionLogic):
    """The real logic, but that a vehicle with an open visit is to be woken at the newest price it knows of."""

    known_at: datetime | None = None

    def wake(self, vehicle: Vehicle) -> Wake | None:
        return None if self.known_at is None or vehicle.visit is None else Wake(self.known_at, 0.0)


def test_a_price_wakes_a_silent_vehicle() -> None:
    """A vehicle that has no timer gets one when a price that concerns it becomes known."""
    logic = WokenByPrices(Rules(), PriceBook())
    bench = Bench(logic=logic)
    bench.take(policy(), plug(0, True))
    assert bench.timers.due(NOW, 0.0, 10) == []
    logic.known_at = NOW
    bench.processor.prices_changed([Zone("DE-LU")])
    bench.processor.ask_anew(10)
    assert bench.timers.due(NOW, 0.0, 10) == [CAR]
