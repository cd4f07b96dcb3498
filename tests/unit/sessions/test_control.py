"""What is done with a plugged-in vehicle: when it is planned anew, what it is told, what a client sees of it.

The plan: 08:00 is minute 0; plugged in at 10 with 50 % of 60 kWh, 80 % wanted by minute 600 at 6 kW without losses: 10
points an hour. 240 to 480 is cheap; 18 kWh and 5 % take 189 min, so it is to charge from 240 to 429.
"""

import pytest

from models.session import Session, SessionState
from models.target import ImmediateStartOverride
from sessions.control import substate
from sessions.events import Event, PolicyWritten, Rules, SessionChanged
from sessions.planner import Plan
from sessions.prices import PriceBook
from sessions.state import Control
from tests.builders import (
    BOB,
    HOME,
    ZONE,
    Story,
    at_once,
    blocks,
    kwh_sum,
    minute,
    plug,
    policy,
    priced,
    ready,
    run,
    sample,
    target,
    timer,
    unplug,
)
from tests.support.controls import AT_ONCE, REGULAR, RESERVE, minutes, wanted, wanted_at_once

LOSSLESS = Rules(efficiency=1.0)
DAY = 24 * 60
A = SessionState


def book() -> PriceBook:
    return priced(*[0.3] * 4, *[0.1] * 4, *[0.3] * 40)


def home(reserve: float = 0.0, percent: float = 80.0, rate: float = 6) -> PolicyWritten:
    return policy(0, by="18:00", percent=percent, zone=ZONE, rate=rate, capacity=60, reserve=reserve)


def night(
    *events: Event,
    level: float | None = 50.0,
    reserve: float = 0.0,
    percent: float = 80.0,
    prices: PriceBook | None = None,
    before: Story | None = None,
) -> Story:
    known = book() if prices is None else prices
    if before is not None:
        return run(*events, before=before.vehicle, rules=LOSSLESS, prices=known)
    return run(home(reserve, percent), plug(10, where=HOME, level=level), *events, rules=LOSSLESS, prices=known)


def control_of(story: Story) -> Control:
    assert story.vehicle.visit is not None
    control = story.vehicle.visit.part.control
    assert control is not None
    return control


def on(at: float, kwh: float, level: float | None = None) -> Event:
    return sample(at, kwh, level=level, charging=True)


def off(at: float, kwh: float | None = None, level: float | None = None, state: str | None = None) -> Event:
    return sample(at, kwh, level=level, charging=False, state=state)


def charged(start: int, end: int, kwh: float = 0.0, every: int = 5, kw: float = 6.0) -> list[Event]:
    """Samples of a charge from a counter of so much on."""
    return [on(at, round(kwh + (at - start) * kw / 60, 3)) for at in range(start, end + 1, every)]


def errors(story: Story) -> list[str | None]:
    """The error of each update, as often as it changes."""
    found: list[str | None] = []
    for change in story.changes:
        error = change.session.error.latest
        code = None if error is None else f"{error.code} {minutes(error.occurred_at):g}"
        if not found or found[-1] != code:
            found.append(code)
    return found


# ---- plans ----


def test_the_cheapest_time_until_the_deadline() -> None:
    """10....240====429....600  With a twentieth more than is missing."""
    assert blocks(night().latest) == ["REGULAR 240-429 18.9"]


def test_at_once_is_at_once() -> None:
    """10====190  The user's wish, without margin, whatever it costs."""
    story = night(target(10, night().latest.id, at_once(80)))
    assert blocks(story.latest) == ["IMMEDIATE_START 10-190 18"]
    assert story.latest.state is A.ACTIVE_IMMEDIATE_START


def test_below_the_reserve_it_charges_at_once() -> None:
    """10==70....240====  To the reserve at once, then by the plan."""
    story = night(level=20, reserve=30)
    assert blocks(story.latest) == ["BATTERY_RESERVE 10-70 6", "REGULAR 70-145 7.5", "REGULAR 240-480 24"]
    assert story.latest.state is A.ACTIVE_BATTERY_RESERVE


