"""What a feed delivered of a plug, and what nobody can miss of it."""

import pytest
from msgspec import structs

from models.ids import UserId
from models.telemetry import ChargeSample, PlugEvent
from simulator.feeds.catalogue import BOUNDS
from simulator.judge.heard import Heard
from simulator.judge.truth import Comparison
from simulator.world.market import Market
from simulator.world.moments import MINUTE_MS, NEVER_MS, moment
from simulator.world.oracle import Oracle
from tests.support.judged_visits import CAR, shown_session, true_visit

_WHO = {"event_id": "e", "vehicle_id": CAR, "user_id": UserId("u")}


def heard(*words: tuple[float, float, bool]) -> Heard:
    """Words by when they were true, when they arrived (minutes), and whether the plug was in."""
    found = Heard()
    for true_min, arrives_min, is_in in words:
        true_ms = int(true_min * MINUTE_MS)
        message = ChargeSample(**_WHO, at=moment(true_ms), is_plugged_in=is_in)  # type: ignore[arg-type]
        found.take(true_ms, int(arrives_min * MINUTE_MS), message)
    return found


@pytest.mark.parametrize(
    ("words", "was_out"),
    [
        (((5, 5, True), (12, 12, False), (25, 25, True)), True),
        # Nobody was told, or only before or after.
        (((5, 5, True), (25, 25, True)), False),
        (((5, 5, False), (25, 25, False)), False),
        # Back within the debounce: it never left.
        (((12, 12, False), (12.9, 12.9, True)), False),
        (((12, 12, False), (13.1, 13.1, True)), True),
        # Later than the word of the next visit: older evidence may change nothing.
        (((12, 30, False), (25, 25, True)), False),
        (((12, 24, False), (25, 25, True)), True),
        # Older than an unplug that is known already: then that one counts, and the plug is back within its debounce.
        (((12, 14, False), (12.1, 13, False), (13.05, 15, True)), False),
        # One of two is enough.
        (((12, 30, False), (14, 14, False), (25, 25, True)), True),
    ],
)
def test_an_unplug_that_nobody_can_miss(words: tuple[tuple[float, float, bool], ...], was_out: bool) -> None:
    """Between minutes 10 and 20 the plug was out for all to know if a word of it arrived, in time, and stood."""
    assert heard(*words).was_out(10 * MINUTE_MS, 20 * MINUTE_MS) is was_out


def test_a_stay_that_nobody_can_miss() -> None:
    """The same holds of a plug that is in."""
    words = heard((5, 5, False), (12, 12, True), (25, 25, False))
    assert words.was_in(10 * MINUTE_MS, 20 * MINUTE_MS)
    assert not words.was_in(13 * MINUTE_MS, 20 * MINUTE_MS)
    assert words.was_out(20 * MINUTE_MS, NEVER_MS)


def test_what_says_nothing_of_a_plug_is_no_word() -> None:
    """A message without plug and power, or with words that nobody knows, tells nothing; a plug event tells all."""
    found = Heard()
    for state in (None, "charging", "UNKNOWN", "PLUGGED_IN:MAGIC"):
        found.take(1, 1, ChargeSample(**_WHO, at=moment(1), power_delivery_state=state))  # type: ignore[arg-type]
    assert not found.was_in(0, 9)
    assert not found.was_out(0, 9)
    found.take(2, 2, PlugEvent(**_WHO, at=moment(2), is_plugged_in=False))  # type: ignore[arg-type]
    assert found.was_out(0, 9)
    found.take(3 * MINUTE_MS, 3 * MINUTE_MS, ChargeSample(**_WHO, at=moment(3), is_charging=True))  # type: ignore[arg-type]
    assert found.was_in(9, NEVER_MS)


