"""Blocks of charging: what the plan wants when, and which began and ended.

Plans are drawn as spans of minutes.
"""

import pytest

from sessions.blocks import (
    end_running,
    next_boundary,
    overrun_ends_at,
    running_ends_at,
    track_blocks,
    upcoming_blocks,
    wanted_block,
)
from sessions.planner import BlockType
from sessions.state import Charging, StartedBlock
from tests.builders import minute
from tests.support.controls import AT_ONCE, REGULAR, block, charging, control, minutes, plan

TWO = plan((60, 120), (180, 240))


def spans(started: tuple[StartedBlock, ...]) -> list[tuple[float | None, float | None]]:
    return [(minutes(one.start_at), minutes(one.end_at)) for one in started]


@pytest.mark.parametrize(
    ("at", "start"), [(59.9, None), (60, 60), (119.9, 60), (120, None), (180, 180), (239.9, 180), (240, None)]
)
def test_a_block_is_wanted_from_its_start_up_to_its_end(at: float, start: float | None) -> None:
    """..60====120....180====240..  A block's start belongs to it, its end does not."""
    found = wanted_block(TWO, minute(at))
    assert (None if found is None else minutes(found.start_at)) == start


@pytest.mark.parametrize(
    ("after", "then"), [(0, 60), (59.9, 60), (60, 120), (119.9, 120), (120, 180), (180, 240), (239.9, 240), (240, None)]
)
def test_boundaries_follow_one_another(after: float, then: float | None) -> None:
    """..60====120....180====240..  The next boundary lies strictly after the moment."""
    assert minutes(next_boundary(TWO, minute(after))) == then


@pytest.mark.parametrize(
    ("started", "running", "checked", "left"),
    [
        ((), None, 0, [(60, 120, 6_000), (180, 240, 6_000)]),
        ((), None, 119, [(60, 120, 6_000), (180, 240, 6_000)]),
        ((), None, 120, [(180, 240, 6_000)]),
        ((), 60, 60, [(180, 240, 6_000)]),
        ((), 65, 60, [(180, 240, 6_000)]),
        # It charges beyond its block.
        ((), 65, 120, [(180, 240, 6_000)]),
        ((), 65, 180, []),
        # It broke off half way, and a quarter of the way.
        (((60, 90),), None, 60, [(90, 120, 3_000), (180, 240, 6_000)]),
        (((60, 75),), None, 60, [(75, 120, 4_500), (180, 240, 6_000)]),
        (((60, 120),), None, 60, [(180, 240, 6_000)]),
        (((60, 90),), 100, 60, [(180, 240, 6_000)]),
        (((60, 120), (180, 240)), None, 240, []),
    ],
)
def test_upcoming_blocks_are_what_is_left_of_the_plan(
    started: tuple[tuple[float, float], ...], running: float | None, checked: float, left: list[tuple[float, ...]]
) -> None:
    """Neither what is over nor the running block is still to come; of a block that broke off, the rest is, by time."""
    found = upcoming_blocks(
        TWO, tuple(block(*span) for span in started), None if running is None else block(running), minute(checked)
    )
    assert [(minutes(one.start_at), minutes(one.end_at), one.energy_wh) for one in found] == left


@pytest.mark.parametrize(
    ("running", "checked", "end"),
    [(60, 60, 120), (65, 100, 120), (65, 120, 120), (65, 150, 120), (185, 200, 240), (250, 240, 250), (10, 20, 20)],
)
def test_the_running_block_ends_as_planned(running: float, checked: float, end: float) -> None:
    """Its end is that of the wanted block; of one whose time is over, when that was; never before its start."""
    assert minutes(running_ends_at(TWO, block(running), minute(checked))) == end


def test_no_running_block_ends_never() -> None:
    """Where none runs there is no end."""
    assert running_ends_at(TWO, None, minute(90)) is None


ON, OFF = True, False


@pytest.mark.parametrize(
    ("now", "told", "running", "paused", "began"),
    [
        (70, charging(since=70), None, None, 70),
        # It charged before: the block begins with the plan.
        (70, charging(since=10, at=70), None, None, 60),
        (70, charging(since=70, is_on=False), None, None, None),
        (70, None, None, None, None),
        (130, charging(since=130), None, None, None),
        (90, charging(since=60, at=90), 60, None, 60),
        (90, charging(since=60, at=90), 60, 88, 60),
    ],
)
def test_a_block_begins_when_the_vehicle_charges_and_the_plan_wants_it(
    now: float, told: Charging | None, running: float | None, paused: float | None, began: float | None
) -> None:
    """..60====120..  Both at once make a block; it begins with the later of the two."""
    state = control(TWO)
    state.running = None if running is None else block(running)
    state.paused_at = None if paused is None else minute(paused)
    assert not track_blocks(told, state, minute(now), REGULAR, is_done=False)
    assert (state.running and minutes(state.running.start_at), state.paused_at) == (began, None)
    assert state.started == ()