def test_a_target_above_the_limit_is_planned_up_to_it() -> None:
    """Up to 60 % only, and the error says so, from the message that told it on."""
    story = night(sample(20, level=50, limit=60))
    assert blocks(story.latest) == ["REGULAR 240-303 6.3"]
    assert errors(story) == [None, "TARGET_ABOVE_LIMIT 20"]
    assert errors(night(sample(20, level=50, limit=60), sample(30, limit=80)))[-1] is None


def test_no_level_is_planned_as_twenty_percent() -> None:
    """240======480 and on: 36 kWh and 5 % are 378 min; published as null."""
    story = night(level=None)
    assert sum(block.kwh_sum for block in story.latest.blocks) == pytest.approx(37.8)
    outcome, totals = story.latest.outcome.latest, story.latest.statistics.aggregated
    assert outcome is not None
    assert totals is not None
    assert (outcome.battery_level_at_ready_by, totals.battery_from, totals.battery_to) == (None, None, None)


def test_a_level_told_for_the_first_time_is_a_cause() -> None:
    """What was assumed is planned anew; one told again is none."""
    story = night(off(20, level=50), level=None)
    assert blocks(story.latest) == ["REGULAR 240-429 18.9"]
    plan = control_of(story).plan
    assert control_of(night(off(25, level=49), before=story)).plan is plan


@pytest.mark.parametrize(
    "said",
    [
        [off(at, level=50) for at in range(11, 240, 7)],
        [sample(at, capacity=70) for at in range(11, 100, 9)],
        [off(11), plug(30, where=HOME, level=50), off(31)],
        [off(11), plug(5, where=HOME, logged=40)],
        [off(11), off(11), off(100), timer(239)],
        [off(11), unplug(20), plug(20.5, where=HOME), off(22)],
    ],
    ids=["samples", "capacity", "plug told again", "plug-in moved back", "duplicates and time", "plug out and in"],
)
def test_without_a_cause_the_plan_stays(said: list[Event]) -> None:
    """The very same plan, however much is told."""
    first = night(off(10.5, level=50))
    plan = control_of(first).plan
    later = night(*said, before=first)
    assert control_of(later).plan is plan


def test_a_charge_by_the_plan_is_no_cause() -> None:
    """240====400  Many samples of a vehicle that does as planned, one plan."""
    first = night(off(11, 0.0))
    plan = control_of(first).plan
    assert control_of(night(off(239, 0.0), *charged(241, 400, every=3), before=first)).plan is plan


@pytest.mark.parametrize(
    ("event", "made_at"),
    [
        (target(100, "SESSION", ready(590)), 100),
        (target(100, "SESSION", at_once()), 100),
        (policy(100, by="18:00", percent=80, zone=ZONE, rate=7, capacity=60), 100),
        (sample(100, limit=70), 100),
        # A wish that was taken back, or a word said again.
        (target(100, "SESSION", None), 10),
        (target(100, "another", at_once()), 10),
    ],
)  # fmt: skip
def test_causes(event: Event, made_at: float) -> None:
    """A target, a policy or a limit that says something else."""
    first = night(off(11, level=50))
    if "SESSION" in str(event):
        event = target(100, first.latest.id, event.record.target)  # type: ignore[union-attr]
    assert minutes(control_of(night(event, before=first)).planned_at) == made_at


def test_prices_are_a_cause_when_they_become_known() -> None:
    """..100 (cheaper from 480 on)  Not when they are read, nor before."""
    prices = priced(*[0.05] * 2, start=480, known=100, book=book())
    story = night(off(11, level=50), timer(99), prices=prices)
    assert blocks(story.latest) == ["REGULAR 240-429 18.9"]
    story = night(timer(100), before=story, prices=prices)
    assert minutes(control_of(story).planned_at) == 100
    assert blocks(story.latest)[-1].startswith("REGULAR 480-585")
    plan = control_of(story).plan
    assert control_of(night(off(101), timer(200), before=story, prices=prices)).plan is plan


@pytest.mark.parametrize(("silent_until", "made_at"), [(249.9, 10), (250, 250)])
def test_a_vehicle_that_does_not_charge_in_its_block(silent_until: float, made_at: float) -> None:
    """240 (off)..250  After ten minutes the plan is made anew."""
    story = night(off(11, level=50), off(239), off(silent_until))
    assert minutes(control_of(story).planned_at) == made_at