def test_the_first_field_that_is_present_decides() -> None:
    """`isPluggedIn` goes before the state, the state before a charge; power that flows tells of a plug as well."""
    for fields, is_in in (
        ({"is_plugged_in": False, "power_delivery_state": "PLUGGED_IN:STOPPED"}, False),
        ({"power_delivery_state": "UNPLUGGED", "is_charging": True}, False),
        ({"power_delivery_state": "PLUGGED_IN:STOPPED", "is_charging": False}, True),
        ({"charge_rate": 3.7}, True),
    ):
        found = Heard()
        found.take(1, 1, ChargeSample(**_WHO, at=moment(1), **fields))  # type: ignore[arg-type]
        assert (found.was_in(0, 9), found.was_out(0, 9)) == (is_in, not is_in)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (((12, 12, True), (15, 15, True)), 12),
        (((5, 5, True), (12, 12, False), (15, 15, True)), 15),
        # A session that lasts since minute 13 had come at minute 14: no visit begins before it.
        (((12, 14, True), (15, 15, True)), 15),
        (((12, 14, True), (13, 20, True)), None),
        (((5, 5, True), (25, 25, True)), None),
    ],
)
def test_the_first_word_that_can_begin_a_visit(words: tuple[tuple[float, float, bool], ...], first: int | None) -> None:
    """Between minutes 10 and 20: the first word that it is in, but for one that came after a session of later on."""
    came = [(14 * MINUTE_MS, 13 * MINUTE_MS)]
    found = heard(*words).first_in(10 * MINUTE_MS, 20 * MINUTE_MS, came)
    assert found == (None if first is None else first * MINUTE_MS)


@pytest.mark.parametrize(
    ("words", "is_in"),
    [
        (((5, 5, True),), True),
        (((5, 5, True), (8, 8, False)), False),
        (((5, 5, False), (8, 8, True)), True),
        (((5, 5, False), (10, 10, True)), False),
        ((), False),
    ],
)
def test_a_plug_that_was_in_for_all_that_was_told(words: tuple[tuple[float, float, bool], ...], *, is_in: bool) -> None:
    """Before minute 10 the newest word is that it is in, and nothing took that back."""
    assert heard(*words).is_in_before(10 * MINUTE_MS) is is_in


def test_a_visit_is_mixed_with_what_came_before_its_end() -> None:
    """What was true after a gap and reached the log before the unplug in it counts for the visit that was over."""
    assert not heard((12, 24, False), (25, 25, True)).is_mixed(10 * MINUTE_MS, 20 * MINUTE_MS)
    found = heard((12, 24, False))
    counter = ChargeSample(**_WHO, at=moment(21 * MINUTE_MS), energy_added=1.0)  # type: ignore[arg-type]
    found.take(21 * MINUTE_MS, 23 * MINUTE_MS, counter)
    assert found.is_mixed(10 * MINUTE_MS, 20 * MINUTE_MS)


def test_half_an_hour_is_silent_if_what_follows_came_first() -> None:
    """A silence is one of the log: words of the half-hour that come after something later do not break it."""
    for arrives_min, is_silent in ((15, False), (59, False), (61, True)):
        found = heard((10, 10, True), (15, arrives_min, True), (50, 60, True))
        assert found.is_silent(10 * MINUTE_MS, 90 * MINUTE_MS) is is_silent
    assert not heard((10, 10, True)).is_silent(10 * MINUTE_MS, 90 * MINUTE_MS)


