"""The reserve: charged to at once, left for the plan when it is reached, and entered again neither early nor often.

Minute 0 is 08:00. The first two hours or more are dear.
"""

from datetime import timedelta

import pytest

from models.session import SessionState
from sessions import blocks as block_rules
from sessions.events import Event
from sessions.state import Control
from tests.builders import HOME, ZONE, Story, blocks, kwh_sum, minute, plug, policy, priced, run, sample, timer, unplug

DEAR_UNTIL_240 = (*[0.5] * 4, *[0.01] * 40)
HIGH = SessionState.ACTIVE_REGULAR
LOW = SessionState.ACTIVE_BATTERY_RESERVE


def home(*events: Event, reserve: float = 30, level: float = 10, before: Story | None = None) -> Story:
    book = priced(*DEAR_UNTIL_240)
    if before is not None:
        told = run(*events, before=before.vehicle, prices=book)
        return Story(told.vehicle, before.decisions + told.decisions)
    first = policy(-60, by="20:00", reserve=reserve, zone=ZONE)
    return run(first, plug(0, where=HOME, level=level, capacity=60), *events, prices=book)


def control_of(story: Story) -> Control:
    assert story.vehicle.visit is not None
    control = story.vehicle.visit.part.control
    assert control is not None
    return control


def on(at: float, level: float) -> Event:
    return sample(at, level=level, charging=True, plugged=True)


def flicker(start: int, end: int) -> list[Event]:
    return [on(at, 30 if at % 2 else 27) for at in range(start, end)]


def test_what_is_left_of_the_reserves_time_is_not_used_at_any_price() -> None:
    """0====20 (reserve)  ..240====  Filled in 20 min where 70 were planned: STOP, and the rest when it is cheap."""
    charge = [on(at, 10 + at) for at in range(1, 21)]
    waits = [sample(21, level=30, charging=False)]
    rest = [on(at, 30 + (at - 240) / 4) for at in range(241, 441, 4)]
    story = home(*charge, *waits, *rest, sample(441, level=80, charging=False), unplug(720), timer(730))
    assert story.commands[:3] == ["0 START BATTERY_RESERVE", "20 STOP WAITING", "240 START REGULAR"]
    (settled,) = story.settled
    assert [block.rsplit(" ", 1)[0] for block in blocks(settled)][:2] == ["BATTERY_RESERVE 1-21", "REGULAR 241-441"]
    assert settled.valuation is not None
    assert settled.valuation.tariff_cost.savings > 6


def test_a_vehicle_that_goes_on_is_told_to_stop() -> None:
    """It charges through minute 70 all the same: asked again and again, and nothing dear is planned."""
    story = home(*[on(at, 10 + at) for at in range(1, 71)], unplug(720), timer(730))
    assert story.commands[1:5] == [f"{at} STOP WAITING" for at in (20, 25, 35, 55)]


def test_filled_as_planned_is_no_cause() -> None:
    """0====74 (reserve)  The block's end and the reserve come together: the plan of the beginning stands."""
    (reserve, *_) = control_of(home()).plan.blocks
    length = (reserve.end_at - minute(0)) / timedelta(minutes=1)
    told = [on(at, 10 + 20 * at / length) for at in (1, 20, 40, 60)]
    story = home(*told, on(length, 30), before=home())
    assert (control_of(story).planned_at, story.latest.state) == (minute(0), HIGH)


@pytest.mark.parametrize(("at", "state"), [(21, HIGH), (34.9, HIGH), (35, LOW), (50, LOW)])
def test_entered_again_a_quarter_hour_after(at: float, state: SessionState) -> None:
    """Left at 20: 27 % is below it, but not before 35."""
    story = home(on(19, 29), on(20, 30), on(at, 27))
    assert story.latest.state is state


def test_entered_again_by_time() -> None:
    """Left at 20, told 27 % at 21, and silent since: the reserve is entered at 35."""
    story = home(on(19, 29), on(20, 30), sample(21, level=27, charging=False))
    assert home(timer(34.9), before=story).latest.state is HIGH
    again = home(timer(35), before=story)
    assert again.latest.state is LOW
    assert again.commands[-1] == "35 START BATTERY_RESERVE"


def test_what_rises_again_meanwhile_is_not_entered() -> None:
    """Left at 20, 27 % at 21, 29 % at 30: nothing to do at 35."""
    story = home(on(19, 29), on(20, 30), on(21, 27), on(30, 29), timer(60))
    assert control_of(story).reserve_again_at is None
    assert story.latest.state is HIGH


def test_a_level_that_flickers_makes_few_blocks() -> None:
    """30 and 27 % in turn, every minute of four hours: at most one entry a quarter-hour."""
    story = home(*flicker(1, 241), reserve=30, level=27)
    assert len(control_of(story).started) <= 2 * 16
    assert sum(command.endswith("BATTERY_RESERVE") for command in story.commands) <= 16


def test_no_more_blocks_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charging beyond the last block that a part may have lies in none; its energy counts all the same."""
    monkeypatch.setattr(block_rules, "STARTED_LIMIT_BLOCKS", 3)
    pulses = [
        sample(at + passed, (at - 300 + passed) / 100, level=40, charging=passed < 5)
        for at in range(300, 400, 20)
        for passed in (0, 5, 10)
    ]
    story = home(*pulses, unplug(720), timer(730), level=40, reserve=0)
    (settled,) = story.settled
    assert len(settled.blocks) == 3
    assert sum(block.kwh_sum for block in settled.blocks) < kwh_sum(settled)


def test_the_limit_is_one_of_months() -> None:
    """More than anybody meets, and a part's blocks take a small share of a record of 2 MiB."""
    assert block_rules.STARTED_LIMIT_BLOCKS == 1_000