def test_re_plans_for_what_a_vehicle_does_are_at_least_a_quarter_hour_apart() -> None:
    """240 (off)..250..265..280  However often it tells."""
    story = night(off(11, level=50), off(239))
    made = [minutes(control_of(story).planned_at)]
    for at in range(240, 290):
        story = night(off(at), before=story)
        made.append(minutes(control_of(story).planned_at))
    assert list(dict.fromkeys(made)) == [10, 250, 265, 280]


def test_charging_outside_of_a_block_is_a_cause() -> None:
    """100 (on)  What it charges need not be charged again."""
    story = night(off(11, 0.0, level=50), off(99, 0.0), on(101, 0.1), on(110, 1.0), on(120, 2.0))
    assert minutes(control_of(story).planned_at) == 120
    first = night(off(11, 0.0, level=50), off(99, 0.0), on(101, 0.1))
    assert minutes(control_of(first).planned_at) == 101


@pytest.mark.parametrize(
    ("at", "kwh", "made_at"),
    [
        # At 6 kW 6 kWh are expected by 300: a tenth is 0.6 and ten minutes are 1.0.
        (300, 6.0, 10),
        (300, 5.1, 10),
        (300, 4.9, 300),
        # At 400 16 are expected, and a tenth is 1.6.
        (400, 14.5, 10),
        (400, 14.3, 400),
    ],
)
def test_energy_behind_the_plan(at: int, kwh: float, made_at: float) -> None:
    """By more than a tenth of what was expected, and by more than ten minutes' worth."""
    on_the_way = [on(240 + step, round(kwh * step / (at - 240), 3)) for step in (1, 5)]
    # Only the last sample may be behind.
    story = night(off(11, 0.0, level=50), off(239, 0.0), *on_the_way[:1], on(at, kwh))
    assert minutes(control_of(story).planned_at) == made_at


def test_what_nobody_has_measured_is_not_behind() -> None:
    """240====300  The counter was read at 245: what the vehicle tells besides is no word on energy."""
    story = night(off(11, 0.0, level=50), off(239, 0.0), on(241, 0.1), on(245, 0.5), sample(300, charging=True))
    assert minutes(control_of(story).planned_at) == 10


def test_energy_behind_is_found_between_blocks_too() -> None:
    """240==300..360==  The last word of a block may come after it."""
    prices = priced(*[0.3] * 4, 0.1, 0.3, *[0.1] * 3, *[0.3] * 30)
    first = night(off(11, 0.0, level=60), off(239, 0.0), on(241, 0.1), level=60, prices=prices)
    assert [block[:15] for block in blocks(first.latest)] == ["REGULAR 241-300", "REGULAR 360-426"]
    late = night(on(290, 4.3), off(301, 4.4), before=first, prices=prices)
    assert minutes(control_of(late).planned_at) == 301


def test_energy_that_falls_is_no_fault_of_an_empty_plan() -> None:
    """A better source may tell of less; where nothing is planned nothing is behind."""
    story = night(sample(11, level=50, rate=11), sample(20, rate=11), off(21, 0.0), level=85)
    assert control_of(story).plan == Plan(())


def test_too_little_time_goes_on_past_the_deadline() -> None:
    """540====..600==  All the way, and until the target."""
    story = run(home(), plug(540, where=HOME, level=50), rules=LOSSLESS, prices=book())
    assert blocks(story.latest) == ["REGULAR 540-729 18.9"]
    outcome = story.latest.outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.battery_level_at_ready_by) == ("AT_RISK", 60)


def test_after_the_target_nothing_is_planned() -> None:
    """..reached at 100  No further blocks, and a STOP if it goes on."""
    story = night(off(11, level=50), on(100, 1.0, level=80))
    assert (blocks(story.latest), control_of(story).plan.blocks) == ([], ())
    assert story.commands[-1] == "100 STOP TARGET_REACHED"
    outcome = story.latest.outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.minimum_charge_target_reached_at) == ("ON_TRACK", minute(100))
    assert control_of(night(off(200, level=70), before=story)).plan.blocks == ()


