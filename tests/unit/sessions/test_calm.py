"""The short way for a message that changes nothing of what is done: it must come to what the long one comes to."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given

from sessions import calm
from sessions.battery import Battery
from sessions.events import Decision, Event, Rules
from sessions.prices import PriceBook
from sessions.state import Target, Vehicle, Visit
from tests.builders import priced
from tests.properties.histories import CHECK_HISTORIES, Wish, books, fold, histories, rules
from tests.support.nights import RULES, drawn, spend


def decisions(events: Sequence[Event | Wish], with_rules: Rules, prices: PriceBook) -> list[Decision]:
    """What each event of a history comes to."""
    return [decision for _, _, decision in fold(events, with_rules, prices)]


def long_way(events: Sequence[Event | Wish], with_rules: Rules, prices: PriceBook) -> list[Decision]:
    """The same when no message is told to be plain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sessions.control.goes_on", lambda *_: False)
        return decisions(events, with_rules, prices)


def test_nights_are_the_same_by_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managed nights have the same decisions by either way; most of charging and of waiting takes the short one."""
    taken: Counter[tuple[bool, bool]] = Counter()
    really = calm.goes_on

    def counted(vehicle: Vehicle, visit: Visit, target: Target | None, battery: Battery, at: datetime) -> bool:
        is_calm = really(vehicle, visit, target, battery, at)
        taken[vehicle.charging is not None and vehicle.charging.is_charging, is_calm] += 1
        return is_calm

    monkeypatch.setattr("sessions.control.goes_on", counted)
    for seed in range(12):
        night = drawn(seed)
        events, prices = spend(night).events, priced(*night.prices)
        assert decisions(events, RULES, prices) == long_way(events, RULES, prices), f"night {seed}"
    assert taken[True, True] > 300
    assert taken[False, True] > 3 * taken[False, False] > 0


@CHECK_HISTORIES
@given(histories(max_size=40), rules, books())
def test_any_history_is_the_same_by_the_long_way(
    events: list[Event | Wish], with_rules: Rules, prices: PriceBook
) -> None:
    """Whatever a vehicle tells, and whoever wants what of it: nothing depends on the short way."""
    assert decisions(events, with_rules, prices) == long_way(events, with_rules, prices)
