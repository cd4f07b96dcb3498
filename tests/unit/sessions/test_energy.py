"""Energy by counter deltas: baselines, runs, noise, resets, and steps that no vehicle can make."""

import pytest

from sessions.events import Counted, Event
from tests.builders import HOME, battery, bounds, kwh, kwh_sum, plug, policy, run, sample, timer, unplug

# Readings (minute, kWh) around a plug-in at minute 60 -> energy of the session.
BASELINES: dict[str, tuple[list[tuple[float, float]], float]] = {
    "newest within 5 min before": ([(50, 1.0), (55, 2.0), (59, 3.0), (70, 5.0)], 2.0),
    "exactly 5 min before": ([(55, 2.0), (70, 5.0)], 3.0),
    "older: the first after": ([(54.99, 2.0), (70, 5.0), (80, 6.5)], 1.5),
    "none before: the first after": ([(70, 5.0), (80, 6.5)], 1.5),
    "with the plug-in": ([(60, 5.0), (80, 6.5)], 1.5),
    "a single reading": ([(70, 5.0)], 0.0),
    "no reading": ([], 0.0),
}


@pytest.mark.parametrize(("readings", "energy_kwh"), BASELINES.values(), ids=BASELINES)
def test_baseline(readings: list[tuple[float, float]], energy_kwh: float) -> None:
    """Energy counts from the newest reading at most 5 min before the plug-in, else from the first after it."""
    told = sorted(
        [*(sample(at, counter) for at, counter in readings), plug(60, where=HOME)], key=lambda event: event.message.at
    )
    (session,) = run(policy(0), *told, unplug(100), timer(101)).settled
    assert kwh_sum(session) == energy_kwh


# Readings one minute apart from the plug-in on -> energy, and what is counted.
RUNS: dict[str, tuple[list[float], float, list[Counted]]] = {
    "rises": ([1.0, 1.5, 3.0], 2.0, []),
    "noise: a fall up to 0.1 kWh": ([1.0, 2.0, 1.9, 1.9], 1.0, []),
    "only what exceeds the highest adds": ([1.0, 2.0, 1.9, 2.1], 1.1, []),
    "a larger fall begins anew": ([1.0, 2.0, 1.899, 2.5], 1.601, [Counted.COUNTER_RESTARTED]),
    "reset to zero": ([5.0, 6.0, 0.0, 1.5], 2.5, [Counted.COUNTER_RESTARTED]),
    "placeholder zeros": ([0.0, 50.0, 51.0], 1.0, [Counted.IMPLAUSIBLE_ENERGY_STEP]),
    "400 kW": ([0.0, 6.666], 6.666, []),
    "above 400 kW": ([0.0, 6.667], 0.0, [Counted.IMPLAUSIBLE_ENERGY_STEP]),
    "to a lifetime register and back": (
        [1.0, 2.0, 9000.0, 2.5, 3.0],
        1.5,
        [Counted.IMPLAUSIBLE_ENERGY_STEP, Counted.COUNTER_RESTARTED],
    ),
}


@pytest.mark.parametrize(("readings", "energy_kwh", "counted"), RUNS.values(), ids=RUNS)
def test_runs(readings: list[float], energy_kwh: float, counted: list[Counted]) -> None:
    """Within a run only what exceeds its highest reading adds; a larger fall or an impossible step begins another."""
    story = run(policy(0), plug(60, where=HOME), *(sample(60 + at, counter) for at, counter in enumerate(readings)))
    assert (kwh_sum(story.latest), story.counted) == (energy_kwh, counted)


# The counter's last reading of the visit before, 2 min before the plug-in, and those since -> energy.
ANEW: dict[str, tuple[float, list[float], float]] = {
    "begun anew after little": (0.08, [0.0, 0.15, 0.5], 0.5),
    "begun anew, first read a little later": (0.1, [0.04, 0.5], 0.46),
    "noise: half of it and more": (0.08, [0.04, 0.5], 0.42),
    "goes on": (0.08, [0.08, 0.5], 0.42),
    "begun anew after much": (9.0, [0.0, 0.5], 0.5),
    "begun anew, and charged as much again": (0.9, [0.0, 0.3, 0.9], 0.9),
    "begun anew, with no more than one reading": (0.3, [0.0, 0.3], 0.3),
}


@pytest.mark.parametrize(("before", "readings", "energy_kwh"), ANEW.values(), ids=ANEW)
def test_a_counter_that_begins_anew_with_the_plug_in(before: float, readings: list[float], energy_kwh: float) -> None:
    """A counter that shows less than half of what it did before the plug-in has begun anew, however little that was."""
    told = (sample(60 + 2 * number, reading) for number, reading in enumerate(readings))
    story = run(policy(0), plug(10), sample(20, before), unplug(57), sample(58, before), plug(60, where=HOME), *told)
    assert kwh_sum(story.latest) == energy_kwh


def test_noise_within_a_visit() -> None:
    """Within a visit, and in its next part, a fall of up to 0.1 kWh is noise even to zero."""
    told: list[Event] = [policy(0), plug(10, where=HOME), sample(10, 0.0), sample(20, 0.08)]
    assert kwh_sum(run(*told, sample(30, 0.0), sample(40, 0.5)).latest) == 0.5
    story = run(*told, policy(25, enabled=False), sample(30, 0.0), sample(40, 0.5), unplug(50), timer(60))
    assert [kwh_sum(session) for session in story.settled] == [0.08, 0.42]