def test_a_block_that_took_longer_goes_on_for_a_quarter_hour() -> None:
    """240====429 (79 %)====444  It is not stopped for the few minutes that are missing, nor asked again at once."""
    charge = [on(at, round((at - 239) / 10, 3), 50 + (at - 239) / 6.4) for at in range(240, 428, 9)]
    story = night(off(11, 0.0, level=50), off(239, 0.0), *charge, timer(429))
    assert [command for command in story.commands if "STOP" in command] == ["10 STOP WAITING"]
    assert minutes(control_of(story).plan.blocks[-1].end_at) == pytest.approx(444.75)
    assert len({minutes(block.end_at) for block in control_of(story).plan.blocks}) == 1


# ---- sub-states ----


@pytest.mark.parametrize(
    ("levels", "states"),
    [
        ([20, 29.9, 30], [RESERVE, RESERVE, REGULAR]),
        # Left at the reserve, entered again only 2 points below it.
        ([20, 30, 29.9, 28, 27.9, 29.9, 30], [RESERVE, REGULAR, REGULAR, REGULAR, RESERVE, RESERVE, REGULAR]),
        ([50, 30, 29.9], [REGULAR, REGULAR, RESERVE]),
    ],
)
def test_the_reserve(levels: list[float], states: list[object]) -> None:
    """Reserve 30 %  By the level of each message; they are 20 min apart."""
    told = [off(20 + 20 * number, level=level) for number, level in enumerate(levels[1:])]
    story = night(level=levels[0], reserve=30)
    found = [story.latest.state]
    for event in told:
        story = night(event, before=story)
        found.append(substate(control_of(story), story.vehicle.policies[0].session.target))  # type: ignore[union-attr, arg-type]
    names = {RESERVE: A.ACTIVE_BATTERY_RESERVE, REGULAR: A.ACTIVE_REGULAR, AT_ONCE: A.ACTIVE_IMMEDIATE_START}
    assert found == [names[state] for state in states]  # type: ignore[index]


def test_the_reserve_comes_before_a_reached_target() -> None:
    """Reserve 50 %, target 40 %: at 45 % it charges to the reserve."""
    story = night(level=45, reserve=50, percent=40)
    assert blocks(story.latest) == ["BATTERY_RESERVE 10-40 3"]
    assert story.commands == ["10 START BATTERY_RESERVE"]
    done = night(off(11), on(15, 0.1), on(38, 2.4, level=50), before=story)
    assert (done.latest.state, control_of(done).plan.blocks) == (A.ACTIVE_REGULAR, ())


def test_a_full_vehicle_is_not_below_its_reserve() -> None:
    """It says that it is done."""
    story = night(off(11, state="PLUGGED_IN:COMPLETE"), level=20, reserve=30)
    assert (story.latest.state, blocks(story.latest)) == (A.ACTIVE_REGULAR, [])


def test_at_once_hides_the_reserve() -> None:
    """IMMEDIATE_START until it is reached; then the reserve again, if below."""
    story = night(level=20, reserve=30)
    session = story.latest.id
    wish = night(target(12, session, at_once(25)), before=story)
    assert wish.latest.state is A.ACTIVE_IMMEDIATE_START
    after = night(off(20, level=25), before=wish)
    assert after.latest.state is A.ACTIVE_BATTERY_RESERVE


def test_substates_by_target() -> None:
    """Three words for three kinds of blocks."""
    control = control_of(night())
    assert substate(control, wanted_at_once()) is A.ACTIVE_IMMEDIATE_START
    control.is_in_reserve = True
    assert substate(control, wanted()) is A.ACTIVE_BATTERY_RESERVE


# ---- blocks as they are published ----


def test_a_running_block() -> None:
    """240 242====300  Start as it was, end as planned, energy so far."""
    story = night(off(11, 0.0, level=50), off(240, 0.0), on(242, 0.1), *charged(245, 300, 0.4))
    assert blocks(story.latest) == ["REGULAR 242-429 5.9"]


