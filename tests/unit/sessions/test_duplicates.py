"""Histories in which a message came twice and once was not enough: each is one way to tell a duplicate from news."""

import pytest

from models.ids import LocationId
from sessions.events import Event, TelemetryReceived
from sessions.lifecycle import apply
from tests.builders import BOB, HOME, RULES, WORK, plug, policy, run, sample, timer, unplug

HISTORIES: dict[str, list[Event]] = {
    "a managed vehicle says that it charges, and that it draws nothing": [
        policy(-30),
        sample(348, 2.883, charging=True, level=20.7, capacity=40, limit=50, rate=0.0, where=HOME),
        sample(400, 2.9, charging=True, rate=0.0),
    ],
    "plug in, sample, unplug, settled": [
        policy(-5),
        plug(0, where=HOME, level=50),
        sample(5, 1.0, level=51, charging=True),
        sample(20, 3.0, level=55),
        unplug(30),
        timer(31),
    ],
    "a place is told before a plug-in that comes late": [sample(5, where=HOME), plug(3)],
    "a place is told too early, until the plug-in moves back": [sample(-5, where=HOME), plug(10), plug(3)],
    "two places are told, then a plug-in comes late": [sample(1, where=WORK), sample(5, where=HOME), plug(3)],
    "another place is told before a plug-in that comes late": [sample(5, where=WORK), plug(3, where=HOME)],
    "another place is told, the later message first": [
        plug(0, where=HOME),
        sample(5, where=WORK),
        sample(3, where=WORK),
    ],
    "another place is told while the unplug is pending, which a re-plug cancels": [
        plug(0, where=HOME),
        sample(9, where=WORK),
        unplug(10),
        sample(10.75, where=WORK),
        plug(10.5),
    ],
    "the vehicle has gone elsewhere, as late messages tell": [
        plug(0, where=HOME),
        sample(9, where=WORK),
        sample(20, plugged=True),
        sample(7, where=WORK),
        sample(30),
    ],
    "a plug-in is told from between two places": [
        plug(0, where=WORK),
        plug(23, where=HOME),
        plug(15),
        sample(27, plugged=True, where=HOME),
    ],
    "the vehicle has gone elsewhere": [plug(0, where=HOME), sample(5, where=WORK), sample(7, where=WORK)],
    "a plug-in comes late, after other news": [sample(30), plug(3)],
    "a charge is told while the unplug is pending, and the next visit begins": [
        plug(0),
        unplug(10),
        sample(10.5, charging=True),
        plug(20),
    ],
    "a charge is told while the unplug is pending, and another charger is next": [
        plug(0, charger="a"),
        unplug(10),
        sample(10.2, charging=True),
        plug(10.5, charger="b"),
    ],
    "a charge is told while the unplug is pending, and a late re-plug cancels it": [
        plug(0),
        unplug(10),
        sample(10.75, charging=True),
        plug(10.25),
    ],
    "a charge is told after the unplug is confirmed, and a plug-in comes late": [
        plug(0),
        unplug(10),
        timer(12),
        sample(10.75, charging=True),
        plug(10.25),
    ],
    "a plug-in comes late, from between two unplugs": [
        plug(0),
        unplug(10),
        unplug(10.5),
        timer(11),
        plug(10.25),
        plug(20),
    ],
    "an unplug comes late, and its debounce is long over": [plug(0), sample(30), unplug(10)],
    "a user comes back after another": [plug(0), sample(10, user=BOB), plug(7), sample(20)],
    "two users take turns": [
        plug(0),
        plug(5, user=BOB),
        plug(10),
        unplug(12),
        plug(11, user=BOB),
        sample(20, user=BOB),
    ],
    "counter and level run down and up": [
        plug(0, level=50),
        sample(1, 5.0, level=51),
        sample(2, 4.95, level=50),
        sample(3, 0.0, level=52),
        sample(4, 0.5, level=51),
        sample(2.5, 5.0, level=60),
    ],
    "everything at one moment": [plug(0), sample(0, 1.0, level=5), unplug(0), plug(0), sample(0, 2.0, level=6)],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_a_duplicate_changes_nothing(history: list[Event]) -> None:
    """Every message of the history may come again at every later moment: nothing is published, the state is equal."""
    for length in range(1, len(history) + 1):
        vehicle = run(*history[:length]).vehicle
        for again in history[:length]:
            if isinstance(again, TelemetryReceived):
                repeated = apply(vehicle, again, RULES)
                assert (repeated.outputs, repeated.vehicle) == ((), vehicle)


def test_duplicates_do_not_hasten_a_pending_unplug() -> None:
    """An unplug that comes late is confirmed by the time already told, not by whatever happens to come next."""
    history = [plug(0, where=LocationId("elsewhere"), level=20), sample(30, level=30), unplug(10)]
    (session,) = run(*history).settled
    assert session == run(*history, history[1]).settled[0]