def test_a_block_begins_after_the_one_before() -> None:
    """60==80 (stop)  82 (on again): the next one does not begin before the end of the last."""
    state = control(TWO)
    state.started = (block(60, 85),)
    track_blocks(charging(since=82, at=86), state, minute(86), REGULAR, is_done=False)
    assert state.running == block(85)


@pytest.mark.parametrize(
    ("now", "is_done", "ended", "broke_off"),
    [(82, False, [], False), (84.9, False, [], False), (85, False, [(60, 80)], True), (82, True, [(60, 80)], False)],
)
def test_a_pause_of_five_minutes_ends_the_block(
    now: float, is_done: bool, ended: list[tuple[float, float]], broke_off: bool
) -> None:
    """60====80 (off)..  It ended when it stopped, and broke off unless nothing was missing."""
    state = control(TWO)
    state.running = block(60)
    told = charging(since=80, is_on=False, at=now)
    assert track_blocks(told, state, minute(now), REGULAR, is_done=is_done) == broke_off
    assert spans(state.started) == ended
    assert (state.running is None, state.paused_at) == (bool(ended), None if ended else minute(80))


def test_a_pause_counts_from_its_first_word() -> None:
    """A vehicle that says again that it does not charge has paused since it said so first."""
    state = control(TWO)
    state.running, state.paused_at = block(60), minute(80)
    assert track_blocks(charging(since=83, is_on=False), state, minute(85), REGULAR, is_done=False)
    assert spans(state.started) == [(60, 80)]


def test_a_stop_before_the_block_began_is_a_stop_at_its_start() -> None:
    """A block of no length never was."""
    state = control(TWO)
    state.running = block(60)
    track_blocks(charging(since=50, is_on=False, at=70), state, minute(70), REGULAR, is_done=False)
    assert [state.running, *state.started] == [None]


def test_a_stop_after_the_planned_end_breaks_nothing_off() -> None:
    """60====120 (off at 121)  It ended where it stopped, at once, and nothing is wrong."""
    state = control(TWO)
    state.running = block(60)
    assert not track_blocks(charging(since=121, is_on=False), state, minute(121), REGULAR, is_done=False)
    assert spans(state.started) == [(60, 121)]


@pytest.mark.parametrize(("now", "ended"), [(124.9, []), (125, [(60, 125)]), (140, [(60, 140)])])
def test_charging_beyond_its_block_belongs_to_it_for_five_minutes(now: float, ended: list[tuple[float, float]]) -> None:
    """60====120=====  Told to stop, a vehicle may take a while; later than that it charges on its own account."""
    state = control(TWO)
    state.running = block(60)
    assert not track_blocks(charging(since=60, at=now), state, minute(now), REGULAR, is_done=False)
    assert spans(state.started) == ended


def test_another_reason_is_another_block() -> None:
    """60==(user: at once)==  One block ends and the next begins at that moment."""
    state = control(TWO)
    state.running = block(60)
    track_blocks(charging(since=60, at=70), state, minute(70), AT_ONCE, is_done=False)
    assert (spans(state.started), state.running) == ([(60, 70)], block(70, kind=AT_ONCE))


def test_a_vehicle_that_does_not_tell_ends_no_block() -> None:
    """Without a word on charging nothing begins and nothing ends."""
    state = control(TWO)
    state.running = block(60)
    assert not track_blocks(None, state, minute(300), REGULAR, is_done=True)
    assert (state.running, state.started) == (block(60), ())


@pytest.mark.parametrize(("planned", "now", "until"), [(0, 121, 125), (0, 250, 245), (130, 131, 135), (0, 30, 5)])
def test_an_overrun_counts_from_the_end_of_the_block_or_from_the_plan(planned: float, now: float, until: float) -> None:
    """Five minutes from the newest block's end, or from the re-plan that dropped it."""
    state = control(TWO, at=planned)
    assert minutes(overrun_ends_at(state, minute(now))) == until


@pytest.mark.parametrize(("at", "kept"), [(60, []), (59, []), (60.1, [(60, 60.1)])])
def test_a_block_of_no_length_never_was(at: float, kept: list[tuple[float, float]]) -> None:
    """It leaves no trace."""
    state = control(TWO)
    state.running, state.paused_at = block(60, kind=BlockType.REGULAR), minute(60)
    end_running(state, minute(at))
    assert [state.running, state.paused_at] == [None, None]
    assert spans(state.started) == kept