def test_a_pause_and_the_rest_of_the_block() -> None:
    """242====300 (off)..305  The block ended when it stopped; what is left is planned anew, and said so."""
    story = night(off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), off(300, 5.8), timer(304.9))
    assert blocks(story.latest) == ["REGULAR 242-429 5.8"]
    story = night(timer(305), before=story)
    assert blocks(story.latest) == ["REGULAR 242-300 5.8", "REGULAR 305-433.1 12.81"]
    assert errors(story) == ["CHARGE_INTERRUPTED 305"]
    again = night(on(310, 5.9), before=story)
    assert errors(again) == [None]
    assert blocks(again.latest)[0] == "REGULAR 242-300 5.8"


def test_settled_keeps_what_happened() -> None:
    """242====300 (out)  No planned block is left, the running one ends, bounds stand, and the sums are equal."""
    story = night(off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), unplug(300), timer(301))
    (session,) = story.settled
    assert blocks(session) == ["REGULAR 242-300 5.5"]
    assert kwh_sum(session) == 5.5


def test_settled_blocks_end_where_they_ended() -> None:
    """242==300 (off)  320==340 (out)  The plug-out ends the last of them, and no other."""
    first = [off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), off(300, 5.8)]
    story = night(*first, off(310, 5.8), *charged(320, 340, 5.8), unplug(342), timer(345))
    spans = [(minutes(block.start_at), minutes(block.end_at)) for block in story.settled[0].blocks]
    assert spans == [(242, 300), (320, 342)]


def test_a_block_that_paused_ends_where_it_paused() -> None:
    """242====300 (off) 302 (out)  Not at the plug-out."""
    story = night(off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), off(300, 5.8), unplug(302), timer(304))
    assert blocks(story.settled[0]) == ["REGULAR 242-300 5.8"]


def test_bounds_of_past_blocks_never_move() -> None:
    """Whatever comes late: only energies do."""
    told = [off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), off(300, 5.8), off(310, 5.8)]
    first = night(*told)
    late = [on(305, 5.8), off(250, 0.8), sample(270, 1.0), on(235, 0.0)]
    for event in late:
        changes = night(event, before=first).changes
        assert all(blocks(change.session)[0].startswith("REGULAR 242-300 ") for change in changes)


# ---- errors ----


def test_a_fault_of_the_vehicle() -> None:
    """From its word until its next one."""
    story = night(off(20, state="PLUGGED_IN:FAULT"), off(30), off(40, state="PLUGGED_IN:STOPPED"))
    assert errors(story) == [None, "FAULT 20", None]


def test_a_fault_told_with_the_plug_in() -> None:
    """It is in the first update; one of an earlier visit is in none."""
    at_home = sample(10, state="PLUGGED_IN:NO_POWER", where=HOME)
    story = run(home(), at_home, rules=LOSSLESS, prices=book())
    assert errors(story) == [None, "NO_POWER 10"]
    gone = run(unplug(20), timer(22), plug(30, where=HOME), off(31), before=story.vehicle, prices=book())
    assert gone.latest.error.latest is None


def test_an_error_behind_the_newest_is_no_news() -> None:
    """What is not shown does not make an update."""
    story = night(
        sample(20, level=50, limit=60, charging=False), off(25, state="PLUGGED_IN:FAULT"), sample(30, limit=90)
    )
    assert errors(story)[-1] == "FAULT 25"
    quiet = night(sample(20, level=50, limit=60, charging=False), off(25, state="PLUGGED_IN:FAULT"))
    last = night(sample(30, limit=60.0), before=quiet)
    assert last.changes == []


def test_start_and_stop_failed() -> None:
    """Ten minutes after the first asking, by a message that shows it; cleared once it follows."""
    story = night(off(11, level=50), *(off(at) for at in range(240, 252)), on(252, 0.1))
    assert errors(story) == [None, "START_FAILED 250", None]
    stop = night(*(on(at, (at - 11) / 10) for at in range(11, 30)), off(31))
    assert errors(stop) == [None, "STOP_FAILED 22", None]