@pytest.mark.parametrize(
    ("last_came_min", "shown_kwh", "laws"),
    [
        # The last reading came after the session: what was drawn since the one before may be missing, and no more.
        (23, 1.0, []),
        (23, 0.7, ["a session has its visit's energy"]),
        (23, 1.7, []),
        (22, 1.0, ["a session has its visit's energy"]),
        (22, 1.7, []),
    ],
)
def test_what_a_car_drew_after_its_last_reading(last_came_min: float, shown_kwh: float, laws: list[str]) -> None:
    """Of a car that warms itself only readings tell: a session may lack what was told too late, and no more."""
    at_ms = int(21 * MINUTE_MS)
    part = true_visit((4 * MINUTE_MS, at_ms), 6.0, at_ms, known_after_ms=MINUTE_MS)
    session = shown_session(0, at_ms, shown_kwh)
    words = Heard()
    for true_min, came_min, kwh in ((0, 0, 0.0), (14, 14, 1.0), (21, last_came_min, 1.7), (21.5, 21.5, None)):
        told_ms = int(true_min * MINUTE_MS)
        fields = {**_WHO, "at": moment(told_ms), "is_plugged_in": kwh is not None, "energy_added": kwh}
        words.take(told_ms, int(came_min * MINUTE_MS), ChargeSample(**fields))  # type: ignore[arg-type]
    found: list[str] = []
    market, bounds = Market(1, 0, is_calm=True), structs.replace(BOUNDS["reordering"], energy_gap_s=60)
    judged = Comparison(Oracle(), CAR, bounds, market, lambda finding: found.append(finding.law), words)
    judged.happened([part])
    judged.settled(session, int(22.5 * MINUTE_MS))
    judged.judge(NEVER_MS)
    assert (judged.compared, found) == (1, laws)


@pytest.mark.parametrize(
    ("true_min", "arrives_min", "is_event", "is_in", "is_placed"),
    [
        (15, 15, False, True, True),
        # Told in the 10 min before the plug-in, by whatever word; not earlier.
        (8, 8, False, False, True),
        (4, 4, False, False, False),
        # A sample that finds the plug out does not tell where it was in; the plug itself does.
        (20.5, 20.5, False, False, False),
        (20, 20, True, False, True),
        # After the visit is over: that depends on when it settled.
        (15, 90, False, True, None),
    ],
)
def test_a_place_that_was_told(
    true_min: float, arrives_min: float, is_event: bool, is_in: bool, is_placed: bool | None
) -> None:
    """A visit from minute 10 to 20 is known to be at its place if a word of its own, or of shortly before, told so."""
    at_ms = int(true_min * MINUTE_MS)
    told: dict[str, object] = {**_WHO, "at": moment(at_ms), "is_plugged_in": is_in, "location_id": "home"}
    found = Heard()
    found.take(at_ms, int(arrives_min * MINUTE_MS), (PlugEvent if is_event else ChargeSample)(**told))  # type: ignore[arg-type]
    assert found.was_placed(15 * MINUTE_MS if true_min < 10 else 10 * MINUTE_MS, 20 * MINUTE_MS) is is_placed


@pytest.mark.parametrize(
    ("arrives_min", "is_in", "is_placed"),
    [(38, True, None), (38, None, None), (38, False, False), (41, None, False)],
)
def test_a_place_that_was_told_before_the_unplug_was(
    arrives_min: float, is_in: bool | None, is_placed: bool | None
) -> None:
    """A place of minute 35 may be taken for that of a visit until minute 20 if it came before the unplug did, at 40."""
    found = heard((20, 40, False))
    told: dict[str, object] = {**_WHO, "at": moment(35 * MINUTE_MS), "is_plugged_in": is_in, "location_id": "home"}
    found.take(35 * MINUTE_MS, int(arrives_min * MINUTE_MS), ChargeSample(**told))  # type: ignore[arg-type]
    assert found.was_placed(10 * MINUTE_MS, 20 * MINUTE_MS) is is_placed


_BEGINS = ["a session begins with its visit"]


