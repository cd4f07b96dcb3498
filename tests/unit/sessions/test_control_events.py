"""What a plugged-in vehicle and time itself bring into a night under a policy: faults, silence, verdicts.

The night is that of `tests.support.control_night`.
"""

from typing import TYPE_CHECKING

import pytest

from models.target import ImmediateStartOverride
from sessions.events import Event, SessionChanged
from tests.builders import (
    BOB,
    HOME,
    ZONE,
    at_once,
    blocks,
    minute,
    plug,
    policy,
    run,
    sample,
    target,
    timer,
    unplug,
)
from tests.support.control_night import LOSSLESS, book, charged, control_of, errors, home, night, off, on
from tests.support.controls import minutes

if TYPE_CHECKING:
    from models.session import Session

DAY = 24 * 60


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