def test_out_of_reach() -> None:
    """242====250 (silence)  60 min after its last word, until it is heard again, and not by the same word."""
    told = [off(11, 0.0, level=50), off(240, 0.0), *charged(242, 252)]
    story = night(*told, timer(311.9))
    assert errors(story) == [None]
    lost = night(timer(312), before=story)
    assert errors(lost) == ["UNREACHABLE 312"]
    assert night(told[-1], before=lost).changes == []
    assert night(on(251, 0.9), before=lost).changes == []
    assert errors(night(on(313, 7.1), before=lost))[-1] is None


def test_sleep_between_blocks_is_no_error() -> None:
    """11 (silence)..240  It may sleep until its block; 60 min into that it is out of reach."""
    assert errors(night(off(11, level=50), timer(299.9)))[-1] is None
    assert errors(night(off(11, level=50), timer(300)))[-1] == "UNREACHABLE 300"


# ---- time ----


def test_what_is_told_late_does_not_undo_what_time_did() -> None:
    """240 (START by time), then the word of 238  The command stands, and none is issued against it."""
    story = night(off(11, level=50), timer(241))
    assert story.commands[-1] == "240 START REGULAR"
    late = night(off(238, level=50), before=story)
    assert late.commands == []
    sent = control_of(late).sent
    assert sent is not None
    assert (sent.is_open, minutes(sent.at)) == (True, 240)
    assert night(on(239, 0.1), before=story).commands == []


def test_a_message_that_comes_again_changes_nothing() -> None:
    """Nor after time has passed."""
    told = [off(11, 0.0, level=50), off(240, 0.0), *charged(242, 252)]
    for events in (told, [*told, timer(430)], [*told, unplug(260)]):
        story = night(*events)
        for event in told:
            again = night(event, before=story)
            assert (again.outputs, again.vehicle) == ((), story.vehicle)


def test_updates_differ() -> None:
    """Nothing changed, nothing published; whatever a client sees is."""
    story = night(off(11, 0.0, level=50), off(100), off(240, 0.0), *charged(242, 430, every=4), timer(500))
    seen: Session | None = None
    for change in story.changes:
        assert isinstance(change, SessionChanged)
        assert change.session != seen
        seen = change.session


def test_verdicts_by_the_last_deadline_that_passed() -> None:
    """..80 % at 300..600 (next target)..out at 700  The one that was reached counts."""
    story = night(off(11, level=50), on(300, 6.0, level=80), off(310), unplug(700), timer(702))
    (session,) = story.settled
    outcome = session.outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.target_id, outcome.minimum_charge_target_reached_at) == ("SUCCEEDED", 1, minute(300))


def test_a_deadline_that_passed_in_silence_counts_once_the_vehicle_is_heard() -> None:
    """11 (silence)..600..610 (80 %)..out at 620  It was missed, and reached ten minutes late."""
    story = night(off(11, level=50), timer(601), off(610, level=80), unplug(620), timer(622))
    outcome = story.settled[0].outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.target_id, outcome.minimum_charge_target_reached_at) == ("FAILED", 1, minute(610))
    assert outcome.battery_level_at_ready_by == 50


def test_a_deadline_that_passed_after_the_last_word_does_not_count() -> None:
    """80 % at 300 (silence for 72 h)  It ended at its last word, and had been reached by then."""
    story = night(off(11, level=50), off(300, level=80), timer(300 + 3 * DAY))
    outcome = story.settled[0].outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.target_id, outcome.minimum_charge_target_reached_at) == ("SUCCEEDED", 1, minute(300))


def asked(at: float, wish: ImmediateStartOverride) -> Event:
    """What the user wants of the session of that night."""
    return target(at, night().latest.id, wish)