@pytest.mark.parametrize(
    ("words", "started_min", "shown_min", "compared", "laws"),
    [
        # The new owner's first word says nothing of the plug, the next one that it is in: then it begins, sharp.
        ([(5, True), (10, None), (11, True)], 10, 11, 1, []),
        ([(5, True), (10, None), (11, True)], 10, 10, 1, _BEGINS),
        ([(5, True), (10, None), (11, True)], 10, 12, 1, _BEGINS),
        ([(5, True), (10, True), (11, None)], 10, 10, 1, []),
        ([(5, True), (10, True), (11, None)], 10, 11, 1, _BEGINS),
        # A policy let go of it before anybody was told of the plug, or later.
        ([(5, True), (10, None), (21, True)], 20, 21, 1, []),
        ([(5, True), (10, None), (11, True)], 20, 20, 1, []),
        ([(5, True), (10, None), (11, True)], 20, 21, 1, _BEGINS),
        # Nobody was told of it at all: whatever comes out is invented.
        ([(5, True), (10, None), (65, True)], 10, 10, 0, ["no visit is invented"]),
        # Words of that time are remembered no more.
        ([(50, True)], 10, 10, 1, []),
    ],
)
def test_a_visit_begins_with_the_first_word_of_its_plug(
    words: list[tuple[int, bool | None]], started_min: int, shown_min: int, compared: int, laws: list[str]
) -> None:
    """Where some words of the plug say nothing, a visit that began without a plug event begins with one that does."""
    spoken = Heard()
    for at_min, is_in in words:
        told: dict[str, object] = {**_WHO, "at": moment(at_min * MINUTE_MS), "is_plugged_in": is_in}
        spoken.take(at_min * MINUTE_MS, at_min * MINUTE_MS, ChargeSample(**told))  # type: ignore[arg-type]
    at_ms = 60 * MINUTE_MS
    begins_ms = (10 * MINUTE_MS, started_min * MINUTE_MS)
    part = true_visit((30 * MINUTE_MS, at_ms), 6.0, at_ms, begins_ms=begins_ms)
    session = shown_session(shown_min * MINUTE_MS, at_ms, 3.0)
    found: list[str] = []
    judged = Comparison(
        Oracle(),
        CAR,
        BOUNDS["wrong-words"],
        Market(1, 0, is_calm=True),
        lambda finding: found.append(finding.law),
        spoken=spoken,
    )
    judged.happened([part])
    judged.settled(session, at_ms)
    judged.judge(NEVER_MS)
    assert (judged.compared, found) == (compared, laws)


@pytest.mark.parametrize(
    ("is_out_told", "energy_kwh", "skipped", "laws"),
    [
        # Between 60 and 240 the plug was out, as everybody knows: the first visit is none of the session's.
        (True, 0.0, {"hardly charged": 1, "one with another": 2}, []),
        (True, 20.0, {"hardly charged": 1, "one with another": 2}, ["every true visit comes out"]),
        # Nobody was told: it may be one with what follows.
        (False, 20.0, {"one with another": 3}, []),
    ],
)
def test_a_visit_near_the_session_of_two_others_is_none_of_its_own(
    is_out_told: bool, energy_kwh: float, skipped: dict[str, int], laws: list[str]
) -> None:
    """What shares no time with a session that others share time with is missing, if it can be told apart from them."""
    words = [(10, True), (60, False), (240, True), (300, True), (310, True), (400, False)]
    known = heard(*((minute, minute, is_in) for minute, is_in in words if minute != 60 or is_out_told))
    parts = []
    for start_min, end_min in ((10, 60), (240, 300), (305, 400)):
        ended_ms = end_min * MINUTE_MS
        began_ms, kw = start_min * MINUTE_MS, energy_kwh * 60 / 50 if start_min == 10 else 0.0
        parts.append(true_visit((began_ms, ended_ms), kw, ended_ms, begins_ms=(began_ms, began_ms)))
    session = shown_session(240 * MINUTE_MS, 400 * MINUTE_MS, 0.1)
    found: list[str] = []
    market, bounds = Market(1, 0, is_calm=True), structs.replace(BOUNDS["all"], energy_gap_s=60)
    judged = Comparison(Oracle(), CAR, bounds, market, lambda finding: found.append(finding.law), known)
    judged.happened(parts)
    judged.settled(session, 402 * MINUTE_MS)
    judged.judge(NEVER_MS)
    assert (dict(judged.skipped), found) == (skipped, laws)