@pytest.mark.parametrize(("step_kwh", "energy_kwh"), [(66.666, 66.666), (66.667, 0.0)])
def test_step_above_capacity(step_kwh: float, energy_kwh: float) -> None:
    """A step above the capacity over the efficiency (60 kWh / 0.9) adds nothing."""
    story = run(policy(0), plug(10, where=HOME, capacity=60), sample(10, 0.0), sample(600, step_kwh))
    assert kwh_sum(story.latest) == energy_kwh


def test_idle_readings_between_visits() -> None:
    """What a counter gains while nothing is plugged in belongs to no session."""
    story = run(
        policy(0), plug(10, where=HOME), sample(10, 0.0), sample(20, 1.0), unplug(30), sample(40, 5.0),
        plug(50, where=HOME), sample(52, 6.0), sample(60, 7.0), unplug(70), timer(71),
    )  # fmt: skip
    assert [kwh_sum(session) for session in story.settled] == [1.0, 1.0]


def test_late_reading() -> None:
    """A counter reading that comes late finds its place: it tells when the energy flowed, and what came before it."""
    told = (policy(0), plug(10, where=HOME), sample(20, 1.0), sample(50, 2.0))
    assert kwh(run(*told).latest) == [0.0, 0.333, 0.5, 0.167]
    assert kwh(run(*told, sample(35, 1.0)).latest) == [0.0, 0.0, 0.667, 0.333]
    story = run(*told, sample(12, 0.5))
    assert (kwh_sum(story.latest), story.counted) == (1.5, [])


def test_reading_after_the_unplug_counts_until_confirmed() -> None:
    """A sample from within the debounce still counts; one from after it does not."""
    told: list[Event] = [policy(0), plug(10, where=HOME), sample(10, 0.0), sample(20, 1.0), unplug(30)]
    assert kwh_sum(run(*told, sample(30.5, 1.5), timer(31)).settled[0]) == 1.5
    assert kwh_sum(run(*told, timer(31), sample(30.5, 1.5)).settled[0]) == 1.0


LEVELS: dict[str, tuple[list[Event], tuple[int | None, int | None]]] = {
    "rounded down": ([plug(10, level=20.99), sample(20, level=39.99)], (20, 39)),
    "told shortly before": ([sample(5, level=20), plug(10), sample(20, level=30)], (20, 30)),
    "told long before": ([sample(4.99, level=20), plug(10), sample(20, level=30)], (30, 30)),
    "never told": ([plug(10), sample(20)], (None, None)),
    "0 and 100 are levels": ([plug(10, level=0.0), sample(20, level=100.0)], (0, 100)),
    "told at the plug-in, though told before": ([sample(6, level=51), plug(10, level=50)], (50, 50)),
    "falls": ([plug(10, level=50), sample(20, level=48)], (50, 48)),
}


@pytest.mark.parametrize(("events", "levels"), LEVELS.values(), ids=LEVELS)
def test_battery(events: list[Event], levels: tuple[int | None, int | None]) -> None:
    """Battery from and to are the first and the last level of the visit, whole percents rounded down."""
    (session,) = run(*events, sample(30, 0.0), sample(40, 1.0), unplug(50), timer(60)).settled
    assert battery(session) == levels


OBSERVED: dict[str, tuple[list[Event], bool]] = {
    "0.05 kWh": ([sample(10, 1.0), sample(30, 1.05)], True),
    "less": ([sample(10, 1.0), sample(30, 1.049)], False),
    "2 points and no energy": ([sample(10, level=50), sample(30, level=52)], True),
    "less than 2 points": ([sample(10, level=50), sample(30, level=51.9)], False),
    "2 points, but energy is known to be less": ([sample(10, 1.0, level=50), sample(30, 1.0, level=52)], False),
    "2 points and a single reading, which tells no energy": ([sample(10, level=50), sample(30, 9.0, level=52)], True),
    "a falling level": ([sample(10, level=52), sample(30, level=50)], False),
    "nothing told": ([], False),
}


@pytest.mark.parametrize(("events", "is_observed"), OBSERVED.values(), ids=OBSERVED)
def test_unmanaged_threshold(events: list[Event], is_observed: bool) -> None:
    """An unmanaged visit is a session from 0.05 kWh on, or from a rise of 2 points where no energy is known."""
    settled = run(plug(10), *events, unplug(50), timer(60)).settled
    assert [bounds(session) for session in settled] == ([(10, 50)] if is_observed else [])


def test_managed_without_charging() -> None:
    """A managed visit is a session even if nothing was charged."""
    (session,) = run(policy(0), plug(10, where=HOME), unplug(20), timer(21)).settled
    assert kwh_sum(session) == 0.0


def test_older_capacity() -> None:
    """The newest capacity told bounds a step, not the last to arrive."""
    story = run(
        policy(0), plug(10, where=HOME, capacity=60), sample(9, capacity=10), sample(10, 0.0), sample(600, 50.0)
    )
    assert kwh_sum(story.latest) == 50.0
