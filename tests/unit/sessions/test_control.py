"""What is done with a plugged-in vehicle: when it is planned anew, what it is told, what a client sees of it.

The plan (`tests.support.control_night`): 10 points an hour, 240 to 480 is cheap; 18 kWh and 5 % take 189 min, so it is
to charge from 240 to 429.
"""

import pytest

from models.session import SessionState
from sessions.control import substate
from sessions.events import Event
from sessions.planner import Plan
from tests.builders import (
    HOME,
    ZONE,
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
from tests.support.control_night import LOSSLESS, book, charged, control_of, errors, home, night, off, on
from tests.support.controls import AT_ONCE, REGULAR, RESERVE, minutes, wanted, wanted_at_once

A = SessionState


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
