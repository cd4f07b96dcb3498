"""Samples of one vehicle that Hypothesis draws: whatever fields, sometimes wrong, and in whatever order they arrive.

Minute 0 is the plug-in. Times lie within 24 h of each other, so none is too late whatever the order.
"""

from collections.abc import Callable, Sequence
from typing import Final

from hypothesis import strategies as st

from models.telemetry import ChargeSample
from sessions.events import TelemetryReceived
from sessions.evidence import Observation, observe
from tests.builders import sample

DAY_MIN: Final = 1_430

# Dense polls, sparse ones, two messages of one minute, a long silence.
_STEPS_MIN = st.sampled_from([0.05, 0.3, 1.0, 1.0, 1.0, 2.0, 5.0, 7.0, 14.9, 15.0, 16.0, 40.0, 300.0])
_POWERS_KW = st.sampled_from([0.0, 0.0, 1.7, 11.0, 150.0])
_RATES_KW = st.sampled_from([0.0, 0.0, 1.4, 7.36, 11.0, -3.0])
_LEVELS = st.sampled_from([20.0, 20.7, 21.9, 22.0, 24.5, 30.0, 55.5])
_CHARGING = st.sampled_from([True, False])

# A counter's reading from what it should show, and how long it is since it was read.
CounterErrors = Callable[[st.DrawFn, float], float]


def noisy(draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that never falls by more than noise."""
    return max(0.0, true_kwh - draw(st.sampled_from([0.0] * 5 + [0.04])))


def exact(_draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that never falls."""
    return true_kwh


def wild(draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that shows zeros, begins anew and jumps to another register."""
    return draw(st.sampled_from([true_kwh] * 6 + [0.0, true_kwh / 3, max(true_kwh - 0.3, 0.0), true_kwh + 9_000]))


@st.composite
def samples(
    draw: st.DrawFn,
    *,
    counter: CounterErrors | None = exact,
    rate: bool = True,
    level: bool = True,
    charging: bool = True,
    max_size: int = 24,
    max_min: float = DAY_MIN,
    min_step: float = 0.0,
) -> list[Observation]:
    """Samples in the order of their times."""
    told: list[Observation] = []
    at_min, counter_kwh = 0.0, draw(st.sampled_from([0.0, 0.02, 12.0]))
    sparse = draw(st.sampled_from([[False], [True], [False, False, True]]))
    for _ in range(draw(st.integers(1, max_size))):
        step_min = max(draw(_STEPS_MIN), min_step)
        at_min += step_min
        counter_kwh += min(draw(_POWERS_KW) * step_min / 60, 50.0)
        if at_min > max_min:
            break
        told.append(
            _sample(
                at_min,
                counter(draw, counter_kwh) if counter is not None and not draw(st.sampled_from(sparse)) else None,
                draw(st.none() | _RATES_KW) if rate else None,
                draw(st.none() | _LEVELS) if level else None,
                draw(st.none() | _CHARGING) if charging else None,
            )
        )
    return told


def _sample(
    at_min: float, kwh: float | None, rate: float | None, level: float | None, charging: bool | None
) -> Observation:
    return seen(sample(at_min, kwh, rate=rate, level=level, charging=charging))


def seen(event: TelemetryReceived) -> Observation:
    """What a sample says."""
    assert isinstance(event.message, ChargeSample)
    return observe(event.message)


def shuffled(told: Sequence[Observation]) -> st.SearchStrategy[list[Observation]]:
    """The same samples in another order of arrival."""
    return st.permutations(list(told))
