"""Which session represents a charging event, where a guess is followed by telemetry that shows its time anew."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.ids import ChargingEventId, SessionId
from sessions.dedup import EVENTS_LIMIT, KEPT, event_id_at, guess_at, settle_event
from sessions.events import Event, Rules, SessionChanged, new_vehicle
from sessions.identity import charging_event_id
from sessions.state import ChargingEvent, Vehicle
from tests.builders import HOME, VEHICLE, Story, bounds, minute, plug, policy, run, sample, timer, unplug

GUESS: list[Event] = [sample(0, level=20), sample(120, level=50)]


def settled(story: Story) -> list[SessionChanged]:
    """The updates with which sessions have settled."""
    return [one for one in story.changes if one.session.plugged_out_at is not None]


@pytest.mark.parametrize("is_managed", [True, False])
def test_late_evidence_inside_a_guess(is_managed: bool) -> None:
    """A visit that late telemetry shows inside an inferred charge takes its charging event, and represents it."""
    before: list[Event] = [policy(-60)] if is_managed else []
    told = (plug(30, where=HOME), sample(106, 1.0), sample(118, 5.0), unplug(119))
    story = run(*before, *GUESS, *told, timer(130))
    first, last = settled(story)
    assert (bounds(first.session), bounds(last.session)) == ((0, 120), (30, 119))
    assert first.charging_event_id == last.charging_event_id
    assert first.session.id != last.session.id
    assert (first.represents_charging_event, last.represents_charging_event) == (True, True)
    assert (last.session.policy_id is not None) == is_managed
    kept = [(each.session_id, each.is_managed, each.is_guess) for each in story.vehicle.charging_events]
    assert kept == [(first.session.id, False, True), (last.session.id, is_managed, False)]


def test_a_plug_in_that_moves_back_into_a_guess() -> None:
    """A visit whose start moves back into a guess takes its charging event from then on."""
    told: list[Event] = [policy(-60), *GUESS, plug(130, where=HOME)]
    before, after = run(*told), run(*told, plug(100))
    assert bounds(after.latest) == (100, None)
    guess = settled(after)[0].charging_event_id
    assert (before.changes[-1].charging_event_id == guess, after.changes[-1].charging_event_id == guess) == (
        False,
        True,
    )


@pytest.mark.parametrize(("at", "is_same"), [(106, True), (119, True), (120, False), (121, False)])
def test_only_what_lies_inside(at: float, is_same: bool) -> None:
    """A visit that begins with the end of a guess, or after it, is another charging event."""
    story = run(*GUESS, plug(at), sample(at, 1.0), sample(at + 0.75, 2.0), unplug(at + 0.8), timer(200))
    first, last = settled(story)
    assert (first.charging_event_id == last.charging_event_id) == is_same


def test_before_a_guess() -> None:
    """No visit begins at the start of a guess or before it: that time is told."""
    story = run(*GUESS, plug(0), plug(-10))
    assert story.vehicle.visit is None


def test_silence_is_a_guess() -> None:
    """What late telemetry tells of a visit that silence has ended belongs to its charging event."""
    quick = Rules(visit_timeout=timedelta(hours=1))
    story = run(
        plug(0), sample(1, 1.0), sample(30, 3.0), timer(90), plug(20), sample(21, 4.0), sample(29, 5.0), unplug(29.5),
        timer(200), rules=quick,
    )  # fmt: skip
    first, last = settled(story)
    assert (bounds(first.session), bounds(last.session)) == ((0, 30), (20, 29.5))
    assert (first.charging_event_id == last.charging_event_id, first.session.id == last.session.id) == (True, False)


def event(
    name: str, session: str, start: float = 0, end: float = 60, *, is_managed: bool = False, is_guess: bool = False
) -> ChargingEvent:
    """A settled part."""
    return ChargingEvent(
        ChargingEventId(name), SessionId(session), minute(start), minute(end), is_managed=is_managed, is_guess=is_guess
    )


def test_the_managed_one_represents_else_the_later() -> None:
    """Of the sessions of one charging event the managed one represents it, whenever it comes; else the later."""
    for managed_first in (True, False):
        vehicle = new_vehicle(VEHICLE)
        kinds = [managed_first, not managed_first]
        shown = [
            settle_event(vehicle, event("e", f"s{number}", is_managed=is_managed))
            for number, is_managed in enumerate(kinds)
        ]
        assert shown == ([True, False] if managed_first else [True, True])
    vehicle = new_vehicle(VEHICLE)
    assert [settle_event(vehicle, event("e", name)) for name in ("s1", "s2", "s3")] == [True] * 3
    assert settle_event(vehicle, event("other", "s4", is_managed=True))
    assert settle_event(vehicle, event("e", "s5"))


def test_a_session_is_no_rival_of_itself() -> None:
    """A session that settles as the managed one it is does not stand back behind itself."""
    vehicle = new_vehicle(VEHICLE)
    settle_event(vehicle, event("e", "s", is_managed=True))
    assert settle_event(vehicle, event("e", "s"))


def test_kept_for_7_days() -> None:
    """Charging events are remembered for 7 d after their end, by the newest, and no more than a thousand of them."""
    assert timedelta(days=7) == KEPT
    day = 24 * 60
    vehicle = new_vehicle(VEHICLE)
    for end in (0, 1, 7 * day):
        settle_event(vehicle, event(f"e{end}", f"s{end}", end - 1, end))
    assert [each.id for each in vehicle.charging_events] == ["e0", "e1", f"e{7 * day}"]
    settle_event(vehicle, event("last", "last", 7 * day, 7 * day + 1))
    assert [each.id for each in vehicle.charging_events] == ["e1", f"e{7 * day}", "last"]
    many = tuple(event(f"e{number}", f"s{number}") for number in range(EVENTS_LIMIT))
    full = structs.replace(vehicle, charging_events=many)
    settle_event(full, event("new", "new"))
    assert (len(full.charging_events), full.charging_events[0].id, full.charging_events[-1].id) == (1_000, "e1", "new")


def test_the_newest_guess_counts() -> None:
    """A part takes the charging event of the newest guess that covers its start, and of nothing but a guess."""
    events = (
        event("g1", "s1", 0, 60, is_guess=True),
        event("g2", "s2", 30, 90, is_guess=True),
        event("known", "s3", 0, 99),
    )
    vehicle = Vehicle(VEHICLE, charging_events=events)
    found = [event_id_at(vehicle, minute(at)) for at in (0, 29, 30, 89, 90, -1)]
    new = [charging_event_id(VEHICLE, minute(at)) for at in (90, -1)]
    assert found == ["g1", "g1", "g2", "g2", *new]
    assert [guess_at(vehicle, minute(at)) for at in (90, 0)] == [None, "g1"]
