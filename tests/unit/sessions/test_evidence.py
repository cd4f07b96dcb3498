"""Plug evidence: of one message the first field present decides, and the unplug is debounced."""

from datetime import timedelta
from itertools import permutations

import pytest
from msgspec import structs

from models.telemetry import PowerDeliveryState
from sessions.events import Event, Rules, TelemetryReceived
from sessions.evidence import observe
from tests.builders import HOME, bounds, kwh_sum, minute, plug, policy, run, sample, timer, unplug

# isPluggedIn, powerDeliveryState, isCharging, chargeRate -> plugged in?, does it speak of the plug itself?
TABLE: list[tuple[bool | None, str | None, bool | None, float | None, bool | None, bool]] = [
    (True, "UNPLUGGED", False, 0.0, True, True),
    (False, "PLUGGED_IN:CHARGING", True, 11.0, False, True),
    (None, "UNPLUGGED", True, 11.0, False, True),
    (None, "PLUGGED_IN:INITIALIZING", None, None, True, True),
    (None, "PLUGGED_IN:CHARGING", None, None, True, True),
    (None, "PLUGGED_IN:STOPPED", False, None, True, True),
    (None, "PLUGGED_IN:COMPLETE", False, 0.0, True, True),
    (None, "PLUGGED_IN:NO_POWER", None, None, True, True),
    (None, "PLUGGED_IN:FAULT", None, None, True, True),
    (None, "PLUGGED_IN:DISCHARGING", None, -3.0, True, True),
    (None, "UNKNOWN", True, None, True, False),
    (None, "UNKNOWN", None, 11.0, True, False),
    (None, "SOMETHING_NEW", None, None, None, False),
    (None, None, True, None, True, False),
    (None, None, None, 0.1, True, False),
    (None, None, False, None, None, False),
    (None, None, None, 0.0, None, False),
    (None, None, None, -3.0, None, False),
    (None, "UNKNOWN", False, 0.0, None, False),
    (None, None, None, None, None, False),
]


@pytest.mark.parametrize(("plugged", "state", "charging", "rate", "means", "is_decisive"), TABLE)
def test_first_field_present_decides(
    plugged: bool | None,
    state: str | None,
    charging: bool | None,
    rate: float | None,
    means: bool | None,
    is_decisive: bool,
) -> None:
    """`isPluggedIn`, then `powerDeliveryState`, then `isCharging` true, then a `chargeRate` above 0; else nothing."""
    seen = observe(sample(0, plugged=plugged, state=state, charging=charging, rate=rate).message)
    assert (seen.is_plugged_in, seen.is_decisive) == (means, is_decisive)


@pytest.mark.parametrize("plugged", [True, False, None])
def test_plug_event_says_what_it_says(plugged: bool | None) -> None:
    """A plug event says `isPluggedIn`, and null says nothing."""
    seen = observe(plug(0, plugged).message)
    assert (seen.is_plugged_in, seen.is_decisive) == (plugged, plugged is not None)


PLUGGED: list[Event] = [policy(0), plug(10, where=HOME, charger="a")]


@pytest.mark.parametrize(
    ("told", "is_settled"),
    [
        ([timer(50.99)], False),
        ([timer(51)], True),
        ([sample(51)], False),
        ([sample(51.01)], True),
        ([plug(50.5)], False),
        ([plug(51)], False),
        ([plug(50.5), timer(99)], False),
        ([plug(50.5, charger="a")], False),
        ([plug(50.5, charger="b")], True),
        ([sample(50.5, state="PLUGGED_IN:STOPPED"), timer(99)], False),
        ([sample(50.5, plugged=True), timer(99)], False),
        ([sample(50.5, charging=True), timer(99)], True),
        ([sample(50.5, rate=11.0), timer(99)], True),
        ([plug(51.01)], True),
    ],
    ids=lambda value: None if isinstance(value, bool) else "+".join(type(event).__name__ for event in value),
)
def test_debounce(told: list[Event], is_settled: bool) -> None:
    """An unplug is final 60 s later, unless the plug itself is told to be in by then, at no other charger."""
    settled = run(*PLUGGED, unplug(50), *told).settled
    assert [bounds(session) for session in settled] == ([(10, 50)] if is_settled else [])


def test_debounce_of_zero() -> None:
    """Without a debounce the unplug itself settles the session, with what the unplugging message tells."""
    story = run(*PLUGGED, sample(20, 1.0), sample(50, 3.0, plugged=False), rules=Rules(unplug_debounce=timedelta(0)))
    (session,) = story.settled
    assert (bounds(session), kwh_sum(session)) == ((10, 50), 2.0)
    assert story.changes[-1].created_at == minute(50)


def test_first_unplug_counts() -> None:
    """`pluggedOutAt` is the first unplug evidence, and more of it does not prolong the debounce."""
    (session,) = run(*PLUGGED, unplug(50), unplug(50.5), timer(51)).settled
    assert bounds(session) == (10, 50)


def test_replug_forgets_the_unplug() -> None:
    """After a re-plug in time, a later unplug is the first."""
    (session,) = run(*PLUGGED, unplug(50), plug(50.5), unplug(70), timer(71)).settled
    assert bounds(session) == (10, 70)


def test_other_charger_is_another_visit() -> None:
    """A re-plug at another charger settles at once and begins the next visit, in one step."""
    story = run(*PLUGGED, unplug(50), plug(50.5, charger="b", where=HOME))
    assert story.states[-3:] == ["p1 SETTLED 3", "p1 UPCOMING 1", "p1 ACTIVE:REGULAR 2"]
    assert (bounds(story.settled[0]), bounds(story.latest)) == ((10, 50), (50.5, None))


