"""Whether a vehicle charges as much as was planned.

The plan: 6 kW from minute 60 to 180; ten minutes' worth are 1 kWh.
"""

import pytest
from msgspec import structs

from sessions.counters import Run
from sessions.energy import Energy
from sessions.grid import micros
from sessions.planner import Plan
from sessions.power import Power
from sessions.progress import is_ahead, is_behind, planned_power_w
from sessions.totals import Totals
from tests.builders import minute
from tests.support.controls import battery, control, plan

PLAN = plan((60, 180))


def totals(sum_wh: int, *, read: float | None = None, rated: float | None = None, is_known: bool = True) -> Totals:
    """So much energy, by a counter read or a rate told at that minute."""
    read_us = None if read is None else micros(minute(read))
    tip = Energy(
        0,
        0,
        sum_wh=sum_wh,
        run=None if read_us is None else Run(0, read_us, sum_wh),
        rate=None if rated is None else (micros(minute(rated)), 6_000),
        is_known=is_known,
    )
    return Totals(started_us=0, baseline_us=0, states_after_us=0, open_us=0, walked_from=0, base=tip, tail=tip, tip=tip)


@pytest.mark.parametrize(
    ("now", "charged_wh", "behind"),
    [
        # Ten minutes' worth decide up to 160, from there on a tenth does.
        (60, 0, False),
        (70, 0, False),
        (71, 0, True),
        (120, 5_000, False),
        (120, 4_999, True),
        (120, 7_000, False),
        (180, 10_800, False),
        (180, 10_799, True),
        # After the end, too.
        (300, 10_799, True),
        (300, 10_800, False),
    ],
)
def test_behind_by_a_tenth_and_by_ten_minutes(now: float, charged_wh: int, behind: bool) -> None:
    """Of what was expected since the plan was made, by a counter that was read just now."""
    state = control(PLAN)
    state.energy_at_plan_wh = 2_000
    assert is_behind(state, totals(2_000 + charged_wh, read=now), battery(), minute(now)) == behind


@pytest.mark.parametrize(
    ("read", "rated", "behind"),
    [
        (120, None, True),
        (None, 120, True),
        (60, 120, True),
        (120, 60, True),
        (65, None, False),
        (60, 65, False),
        (None, None, False),
    ],
)
def test_what_was_not_measured_is_not_behind(read: float | None, rated: float | None, behind: bool) -> None:
    """The newest word of a counter or a rate decides what could be expected of it."""
    assert is_behind(control(PLAN), totals(0, read=read, rated=rated), battery(), minute(120)) == behind


def test_a_word_from_ahead_counts_as_of_now() -> None:
    """No more is expected than up to now."""
    assert not is_behind(control(PLAN), totals(0, read=180), battery(), minute(65))


@pytest.mark.parametrize(
    ("told", "charged_wh", "behind"),
    [
        # 6 kWh are expected by 120. Ten minutes' worth are 1 kWh, and a percent of 60 kWh are 600 Wh.
        (120, 4_400, False),
        (120, 4_399, True),
        # By 180 12 kWh are, of which a tenth is 1.2.
        (180, 10_200, False),
        (180, 10_199, True),
        # What was told before says nothing of now.
        (75, 0, False),
        (None, 0, False),
    ],
)
def test_where_only_levels_tell_they_measure_to_a_percent(told: float | None, charged_wh: int, behind: bool) -> None:
    """They may be rounded down; and the newest one decides what could be expected."""
    level = {} if told is None else {"level_to": 50.0, "level_to_us": micros(minute(told))}
    known = structs.replace(totals(charged_wh, is_known=False), **level)
    assert is_behind(control(PLAN), known, battery(), minute(180 if told == 180 else 120)) == behind


def test_an_empty_plan_expects_nothing() -> None:
    """Where nothing is planned nothing is behind, though energy may fall."""
    state = control(Plan(()))
    state.energy_at_plan_wh = 2_000
    assert not is_behind(state, totals(0, read=120), battery(), minute(120))


def test_planned_power() -> None:
    """Energy over time, of the last block."""
    assert planned_power_w(PLAN) == 6_000


@pytest.mark.parametrize(
    ("peak_w", "planned_w", "ahead"),
    [
        (None, 6_000, False),
        (7_199, 6_000, False),
        (7_200, 6_000, True),
        # What a taper of 8.9 kW had taught, and what came.
        (11_030, 8_912, True),
        (22_000, 7_000, True),
        (3_000, 6_000, False),
        # A plan that wants nothing counts on no power.
        (7_500, 0, False),
    ],
)
def test_ahead_by_a_fifth(peak_w: int | None, planned_w: int, ahead: bool) -> None:
    """By the highest mean over five minutes that is borne out, against the power that the plan counts on."""
    state = control(PLAN)
    state.planned_w = planned_w
    shown = structs.replace(totals(0), power=Power(peak_w=peak_w))
    assert is_ahead(state, shown) == ahead