WISHES_AFTER: dict[str, tuple[list[Event], tuple[str, int, float | None]]] = {
    "the plug is out": ([unplug(300), asked(300.5, at_once()), timer(302)], ("FAILED", 1, None)),
    "it is out, and then another": (
        [unplug(300), asked(300.3, at_once()), asked(300.6, at_once(40)), timer(302)],
        ("FAILED", 1, None),
    ),
    "it is out, and what was wanted before was reached, as is told last": (
        [unplug(300), asked(300.3, at_once(90)), sample(300.5, level=80), timer(302)],
        ("SUCCEEDED", 1, 300),
    ),
    "it is back within the debounce": (
        [unplug(300), asked(300.3, at_once()), plug(300.5), unplug(310), timer(312)],
        ("FAILED", 2, None),
    ),
    "a policy says so": (
        [unplug(300), policy(300.5, by="18:00", percent=40, zone=ZONE, rate=6, capacity=60), timer(302)],
        ("FAILED", 1, None),
    ),
    "the last word of this owner": (
        [asked(300, at_once()), sample(310, level=50, plugged=True, charging=False, user=BOB)],
        ("FAILED", 1, None),
    ),
    "a word before the plug is out": ([asked(300, at_once()), unplug(310), timer(312)], ("FAILED", 2, None)),
}


@pytest.mark.parametrize(("told", "verdict"), WISHES_AFTER.values(), ids=WISHES_AFTER)
def test_what_is_wanted_after_the_end_is_not_judged(told: list[Event], verdict: tuple[str, int, float | None]) -> None:
    """The verdict is on the target that was in force at the end of the visit, whatever was said since."""
    outcome = night(off(11, level=50), *told).settled[0].outcome.latest
    assert outcome is not None
    state, target_id, reached = verdict
    assert (outcome.state, outcome.target_id) == (state, target_id)
    assert outcome.minimum_charge_target_reached_at == (None if reached is None else minute(reached))


def test_a_level_told_with_the_plug_out_counts() -> None:
    """It was reached by then."""
    story = night(off(11, level=50), unplug(300, level=80), timer(302))
    outcome = story.settled[0].outcome.latest
    assert outcome is not None
    assert (outcome.state, outcome.minimum_charge_target_reached_at) == ("SUCCEEDED", minute(300))
    late = night(off(11, level=50), unplug(300), sample(300.5, level=80), timer(302))
    after = late.settled[0].outcome.latest
    assert after is not None
    assert (after.state, after.minimum_charge_target_reached_at) == ("SUCCEEDED", minute(300))


def test_valuation_only_when_settled() -> None:
    """And null where a price is missing."""
    told = [off(11, 0.0, level=50), off(240, 0.0), *charged(242, 297), unplug(300), timer(301)]
    story = night(*told)
    *open_ones, settled, _ = (change.session for change in story.changes)
    assert all(session.valuation is None for session in open_ones)
    assert settled.valuation is not None
    cost = settled.valuation.tariff_cost
    assert (cost.actual, cost.baseline) == (0.55, 1.65)
    assert run(home(), plug(10, where=HOME, level=50), *told, rules=LOSSLESS).settled[0].valuation is None


# ---- a vehicle that charges faster, and one that leaves ----


def test_a_vehicle_that_charges_faster_is_planned_anew() -> None:
    """240====429 at 6 kW  It charges at 12: from 250 on the rest takes half the time, and no plan follows it again."""
    story = night(*charged(240, 245, kw=12))
    plan = control_of(story).plan
    assert blocks(story.latest)[0].startswith("REGULAR 240-429")
    faster = night(*charged(250, 250, kwh=2.0, kw=12), before=story)
    assert control_of(faster).plan is not plan
    assert control_of(faster).planned_w == 12_000
    assert blocks(faster.latest)[0].startswith("REGULAR 240-334 ")
    later = night(*charged(255, 320, kwh=3.0, kw=12), before=faster)
    assert control_of(later).plan is control_of(faster).plan


def test_a_little_faster_is_as_planned() -> None:
    """240====429 at 6 kW  At 7 kW it is done a little sooner: nothing is planned anew."""
    story = night(*charged(240, 245, kw=7))
    assert control_of(night(*charged(250, 330, kwh=1.167, kw=7), before=story)).plan is control_of(story).plan


def test_an_unplug_in_the_middle_of_a_block_is_answered_with_nothing() -> None:
    """240==300|  It does not charge because it is gone: no START, no error, and the block ends with the visit."""
    story = night(*charged(240, 300), sample(300.5, plugged=False, charging=False), timer(310))
    assert [command for command in story.commands if float(command.split()[0]) > 245] == []
    assert errors(story) == [None]
    (settled,) = story.settled
    assert blocks(settled) == ["REGULAR 240-300.5 6"]
