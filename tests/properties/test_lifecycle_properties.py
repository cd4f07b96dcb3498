"""Laws of the session logic over histories that nobody wrote down."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from msgspec import structs

from sessions.events import Event, Output, PolicyRestored, PolicyWritten, Rules, TelemetryReceived, TimerDue
from sessions.grid import MOMENT
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from streams.updates import UpdateEncoder
from tests.builders import minute
from tests.laws import check_history, check_later, check_published, check_series, check_step
from tests.properties.histories import CHECK_HISTORIES, Wish, books, bounded_timers, fold, histories, rules

# Of what was told before, so much comes again after each event.
REPEATED = 4


def check_all(events: Sequence[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Hold a history to all laws that need no second one."""
    outputs: list[Output] = []
    encoder = UpdateEncoder()
    with bounded_timers():
        for before, event, decision in fold(events, with_rules, prices):
            check_step(before, decision)
            outputs += decision.outputs
            check_later(before, event, decision)
            check_published(outputs, decision.vehicle)
            check_series(decision, encoder)
            stored = msgspec.msgpack.encode(before)
            kept = msgspec.msgpack.decode(stored, type=Vehicle)
            again = apply(kept, event, with_rules, prices)
            assert again == decision
            assert msgspec.msgpack.encode(before) == stored
    check_history(outputs, decision.vehicle)


def check_duplicates(events: Sequence[Event | Wish], with_rules: Rules, prices: PriceBook, repeated: int) -> None:
    """Hold a history to this: a message that comes again changes nothing."""
    told: list[TelemetryReceived] = []
    with bounded_timers():
        for number, (_, event, decision) in enumerate(fold(events, with_rules, prices)):
            if isinstance(event, TelemetryReceived):
                told.append(event)
            chosen = {(number * 7 + step * 11) % len(told) for step in range(repeated)} if told else set()
            for again in [*told[-1:], *(told[index] for index in sorted(chosen))]:
                vehicle = decision.vehicle
                seen = apply(vehicle, again, with_rules, prices)
                assert (seen.outputs, seen.vehicle) == ((), vehicle)


def check_steps(events: Sequence[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Hold a history to this: on the event clock it is all the same whether time passes before a message or with it."""
    with_rules = structs.replace(with_rules, is_wall=False)
    rare: list[Event] = [event for event in events if isinstance(event, TelemetryReceived | PolicyWritten)]
    often: list[Event] = []
    newest_at = None
    for event in rare:
        if isinstance(event, TelemetryReceived) and (newest_at is None or event.message.at > newest_at):
            newest_at = event.message.at
            often.append(TimerDue(newest_at - MOMENT))
        often.append(event)
    end = [TimerDue(minute(20_000))]
    at_once, in_steps = (
        [
            output
            for _, _, decision in fold([*told, *end], with_rules, prices)
            for output in decision.outputs
            if not isinstance(output, PolicyRestored)
        ]
        for told in (rare, often)
    )
    assert at_once == in_steps


@CHECK_HISTORIES
@given(histories(), rules, books())
def test_laws_hold_at_every_moment(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Whatever a vehicle tells, every law of `tests.laws` holds after every event, and a restart changes nothing."""
    check_all(events, with_rules, prices)


@CHECK_HISTORIES
@given(histories(max_size=24), rules, books())
def test_duplicates_change_nothing(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """A message that comes again, at whatever later moment, publishes nothing and leaves the state as it is."""
    check_duplicates(events, with_rules, prices, REPEATED)


@CHECK_HISTORIES
@given(histories(max_size=24), rules, books())
def test_time_that_passes_in_steps(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Timers fire at their due times, whenever they are asked for: between two messages, or with the later one."""
    check_steps(events, with_rules, prices)
