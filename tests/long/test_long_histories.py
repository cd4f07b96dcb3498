"""The laws of the session logic over many more and longer histories than the quick properties draw: about a minute."""

from hypothesis import given, settings

from sessions.events import Event, Rules
from sessions.prices import PriceBook
from tests.properties.histories import CHECK, Wish, books, histories, rules
from tests.properties.test_lifecycle_properties import check_all, check_duplicates, check_steps

# Seeded like the quick ones, so that a failure comes back.
LONG = settings(CHECK, max_examples=150)


@settings(LONG, max_examples=100)
@given(histories(max_size=60), rules, books())
def test_laws_hold_at_every_moment(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Whatever a vehicle tells, every law of `tests.laws` holds after every event, and a restart changes nothing."""
    check_all(events, with_rules, prices)


@LONG
@given(histories(max_size=40), rules, books())
def test_duplicates_change_nothing(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """A message that comes again, at whatever later moment, publishes nothing and leaves the state as it is."""
    check_duplicates(events, with_rules, prices, repeated=8)


@LONG
@given(histories(max_size=40), rules, books())
def test_time_that_passes_in_steps(events: list[Event | Wish], with_rules: Rules, prices: PriceBook) -> None:
    """Timers fire at their due times, whenever they are asked for: between two messages, or with the later one."""
    check_steps(events, with_rules, prices)