def test_last_readings_of_a_charge_begin_no_visit() -> None:
    """A charge told from within the debounce does not plug in again, even once the visit is over."""
    assert run(*PLUGGED, unplug(50), timer(51), sample(50.5, charging=True)).last().outputs == ()


def test_a_charge_begins_a_visit() -> None:
    """A charge alone is evidence enough for a plug-in."""
    assert run(policy(0), sample(10, charging=True, where=HOME)).states[-1] == "p1 ACTIVE:REGULAR 2"


# What is told for minute 50 of a vehicle that was plugged in before -> the visits, with a debounce and without one.
_Bounds = list[tuple[float, float | None]]
ONE_MOMENT: dict[str, tuple[list[TelemetryReceived], _Bounds, _Bounds]] = {
    "out and in": ([plug(50, where=HOME), unplug(50)], [(10, None)], [(10, 50), (50, None)]),
    "out, in and a sample": (
        [plug(50, where=HOME), unplug(50), sample(50, plugged=True)],
        [(10, None)],
        [(10, 50), (50, None)],
    ),
    "out by a sample, and in": (
        [plug(50, where=HOME), sample(50, plugged=False)],
        [(10, None)],
        [(10, 50), (50, None)],
    ),
    "out, and in at another charger": (
        [plug(50, where=HOME, charger="b"), unplug(50)],
        [(10, 50), (50, None)],
        [(10, 50), (50, None)],
    ),
    "out, and a sample that is still in": ([sample(50, plugged=True), unplug(50)], [(10, 50)], [(10, 50)]),
    "out, and a charge": ([sample(50, charging=True), unplug(50)], [(10, 50)], [(10, 50)]),
    "in": ([plug(50, where=HOME), sample(50, plugged=True)], [(10, None)], [(10, None)]),
}


@pytest.mark.parametrize("debounce_s", [60, 0])
@pytest.mark.parametrize(("events", "with_debounce", "without"), ONE_MOMENT.values(), ids=ONE_MOMENT)
def test_out_and_in_at_one_moment(
    events: list[TelemetryReceived], with_debounce: _Bounds, without: _Bounds, debounce_s: int
) -> None:
    """A plug-in at the moment of the unplug comes after it, a sample's does not, in any order and however often."""
    rules = Rules(unplug_debounce=timedelta(seconds=debounce_s))
    for order in permutations(events):
        histories: list[list[Event]] = [
            [*order, timer(60)],
            [*order, *order, timer(60)],
            [*order, order[0], timer(60), *order],
        ]
        for told in histories:
            story = run(*PLUGGED, *told, rules=rules)
            begun = {one.session.id: one.session for one in story.changes if one.session.plugged_in_at is not None}
            assert [bounds(session) for session in begun.values()] == (with_debounce if debounce_s else without)
            if len(begun) == 2:
                assert story.phases[-3:] == ["p1 SETTLED", "p1 UPCOMING", "p1 ACTIVE:REGULAR"]


def test_in_and_out_at_one_moment() -> None:
    """Of a vehicle that was not plugged in before, a plug-in and an unplug of one moment leave it unplugged."""
    for order in permutations([plug(50, where=HOME), unplug(50)]):
        histories: list[list[Event]] = [[*order, timer(60)], [*order, *order, timer(60), *order]]
        for told in histories:
            story = run(policy(0), unplug(10), *told)
            assert story.vehicle.visit is None
            assert [bounds(session) for session in story.settled] in ([], [(50, 50)])


def test_a_plug_in_of_the_moment_of_an_unplug_that_comes_late() -> None:
    """A plug-in of the moment of the unplug begins the next visit there though the debounce is over."""
    story = run(*PLUGGED, unplug(50), timer(51), plug(50, where=HOME), plug(50, where=HOME), unplug(50))
    assert [bounds(session) for session in story.settled] == [(10, 50)]
    assert bounds(story.latest) == (50, None)


def test_unplug_when_nothing_is_plugged_in() -> None:
    """An unplug without a visit publishes nothing."""
    assert run(policy(0), unplug(10), timer(60)).states == ["p1 UPCOMING 1"]


def test_charger_named_later() -> None:
    """A charger that is named during the visit is the one that a re-plug is compared with."""
    story = run(plug(10), plug(20, charger="a"), sample(21, 0.0), sample(30, 1.0), unplug(50), plug(50.5, charger="b"))
    assert [bounds(session) for session in story.settled] == [(10, 50)]


def test_what_a_sample_tells_of_the_charge() -> None:
    """Rates are whole W, discharging below 0; what is not told is null, and the state of the power UNKNOWN."""
    told = observe(sample(0, rate=-3.0004, state="PLUGGED_IN:DISCHARGING").message)
    assert (told.charge_rate_w, told.charge_limit_percent) == (-3_000, None)
    assert told.power_state is PowerDeliveryState.DISCHARGING
    limited = observe(structs.replace(sample(0, rate=11.0).message, charge_limit=80.5))
    assert (limited.charge_rate_w, limited.charge_limit_percent) == (11_000, 80.5)
    assert limited.power_state is PowerDeliveryState.UNKNOWN
    silent = observe(plug(0, level=50, capacity=60).message)
    assert (silent.charge_rate_w, silent.charge_limit_percent, silent.power_state) == (
        None,
        None,
        PowerDeliveryState.UNKNOWN,
    )
    assert (silent.level_percent, silent.capacity_wh, silent.counter_wh) == (50, 60_000, None)
